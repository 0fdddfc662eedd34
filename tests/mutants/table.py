"""All mutants."""

from __future__ import annotations

from typing import Final

from tests.mutants import audit, data, licensing, nodes
from tests.mutants.mutant import Mutant

MUTANTS: Final[tuple[Mutant, ...]] = (
    *data.MUTANTS,
    *nodes.MUTANTS,
    *audit.MUTANTS,
    *licensing.MUTANTS,
)
