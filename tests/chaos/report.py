"""The table at the end of a run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from node.roles import Role
from tests.chaos.journal import Judgement, Window, judge, percentile, spans_of
from tests.chaos.looks import (
    Look,
    Span,
    activations,
    gaps,
    overlaps,
    surely_active,
)
from tests.chaos.verdict import Counts

Row = tuple[str, ...]
QUIET = "(between faults)"
HEAD: Row = (
    "fault", "times", "taken over", "p50 s", "p95 s", "p99 s", "max s",
    "two active s", "longest s", "none active s", "longest s",
)  # fmt: skip


@attrs.frozen
class Measured:
    """What the looks say, by kind of fault."""

    judgement: Judgement
    two: tuple[Span, ...]
    none: tuple[Span, ...]


def measure(
    windows: Sequence[Window], looks: Mapping[Role, Sequence[Look]]
) -> Measured:
    """Work out takeovers and the times with two and with no active node."""
    active = [surely_active(of_node) for of_node in looks.values()]
    found = [a for of_node in looks.values() for a in activations(of_node)]
    all_looks = [look for of_node in looks.values() for look in of_node]
    whole = (
        min(look.asked_s for look in all_looks),
        max(look.answered_s for look in all_looks),
    )
    both = overlaps(*active)
    none = gaps([span for spans in active for span in spans], whole)
    return Measured(judge(windows, found), tuple(both), tuple(none))


def fault_rows(windows: Sequence[Window], measured: Measured) -> list[Row]:
    """A row for each kind of fault, in the order in which they came first."""
    rows = []
    for kind in dict.fromkeys(window.kind for window in windows):
        spans = sorted(spans_of(windows, kind))
        took_s = measured.judgement.took_s.get(kind, [])
        figures = [
            f"{percentile(took_s, share):.2f}" if took_s else ""
            for share in (0.5, 0.95, 0.99, 1.0)
        ]
        rows.append(
            (kind, str(len(spans)), str(len(took_s) or ""), *figures,
             *_times(overlaps(measured.two, spans)),
             *_times(overlaps(measured.none, spans)))
        )  # fmt: skip
    quiet = gaps([(w.began_s, w.ended_s) for w in windows], _whole(windows))
    rows.append(
        (QUIET, *[""] * 6, *_times(overlaps(measured.two, quiet)),
         *_times(overlaps(measured.none, quiet)))
    )  # fmt: skip
    return rows


def total_rows(
    counts: Counts | None, windows: Sequence[Window], measured: Measured, stall_s: float
) -> list[Row]:
    """What must be zero, and what it is to be held against."""
    rows: list[Row] = []
    if counts is not None:
        rows += [
            ("changes acknowledged", str(counts.acknowledged)),
            ("of these lost (must be 0)", str(len(counts.lost))),
            ("unexpected (must be 0)", str(len(counts.unexpected))),
            ("gone with the only Redis that had them", str(counts.destroyed)),
            ("refused", str(counts.refused)),
            ("left open: no answer, or one that does not say", str(counts.unknown)),
        ]
    return [
        *rows,
        ("faults and planned switches", str(len(windows))),
        ("false takeovers (must be 0)", str(len(measured.judgement.false))),
        ("missed takeovers (must be 0)", str(len(measured.judgement.missed))),
        ("this program itself was late by at most", f"{stall_s:.2f} s"),
    ]


def as_text(rows: Sequence[Row]) -> str:
    """Aligned columns: the first to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_markdown(head: Row, rows: Sequence[Row]) -> str:
    """A table of Markdown, figures to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _times(spans: Sequence[Span]) -> tuple[str, str]:
    lengths_s = [ended_s - began_s for began_s, ended_s in spans]
    if not lengths_s:
        return "", ""
    return f"{sum(lengths_s):.2f}", f"{max(lengths_s):.2f}"


def _whole(windows: Sequence[Window]) -> Span:
    return windows[0].began_s, max(window.ended_s for window in windows)
