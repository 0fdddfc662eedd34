"""What a mutant is, and how it is made."""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen
class Mutant:
    """One deliberate break."""

    name: str
    file: str
    """Relative to the top of the tree."""
    fragment: str
    """Is in the file exactly once, so that there is no doubt what is broken."""
    replacement: str
    breaks: str
    """The rule that does not hold any more."""

    def text(self, root: Path) -> str:
        """The mutated text of the file.

        Raises:
            ValueError: the fragment is not there exactly once; the table is out of date.
        """
        text = (root / self.file).read_text()
        count = text.count(self.fragment)
        if count != 1:
            raise ValueError(
                f"mutant {self.name}: its fragment is {count} times in {self.file}, not "
                "once; follow the code with tests/mutants"
            )
        return text.replace(self.fragment, self.replacement)

    def apply(self, root: Path) -> None:
        """Break the file below `root`, which is a copy."""
        (root / self.file).write_text(self.text(root))
