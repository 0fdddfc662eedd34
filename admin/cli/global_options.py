"""Options of every command, wherever they stand. Pure.

The command line library takes them only before the command; people write them at the end.
So they are moved to the front before it sees them.
"""

from __future__ import annotations

from collections.abc import Sequence

from admin.errors import UsageProblem

_WITH_VALUE = frozenset({"--node", "--token-file", "--actor", "--timeout-s"})
_WITHOUT_VALUE = frozenset({"--json"})
_OTHERWISE_USED = frozenset({("history", "--actor")})
"""Commands whose own option has the name of a global one: it is theirs behind them."""


def options_first(arguments: Sequence[str]) -> list[str]:
    """`arguments` with the global options in front; nothing after `--` is touched.

    Raises:
        UsageProblem: an option stands without its value.
    """
    moved: list[str] = []
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            kept += [argument, *rest]
        elif _is_global(argument, kept):
            moved.append(argument)
            if argument in _WITH_VALUE:
                moved.append(_value_of(argument, next(rest, None)))
        else:
            kept.append(argument)
    return moved + kept


def _is_global(argument: str, kept: list[str]) -> bool:
    name = argument.partition("=")[0]
    if kept and (kept[0], name) in _OTHERWISE_USED:
        return False
    return argument in _WITHOUT_VALUE or name in _WITH_VALUE


def _value_of(option: str, value: str | None) -> str:
    if value is None or value.startswith("--"):
        raise UsageProblem(f"{option} needs a value; see python -m admin --help")
    return value
