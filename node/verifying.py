"""Verifies what is stored in both Redis, with what the nodes remember as witnesses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress

import attrs

from eventstore import (
    EventId,
    EventStore,
    EventStoreError,
    Head,
    Origin,
    StoreUnavailable,
    Streams,
    Verification,
    VerifyReport,
    Witness,
    begin_verification,
    digest_of,
    stored_at,
    verify_on,
)
from node.roles import Role
from node.runtime import View

ORIGINS = Origin(Role.MASTER.value), Origin(Role.STANDBY.value)
PAGE_EVENT_COUNT = 5000
"""Events that are verified for one request: about 0.1 s."""
PAGE_BYTES_MAX = 8 * 1024 * 1024


@attrs.frozen(kw_only=True)
class VerifyPage:
    """How far a verification is."""

    pair: str
    now: Verification
    names: Sequence[str]
    """Of the copies: the own Redis first."""
    total: int
    """Events of both streams here, at this moment."""
    problem: str
    """Why the peer's Redis is not looked at; empty: it is, or was not to be."""


@attrs.frozen(kw_only=True)
class StoredHeads:
    """Where the streams end here, and which digests events have in each copy."""

    pair: str
    names: Sequence[str]
    heads: Mapping[Origin, Head]
    digests: Sequence[Sequence[bytes | None]]
    """Of each event that was asked for, in each copy; None: it is not there."""


@attrs.frozen(kw_only=True)
class Verifying:
    """One node's view of both copies. Any thread may ask it."""

    pair: str
    role: Role
    store: EventStore
    streams: Streams
    connect_to_peers: Callable[[], Streams]
    view: Callable[[], View]

    @property
    def names(self) -> tuple[str, str]:
        """Of the own Redis and of the peer's."""
        return f"the {self.role}'s Redis", f"the {self.role.other}'s Redis"

    def report(
        self,
        *,
        compare: bool,
        archives: bool,
        watch: Callable[[Verification], None],
    ) -> VerifyReport:
        """Verify everything.

        Raises:
            StoreUnavailable, UnsuitableStore: a Redis stopped answering.
        """
        page = self.page(None, compare=compare, archives=archives)
        problem = page.problem
        while not page.now.is_over:
            watch(page.now)
            page = self.page(page.now, compare=compare, archives=archives)
        watch(page.now)
        return attrs.evolve(page.now.report(self.pair, page.names), problem=problem)

    def page(
        self, after: Verification | None, *, compare: bool, archives: bool
    ) -> VerifyPage:
        """Go on behind `after` for some pages; None: begin.

        Raises:
            StoreUnavailable, UnsuitableStore: a Redis does not answer, or not us.
        """
        if after is not None:
            compare = after.copy_count > 1
        with self._sources(compare, must=after is not None) as (sources, problem):
            now = after or begin_verification(sources, archives=archives)
            last = [self.streams.last(origin) for origin in ORIGINS]
            now = verify_on(
                now,
                sources,
                originals={
                    Origin(self.role.value): 0,
                    Origin(self.role.other.value): 1,
                },
                remembered=self._witnesses,
                event_count_max=PAGE_EVENT_COUNT,
                bytes_max=PAGE_BYTES_MAX,
            )
            return VerifyPage(
                pair=self.pair,
                now=now,
                names=self.names[: len(sources)],
                total=sum(stored[0].n for stored in last if stored),
                problem=problem,
            )

    def heads(
        self, at: Sequence[tuple[Origin, EventId]], *, compare: bool
    ) -> StoredHeads:
        """Where the streams end here, and the digests of the events `at` in each copy.

        Raises:
            StoreUnavailable, UnsuitableStore: a Redis does not answer, or not us.
        """
        with self._sources(compare and bool(at), must=True) as (sources, _):
            found = {origin: self.streams.last(origin) for origin in ORIGINS}
            return StoredHeads(
                pair=self.pair,
                names=self.names[: len(sources)],
                heads={
                    origin: Head(stored[0], digest_of(stored[1]))
                    for origin, stored in found.items()
                    if stored is not None
                },
                digests=[
                    [_digest(source, origin, event_id) for source in sources]
                    for origin, event_id in at
                ],
            )

    @contextmanager
    def _sources(
        self, compare: bool, *, must: bool
    ) -> Iterator[tuple[list[Streams], str]]:
        with ExitStack() as opened:
            if not compare:
                yield [self.streams], ""
                return
            peers = opened.enter_context(closing(self.connect_to_peers()))
            problem = ""
            try:
                peers.ping()
            except EventStoreError as error:
                if must:
                    raise StoreUnavailable(
                        f"the verification cannot go on: {error}"
                    ) from error
                problem = str(error)
            yield [self.streams] if problem else [self.streams, peers], problem

    def _witnesses(self) -> list[Witness]:
        """What each running node remembers: that counts against its own Redis only.

        A node read its memory from there when it started, so it knows what was changed since.
        """
        own, peer = f"the running {self.role}", f"the running {self.role.other}"
        ours = self.store.snapshot.heads
        return [
            *(Witness(o, head, own, copy=0) for o, head in ours.items()),
            *(Witness(o, h, peer, copy=1) for o, h in self._told_heads()),
        ]

    def _told_heads(self) -> Iterator[tuple[Origin, Head]]:
        """What the peer said last of where its streams end, while it is there."""
        view = self.view()
        told = view.peer.heads if view.peer is not None and view.connected else {}
        for origin, head in told.items():
            with suppress(ValueError):  # A digest that is none says nothing.
                digest = bytes.fromhex(head.digest)
                yield Origin(origin), Head(EventId.parse(head.id), digest)


def _digest(source: Streams, origin: Origin, event_id: EventId) -> bytes | None:
    stored = stored_at(source, origin, event_id)
    return None if stored is None else digest_of(stored[1])
