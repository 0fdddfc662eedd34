"""The table of mutants follows the code: `make mutants` breaks what it says it breaks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_mutant_breaks_one_place_and_can_run(mutant: Mutant) -> None:
    text = mutant.text(ROOT)
    assert text != (ROOT / mutant.file).read_text()
    compile(text, mutant.file, "exec")


def test_mutants_have_names_of_their_own() -> None:
    counts = Counter(mutant.name for mutant in MUTANTS)
    assert [name for name, count in counts.items() if count > 1] == []


def test_no_two_mutants_are_the_same() -> None:
    breaks = Counter((m.file, m.text(ROOT)) for m in MUTANTS)
    assert max(breaks.values()) == 1


def test_a_fragment_that_is_gone_is_named() -> None:
    mutant = Mutant("gone", "Makefile", "no such text", "", "nothing")
    with pytest.raises(ValueError, match="0 times in Makefile"):
        mutant.text(ROOT)
