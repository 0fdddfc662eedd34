"""`replay`, `diff`, `blame` and `explain`: what was, who made it so, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from admin.cli.archive_options import ArchiveFiles, joined
from admin.cli.offline_options import PairName, PasswordFile, RedisUrl, offline
from admin.cli.output import brief_value
from admin.cli.progress import shown_progress
from admin.cli.session import Session, session_of
from admin.errors import UsageProblem
from admin.json_text import JsonValue
from admin.node_source import NodeSource
from admin.offline import MASTER, ORIGINS
from admin.past import Past, PastOfNode, PastOfStreams
from admin.past_replies import Blame, Change, Changed, Difference, Explanation
from admin.points import parsed_point
from eventstore import LICENCES, Watch, beginning

_REPLAY = ("key", "id", "origin", "actor", "time", "reason", "value")
_DIFF = ("key", "change", "before", "after", "id", "actor", "time", "reason")
_BLAME = ("time", "id", "origin", "actor", "reason", "from", "to", "outcome")
_FIELDS = ("field", "value", "id", "origin", "actor", "time", "reason")
_RIVALS = ("outcome", "id", "origin", "actor", "time", "reason", "value", "knew")
_LIMIT_DEFAULT = 100
_LIMIT_MAX = 1000

_Key = Annotated[str, typer.Argument(help="collection/name, such as users/alice")]
_OneKey = Annotated[str | None, typer.Option(help="Only this entry.")]
_Prefix = Annotated[str | None, typer.Option(help="Only entries whose key starts so.")]
_Until = Annotated[
    str | None,
    typer.Option(
        metavar="T|VECTOR",
        help="2026-01-31T10:00 (UTC), ms, or master=ID,standby=ID; else now.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("replay")(replay)
    app.command("diff")(diff)
    app.command("blame")(blame)
    app.command("explain")(explain)


def replay(
    context: typer.Context,
    until: _Until = None,
    key: _OneKey = None,
    prefix: _Prefix = None,
    archive: ArchiveFiles = None,
    redis: RedisUrl = None,
    pair: PairName = None,
    redis_password_file: PasswordFile = None,
) -> None:
    """Show the entries as they were.

    A time means what both nodes had written by then, by their own clocks, and all that
    they knew. With --json, lines that import takes back.
    """
    session = session_of(context)
    point = parsed_point("--until", until)
    with _past(session, redis, pair, redis_password_file, archive) as past:
        found = past.replay(point, key=key, prefix=prefix)
        session.output.note(f"as of {found.at or 'the beginning, before any event'}")
        if session.output.json:
            for name, change in found.entries:
                session.output.record({"key": name, "value": change.value})
        else:
            rows = (_entry_row(name, change) for name, change in found.entries)
            session.output.table(_REPLAY, rows)


def diff(
    context: typer.Context,
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="T|VECTOR",
            help="2026-01-31T10:00 (UTC), ms, or master=ID,standby=ID.",
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(metavar="T|VECTOR", help="The same forms; else now."),
    ] = None,
    key: _OneKey = None,
    prefix: _Prefix = None,
    archive: ArchiveFiles = None,
    redis: RedisUrl = None,
    pair: PairName = None,
    redis_password_file: PasswordFile = None,
) -> None:
    """Show what became of entries between two points, and which change made it so.

    An entry that another change left is listed even if its value is the same.
    """
    session = session_of(context)
    first, second = parsed_point("--from", from_), parsed_point("--to", to)
    with _past(session, redis, pair, redis_password_file, archive) as past:
        found = past.diff(first, second, key=key, prefix=prefix)
        if session.output.json:
            for difference in found:
                session.output.record(dict(difference.raw))
            return
        one = next(found, None)
        if one is None:
            session.output.note("no entry differs")
            return
        session.output.table(_DIFF, _difference_rows(one, found))


def blame(
    context: typer.Context,
    key: _Key,
    until: _Until = None,
    limit: Annotated[
        int, typer.Option(min=1, max=_LIMIT_MAX, help="At most so many, the newest.")
    ] = _LIMIT_DEFAULT,
    archive: ArchiveFiles = None,
    redis: RedisUrl = None,
    pair: PairName = None,
    redis_password_file: PasswordFile = None,
) -> None:
    """Show who made an entry what it is: each change, newest first.

    What a change replaced is what its writer knew. Of an object, also who last set each
    field of the present value.
    """
    session = session_of(context)
    point = parsed_point("--until", until)
    with _past(session, redis, pair, redis_password_file, archive) as past:
        found = past.blame(key, point, limit=limit)
    if session.output.json:
        session.output.record(dict(found.raw))
    else:
        _show_blame(session, key, found)
    if found.more:
        session.output.note(
            f"only the newest {len(found.changes)} changes; for older ones use --limit, or "
            "--until with a time before the last one here"
        )


def explain(
    context: typer.Context,
    key: _Key,
    until: _Until = None,
    archive: ArchiveFiles = None,
    redis: RedisUrl = None,
    pair: PairName = None,
    redis_password_file: PasswordFile = None,
) -> None:
    """Show which changes compete for an entry, which one stands, and by what rule."""
    session = session_of(context)
    point = parsed_point("--until", until)
    with _past(session, redis, pair, redis_password_file, archive) as past:
        found = past.explain(key, point)
    if session.output.json:
        session.output.record(dict(found.raw))
        return
    session.output.line(f"{key}: {found.why}")
    if found.rivals:
        session.output.table(_RIVALS, _rival_rows(found))


@contextmanager
def _past(
    session: Session,
    redis: str | None,
    pair: str | None,
    password_file: Path | None,
    files: Sequence[Path] | None,
) -> Iterator[Past]:
    @contextmanager
    def progress(total: int | None) -> Iterator[Watch]:
        with shown_progress(session.output, "reading events", total) as steps:
            yield steps.advance

    streams = offline(redis, pair, password_file)
    if streams is None:
        if not files:
            yield PastOfNode(session.client(), progress)
            return
        with joined(NodeSource(session.client()), files) as source:
            yield PastOfStreams(source, progress)
        return
    if session.node is not None:
        raise UsageProblem("--redis reads without a node: leave --node out")
    with streams as opened, joined(opened, files) as source:
        base = partial(beginning, opened, ORIGINS, prevailing=MASTER)
        yield PastOfStreams(source, progress, base)


def _entry_row(key: str, change: Change) -> tuple[str, ...]:
    return (
        key,
        change.id,
        change.origin,
        change.actor,
        change.time,
        change.reason,
        brief_value(change.value),
    )


def _difference_rows(
    first: Difference, others: Iterator[Difference]
) -> Iterator[tuple[str, ...]]:
    yield _difference_row(first)
    yield from map(_difference_row, others)


def _difference_row(difference: Difference) -> tuple[str, ...]:
    before, after, event = difference.before, difference.after, difference.event
    is_new = before is None
    # Without an event at the second point, it was made only later: there is nobody to name.
    made = (event.id, event.actor, event.time, event.reason)
    is_undone = after is None and not event.deletes
    return (
        difference.key,
        "added" if is_new else "removed" if after is None else "changed",
        "" if before is None else brief_value(before.value),
        "" if after is None else brief_value(after.value),
        *(("", "", "", "") if is_undone else made),
    )


def _show_blame(session: Session, key: str, found: Blame) -> None:
    if found.standing is None:
        session.output.note(f"no event ever changed {key!r}{_of_licence(key)}")
        return
    rows = (_blame_row(changed, found.standing) for changed in found.changes)
    session.output.table(_BLAME, rows)
    value = found.standing.value
    if isinstance(value, dict) and value:
        session.output.line("")
        fields = found.fields.items()
        session.output.table(_FIELDS, (_field_row(n, value[n], c) for n, c in fields))


def _of_licence(key: str) -> str:
    if not key.startswith(LICENCES):
        return ""
    return f" as an entry; of a licence history tells: history --key {key}"


def _field_row(name: str, value: JsonValue, change: Change) -> tuple[str, ...]:
    shown = "…" if name == "digests" else brief_value(value)
    made = change.id, change.origin, change.actor, change.time, change.reason
    return name, shown, *made


def _blame_row(changed: Changed, standing: Change) -> tuple[str, ...]:
    change, lost_to = changed.change, changed.overridden_by
    mark = "" if lost_to is None else f"overridden by {lost_to}"
    return (
        change.time,
        change.id,
        change.origin,
        change.actor,
        change.reason,
        _value(changed.before),
        _value(change),
        "stands" if _is(change, standing) else mark,
    )


def _rival_rows(found: Explanation) -> Iterator[tuple[str, ...]]:
    beaten = "overridden" if found.is_conflict else "replaced"
    for rival in found.rivals:
        change = rival.change
        stands = found.standing is not None and _is(change, found.standing)
        knew = ",".join(f"{o}={i}" for o, i in sorted(rival.vector.items()))
        yield (
            "stands" if stands else beaten,
            change.id,
            change.origin,
            change.actor,
            change.time,
            change.reason,
            _value(change),
            knew,
        )


def _is(one: Change, other: Change) -> bool:
    return (one.origin, one.id) == (other.origin, other.id)


def _value(change: Change | None) -> str:
    if change is None:
        return ""
    return "deleted" if change.deletes else brief_value(change.value)
