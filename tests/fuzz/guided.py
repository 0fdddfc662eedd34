"""One target under atheris, which keeps what reaches new code. A process of its own.

python -m tests.fuzz.guided TARGET CORPUS [options of libFuzzer…]
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["admin", "eventstore", "node", "tomllib"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
