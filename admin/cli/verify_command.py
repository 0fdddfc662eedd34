"""`verify`: whether what is stored is what was written; `checkpoint`: so that it can be told."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from admin.checkpoint_files import append_line, opened_lines
from admin.cli.archive_options import ArchiveFiles, joined
from admin.cli.offline_options import PairName, PasswordFile, RedisUrl, offline
from admin.cli.output import Output
from admin.cli.progress import shown_progress
from admin.cli.session import Session, session_of
from admin.errors import DataUnverified, UsageProblem
from admin.fields import shortened
from admin.key_files import read_private_key, read_public_key
from admin.offline import ORIGINS, opened, refuse_empty
from admin.verification import (
    Offline,
    ThroughNode,
    Verified,
    Verifier,
    verified,
)
from eventstore import (
    Bad,
    Checkpoint,
    Head,
    Judged,
    Origin,
    PublicKey,
    digest_of,
    display_url,
    format_time,
)

_File = Annotated[Path, typer.Argument(help="Where to; a line is appended.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("verify")(verify)
    app.command("checkpoint")(checkpoint)


def verify(
    context: typer.Context,
    redis: RedisUrl = None,
    pair: PairName = None,
    redis_password_file: PasswordFile = None,
    other_redis: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The other Redis, with --redis: compare both."
        ),
    ] = None,
    other_redis_password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its password, with --other-redis."),
    ] = None,
    redis_of: Annotated[
        str | None,
        typer.Option(
            metavar="master|standby",
            help="Whose Redis --redis is: finds a cut off end.",
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Checkpoints that must be in the history."),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What they were signed with, with --against."
        ),
    ] = None,
    archives: Annotated[
        bool,
        typer.Option("--archives/--no-archives", help="Replaced events as well."),
    ] = True,
    archive: ArchiveFiles = None,
) -> None:
    """Verify that nothing was changed, removed or put into the history.

    Through a node: hash chains and vectors in both Redis, and both against each other. With
    --redis straight from there. Names the first bad event and which copy is bad; exit code 7.
    """
    session = session_of(context)
    if other_redis is None and other_redis_password_file is not None:
        raise UsageProblem("--other-redis-password-file goes with --other-redis URL")
    if redis is None and (other_redis is not None or redis_of is not None):
        raise UsageProblem("--other-redis and --redis-of go with --redis URL")
    if archive and redis is None:
        raise UsageProblem(
            "--archive FILE goes with --redis URL: a node reads no files"
        )
    if redis_of not in (None, *ORIGINS):
        raise UsageProblem(
            f"--redis-of is {shortened(redis_of)!r}; it is {' or '.join(ORIGINS)}"
        )
    with ExitStack() as stack:
        checkpoints = _checkpoints(stack, against, public_key)
        verifier: Verifier
        first = offline(redis, pair, redis_password_file, may_be_empty=True)
        if first is None:
            verifier = ThroughNode(session.client())
        else:
            assert redis is not None
            assert pair is not None
            places, names = [first], [_name(redis)]
            if other_redis is not None:
                places.append(
                    opened(
                        other_redis, pair, other_redis_password_file, may_be_empty=True
                    )
                )
                names.append(_name(other_redis))
            found_places = [stack.enter_context(place) for place in places]
            if checkpoints is None:
                # With checkpoints an empty Redis is a finding: it lacks what they name.
                refuse_empty(found_places)
            sources = [stack.enter_context(joined(p, archive)) for p in found_places]
            of = None if redis_of is None else Origin(redis_of)
            verifier = Offline(sources, names, of)
        started_ns = session.world.now_ns()
        with shown_progress(session.output, "verifying", None) as steps:
            found = verified(
                verifier, steps.reach, archives=archives, checkpoints=checkpoints
            )
        _show(session.output, found, (session.world.now_ns() - started_ns) / 1e9)


def checkpoint(
    context: typer.Context,
    file: _File,
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private key.")],
    redis: RedisUrl = None,
    pair: PairName = None,
    redis_password_file: PasswordFile = None,
) -> None:
    """Append where both streams end now, signed, to FILE, for `verify --against FILE`.

    Run it from cron on a machine that is none of the pair.
    """
    session = session_of(context)
    private = read_private_key(key)
    source = offline(redis, pair, redis_password_file)
    if source is None:
        heads = session.client().stored_heads(compare=False)
        made = Checkpoint(heads.pair, _now(session), heads.heads)
    else:
        with source as streams:
            last = {origin: streams.last(origin) for origin in ORIGINS}
        found = {o: Head(s[0], digest_of(s[1])) for o, s in last.items() if s}
        made = Checkpoint(streams.pair, _now(session), found)
    append_line(file, made.signed(private))
    told = {str(o): str(head.id) for o, head in sorted(made.heads.items())}
    if session.output.json:
        session.output.record({"file": str(file), "time": made.time, "heads": told})
    else:
        heads_text = ", ".join(f"{o} {event_id}" for o, event_id in told.items())
        session.output.line(f"{file}: {heads_text or 'no event yet'}")


def _name(url: str) -> str:
    return f"Redis at {display_url(url)}"


def _now(session: Session) -> str:
    now = format_time(session.world.now_ns(), "seconds")
    assert now is not None, "the clock of a machine is within the calendar"
    return now


def _checkpoints(
    stack: ExitStack, against: Path | None, public_key: Path | None
) -> tuple[BinaryIO, PublicKey] | None:
    if (against is None) != (public_key is None):
        raise UsageProblem("--against FILE and --public-key FILE go together")
    if against is None or public_key is None:
        return None
    key = read_public_key(public_key)
    return stack.enter_context(opened_lines(against)), key


def _show(output: Output, found: Verified, took_s: float) -> None:
    report = found.report
    rate = round(report.event_count / took_s) if took_s > 0 else 0
    if report.problem:
        output.note(f"only one copy was verified: {report.problem}")
    if output.json:
        output.record(_as_json(found, rate))
    else:
        for stream in report.streams:
            output.line(_stream_line(stream))
            if stream.lag:
                output.line(f"  {stream.lag}")
        if report.archive_count:
            bad = report.bad_archive_count
            output.line(
                f"archives: {report.archive_count}, {report.archived_count} events, "
                + (f"{bad} bad" if bad else "whole")
            )
        if found.checkpoint_count:
            output.line(f"checkpoints: {found.checkpoint_count} looked up")
        copies = " and ".join(found.copies)
        output.line(
            f"{report.event_count} events of pair {report.pair} verified in {copies}, "
            f"{rate} per second"
        )
    if not found.is_whole:
        raise DataUnverified(
            "the history failed verification",
            code="unverified",
            reasons=_reasons(found),
        )


def _stream_line(stream: Judged) -> str:
    head = max(stream.heads.values(), key=lambda head: head.id.n)
    archived_count = head.id.n - stream.event_count if stream.is_whole else 0
    archived = f", behind {archived_count} archived ones" if archived_count else ""
    later = f", {stream.later_count} of a later format" if stream.later_count else ""
    state = "whole" if stream.is_whole else "BAD"
    return (
        f"{stream.origin}: {stream.event_count} events{archived}{later}, {state}, up to {head.id} "
        f"(digest {head.digest.hex()[:16]}…)"
    )


def _reasons(found: Verified) -> list[str]:
    reasons = []
    for stream in found.report.streams:
        if stream.verdict:
            reasons.append(f"stream {stream.origin}: {stream.verdict}")
        reasons += [f"stream {stream.origin}, {_bad_text(bad)}" for bad in stream.bad]
    for name, bad in found.report.bad_archives.items():
        reasons.append(f"archive {name}, {_bad_text(bad)}")
    hidden = found.report.bad_archive_count - len(found.report.bad_archives)
    if hidden > 0:
        reasons.append(f"{hidden} further archives are bad")
    reasons += [f"checkpoints, {line}" for line in found.bad_lines]
    hidden = found.bad_line_count - len(found.bad_lines)
    if hidden > 0:
        reasons.append(f"{hidden} further lines of checkpoints are bad")
    return reasons


def _bad_text(bad: Bad) -> str:
    place = "" if bad.id is None else f", event {bad.id}"
    return f"{bad.copy}{place}: {bad.what}"


def _as_json(found: Verified, rate: int) -> dict[str, object]:
    report = found.report
    return {
        "ok": found.is_whole,
        "pair": report.pair,
        "events": report.event_count,
        "per_second": rate,
        "problem": report.problem,
        "streams": [
            {
                "origin": stream.origin,
                "events": stream.event_count,
                "later_format": stream.later_count,
                "heads": {
                    copy: {"id": str(head.id), "digest": head.digest.hex()}
                    for copy, head in stream.heads.items()
                },
                "verdict": stream.verdict,
                "differs_from": None if stream.parted is None else str(stream.parted),
                "lag": stream.lag,
                "bad": [_bad_json(bad) for bad in stream.bad],
            }
            for stream in report.streams
        ],
        "archives": {
            "count": report.archive_count,
            "events": report.archived_count,
            "bad_count": report.bad_archive_count,
            "bad": {name: _bad_json(b) for name, b in report.bad_archives.items()},
        },
        "checkpoints": {
            "count": found.checkpoint_count,
            "bad_count": found.bad_line_count,
            "bad": list(found.bad_lines),
        },
    }


def _bad_json(bad: Bad) -> dict[str, object]:
    event_id = None if bad.id is None else str(bad.id)
    return {"copy": bad.copy, "id": event_id, "what": bad.what}
