"""D9: whatever the two Redis servers forget, and whatever is written meanwhile, both nodes end
with everything that either server still had, once, and agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import attrs
import fakeredis
from hypothesis import event as event_seen
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore import (
    Change,
    DamagedEvent,
    Delete,
    Event,
    EventStoreError,
    Kind,
    NoSuchEntry,
    Origin,
    Put,
    Replication,
    SecondWriter,
    StoreUnavailable,
    StreamForked,
)
from eventstore.errors import ArchiveRefused
from tests.contracts.convergence import check, events, written
from tests.contracts.nodes import Clock, Node
from tests.properties.pairs import any_origin, keys
from tests.support.archive_files import Files, archive
from tests.support.crash_points import Fault, Killed, Life
from tests.support.histories import MASTER, ORIGINS, PAIR, STANDBY, other

ROUND_COUNT_MAX = 8


@attrs.frozen
class Write:
    """Change entries, by a clock that stands anywhere."""

    origin: Origin
    changes: Sequence[Change]
    ms: int


@attrs.frozen
class Turn:
    """Reach the peer's Redis: recover, then take the next few events; maybe die at a call."""

    origin: Origin
    count: int
    fault: Fault
    fault_at: int | None


@attrs.frozen
class Forget:
    """Redis is as it was some changes ago; or empty. With the machine, the process dies."""

    origin: Origin
    back: int | None
    process_dies: bool
    connections_end: bool
    """Not when somebody deletes it all by hand."""


@attrs.frozen
class Restart:
    origin: Origin
    peer_is_there: bool


@attrs.frozen
class Look:
    """The health check, and a heartbeat of the peer."""

    origin: Origin


@attrs.frozen
class Archive:
    """The master lets both forget what was written before, by whatever clock."""

    ms: int
    origin: Origin = MASTER


@attrs.frozen
class Trim:
    """Let go of what was archived; maybe die at a call."""

    origin: Origin
    fault: Fault
    fault_at: int | None


Action = Write | Turn | Forget | Restart | Look | Archive | Trim

changes = st.builds(Put, keys, st.integers(0, 5)) | st.builds(Delete, keys)


def writes_of(origin: Origin) -> st.SearchStrategy[Write]:
    some = st.lists(changes, min_size=1, max_size=3)
    return st.builds(Write, st.just(origin), some, st.integers(0, 9))


def whole_turn(origin: Origin) -> Turn:
    return Turn(origin, 100, Fault.DIES_BEFORE, None)


writes = any_origin.flatmap(writes_of)
quiet_turns = st.builds(
    Turn, any_origin, st.integers(1, 4), st.just(Fault.DIES_BEFORE), st.none()
)
turns = st.builds(
    Turn, any_origin, st.integers(1, 4), st.sampled_from(Fault), st.integers(1, 30)
)
losses = st.builds(
    Forget, any_origin, st.none() | st.integers(1, 12), st.booleans(), st.booleans()
)
restarts = st.builds(Restart, any_origin, st.booleans())
looks = st.builds(Look, any_origin)
archives = st.builds(Archive, st.integers(1, 10))
trims = st.builds(
    Trim, any_origin, st.sampled_from(Fault), st.none() | st.integers(1, 20)
)
anything = st.one_of(
    writes, quiet_turns, turns, losses, restarts, looks, archives, trims
)


@st.composite
def archivings(draw: st.DrawFn) -> list[Action]:
    """Both have the same; then something is archived, and at once, or later, let go of."""
    story: list[Action] = [whole_turn(MASTER), whole_turn(STANDBY)]
    story.append(draw(archives))
    if draw(st.booleans()):
        story.append(whole_turn(STANDBY))
        whole = [Trim(o, Fault.DIES_BEFORE, None) for o in ORIGINS]
        story += draw(st.lists(st.sampled_from(whole), max_size=2))
    return story + draw(st.lists(trims, max_size=2))


@st.composite
def stories(draw: st.DrawFn) -> list[Action]:
    """A history that is replicated in part, a loss, what is written in ignorance, and more.

    Half of them fall back a second time to just what was written in ignorance.
    """
    story: list[Action] = draw(st.lists(writes | quiet_turns, min_size=4, max_size=12))
    for _ in range(draw(st.integers(1, 2))):
        lost = draw(losses)
        if draw(st.booleans()):
            story += draw(archivings()) + draw(
                st.lists(writes | quiet_turns, max_size=3)
            )
        if draw(st.booleans()):
            story.append(whole_turn(other(lost.origin)))
        story.append(lost)
        ignorant = writes_of(lost.origin)
        story += draw(st.lists(ignorant | looks, min_size=1, max_size=3))
        ignorance_ends = len(story)
        again = draw(st.booleans())
        if again:
            story += [whole_turn(lost.origin), whole_turn(other(lost.origin))]
        story += draw(st.lists(anything, max_size=6))
        if again:
            since = [a for a in story[ignorance_ends:] if a.origin == lost.origin]
            story.append(Forget(lost.origin, len(since), True, True))
            story += draw(st.lists(anything, max_size=3))
    return story


class Side:
    """A node whose Redis may forget and whose process may end."""

    def __init__(
        self,
        origin: Origin,
        server: fakeredis.FakeServer,
        peers: fakeredis.FakeServer,
    ) -> None:
        self.origin = origin
        self.clock = Clock(5)
        self.life = Life(Fault.DIES_BEFORE)
        self.node = Node(
            lambda: fakeredis.FakeRedis(server=server),
            origin,
            self.clock,
            self.life.streams,
            applied_within_s=0.0,
        )
        self._source = self.life.streams(
            fakeredis.FakeRedis(server=peers), PAIR, name="the peer's Redis"
        )
        self._past: list[dict[bytes, bytes]] = []
        self._start_count = 0
        self.was_put_back = False
        """Whether Redis became an older one under a process that lived on."""
        self.has_lost = False
        """Whether Redis became an older or an empty one at any time."""
        self.steps = self._new_steps()
        self.remember()

    def _new_steps(self) -> Replication:
        return Replication(
            self.node.store,
            self._source,
            own=self.origin,
            peer=other(self.origin),
            now_s=lambda: 0.0,
        )

    def restart(self, *, peer_is_there: bool) -> None:
        """As `NetPhoneNode.start` does it."""
        self.life.fault_at = None
        self.node.restart()
        self.steps = self._new_steps()
        if peer_is_there:
            with suppress(StoreUnavailable, StreamForked):
                self.steps.recover()
        self._start_count += 1
        with suppress(StoreUnavailable):
            self.node.store.record(
                Kind.STREAM_OPENED, {"number": self._start_count}, actor="node"
            )

    def remember(self) -> None:
        client = self.node.client
        self._past.append({key: client.dump(key) or b"" for key in client.scan_iter()})

    def forget(self, back: int | None) -> None:
        client = self.node.client
        client.flushdb()
        if back is None:
            return
        for key, value in self._past[max(0, len(self._past) - 1 - back)].items():
            client.restore(key, 0, value)

    def turn(self, turn: Turn) -> None:
        life = self.life
        life.page_count_max = turn.count
        life.fault, life.fault_at = turn.fault, None
        if turn.fault_at is not None:
            life.fault_at = life.call_count + turn.fault_at
        try:
            self.steps.turn(None, allowed)
        except Killed:
            self.restart(peer_is_there=False)
        except SecondWriter:
            raise
        except EventStoreError as error:
            self.steps.pause(str(error))
        life.fault_at = life.page_count_max = None

    def trim(self, trim: Trim) -> None:
        life = self.life
        life.fault, life.fault_at = trim.fault, None
        if trim.fault_at is not None:
            life.fault_at = life.call_count + trim.fault_at
        try:
            event_seen(f"trimmed: {self.node.store.trim(go_on=lambda: True)}")
        except Killed:
            self.restart(peer_is_there=False)
        except StreamForked:
            event_seen("nothing to trim there")
        except StoreUnavailable:
            pass
        life.fault_at = None

    def look(self, peer: Side) -> None:
        head = peer.node.store.snapshot.heads[self.origin]
        with suppress(StoreUnavailable):
            self.node.store.settle()
            self.node.store.check()
            self.node.store.compare_own(head.id, head.digest)


@contextmanager
def allowed() -> Iterator[bool]:
    yield True


class Pair:
    """Both, and what either Redis has that must not be lost."""

    def __init__(self) -> None:
        servers = {origin: fakeredis.FakeServer(version=(7,)) for origin in ORIGINS}
        self.sides = {
            origin: Side(origin, servers[origin], servers[other(origin)])
            for origin in ORIGINS
        }
        self._must_stay: list[Event] = []
        self.files = Files()
        self._has_lost = False
        """Whether an event was in neither Redis any more."""

    def do(self, action: Action) -> None:
        side = self.sides[action.origin]
        try:
            self._do(action, side, self.sides[other(action.origin)])
        except SecondWriter:
            # A live process whose Redis is put back to before its own beginning cannot tell
            # this from a second one. It ends, and is started again.
            assert side.was_put_back
            side.restart(peer_is_there=True)
        side.remember()

    def _do(self, action: Action, side: Side, peer: Side) -> None:
        match action:
            case Write(_, changes, ms):
                side.clock.ms = ms
                with suppress(NoSuchEntry, StoreUnavailable):
                    self._must_stay += side.node.store.append(changes, actor="jane")
            case Turn():
                side.turn(action)
            case Forget(_, back, process_dies, connections_end):
                self._forget(side, back)
                side.was_put_back |= not process_dies and back is not None
                side.has_lost = True
                for one in (side, peer) if connections_end else ():
                    one.steps.pause("the connection was lost")
                if process_dies:
                    side.restart(peer_is_there=False)
                else:
                    # The health check is never far. Before it, an append could follow
                    # another event that has the very id of the last one.
                    side.look(peer)
            case Restart(_, peer_is_there):
                side.restart(peer_is_there=peer_is_there)
            case Look():
                side.look(peer)
            case Archive(ms):
                self._archive(ms, side, peer)
            case Trim():
                side.trim(action)

    def _archive(self, ms: int, side: Side, peer: Side) -> None:
        if peer.node.store.hindrance is not None:
            return
        node = side.node
        with suppress(ArchiveRefused, StoreUnavailable, DamagedEvent):
            ordered = archive(
                self.files, node.store, node.streams, peer.node, ms * 1_000_000
            )
            event_seen(f"archived: {ordered is not None}")

    def _still(self, named: Callable[[Event], bytes] = written) -> set[bytes]:
        return {
            named(event)
            for side in self.sides.values()
            for origin in ORIGINS
            for event in events(side.node, origin, self.files)
        }

    def _forget(self, side: Side, back: int | None) -> None:
        before = self._still(lambda event: event.digest)
        side.forget(back)
        self._has_lost |= not before <= self._still(lambda event: event.digest)
        still = self._still()
        self._must_stay = [e for e in self._must_stay if e.digest in still]

    def settle(self) -> None:
        """Let both go on undisturbed until nothing changes any more."""
        for _ in range(ROUND_COUNT_MAX):
            for origin in ORIGINS:
                self.do(Look(origin))
                self.do(whole_turn(origin))
            for side in self.sides.values():
                self._empty_if_told(side)
                self.do(Trim(side.origin, Fault.DIES_BEFORE, None))
        for side in self.sides.values():
            assert side.steps.progress.problem is None, side.steps.progress
            assert side.node.store.hindrance is None

    def _empty_if_told(self, side: Side) -> None:
        """As an operator whom the node tells to, and who sees that the peer is there."""
        if "empty its Redis" in (side.node.store.hindrance or ""):
            event_seen("emptied, because it was older than what is archived")
            assert side.has_lost
            self._forget(side, None)
            side.restart(peer_is_there=True)
            self.do(whole_turn(side.origin))

    def check(self) -> None:
        self.settle()
        master, standby = (self.sides[origin].node for origin in (MASTER, STANDBY))
        is_whole = None if self._has_lost else True
        check(master, standby, self._must_stay, self.files, is_whole=is_whole)


@settings(max_examples=150)
@given(stories())
def test_whatever_redis_forgets_both_nodes_agree_on_all_that_is_left(
    actions: list[Action],
) -> None:
    pair = Pair()
    for action in actions:
        pair.do(action)
    pair.check()
    for side in pair.sides.values():
        for event in side.node.store.recent(Kind.STREAM_RECOVERED):
            assert isinstance(event.value, dict)
            for what, count in event.value.items():
                if count:
                    event_seen(f"recovered: {what}")
