"""Where the token comes from: a file that only its owner can read, or the environment.

Never the command line, which every user of the machine can see.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from admin.errors import UsageProblem
from admin.files import read_secret

TOKEN_BYTES_MAX = 4096
TOKEN_VARIABLE = "NETPHONE_TOKEN"  # noqa: S105 - the name of a variable, not a token


def find_token(path: Path | None, environ: Mapping[str, str]) -> str | None:
    """The token of the file, else of the environment, else None.

    Raises:
        UsageProblem: the file cannot be read, others could read it, or it holds no token.
    """
    if path is not None:
        data = read_secret(path, "token file", TOKEN_BYTES_MAX + 1)
        where = f"the token file {path}"
        return _checked(data.decode("ascii", errors="replace"), where)
    text = environ.get(TOKEN_VARIABLE)
    return _checked(text, TOKEN_VARIABLE) if text else None


def _checked(text: str, where: str) -> str:
    """The token in `text`; the message of an error never shows a part of it."""
    if len(text) > TOKEN_BYTES_MAX:
        raise UsageProblem(f"{where} is over {TOKEN_BYTES_MAX} bytes; it is no token")
    token = text.strip()
    if not token:
        raise UsageProblem(f"{where} is empty; it must hold the token and nothing else")
    if not all("!" <= character <= "~" for character in token):
        raise UsageProblem(
            f"{where} holds more than a token: one word of printable ASCII is expected"
        )
    return token
