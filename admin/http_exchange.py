"""One request and its reply: authentication, limits, and errors by remedy.

Proxies of the environment are not used: a node is a neighbour, and a proxy would see the
token. Redirects are not followed for the same reason.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import attrs
import httpx

from admin.errors import ReplyUnclear, Unreachable, UsageProblem
from admin.fields import shortened
from admin.json_text import JsonValue, NotJson, parsed_json
from admin.refusals import Caller, refusal

REPLY_BYTES_MAX = 64 * 1024 * 1024


class ReplyTooLarge(ReplyUnclear):
    """The reply is over `REPLY_BYTES_MAX`; a smaller page may fit."""


@attrs.frozen(kw_only=True)
class NodeAddress:
    """Where a node answers, and who asks."""

    url: str
    token: str | None = attrs.field(repr=False)
    actor: str | None
    """Who is named in the history; None: the name of the token."""
    timeout_s: float
    """Limit of one silence of the node: for connecting, and between parts of a reply."""


class Exchange:
    """Asks one node. Not thread-safe."""

    def __init__(
        self, address: NodeAddress, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Ask the node at `address`, over the network or over `transport` in tests.

        Raises:
            UsageProblem: the URL or the token cannot be one.
        """
        self._url = checked_url(address.url)
        self._timeout_s = address.timeout_s
        self._has_token = address.token is not None
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if address.token is not None:
            headers["Authorization"] = f"Bearer {address.token}"
        if address.actor:
            headers["X-Actor"] = _percent_encoded("the actor", address.actor)
        self._client = httpx.Client(
            headers=headers,
            transport=transport,
            trust_env=False,
            verify=_trusted_certificates(self._url),
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Sequence[str]],
        body: tuple[JsonValue] | None,
        reason: str,
        answer_within_s: float,
    ) -> JsonValue:
        """The JSON of the reply. `body` is in a tuple because null is a body too.

        Raises:
            AdminError: every other outcome, by what the operator can do.
        """
        headers = {}
        if reason:
            headers["X-Reason"] = _percent_encoded("the reason", reason)
        if body is not None:
            headers["Content-Type"] = "application/json"
        wait_s = max(self._timeout_s, answer_within_s)
        for name, given in query.items():
            for text in (given,) if isinstance(given, str) else given:
                _percent_encoded(f"the {name}", text)
        request = self._client.build_request(
            method,
            self._url + path,
            params=dict(query) or None,
            content=None if body is None else _encoded(body[0]),
            headers=headers,
            timeout=httpx.Timeout(wait_s, connect=self._timeout_s),
        )
        try:
            reply = self._client.send(request, stream=True)
            try:
                content = _limited_content(reply)
            finally:
                reply.close()
        except httpx.RequestError as error:
            raise self._failure(error, method, wait_s) from error
        return self._value(reply, content)

    def _value(self, reply: httpx.Response, content: bytes) -> JsonValue:
        try:
            value = parsed_json(content.decode())
        except (NotJson, UnicodeDecodeError):
            kind = reply.headers.get("Content-Type", "no content type")
            raise ReplyUnclear(
                f"{self._url} answered {reply.status_code} with {len(content)} bytes of "
                f"{shortened(kind)!r} that are not JSON; is this the URL of a node?"
            ) from None
        if reply.status_code == httpx.codes.OK:
            return value
        caller = Caller(url=self._url, has_token=self._has_token)
        raise refusal(reply.status_code, value, caller)

    def _failure(
        self, error: httpx.RequestError, method: str, wait_s: float
    ) -> Unreachable | ReplyUnclear:
        # Only a request that may have arrived can have changed something.
        may_have_arrived = method != "GET" and not isinstance(
            error, httpx.ConnectError | httpx.ConnectTimeout
        )
        unknown = "; whether the change was made is unknown" if may_have_arrived else ""
        if isinstance(error, httpx.TimeoutException):
            return Unreachable(
                f"{self._url} did not answer within {wait_s:g} s{unknown}; check that the "
                "node runs and its network, or raise --timeout-s"
            )
        what = shortened(" ".join(str(error).split()) or type(error).__name__, 200)
        if isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError):
            return ReplyUnclear(
                f"{self._url} did not answer as a node does ({what}){unknown}; "
                "check that the node still runs, and the host and port of --node"
            )
        return Unreachable(
            f"{self._url} cannot be reached ({what}){unknown}; check that the node runs, "
            "its [http] listen address, and the host and port of --node"
        )


def checked_url(text: str) -> str:
    """`text` without a slash at its end, if it may be the URL of a node.

    Raises:
        UsageProblem: it may not; the message never shows a password in it.
    """
    example = "give one such as http://10.0.0.1:7480"
    try:
        url = httpx.URL(text)
        port_is_valid = url.port is None or 0 < url.port < 65536
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageProblem(f"the node's URL cannot be read: {example}") from error
    if url.userinfo or "@" in text:
        raise UsageProblem(
            "the node's URL holds a user or password; a token goes into a file "
            "(--token-file) or into NETPHONE_TOKEN"
        )
    if url.scheme not in ("http", "https") or not url.host or not port_is_valid:
        raise UsageProblem(f"{shortened(text)!r} is not the URL of a node; {example}")
    if url.query or url.fragment:
        raise UsageProblem(
            f"{shortened(text)!r} has a query or fragment, which a node's URL has not; "
            f"{example}"
        )
    return str(url).rstrip("/")


def _trusted_certificates(url: str) -> ssl.SSLContext | bool:
    # The system's authorities and SSL_CERT_FILE, so that a company's own is known.
    # Loading them takes time that a plain HTTP request need not spend.
    return ssl.create_default_context() if url.startswith("https:") else False


def _limited_content(reply: httpx.Response) -> bytes:
    content = bytearray()
    for part in reply.iter_bytes():
        content += part
        if len(content) > REPLY_BYTES_MAX:
            raise ReplyTooLarge(
                f"the reply is over the limit of {REPLY_BYTES_MAX // 2**20} MiB; "
                "is this the URL of a node?"
            )
    return bytes(content)


def _encoded(value: JsonValue) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _percent_encoded(name: str, text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise UsageProblem(f"{name} is not valid UTF-8") from None
