"""A highly available web service on Flask: who has which extension.

    python examples/flask_service.py master.toml --port 7510
    curl http://127.0.0.1:7510/who/101

Run it once on each of two machines, each with the config file of its node. A load balancer
before them asks `/healthz`, which only the active one answers with 200.

Flask is not a dependency of NetPhone Standby: `pip install flask`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time

from flask import Flask, Response, jsonify
from werkzeug.serving import make_server

from node import EntryChange, NetPhoneNode, NodeConfig, State, StateChange

PREFIX = "users/"
RETRY_AFTER_S = 5


class Serving:
    """Whether this machine serves, and what it derived from the entries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active = threading.Event()
        self._names: dict[str, str] = {}

    @property
    def is_active(self) -> bool:
        return self._active.is_set()

    def state_changed(self, change: StateChange) -> None:
        """Called by the node in one of its threads, before and after it serves."""
        if change.state is State.ACTIVE:
            self._active.set()
        else:
            self._active.clear()
        print(f"{change.state}: {change.reason}", flush=True)

    def entry_changed(self, change: EntryChange) -> None:
        """Keep the names that were looked up true: drop one whose entry changed."""
        with self._lock:
            self._names.pop(change.key, None)

    def name_of(self, node: NetPhoneNode, extension: str) -> str | None:
        """The name behind `extension`, or None."""
        key = PREFIX + extension
        with self._lock:
            if key in self._names:
                return self._names[key]
            user = node.get(key)
            if not isinstance(user, dict):
                return None
            return self._names.setdefault(key, str(user.get("display_name")))


def create_app(node: NetPhoneNode, serving: Serving) -> Flask:
    """The application; any WSGI server can run it."""
    app = Flask(__name__)

    @app.before_request
    def only_if_active() -> tuple[str, int, dict[str, str]] | None:
        if serving.is_active:
            return None
        return "not this server", 503, {"Retry-After": str(RETRY_AFTER_S)}

    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.get("/who/<extension>")
    def who(extension: str) -> tuple[Response, int]:
        name = serving.name_of(node, extension)
        if name is None:
            return jsonify(error=f"{extension} is nobody"), 404
        return jsonify(extension=extension, name=name), 200

    @app.get("/block/<int:seconds>")
    def block(seconds: int) -> str:
        # A stuck request holds one thread of the web server, and this example has only
        # one. The node has threads of its own, so nothing is taken over.
        time.sleep(seconds)
        return "done"

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="A highly available directory.")
    parser.add_argument("config", help="config file of this machine's node")
    parser.add_argument("--port", type=int, default=7510, help="where callers connect")
    options = parser.parse_args()

    node = NetPhoneNode(NodeConfig.from_file(options.config))
    serving = Serving()
    node.on_state_change(serving.state_changed)
    node.on_change(serving.entry_changed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with node:  # Ends with a goodbye, so the other node takes over at once.
        app = create_app(node, serving)
        make_server("127.0.0.1", options.port, app, threaded=False).serve_forever()


if __name__ == "__main__":
    main()
