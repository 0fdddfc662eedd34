"""`history`: who changed what, when and why, from what to what."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from typing import Annotated

import typer

from admin.cli.archive_options import ArchiveFiles, joined, note_what_is_missing
from admin.cli.history_output import Format, written
from admin.cli.offline_options import PairName, PasswordFile, RedisUrl, offline
from admin.cli.output import Output
from admin.cli.progress import Steps, WatchedSource, shown_progress
from admin.cli.session import session_of
from admin.client import HistoryFilter, NodeClient
from admin.errors import UsageProblem
from admin.fields import shortened
from admin.history_told import shown_archived, shown_line
from admin.node_source import NodeSource
from admin.offline import MASTER, ORIGINS, STANDBY, event_count
from admin.replies import HistoryEvent
from eventstore import (
    EventId,
    Filter,
    Kind,
    Origin,
    Overridden,
    Source,
    Streams,
    format_time,
    parse_time,
    read_archived,
    read_history_lines,
    read_overridden,
)

_LIMIT_DEFAULT = 1000
_Events = Generator[HistoryEvent, None, None]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("history")(history)


def history(
    context: typer.Context,
    key: Annotated[str | None, typer.Option(help="Only this entry.")] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Only entries whose key starts so.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="2026-01-31, 2026-01-31T10:00 (UTC) or ms."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="The same forms.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only changes by this one.")] = None,
    origin: Annotated[
        str | None, typer.Option(help="Only events of the master or the standby.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only of this kind, such as entry-put; may be repeated."),
    ] = None,
    archived: Annotated[
        bool,
        typer.Option(
            "--archived", help="The events that a recovery or a resync replaced."
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option(min=0, help="At most so many, the oldest; 0: all.")
    ] = _LIMIT_DEFAULT,
    csv: Annotated[
        bool, typer.Option("--csv", help="Write CSV (RFC 4180), for spreadsheets.")
    ] = False,
    cloudevents: Annotated[
        bool, typer.Option("--cloudevents", help="Write CloudEvents 1.0, one a line.")
    ] = False,
    archive: ArchiveFiles = None,
    redis: RedisUrl = None,
    pair: PairName = None,
    redis_password_file: PasswordFile = None,
) -> None:
    """Show events in causal order, oldest first, and what each entry was before.

    Before: for whoever made the change. A change that lost against a concurrent one of the
    master says against which, and what settled it.
    """
    session = session_of(context)
    output = session.output
    form = _format(output.json, csv, cloudevents)
    wanted = Filter(
        key=key,
        prefix=prefix,
        actor=actor,
        origin=_origin(origin),
        kinds=frozenset(kind) if kind else None,
        since_ns=_time_ns("--since", since),
        until_ns=_time_ns("--until", until),
    )
    _warn_of_unknown(kind or (), output)
    from_redis = offline(redis, pair, redis_password_file, may_be_empty=archived)
    if archived and archive:
        raise UsageProblem("--archived shows what was replaced, which no --archive has")
    with ExitStack() as stack:
        streams = stack.enter_context(from_redis or nullcontext())
        place: Source = streams or NodeSource(session.client())
        source = stack.enter_context(joined(place, archive))
        if not archived:
            note_what_is_missing(source, output)
        if archived:
            found = _archived(streams or session.client(), wanted)
        else:
            live = form is not Format.TABLE or not output.is_terminal
            found = _lines(source, wanted, output, live=live)
        some = _Some(found, limit)
        with closing(found):
            written(some, form, output, source, archived=archived)
    if some.are_not_all:
        output.note(f"only the first {limit} events; for more use --limit, or --since")


class _Some:
    """The first `limit` of `found`, or all for 0.

    `found` is closed before the end is told, so that its bar is gone when a table is drawn.
    """

    def __init__(self, found: _Events, limit: int) -> None:
        self._found = found
        self._limit = limit
        self.are_not_all = False

    def __iter__(self) -> Iterator[HistoryEvent]:
        yield from itertools.islice(self._found, self._limit or None)
        self.are_not_all = next(self._found, None) is not None
        self._found.close()


def _lines(source: Source, wanted: Filter, output: Output, *, live: bool) -> _Events:
    total = event_count(source)
    with shown_progress(output, "history", total, live=live) as steps:
        for line in read_history_lines(
            WatchedSource(source, steps),
            wanted,
            prevailing=MASTER,
            other=STANDBY,
            overridden=_overridden(source, wanted, steps, total),
        ):
            yield shown_line(line)


def _overridden(
    source: Source, wanted: Filter, steps: Steps, total: int
) -> Callable[[], Mapping[EventId, Overridden]]:
    def found() -> Mapping[EventId, Overridden]:
        with steps.part("what lost", total) as part:
            return read_overridden(
                WatchedSource(source, part),
                prevailing=MASTER,
                other=STANDBY,
                key=wanted.key,
                prefix=wanted.prefix,
            )

    return found


def _archived(place: Streams | NodeClient, wanted: Filter) -> _Events:
    if isinstance(place, Streams):
        yield from map(shown_archived, read_archived(place, wanted))
        return
    asked = HistoryFilter(
        key=wanted.key,
        prefix=wanted.prefix,
        actor=wanted.actor,
        origin=wanted.origin,
        kind=None if wanted.kinds is None else tuple(sorted(wanted.kinds)),
        since=None if wanted.since_ns is None else format_time(wanted.since_ns),
        until=None if wanted.until_ns is None else format_time(wanted.until_ns),
        archived="true",
    )
    yield from place.history(asked)


def _format(json: bool, csv: bool, cloudevents: bool) -> Format:
    given = [
        form
        for form, is_given in (
            (Format.JSON, json),
            (Format.CSV, csv),
            (Format.CLOUDEVENTS, cloudevents),
        )
        if is_given
    ]
    if len(given) > 1:
        named = " and ".join(f"--{form}" for form in given)
        raise UsageProblem(f"{named} exclude each other: give one format")
    return given[0] if given else Format.TABLE


def _origin(text: str | None) -> Origin | None:
    if text is None:
        return None
    if text not in ORIGINS:
        raise UsageProblem(
            f"--origin is {shortened(text)!r}; it is {' or '.join(ORIGINS)}"
        )
    return Origin(text)


def _warn_of_unknown(kinds: Sequence[str], output: Output) -> None:
    for kind in kinds:
        if kind not in tuple(Kind):
            # A later version may have made such events, so it is no error.
            known = ", ".join(Kind)
            output.note(f"this version knows no kind {shortened(kind)!r}, only {known}")


def _time_ns(option: str, text: str | None) -> int | None:
    """Nanoseconds since 1970. Without a zone it is UTC, as history shows times.

    Raises:
        UsageProblem: it is neither ISO 8601 nor milliseconds since 1970.
    """
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise UsageProblem(
            f"{option} is {shortened(text)!r}; give a time such as 2026-01-31, "
            "2026-01-31T10:00:00+01:00, or milliseconds since 1970"
        ) from None
