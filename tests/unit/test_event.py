import pytest

from eventstore import START, EventId, InvalidEntry, Kind, check_key
from eventstore.event import check_text
from tests.support.histories import MASTER, STANDBY, Writer

U64_MAX = 2**64 - 1


@pytest.mark.parametrize(
    "event_id",
    [START, EventId(1767225600000, 42), EventId(U64_MAX, U64_MAX)],
    ids=str,
)
def test_an_id_is_read_back_from_its_text(event_id: EventId) -> None:
    assert EventId.parse(str(event_id)) == event_id


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "1-", "-1", "1-2-3", "01-2", "1-02", "+1-2", "1 -2", "1-2\n", "a-b",
        "\u0661-\u0662", "-1-1", f"{U64_MAX + 1}-0", f"0-{U64_MAX + 1}", "1" * 21 + "-0",
        "1" * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_id_is_refused_in_one_short_line(text: str) -> None:
    with pytest.raises(ValueError, match="event id") as refusal:
        EventId.parse(text)
    assert len(str(refusal.value)) < 120


def test_ids_are_ordered_as_redis_orders_them_by_number() -> None:
    ordered = [EventId(9, 10), EventId(10, 2), EventId(10, 11), EventId(100, 1)]
    assert sorted(ordered, key=str) != ordered
    assert sorted(ordered) == ordered


@pytest.mark.parametrize("key", ["users/alice", "a/b/c", "a//", "x/ü", "c/with blank"])
def test_a_key_is_a_collection_and_a_name(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "collection/name"),
        ("users", "collection/name"),
        ("users/", "collection/name"),
        ("/alice", "collection/name"),
        ("users/a\nb", "control character '\\\\n'"),
        ("users/\x00", "control character"),
        ("users/\ud800", "surrogate"),
        ("users/" + "x" * 251, "257 bytes; the limit is 256"),
        ("users/" + "ü" * 126, "258 bytes; the limit is 256"),
        (7, "key is an int, not a string"),
        (None, "key is a NoneType, not a string"),
        (b"users/a", "key is a bytes, not a string"),
        (Kind.ENTRY_PUT, "key is a Kind, not a string"),
    ],
)
def test_any_other_key_is_refused_and_told_why(key: object, why: str) -> None:
    with pytest.raises(InvalidEntry, match=why):
        check_key(key)


def test_a_key_may_have_256_bytes_and_no_more() -> None:
    longest = "users/" + "ü" * 125
    assert len(longest.encode()) == 256
    assert check_key(longest) == longest
    with pytest.raises(InvalidEntry):
        check_key(longest + "x")


def test_a_refused_text_is_shown_shortened() -> None:
    with pytest.raises(InvalidEntry, match=r"^reason 'xxx") as refusal:
        check_text("reason", "x" * 100_000, 1024)
    assert len(str(refusal.value)) < 150


def test_an_event_covers_what_its_writer_had_applied() -> None:
    master, standby = Writer(MASTER), Writer(STANDBY)
    first, second = master.put("users/a"), master.put("users/a")
    standby.hear(master, 1)
    change = standby.put("users/a")
    assert change.covers(MASTER, first.id)
    assert not change.covers(MASTER, second.id)
    assert change.covers(STANDBY, change.id)
    assert not first.covers(STANDBY, change.id)


def test_the_value_of_an_event_is_made_anew_at_each_access() -> None:
    event = Writer(MASTER).put("users/a", {"extension": "101"})
    assert event.value == {"extension": "101"}
    assert event.value is not event.value


def test_stored_names_of_kinds_are_for_ever() -> None:
    assert {
        "entry-put",
        "entry-deleted",
        "state-changed",
        "stream-opened",
        "replication-changed",
    } <= {str(kind) for kind in Kind}
