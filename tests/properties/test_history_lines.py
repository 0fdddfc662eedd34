"""Lines of the history: the same through a node as from its streams, and what the rule says."""

from __future__ import annotations

import io

from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.cli.history_output import Format, written
from admin.cli.main import main
from admin.cli.output import Output
from admin.history_told import shown_line
from eventstore import (
    START,
    Configuration,
    Event,
    EventId,
    Filter,
    HistoryLine,
    Kind,
    Origin,
    read_history_lines,
)
from tests.properties.pairs import KEYS, histories
from tests.support.asgi_transport import AsgiTransport
from tests.support.fake_node import status_reply
from tests.support.histories import MASTER, ORIGINS, STANDBY, History, other
from tests.support.http_client import READ_TOKEN
from tests.support.served_node import FakeNode
from tests.support.sources import MemorySource

filters = st.builds(
    Filter,
    key=st.none() | st.sampled_from(KEYS),
    prefix=st.none() | st.just("users/"),
    origin=st.none() | st.sampled_from(ORIGINS),
    kinds=st.none() | st.just(frozenset({Kind.ENTRY_PUT.value})),
)


def lines(history: History, wanted: Filter) -> list[HistoryLine]:
    found = read_history_lines(
        MemorySource.of(history), wanted, prevailing=MASTER, other=STANDBY
    )
    return list(found)


def known_before(history: History, event: Event) -> list[Event]:
    """What the writer of `event` had, by the vectors of its stream up to `event`."""
    own = history.of(event.origin).written[: event.id.n]
    peer: Origin = other(event.origin)
    heard: EventId = max(e.vector.get(peer, START) for e in own)
    return own[:-1] + [e for e in history.of(peer).written if e.id <= heard]


@given(histories(), filters)
def test_before_is_what_the_writer_had_by_the_conflict_rule(
    history: History, wanted: Filter
) -> None:
    for line in lines(history, wanted):
        configuration = Configuration(prevailing=MASTER)
        for event in known_before(history, line.event):
            configuration.fold(event)
        assert line.before == configuration.get(line.event.key)
        note(f"before: {line.before is not None}")


@given(histories(), filters)
def test_a_filter_takes_lines_away_and_changes_none(
    history: History, wanted: Filter
) -> None:
    whole = lines(history, Filter())
    expected = [line for line in whole if wanted.accepts(line.event)]
    assert lines(history, wanted) == expected
    note(f"lost: {any(line.overridden for line in whole)}")


@settings(max_examples=30)
@given(histories(), st.sampled_from(["--json", "--csv", "--cloudevents", None]))
def test_a_node_gives_the_lines_that_its_streams_give(
    history: History, option: str | None
) -> None:
    node = FakeNode()
    node.told = status_reply()
    node.events = history.events
    form = (option,) if option else ()
    out, err = io.StringIO(), io.StringIO()
    exit_code = main(
        ["history", "--limit", "0", *form],
        environ={"NETPHONE_NODE": "http://node", "NETPHONE_TOKEN": READ_TOKEN},
        stdout=out,
        stderr=err,
        transport=AsgiTransport(node),
    )
    assert (exit_code, err.getvalue()) == (0, "")
    assert out.getvalue() == written_from_streams(history, option)


def written_from_streams(history: History, option: str | None) -> str:
    source = MemorySource.of(history)
    out = io.StringIO()
    output = Output(json=option == "--json", stdout=out, stderr=io.StringIO())
    form = Format(option.removeprefix("--")) if option else Format.TABLE
    events = map(shown_line, lines(history, Filter()))
    written(events, form, output, source, archived=False)
    return out.getvalue()
