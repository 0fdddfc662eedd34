"""What is appended behind the events that were lost: `rejoin`."""

from __future__ import annotations

from copy import deepcopy

from eventstore import Event, EventId, codec
from eventstore.codec import Unknown
from eventstore.event import Recovered
from eventstore.memory import Head, Stored
from eventstore.recovery import Rejoined, known_digests, rejoin
from tests.support.histories import MASTER, STANDBY, Writer


def start() -> tuple[Writer, Writer]:
    """What the peer still holds, and what the node wrote on: the same so far."""
    before = Writer(MASTER)
    before.put("users/a", 1, ms=10)
    return before, deepcopy(before)


def head_of(writer: Writer) -> Head:
    return Head(writer.written[-1].id, writer.written[-1].digest)


def behind(writer: Writer, count: int) -> list[tuple[Event | Unknown, bytes]]:
    """The newest `count` events of a branch."""
    blobs = [blob for _, blob in writer.blobs]
    pairs: list[tuple[Event | Unknown, bytes]] = []
    pairs += zip(writer.written, blobs, strict=True)
    return pairs[-count:]


def rejoined(
    held: Writer, branch: list[tuple[Event | Unknown, bytes]], *, ms_min: int = 0
) -> Rejoined:
    known = known_digests(held.written)
    return rejoin(MASTER, head_of(held), branch, known=known, ms_min=ms_min)


def event_in(stored: Stored) -> Event:
    event = codec.decode(MASTER, *stored)
    assert isinstance(event, Event)
    return event


def test_d9_what_continues_the_tail_keeps_its_bytes() -> None:
    held, own = start()
    own.put("users/b", 2, ms=20)
    found = rejoined(held, behind(own, 1), ms_min=99)
    assert found == Rejoined(own.blobs[-1:], 1, [])


def test_d9_what_is_in_the_tail_is_not_appended_again() -> None:
    held, own = start()
    assert rejoined(held, behind(own, 1)) == Rejoined([], 0, [])


def test_d9_an_event_made_anew_says_what_it_was_and_what_its_writer_knew() -> None:
    held, own = start()
    held.put("users/lost", ms=20)
    peer = Writer(STANDBY)
    known = peer.put("users/c", ms=15)
    own.hear(peer)
    event = own.put("users/b", {"name": "B"}, ms=30)
    found = rejoined(held, behind(own, 1), ms_min=40)
    assert (len(found.batch), found.verbatim_count) == (1, 0)
    anew = event_in(found.batch[0])
    assert anew.id == EventId(40, 3)
    assert anew.previous == held.written[-1].digest
    assert anew.vector == {MASTER: anew.id, STANDBY: known.id}
    assert anew.recovered == Recovered(event.id, event.digest)
    assert (anew.kind, anew.key, anew.value) == (event.kind, event.key, event.value)
    assert (anew.actor, anew.reason) == (event.actor, event.reason)
    assert anew.wall_ns == event.wall_ns


def test_d9_an_event_made_anew_is_not_before_the_tail() -> None:
    held, own = start()
    held.put("users/lost", ms=5000)  # By a clock that was set back since.
    own.put("users/b", ms=20)
    own.put("users/c", ms=30)
    found = rejoined(held, behind(own, 2), ms_min=31)
    assert [event_id for event_id, _ in found.batch] == [
        EventId(5000, 3),
        EventId(5000, 4),
    ]


def test_d9_made_anew_again_an_event_says_what_it_was_first() -> None:
    held, own = start()
    held.put("users/lost", ms=20)
    first = own.put("users/b", ms=30)
    (once,) = rejoined(held, behind(own, 1)).batch
    held.put("users/lost-too", ms=40)
    (twice,) = rejoined(held, [(event_in(once), once[1])]).batch
    assert event_in(twice).recovered == Recovered(first.id, first.digest)


def test_d9_what_came_back_already_is_not_made_anew_again() -> None:
    held, own = start()
    held.put("users/lost", ms=20)
    own.put("users/b", ms=30)
    (once,) = rejoined(held, behind(own, 1)).batch
    known = known_digests([*held.written, event_in(once)])
    head = Head(once[0], event_in(once).digest)
    branch = [*behind(own, 1), (event_in(once), once[1])]
    assert rejoin(MASTER, head, branch, known=known, ms_min=0).batch == []


def test_d9_of_two_made_anew_of_one_event_the_second_is_left_out() -> None:
    held, own = start()
    held.put("users/lost", ms=20)
    own.put("users/b", ms=30)
    (once,) = rejoined(held, behind(own, 1)).batch
    held.put("users/lost-too", ms=40)
    (other,) = rejoined(held, behind(own, 1)).batch
    assert other != once
    known = known_digests([event_in(other)])
    head = Head(other[0], event_in(other).digest)
    branch = [(event_in(once), once[1])]
    assert rejoin(MASTER, head, branch, known=known, ms_min=0).batch == []


def test_an_event_of_a_later_format_cannot_be_made_anew() -> None:
    held, own = start()
    held.put("users/lost", ms=20)
    later = Unknown(MASTER, EventId(30, 2), own.written[-1].digest, bytes(32), "later")
    found = rejoined(held, [(later, b"later")])
    assert found == Rejoined([], 0, [later.id])
