"""The operator's side of a resync (D12): refuse it, or carry it out step by step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from eventstore import (
    START,
    Event,
    EventId,
    EventStore,
    EventStoreError,
    Kind,
    Leaving,
    Origin,
    ResyncOrder,
    ResyncRefused,
    StoreRefused,
    Streams,
)
from node.clock import Clock
from node.errors import ResyncRolledBack
from node.link_messages import Heartbeat
from node.resync_order import (
    OwnFacts,
    baseline,
    failed_checks,
    resync_due,
    unstored_at_master,
)
from node.roles import Role
from node.runtime import View
from node.version import VERSION

TAKE_OVER_LIMIT_S = 60.0
"""How long the master may need to take over what the standby alone has."""
_LOOK_S = 0.5
"""How often it is seen meanwhile whether the resync may go on."""
_NOTHING = "this node has the master's data already; nothing leaves"
_KEPT = (Kind.REPLICATION_CHANGED, Kind.TAKEOVER_CHANGED)


@attrs.frozen
class ResyncReport:
    """What a resync did, or would do."""

    outcome: str
    """`done`, `nothing` (this node had the master's data) or `ready` (a dry run)."""
    text: str
    left: Leaving
    """What left this node's data, or would leave."""
    event: Event | None = None
    """The event `resynchronised`, if one was written."""
    duration_s: float = 0.0


class Resyncing:
    """Takes the order; one at a time. Thread-safe."""

    def __init__(
        self,
        role: Role,
        *,
        store: EventStore,
        source: Streams,
        replicates: Callable[[], bool],
        unreadable: Callable[[], str | None],
        await_replicated: Callable[[EventId, float], bool],
        view: Callable[[], View],
        announce: Callable[[], object],
        clock: Clock,
        take_over_limit_s: float = TAKE_OVER_LIMIT_S,
    ) -> None:
        """`source` is the master's Redis; `replicates` tells the setting of this node,
        `unreadable` why it could not apply the master's events.

        `await_replicated` waits until the master has an event of ours, up to so many seconds.
        """
        self._role = role
        self._own = Origin(role.value)
        self._store = store
        self._source = source
        self._replicates = replicates
        self._unreadable = unreadable
        self._await_replicated = await_replicated
        self._view = view
        self._announce = announce
        self._clock = clock
        self._take_over_limit_s = take_over_limit_s
        self._lock = threading.Lock()
        self._stopping = False
        self.wanted = START
        """Up to where the master is to read our stream although replication is off."""
        self.progress: str | None = None
        """What is being done, in words; None: nothing."""

    def stop(self) -> None:
        """Give up a resync that is under way."""
        self._stopping = True

    def baseline(self) -> str | None:
        """The version under which the data here were last begun or replaced."""
        latest = self._store.latest
        return baseline(latest(Kind.STREAM_OPENED), latest(Kind.RESYNCHRONISED))

    def due(self) -> str | None:
        """Why a resync is due; None: none is."""
        return resync_due(self._role, self.baseline(), VERSION)

    def order(
        self, *, actor: str, reason: str, discard: bool, dry_run: bool
    ) -> ResyncReport:
        """Replace this node's data by the master's, and wait for the end.

        Raises:
            ResyncRefused: every reason; nothing was changed.
            ResyncRolledBack: it could not be ended; all is as before.
            EventStoreError: a Redis did not answer; the text says what is not known.
        """
        if not self._lock.acquire(blocking=False):
            raise ResyncRefused([f"a resync is under way: {self.progress}"])
        began_s = self._clock.now_s()
        self.progress = "looking"
        try:
            left = self._look(discard, with_entries=dry_run)
            if dry_run:
                return ResyncReport("ready", _would(left), left)
            report = self._carry_out(left, actor, reason, discard)
            duration_s = round(self._clock.now_s() - began_s, 3)
            return attrs.evolve(report, duration_s=duration_s)
        finally:
            self.progress = None
            self._lock.release()

    def _look(self, discard: bool, *, with_entries: bool) -> Leaving:
        """What would leave, if nothing is against it.

        Raises:
            ResyncRefused: all that is.
        """
        reasons = list(self._failed_checks())
        left = None
        if self._role is Role.STANDBY:
            try:
                left = self._store.look_at_resync(
                    self._source,
                    discard=discard,
                    with_entries=with_entries,
                    watch=self._may_look_on,
                )
                reasons += left.against()
                if left.is_own_replaced and not left.own.is_theirs_longer:
                    stored = left.own.common.id
                    reasons += unstored_at_master(self._head_at_master(), stored)
            except ResyncRefused as error:
                reasons += error.reasons
            except EventStoreError as error:
                reasons.append(str(error))
        if reasons:
            raise ResyncRefused(reasons)
        assert left is not None, "without a reason this is the standby, which looked"
        return left

    def _carry_out(
        self, left: Leaving, actor: str, reason: str, discard: bool
    ) -> ResyncReport:
        order = ResyncOrder(
            actor=actor,
            reason=reason,
            discard=discard,
            anyway=self.due() is not None,
            note={"version": VERSION},
            kept=_KEPT,
        )
        with self._frozen() as head:
            if left.own.change_count and not discard:
                self._let_master_take_over(head)
            try:
                done = self._store.resync(self._source, order, watch=self._may_go_on)
            except StoreRefused as error:
                if reasons := self._failed_checks():
                    raise ResyncRolledBack(_given_up(reasons)) from error
                raise
        taken_count = 0 if discard else left.own.change_count
        outcome = "done" if done.event is not None or taken_count else "nothing"
        text = _did(done.left, taken_count)
        return ResyncReport(outcome, text, done.left, done.event)

    @contextmanager
    def _frozen(self) -> Iterator[EventId]:
        """While changes are held back here; gives the own head."""
        self.progress = "waiting for the changes under way"
        try:
            yield self._store.freeze("resync")[self._own].id
        finally:
            self._store.thaw("resync")

    def _let_master_take_over(self, head: EventId) -> None:
        self.progress = f"waiting until the master has our events up to {head}"
        deadline_s = self._clock.now_s() + self._take_over_limit_s
        self.wanted = head
        self._announce()
        try:
            while not self._await_replicated(head, _LOOK_S):
                if reasons := self._failed_checks():
                    raise ResyncRolledBack(_given_up(reasons))
                if self._clock.now_s() >= deadline_s:
                    raise ResyncRolledBack(
                        "nothing was changed here: the master did not take over our events "
                        f"up to {head} within {self._take_over_limit_s:g} s; see its log, "
                        "and that its software is not older than this"
                    )
        finally:
            self.wanted = START
            self._announce()

    def _head_at_master(self) -> EventId:
        peer = self._view().peer
        head = peer.heads.get(self._own) if peer else None
        return EventId.parse(head.id) if head else START

    def _may_look_on(self, count: int) -> bool:
        self.progress = f"looking: {count} events read"
        return not self._stopping

    def _may_go_on(self, count: int) -> bool:
        self.progress = f"copying: {count} events read"
        return not self._failed_checks()

    def _failed_checks(self) -> tuple[str, ...]:
        view = self._view()
        peer: Heartbeat | None = view.peer
        facts = OwnFacts(
            role=self._role,
            state=view.state,
            replication_enabled=self._replicates(),
            hindrance=self._store.hindrance,
            unreadable=self._unreadable(),
            is_switching=view.switch_step is not None,
            link_open=view.connected,
        )
        found = failed_checks(facts, peer)
        return (*found, "this node is stopping") if self._stopping else found


def _given_up(reasons: tuple[str, ...]) -> str:
    return f"given up, and nothing was changed: {'; '.join(reasons)}"


def _would(left: Leaving) -> str:
    if left.is_nothing:
        return _NOTHING
    count = 0 if left.discard else left.own.change_count
    first = f"the master would take over {count} changes that only this node has; "
    return (
        f"{first if count else ''}{_what(left)} would leave, {left.changed_count} entries "
        "would change"
    )


def _did(left: Leaving, taken_count: int) -> str:
    first = f"the master took over {taken_count} changes that only this node had; "
    if left.is_nothing:
        return f"{first if taken_count else ''}{_NOTHING}"
    return (
        f"{first if taken_count else ''}{_what(left)} left, {left.changed_count} entries "
        "changed"
    )


def _what(left: Leaving) -> str:
    counts = [
        f"{parting.event_count} events of stream {parting.origin!r}"
        for parting in left.replaced
    ]
    return " and ".join(counts) or "no event"
