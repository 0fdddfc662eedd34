"""What `make fuzz` searches for, in small: seeds, old findings, and some changed bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import REGRESSIONS, TARGETS, Target
from tests.fuzz.unguided import inputs, search

KNOWN = [
    pytest.param(target, data, id=f"{target.name}-{place}")
    for target in TARGETS.values()
    for place, data in enumerate([*target.seeds(), *target.regressions()])
]
EACH_TARGET = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@pytest.mark.parametrize(("target", "data"), KNOWN)
def test_seeds_and_old_findings_are_read_or_refused(
    target: Target, data: bytes
) -> None:
    target.check(data)


@EACH_TARGET
@given(st.data())
@settings(max_examples=50)
def test_changed_seeds_are_read_or_refused(target: Target, data: st.DataObject) -> None:
    target.check(data.draw(inputs(target.seeds(), target.bytes_max)))


def test_every_old_finding_has_its_target() -> None:
    assert {folder.name for folder in REGRESSIONS.glob("*")} <= set(TARGETS)


def test_a_search_ends_with_the_smallest_finding(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def check(data: bytes) -> None:
        if b";" in data:
            raise KeyError(data)

    planted = Target("planted", check, lambda: [b"a,b,c"], 100)
    count, finding = search(planted, [b"a;b", b"a,b,c"], 10.0)
    assert count > 0
    assert finding == b";"
    assert "KeyError" in capsys.readouterr().err
