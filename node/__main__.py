"""`python -m node`: run a node, check a configuration, or run a whole pair here."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import queue
import sys
import time
from logging.handlers import QueueHandler, QueueListener

from eventstore import EventStoreError
from node.config import NodeConfig
from node.errors import ConfigError, NodeError
from node.interruption import Interruption
from node.netphone_node import NetPhoneNode
from node.pair import command as pair
from node.version import VERSION

DONE, INTERNAL_ERROR, USAGE, REFUSED = 0, 1, 2, 3
_CHECK_INTERVAL_S = 1.0
_LOG_RECORD_COUNT_MAX = 10_000


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except ConfigError as error:
        return _fail(error, USAGE)
    except (NodeError, EventStoreError) as error:
        return _fail(error, REFUSED)
    except KeyboardInterrupt:
        return DONE
    except Exception as error:
        if os.environ.get("NETPHONE_DEBUG"):
            raise
        text = f"internal error: {type(error).__name__}: {error} (NETPHONE_DEBUG=1 says more)"
        return _fail(text, INTERNAL_ERROR)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m node", description="One node of a pair of telephone servers."
    )
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run one node until it is told to stop")
    run.add_argument("--config", required=True, metavar="FILE", help="its TOML file")
    run.set_defaults(run=_run)
    check = commands.add_parser("check-config", help="check a configuration file")
    check.add_argument("file", metavar="FILE")
    check.set_defaults(run=_check_config)
    both = commands.add_parser(
        "pair", help="run a whole pair on this machine, with a Redis per node"
    )
    pair.add_arguments(both)
    both.set_defaults(run=pair.run_pair)
    return parser


def _check_config(options: argparse.Namespace) -> int:
    config = NodeConfig.from_file(options.file)
    sys.stdout.write(
        f"{options.file} is well: {config.role} of pair {config.pair}, link "
        f"{config.listen}, peer {config.peer}, HTTP {config.http_listen or 'off'}\n"
    )
    return DONE


def _run(options: argparse.Namespace) -> int:
    config = NodeConfig.from_file(options.config)
    log = _log_to_stderr()
    try:
        return _serve(config)
    finally:
        log.stop()


def _serve(config: NodeConfig) -> int:
    interrupted = Interruption()
    # The events of a long history are in no cycles: looking for some in all that was read
    # already would take a quarter of the start.
    usual = gc.get_threshold()
    gc.set_threshold(100_000)
    with NetPhoneNode(config) as node:
        gc.set_threshold(*usual)
        while not interrupted.wait(_CHECK_INTERVAL_S):
            if node.failure is not None:
                return _fail(node.failure, REFUSED)
    return DONE


class _OneLine(logging.Formatter):
    """Text from outside (a peer's refusal, a reason) cannot forge lines or move cursors."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 its name
        record.message = "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode()
            for c in record.message
        )
        return super().formatMessage(record)


def _log_to_stderr() -> QueueListener:
    formatter = _OneLine(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    to_stderr = logging.StreamHandler()
    to_stderr.setFormatter(formatter)
    # A terminal that is stopped must not stop the heartbeats: the loop logs into a queue,
    # and what does not fit any more is dropped.
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(_LOG_RECORD_COUNT_MAX)
    logging.raiseExceptions = False
    to_queue = QueueHandler(waiting)
    to_queue.setFormatter(logging.Formatter("%(message)s"))  # The rest comes later.
    logging.basicConfig(level=logging.WARNING, handlers=[to_queue])
    logging.getLogger("netphone").setLevel(logging.INFO)
    listener = QueueListener(waiting, to_stderr)
    listener.start()
    return listener


def _fail(error: object, code: int) -> int:
    sys.stderr.write(f"error: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
