"""The simulation's Redis answers the event store as fakeredis and a real Redis do."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, cast

import attrs
import pytest
import redis

from eventstore import START, EventId, EventStoreError, Origin, Streams
from eventstore.streams import Swap
from tests.contracts.conftest import Connect
from tests.simulation.redis_in_memory import RedisInMemory
from tests.support.histories import MASTER, ORIGINS, PAIR

CALL_COUNT = 600
NAME = "newest"
STREAM_ENDS = [START, *(EventId(5 + n // 3, n) for n in range(1, 9))]


class Caller:
    """Makes random calls; the same seed makes the same ones."""

    def __init__(self, streams: Streams, seed: int) -> None:
        self._streams = streams
        self._rng = Random(seed)
        self._made = 0
        self._calls: list[Callable[[], object]] = [
            lambda: streams.append(self._origin(), self._id(), self._batch()),
            lambda: streams.append(origin := self._origin(), *self._behind(origin)),
            lambda: streams.read(self._origin(), self._id(), self._count()),
            lambda: streams.read_back(
                self._origin(),
                self._rng.choice([None, *STREAM_ENDS[1:]]),
                self._count(),
            ),
            lambda: streams.last(self._origin()),
            lambda: streams.at(self._origin(), self._id()),
            lambda: streams.follow(self._origin(), self._id(), self._count(), None),
            lambda: streams.make(self._origin(), START, self._batch()),
            lambda: streams.make(self._origin(), self._id(), self._batch()),
            lambda: streams.make_archive(self._origin(), START, self._batch()),
            lambda: streams.swap([self._swap(MASTER)]),
            lambda: streams.swap([self._swap(origin) for origin in ORIGINS]),
            self._replace,
            streams.archives,
            lambda: [
                streams.read_archive(archive.name, self._id(), self._count())
                for archive in streams.archives()
            ],
            lambda: streams.clear(self._rng.sample(ORIGINS, 1)),
            lambda: streams.make_snapshot(NAME, START, self._batch()),
            lambda: streams.make_snapshot(NAME, self._id(), self._batch()),
            lambda: streams.put_snapshot(NAME, last=self._id(), made=self._id()),
            lambda: streams.put_snapshot(NAME, last=START, made=START),
            lambda: streams.snapshot_end(NAME),
            self._trim,
            lambda: streams.trim({}, NAME, self._id()),
            lambda: streams.first(self._origin()),
            lambda: streams.keep_first_digests(
                {self._origin(): self._rng.randbytes(2)}
            ),
            streams.first_digests,
            lambda: streams.snapshot_parts(NAME, self._id(), self._count()),
            lambda: streams.clear_snapshot(NAME),
            self._put_snapshot,
            streams.ping,
            streams.probe,
        ]

    def call(self) -> object:
        """What came of one call: its answer, or how it failed."""
        try:
            return self._rng.choice(self._calls)()
        except EventStoreError as error:
            return type(error), str(error).replace("ERR ", "")

    def _origin(self) -> Origin:
        return self._rng.choice(ORIGINS)

    def _id(self) -> EventId:
        return self._rng.choice(STREAM_ENDS)

    def _count(self) -> int:
        return self._rng.randint(1, 5)

    def _batch(self) -> list[tuple[EventId, bytes]]:
        self._made += 1
        chosen = sorted(self._rng.sample(STREAM_ENDS[1:], self._rng.randint(1, 3)))
        return [(event_id, b"%d" % self._made) for event_id in chosen]

    def _behind(self, origin: Origin) -> tuple[EventId, list[tuple[EventId, bytes]]]:
        last = self._streams.last(origin)
        end = START if last is None else last[0]
        return end, [(EventId(end.ms + 1, end.n + 1), b"next")]

    def _trim(self) -> object:
        """To an entry that is there, if the snapshot is; or to none."""
        origin, streams = self._origin(), self._streams
        kept = streams.read(origin, START, 9)
        first = self._rng.choice([*kept, (self._id(), b"other")])
        streams.trim({origin: first}, NAME, streams.snapshot_end(NAME))
        return streams.read(origin, START, 9)

    def _replace(self) -> None:
        """Make a stream and its archive, and swap them as it should be done."""
        origin, made, archived = self._origin(), self._batch(), self._batch()
        self._streams.clear([origin])
        self._streams.make(origin, START, made)
        self._streams.make_archive(origin, START, archived)
        swap = attrs.evolve(
            self._swap(origin), made=made[-1][0], archived=archived[-1][0]
        )
        self._streams.swap([swap])

    def _put_snapshot(self) -> None:
        """Make a snapshot, and put it in place as it should be done."""
        made = self._batch()
        self._streams.clear_snapshot(NAME)
        self._streams.make_snapshot(NAME, START, made)
        last = self._streams.snapshot_end(NAME)
        self._streams.put_snapshot(NAME, last=last, made=made[-1][0])

    def _swap(self, origin: Origin) -> Swap:
        last = self._streams.last(origin)
        end = START if last is None or self._rng.random() < 0.2 else last[0]
        name = f"{origin}-{self._rng.randint(1, 3)}"
        made, archived = self._rng.choice(STREAM_ENDS), self._rng.choice(STREAM_ENDS)
        return Swap(origin, end, made, archived, name)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_calls_have_the_same_answers(connect_to: Connect, seed: int) -> None:
    simulated = Streams(cast(redis.Redis, RedisInMemory()), PAIR, name="Redis")
    other = Streams(connect_to(0), PAIR, name="Redis")
    ours, theirs = Caller(simulated, seed), Caller(other, seed)
    answers: list[Any] = []
    for number in range(CALL_COUNT):
        answer = ours.call()
        assert answer == theirs.call(), f"call {number}"
        answers.append(answer)
    assert sum(bool(answer) for answer in answers) > CALL_COUNT / 4


def test_what_was_held_can_be_held_again() -> None:
    place = RedisInMemory()
    streams = Streams(cast(redis.Redis, place), PAIR, name="Redis")
    streams.append(MASTER, START, [(EventId(5, 1), b"one")])
    before = place.content()
    streams.append(MASTER, EventId(5, 1), [(EventId(5, 2), b"two")])
    streams.make_archive(MASTER, START, [(EventId(5, 1), b"one")])
    streams.swap([Swap(MASTER, EventId(5, 2), START, EventId(5, 1), "master-1")])
    place.restore(before)
    assert streams.read(MASTER, START, 10) == [(EventId(5, 1), b"one")]
    assert streams.archives() == []
