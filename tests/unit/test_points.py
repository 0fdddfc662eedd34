"""A point of the past as people name it, for a node and for `eventstore`."""

from __future__ import annotations

import pytest

from admin.errors import UsageProblem
from admin.points import NOW, parsed_point
from eventstore import NoSuchPoint, format_vector, parse_vector
from node.http_api.past import _point

DAY_NS = 1_767_225_600_000_000_000


@pytest.mark.parametrize(
    ("text", "sent", "until_ns"),
    [
        ("2026-01-01", "2026-01-01", DAY_NS + 999),
        ("2026-01-01T01:00+01:00", "2026-01-01T01:00+01:00", DAY_NS + 999),
        ("2026-01-01T00:00:00.000002Z", None, DAY_NS + 2999),
        ("1767225600000", "1767225600000", DAY_NS + 999_999),
        ("1969-12-31T23:59:59.999999Z", None, -1),
    ],
)
def test_a_time_counts_to_its_end_and_means_the_same_to_a_node(
    text: str, sent: str | None, until_ns: int
) -> None:
    point = parsed_point("--until", text)
    assert point.until == until_ns
    assert _point("until", point.text) == until_ns
    assert sent is None or point.text == sent


def test_a_vector_is_spelt_as_it_is_read() -> None:
    text = "master=5-1,standby=0-0"
    point = parsed_point("--until", text)
    assert point.text == text
    assert point.until == _point("until", text) == parse_vector(text)
    assert format_vector(parse_vector(text)) == text


def test_nothing_is_now() -> None:
    assert parsed_point("--until", None) == NOW
    assert _point("until", None) is None


@pytest.mark.parametrize(
    "text", ["", "20261332", "now", "master=", "=1-1x", "a=1-1,a=2-2"]
)
def test_what_is_no_point_is_named(text: str) -> None:
    with pytest.raises(UsageProblem, match="--until"):
        parsed_point("--until", text)


@pytest.mark.parametrize("text", ["", "master", "master=5", "master=5-1,"])
def test_what_is_no_vector_is_refused(text: str) -> None:
    with pytest.raises(NoSuchPoint, match="is no vector such as"):
        parse_vector(text)
