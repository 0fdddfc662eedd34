"""`Streams`: two streams in one Redis, appended to on conditions."""

import pytest

from eventstore import (
    START,
    DamagedEvent,
    EventId,
    StoreRefused,
    StoreUnavailable,
    Streams,
)
from eventstore.streams import Archive, Swap, display_url
from tests.contracts.conftest import Connect
from tests.contracts.nodes import LIMIT_S, Running
from tests.support.histories import MASTER, PAIR, STANDBY
from tests.support.waiting import wait_until

ONE, TWO, THREE = EventId(5, 1), EventId(5, 2), EventId(6, 3)
BATCH = [(ONE, b"one"), (TWO, b"two")]


@pytest.fixture
def streams(connect_to: Connect) -> Streams:
    return Streams(connect_to(0), PAIR, name="Redis")


def test_keys_are_as_documented(streams: Streams, connect_to: Connect) -> None:
    streams.append(MASTER, START, BATCH)
    assert streams.key(MASTER) == "netphone:{office}:events:master"
    found = connect_to(0).xrange("netphone:{office}:events:master")
    assert found == [(b"5-1", {b"e": b"one"}), (b"5-2", {b"e": b"two"})]


def test_what_is_appended_is_read_back(streams: Streams) -> None:
    assert streams.append(MASTER, START, BATCH) is None
    assert streams.append(MASTER, TWO, [(THREE, bytes(range(256)))]) is None
    everything = [*BATCH, (THREE, bytes(range(256)))]
    assert streams.read(MASTER, START, 10) == everything
    assert streams.read(MASTER, START, 2) == BATCH
    assert streams.read(MASTER, ONE, 10) == everything[1:]
    assert streams.read(MASTER, THREE, 10) == []
    assert streams.last(MASTER) == everything[-1]
    assert streams.at(MASTER, TWO) == b"two"
    assert streams.at(MASTER, EventId(5, 3)) is None


def test_an_empty_stream_has_nothing(streams: Streams) -> None:
    assert streams.read(MASTER, START, 10) == []
    assert streams.last(MASTER) is None
    assert streams.at(MASTER, ONE) is None
    assert streams.follow(MASTER, START, 10, 1) == []


def test_the_two_streams_are_apart(streams: Streams) -> None:
    streams.append(MASTER, START, BATCH)
    assert streams.read(STANDBY, START, 10) == []
    assert streams.append(STANDBY, START, [(ONE, b"other")]) is None
    assert streams.read(MASTER, START, 10) == BATCH


def test_two_pairs_in_one_redis_are_apart(
    streams: Streams, connect_to: Connect
) -> None:
    streams.append(MASTER, START, BATCH)
    assert Streams(connect_to(0), "other", name="Redis").last(MASTER) is None


@pytest.mark.parametrize("after", [START, ONE, THREE, EventId(5, 0)], ids=str)
def test_with_another_predecessor_nothing_is_added_and_the_last_id_is_told(
    streams: Streams, after: EventId
) -> None:
    streams.append(MASTER, START, BATCH)
    assert streams.append(MASTER, after, [(EventId(9, 3), b"x")]) == TWO
    assert streams.read(MASTER, START, 10) == BATCH


def test_a_predecessor_in_an_empty_stream_is_told_to_be_missing(
    streams: Streams,
) -> None:
    assert streams.append(MASTER, ONE, [(TWO, b"two")]) == START
    assert streams.last(MASTER) is None


def test_appending_again_is_harmless(streams: Streams) -> None:
    assert streams.append(MASTER, START, BATCH) is None
    assert streams.append(MASTER, START, BATCH) == TWO
    assert streams.read(MASTER, START, 10) == BATCH


def test_a_batch_whose_first_id_is_refused_leaves_nothing(
    streams: Streams, connect_to: Connect
) -> None:
    # The newest entry was deleted by hand: Redis still remembers its id.
    streams.append(MASTER, START, BATCH)
    connect_to(0).xdel(streams.key(MASTER), str(TWO))
    with pytest.raises(StoreRefused, match="Redis refused"):
        streams.append(MASTER, ONE, [(TWO, b"again"), (THREE, b"three")])
    assert streams.read(MASTER, START, 10) == BATCH[:1]


def test_the_largest_ids_keep_all_their_digits(streams: Streams) -> None:
    first, last = EventId(2**53 + 1, 2**53 + 1), EventId(2**64 - 1, 2**64 - 1)
    assert streams.append(MASTER, START, [(first, b"x"), (last, b"y")]) is None
    assert streams.read(MASTER, first, 1) == [(last, b"y")]
    assert streams.append(MASTER, last, []) is None


def test_following_waits_for_the_first_event(
    streams: Streams, connect_to: Connect
) -> None:
    follower = Streams(connect_to(0), PAIR, name="Redis")
    found = Running(lambda: follower.follow(MASTER, START, 10, 5000))
    wait_until(lambda: found.running() or not found.done(), LIMIT_S, "the follower")
    streams.append(MASTER, START, BATCH)
    assert found.result(LIMIT_S) == BATCH


def test_following_goes_on_behind_an_id(streams: Streams) -> None:
    streams.append(MASTER, START, BATCH)
    assert streams.follow(MASTER, START, 1, 1) == BATCH[:1]
    assert streams.follow(MASTER, ONE, 10, 1) == BATCH[1:]
    assert streams.follow(MASTER, TWO, 10, 1) == []


@pytest.mark.parametrize(
    "lua", ["'x', '1'", "'e', '1', 'x', '1'"], ids=["no e", "more than e"]
)
def test_what_is_no_event_is_told_by_its_id(
    streams: Streams, connect_to: Connect, lua: str
) -> None:
    xadd = f"return redis.call('XADD', KEYS[1], '7-1', {lua})"
    connect_to(0).eval(xadd, 1, streams.key(MASTER))
    for look in (
        lambda: streams.read(MASTER, START, 10),
        lambda: streams.last(MASTER),
        lambda: streams.at(MASTER, EventId(7, 1)),
        lambda: streams.follow(MASTER, START, 10, 1),
    ):
        with pytest.raises(DamagedEvent, match="7-1"):
            look()


def test_a_key_of_another_type_is_refused(
    streams: Streams, connect_to: Connect
) -> None:
    connect_to(0).set(streams.key(MASTER), "text")
    with pytest.raises(StoreRefused, match="Redis refused"):
        streams.append(MASTER, START, BATCH)


def test_a_forgotten_script_is_sent_again(
    streams: Streams, connect_to: Connect
) -> None:
    streams.append(MASTER, START, BATCH)
    connect_to(0).script_flush()
    assert streams.append(MASTER, TWO, [(THREE, b"three")]) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://user:p@ss@host:1/2?password=x", "rediss://host:1/2"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert display_url(url) == shown


def test_a_stream_that_gives_way_stays_as_an_archive(streams: Streams) -> None:
    streams.append(MASTER, START, BATCH)
    streams.make(MASTER, START, [(THREE, b"new")])
    streams.make_archive(MASTER, START, BATCH)
    streams.swap([Swap(MASTER, TWO, THREE, TWO, "master-5-1-ab")])
    assert streams.read(MASTER, START, 10) == [(THREE, b"new")]
    assert streams.archives() == [Archive("master-5-1-ab", TWO)]
    assert streams.read_archive("master-5-1-ab", START, 10) == BATCH


def test_if_one_stream_grew_meanwhile_none_gives_way(streams: Streams) -> None:
    for origin in (MASTER, STANDBY):
        streams.append(origin, START, BATCH)
        streams.make(origin, START, [(THREE, b"new")])
        streams.make_archive(origin, START, BATCH)
    swaps = [
        Swap(MASTER, TWO, THREE, TWO, "master-a"),
        Swap(STANDBY, ONE, THREE, TWO, "standby-a"),
    ]
    with pytest.raises(StoreUnavailable, match="a stream ends with 5-2"):
        streams.swap(swaps)
    for origin in (MASTER, STANDBY):
        assert streams.read(origin, START, 10) == BATCH
    assert streams.archives() == []


@pytest.mark.parametrize("made", [START, THREE])
@pytest.mark.parametrize("archived", [START, TWO])
def test_a_swap_that_comes_after_what_was_made_is_gone_empties_nothing(
    streams: Streams, made: EventId, archived: EventId
) -> None:
    streams.append(MASTER, START, BATCH)
    if made == archived == START:
        streams.make(MASTER, START, [(THREE, b"new")])  # Somebody else's.
    with pytest.raises(StoreUnavailable, match="a stream ends with"):
        streams.swap([Swap(MASTER, TWO, made, archived, "master-a")])
    assert streams.read(MASTER, START, 10) == BATCH
    assert streams.archives() == []


def test_a_note_is_replaced_as_a_whole(streams: Streams, connect_to: Connect) -> None:
    assert streams.note("grace") is None
    streams.put_note("grace", b"a longer text")
    streams.put_note("grace", b"short")
    assert streams.note("grace") == b"short"
    assert connect_to(0).get("netphone:{office}:note:grace") == b"short"
    assert streams.note("other") is None


def test_what_cannot_have_been_noted_is_no_note(
    streams: Streams, connect_to: Connect
) -> None:
    key = "netphone:{office}:note:grace"
    connect_to(0).set(key, b"x" * 1024)
    assert streams.note("grace") == b"x" * 1024
    connect_to(0).set(key, b"x" * 1025)
    assert streams.note("grace") is None
    connect_to(0).delete(key)
    connect_to(0).rpush(key, "x")
    assert streams.note("grace") is None
    streams.put_note("grace", b"short")
    assert streams.note("grace") == b"short"
