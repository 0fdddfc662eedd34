"""TCP addresses as people write them: `10.0.0.1:7400`, `pbx-a:7400`, `[::1]:7400`. Pure."""

from __future__ import annotations

import ipaddress
import re

import attrs

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_PORT = re.compile(r"[0-9]{1,5}")
_ONLY_NUMBERS = re.compile(r"[0-9.]+")
PORT_MAX = 65535


@attrs.frozen
class Address:
    """Where to listen or to dial; `str()` is what `parse` takes."""

    host: str
    """A name, an IPv4 address or an IPv6 address (without brackets)."""
    port: int
    """From 1 to 65535."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address that `text` names.

        Raises:
            ValueError: it names none; the message goes on after "listen is …, ".
        """
        host, colon, port = text.rpartition(":")
        if not colon or _PORT.fullmatch(port) is None:
            raise ValueError("not host:port such as 10.0.0.1:7400")
        if not 1 <= int(port) <= PORT_MAX:
            raise ValueError(f"but a port is from 1 to {PORT_MAX}")
        return cls(_host(host), int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for all addresses of a machine: good to listen, not to dial."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104


def _host(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise ValueError("but no IPv6 address is in the brackets") from None
    if ":" in text:
        raise ValueError("but an IPv6 address is written in brackets: [::1]:7400")
    if _ONLY_NUMBERS.fullmatch(text) is not None:
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            raise ValueError("but the host is no IPv4 address") from None
    if _NAME.fullmatch(text) is None:
        raise ValueError("but the host is neither a name nor an address")
    return text.lower()
