"""Every kind of tampering is found, and the bad copy is named where it can be."""

from __future__ import annotations

import json

import attrs
import msgpack
import pytest

from eventstore import (
    EventId,
    Head,
    JsonValue,
    Judged,
    Kind,
    Origin,
    Recovered,
    Verification,
    VerifyReport,
    Witness,
    codec,
    verify,
    verify_on,
)
from eventstore.event import MS_MAX
from eventstore.memory import Stored, head_of
from tests.support import tampering
from tests.support.histories import (
    MASTER,
    ORIGINS,
    PAIR,
    STANDBY,
    History,
)
from tests.support.tampering import Copy, Tamper, history

COUNT = 24
PAGE = 8
"""So that borders of pages lie between 8 and 9, 16 and 17, and at the end."""
NAMES = "A", "B"
BREAKS: list[Tamper] = [
    tampering.one_bit,
    tampering.changed,
    tampering.removed,
    tampering.inserted,
    tampering.swapped,
    tampering.re_signed,
    tampering.emptied,
]
"""What breaks the chain, unless it is at the very end."""
PLACES = [1, 2, 7, 8, 9, 10, 15, 16, 17, COUNT - 2]
EACH_COPY = pytest.mark.parametrize("bad", [0, 1], ids=NAMES)
EACH_BREAK = pytest.mark.parametrize("tamper", BREAKS, ids=lambda t: t.__name__)


def copies() -> tuple[Copy, Copy]:
    made = history(COUNT)
    return Copy(made, page_count_max=PAGE), Copy(made, page_count_max=PAGE)


def verified(*pair: Copy, **more: object) -> Judged:
    """What is found of the stream of the master."""
    report = verify(*pair, names=NAMES, **more)  # type: ignore[arg-type]
    assert report.streams[0].origin == MASTER
    return report.streams[0]


def told(report: VerifyReport) -> list[str]:
    return [stream.verdict for stream in report.streams]


def test_a_whole_pair_is_whole() -> None:
    report = verify(*copies(), names=NAMES)
    assert report.is_whole
    assert report.event_count == 2 * COUNT
    assert [s.heads["B"].id.n for s in report.streams] == [COUNT, COUNT]


def test_nothing_at_all_is_whole() -> None:
    report = verify(Copy(History()), Copy(History()))
    assert report.is_whole
    assert report.event_count == 0


@EACH_COPY
@EACH_BREAK
@pytest.mark.parametrize("n", PLACES)
def test_what_breaks_the_chain_is_found_with_its_place_and_its_copy(
    tamper: Tamper, n: int, bad: int
) -> None:
    pair = copies()
    pair[bad].streams[MASTER] = tamper(pair[bad].streams[MASTER], n)
    found = verified(*pair)
    assert not found.is_whole
    assert found.verdict == (
        f"the copy in {NAMES[bad]} is bad; the one in {NAMES[1 - bad]} is whole"
    )
    (wrong,) = found.bad
    assert wrong.copy == NAMES[bad]
    assert wrong.id is not None
    assert wrong.id.n == n


@EACH_BREAK
@pytest.mark.parametrize("n", PLACES)
def test_a_copy_alone_is_known_to_be_bad(tamper: Tamper, n: int) -> None:
    copy, _ = copies()
    copy.streams[MASTER] = tamper(copy.streams[MASTER], n)
    found = verified(copy)
    (wrong,) = found.bad
    assert wrong.id is not None
    assert n <= wrong.id.n <= n + 2  # It shows in what comes behind.
    assert "was not looked at" in found.verdict


@EACH_COPY
@pytest.mark.parametrize("n", [1, 2, PAGE, PAGE + 1, COUNT - 1, COUNT])
def test_every_bit_of_an_event_counts(n: int, bad: int) -> None:
    whole = copies()[0].streams[MASTER]
    for byte in range(len(whole[n - 1][1])):
        pair = copies()
        flipped = tampering.with_bit_flipped(whole[n - 1], byte, byte % 8)
        pair[bad].streams[MASTER][n - 1] = flipped
        found = verified(*pair)
        assert not found.is_whole, byte
        if n < COUNT:
            assert [(b.copy, b.id and b.id.n) for b in found.bad] == [(NAMES[bad], n)]


@EACH_COPY
@pytest.mark.parametrize(
    ("tamper", "n"),
    [
        (tampering.re_made, 1),
        (tampering.re_made, PAGE + 1),
        (tampering.re_made, COUNT - 1),
        (tampering.changed, COUNT),
        (tampering.re_signed, COUNT - 1),
    ],
)
def test_a_tail_made_anew_is_found_and_a_witness_tells_which_copy_it_is(
    tamper: Tamper, n: int, bad: int
) -> None:
    pair = copies()
    heads = pair[bad].heads()
    pair[bad].streams[MASTER] = tamper(pair[bad].streams[MASTER], n)
    found = verified(*pair)
    assert found.bad == []
    assert found.parted is not None
    assert found.parted.n == n
    assert "one of the two was re-made; a checkpoint or a running node" in found.verdict
    witness = Witness(MASTER, heads[MASTER], "the checkpoint of today")
    found = verified(*pair, remembered=lambda: [witness])
    assert found.verdict.startswith(f"the copy in {NAMES[bad]} is bad")
    assert [(b.copy, b.id) for b in found.bad] == [(NAMES[bad], found.parted)]
    assert "the checkpoint of today" in found.bad[0].what


def test_what_a_node_remembers_accuses_its_own_redis_only() -> None:
    pair = copies()
    heads = pair[0].heads()
    pair[0].streams[MASTER] = tampering.re_made(pair[0].streams[MASTER], 3)
    witness = Witness(MASTER, heads[MASTER], "the node", copy=1)
    assert "one of the two was re-made" in (
        verified(*pair, remembered=lambda: [witness]).verdict
    )
    witness = attrs.evolve(witness, copy=0)
    assert "the copy in A is bad" in (
        verified(*pair, remembered=lambda: [witness]).verdict
    )


def test_a_tail_made_anew_in_both_copies_is_known_to_a_witness_only() -> None:
    pair = copies()
    heads = pair[0].heads()
    for copy in pair:
        copy.streams[MASTER] = tampering.re_made(copy.streams[MASTER], 5)
    assert verify(*pair).is_whole
    witness = Witness(MASTER, heads[MASTER], "the checkpoint of today")
    found = verified(*pair, remembered=lambda: [witness])
    assert found.verdict == "both copies are bad"
    (wrong,) = found.bad
    assert wrong.copy == "A and B"
    assert wrong.id == heads[MASTER].id


@pytest.mark.parametrize("numbers", [(10, 20), (20, 10)])
def test_of_what_witnesses_say_the_first_bad_event_is_told(
    numbers: tuple[int, int],
) -> None:
    pair = copies()
    whole = pair[0].streams[MASTER]
    witnesses = [
        Witness(MASTER, head_of(whole[n - 1]), f"checkpoint {n}") for n in numbers
    ]
    for copy in pair:
        copy.streams[MASTER] = tampering.re_made(copy.streams[MASTER], 5)
    (wrong,) = verified(*pair, remembered=lambda: witnesses).bad
    assert wrong.id == whole[9][0]
    assert wrong.what.startswith("checkpoint 10 has it")


def test_each_of_two_bad_copies_is_told_with_its_own_first_bad_event() -> None:
    pair = copies()
    pair[0].streams[MASTER] = tampering.one_bit(pair[0].streams[MASTER], 5)
    pair[1].streams[MASTER] = tampering.one_bit(pair[1].streams[MASTER], 12)
    found = verified(*pair)
    assert found.verdict == "both copies are bad"
    # Of the second one it is not known whether 12 or 13 was changed: no copy has a whole one.
    assert [(b.copy, b.id and b.id.n) for b in found.bad] == [("A", 5), ("B", 13)]


def test_the_same_damage_in_both_copies_is_told_once() -> None:
    pair = copies()
    for copy in pair:
        copy.streams[MASTER] = tampering.removed(copy.streams[MASTER], 5)
    found = verified(*pair)
    assert [(b.copy, b.id and b.id.n) for b in found.bad] == [("A and B", 6)]
    assert "numbers are missing" in found.bad[0].what


@EACH_COPY
@pytest.mark.parametrize("n", [1, 2, PAGE + 1, COUNT])
def test_a_copy_that_is_merely_shorter_is_told_and_an_original_is_bad(
    n: int, bad: int
) -> None:
    # The other stream knows nothing of this one.
    made = History()
    for k in range(COUNT):
        made.master.put("users/a", k, ms=k)
    pair = Copy(made, page_count_max=PAGE), Copy(made, page_count_max=PAGE)
    pair[bad].streams[MASTER] = tampering.truncated(pair[bad].streams[MASTER], n)
    count = COUNT - n + 1
    events = "1 event" if count == 1 else f"{count} events"
    behind = f"the copy in {NAMES[bad]} is {events} behind"
    found = verified(*pair)
    assert (found.is_whole, found.lag) == (True, behind)
    found = verified(*pair, originals={MASTER: 1 - bad})
    assert (found.is_whole, found.lag) == (True, behind)
    found = verified(*pair, originals={MASTER: bad})
    assert found.verdict.startswith(f"the copy in {NAMES[bad]} is bad")
    assert "lost or removed from its end" in found.bad[0].what


def test_an_original_that_grew_while_it_was_walked_is_not_too_short() -> None:
    made = History()
    for k in range(COUNT):
        made.master.put("users/a", k, ms=k)
    pair = Copy(made, page_count_max=PAGE), Copy(made, page_count_max=PAGE)
    whole = pair[0].streams[MASTER]
    pair[0].streams[MASTER] = tampering.truncated(whole, COUNT)

    def grow(progress: Verification) -> None:
        if progress.compared[0].ended[0]:
            pair[0].streams[MASTER] = whole

    found = verified(*pair, originals={MASTER: 0}, watch=grow)
    assert (found.is_whole, found.lag) == (True, "the copy in A is 1 event behind")


def test_what_the_other_stream_knew_must_be_there() -> None:
    pair = copies()
    pair[1].streams[MASTER] = tampering.truncated(pair[1].streams[MASTER], 3)
    found = verified(*pair)
    assert [b.copy for b in found.bad] == ["B"]
    assert "knew" in found.bad[0].what
    assert "which is not there" in found.bad[0].what


@EACH_COPY
def test_a_copy_that_is_behind_a_witness_is_not_bad_if_the_other_has_it(
    bad: int,
) -> None:
    made = History()
    for k in range(5):
        made.master.put("users/a", k)
    pair = Copy(made), Copy(made)
    newest = made.master.written[-1]
    witness = Witness(MASTER, Head(newest.id, newest.digest), "the checkpoint")
    pair[bad].streams[MASTER] = pair[bad].streams[MASTER][:-2]
    assert verified(*pair, remembered=lambda: [witness]).is_whole
    found = verified(pair[bad], remembered=lambda: [witness])
    assert "the stream ends before" in found.bad[0].what


# What an event may say of itself.


def alone(*events: Stored) -> Judged:
    copy = Copy(History())
    copy.streams[MASTER] = list(events)
    return verified(copy)


def an_event(**changes: object) -> Stored:
    """The first event of a stream, with other fields."""
    event = attrs.evolve(history(COUNT).master.written[0], **changes)  # type: ignore[arg-type]
    return event.id, codec.encode_event(event)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"origin": STANDBY}, "it says it is"),
        ({"vector": {}}, "does not hold its own id"),
        ({"packed": b"\x82\xa1b\x01\xa1a\x02"}, "not in canonical form"),
        ({"packed": b"\xcd\x00\x01"}, "not in canonical form"),
        ({"packed": b"\xc4\x01a"}, "a value is made of"),
        ({"key": "no collection"}, "collection/name"),
        ({"kind": "x" * 65}, "over its limit"),
        ({"previous": b"\x01" * 32}, "came before it"),
    ],
)
def test_what_is_wrong_inside_of_an_event_is_said(
    changes: dict[str, object], what: str
) -> None:
    (wrong,) = alone(an_event(**changes)).bad
    assert wrong.id is not None
    assert wrong.id.n == 1
    assert what in wrong.what


@pytest.mark.parametrize(
    ("later_ms", "n", "what"),
    [
        (0, 3, "2 is the next number"),
        (1, 1, "2 is the next number"),
        (-1, 2, "its time cannot follow that of"),
        (MS_MAX, 2, "its time cannot follow that of"),
    ],
)
@pytest.mark.parametrize("kind", [Kind.ENTRY_PUT, Kind.STATE_CHANGED])
def test_place_and_time_are_wrong_although_the_chain_is_made_anew(
    kind: Kind, later_ms: int, n: int, what: str
) -> None:
    """What somebody writes who can reckon digests; each kind has its way through the walk."""
    first = an_event()
    second = EventId(first[0].ms + later_ms, n)
    wrong = an_event(
        id=second,
        kind=kind,
        key="users/a" if kind is Kind.ENTRY_PUT else "",
        vector={MASTER: second},
        previous=codec.digest_of(first[1]),
    )
    (found,) = alone(first, wrong).bad
    assert found.id == second
    assert what in found.what


def test_an_event_of_a_later_format_is_counted() -> None:
    fields = [2, codec.genesis(PAIR, MASTER), "whatever"]
    first = EventId(tampering.MS, 1), msgpack.packb(fields)
    found = alone(first)
    assert (found.is_whole, found.event_count, found.later_count) == (True, 1, 1)


@pytest.mark.parametrize("version", [0, -1, True, "1", None])
def test_a_version_that_never_was_is_wrong(version: object) -> None:
    fields = [version, codec.genesis(PAIR, MASTER), "whatever"]
    found = alone((EventId(tampering.MS, 1), msgpack.packb(fields)))
    assert "format version" in found.bad[0].what


def knowing(*known: tuple[EventId, str, Recovered | None]) -> Judged:
    """A stream whose events know these of the other, have these kinds and were these."""
    writer = History().master
    for foreign, kind, _ in known:
        writer.seen[STANDBY] = foreign
        writer.write(kind, "users/a" if kind == Kind.ENTRY_PUT else "", 1, ms=5)
    stored: list[Stored] = []
    previous = codec.genesis(PAIR, MASTER)
    for event, (_, _, recovered) in zip(writer.written, known, strict=True):
        made = attrs.evolve(event, previous=previous, recovered=recovered)
        stored.append((event.id, codec.encode_event(made)))
        previous = codec.digest_of(stored[-1][1])
    return alone(*stored)


WAS = Recovered(EventId(1, 1), b"\x01" * 32)
FEW, MANY = EventId(1, 1), EventId(2, 2)


def test_no_event_knows_less_than_the_one_before() -> None:
    put = Kind.ENTRY_PUT
    (wrong,) = knowing((FEW, put, None), (MANY, put, None), (FEW, put, None)).bad
    assert wrong.id is not None
    assert wrong.id.n == 3
    assert "knew 1-1 of stream 'standby'" in wrong.what


@pytest.mark.parametrize(
    ("kind", "recovered"),
    [
        (Kind.ENTRY_PUT, WAS),
        (Kind.STREAM_OPENED, None),
        (Kind.RESYNCHRONISED, None),
        (Kind.STREAM_RECOVERED, None),
    ],
)
def test_unless_it_was_made_anew_or_tells_of_a_new_memory(
    kind: str, recovered: Recovered | None
) -> None:
    assert not knowing((MANY, Kind.ENTRY_PUT, None), (FEW, kind, recovered)).bad


def test_what_comes_behind_an_event_that_was_made_anew_knows_all_again() -> None:
    put = Kind.ENTRY_PUT
    assert knowing((MANY, put, None), (FEW, put, WAS), (FEW, put, None)).bad


def test_a_vector_may_name_the_streams_of_the_pair_only() -> None:
    event = history(COUNT).master.written[0]
    vector = {**event.vector, Origin("third"): EventId(1, 1)}
    (wrong,) = alone(an_event(vector=vector)).bad
    assert "'third'" in wrong.what


# The walk in parts.


@EACH_COPY
def test_a_walk_can_be_gone_on_with_after_every_page(bad: int) -> None:
    pair = copies()
    pair[bad].streams[STANDBY] = tampering.removed(pair[bad].streams[STANDBY], 11)
    now, count = Verification.start(PAIR, 2), 0
    while not now.is_over:
        now = verify_on(
            now, pair, originals={}, remembered=tuple, event_count_max=1, bytes_max=1
        )
        now = Verification.from_value(json.loads(json.dumps(now.as_value())))
        assert len(json.dumps(now.as_value())) < 3000
        count += 1
    assert count > 2 * COUNT / PAGE
    assert now.report(PAIR, NAMES) == verify(*pair, names=NAMES)


@pytest.mark.parametrize(
    "value",
    [None, {}, [], "x", 1, {"streams": []}, {"streams": [[], []]}],
)
def test_what_is_no_state_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no state of a verification"):
        Verification.from_value(value)


@pytest.mark.parametrize(
    "change",
    [
        {"archive": [0.0, "", None]},
        {"archive": [True, "", None]},
        {"archive": [2, "", None]},
        {"archive": [0, "x", 0]},
        {"archives": [0, 0, -1]},
        {"archives": [0, 0, 10**4299]},
        {"bad_archives": [[2, "x", [None, ""]]]},
        {"bad_archives": [[1e400, "x", [None, ""]]]},
        {"accusations": [["master", 1.0, [None, ""]]]},
        {"accusations": [["master", -1, [None, ""]]]},
    ],
)
def test_a_state_that_no_walk_has_is_refused(change: dict[str, JsonValue]) -> None:
    whole = Verification.start(PAIR, 2).as_value()
    assert isinstance(whole, dict)
    with pytest.raises(ValueError, match="no state of a verification"):
        Verification.from_value({**whole, **change})


@pytest.mark.parametrize("copy", [1, 2, -1, 0.0, "0", None])
@pytest.mark.parametrize("part", ["accusations", "bad_archives"])
def test_a_state_speaks_only_of_copies_that_were_looked_at(
    part: str, copy: JsonValue
) -> None:
    whole = Verification.start(PAIR, 1).as_value()
    assert isinstance(whole, dict)

    def state(copy: JsonValue) -> dict[str, JsonValue]:
        named: list[JsonValue] = (
            [MASTER, copy] if part == "accusations" else [copy, "x"]
        )
        return {**whole, part: [[*named, [None, "it is bad"]]]}

    Verification.from_value(state(0)).report(PAIR, NAMES[:1])
    with pytest.raises(ValueError, match="no state of a verification"):
        Verification.from_value(state(copy))


WRONG: list[JsonValue] = [None, 1, "x", [], {}, [[]], [1, 2, 3]]


def test_every_change_of_the_type_of_a_part_of_a_state_is_refused_or_harmless() -> None:
    whole = Verification.start(PAIR, 2).as_value()
    assert isinstance(whole, dict)
    for name in whole:
        for wrong in WRONG:
            try:
                state = Verification.from_value({**whole, name: wrong})
            except ValueError:
                continue
            verify_on(state, copies(), originals={}, remembered=tuple)


def test_progress_is_told_and_ends_the_walk_if_it_wants() -> None:
    counts: list[int] = []
    verify(*copies(), watch=lambda now: counts.append(now.event_count))
    assert counts == sorted(counts)
    assert counts[-1] == 2 * COUNT

    def leave(_: Verification) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(*copies(), watch=leave)


def test_both_streams_are_looked_at() -> None:
    for origin in ORIGINS:
        pair = copies()
        pair[0].streams[origin] = tampering.emptied(pair[0].streams[origin], 4)
        assert [s.is_whole for s in verify(*pair).streams] == [
            o != origin for o in ORIGINS
        ]


def test_the_begin_of_a_stream_is_that_of_its_pair_and_origin() -> None:
    copy, _ = copies()
    copy.pair = "another"
    found = verify(copy)
    assert [s.bad[0].id and s.bad[0].id.n for s in found.streams] == [1, 1]
