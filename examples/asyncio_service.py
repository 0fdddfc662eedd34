"""A highly available directory service on asyncio: one line in, one line out.

    python examples/asyncio_service.py master.toml --port 7500
    printf 'who 101\n' | nc 127.0.0.1 7500

Run it once on each of two machines, each with the config file of its node. The node in it
watches the other machine, copies every change, and says which of the two serves. Names are
put once, on either node, and are on both:

    python -m admin put users/101 '{"display_name": "Yuki Jansen"}'
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time

from node import EntryChange, NetPhoneNode, NodeConfig, State, StateChange

LINE_BYTES_MAX = 1024
PREFIX = "users/"


class Directory:
    """What callers ask; all of it runs in the service's event loop."""

    def __init__(self, node: NetPhoneNode) -> None:
        self._node = node
        self._serving = False
        self._change_count = 0

    async def state_changed(self, change: StateChange) -> None:
        """Begin or end the service: open files, take an address, ring a bell."""
        self._serving = change.state is State.ACTIVE
        print(
            f"{'serving' if self._serving else 'waiting'}: {change.reason}", flush=True
        )

    def entry_changed(self, change: EntryChange) -> None:
        """An entry changed, here or on the other node: drop what was derived from it."""
        if change.key.startswith(PREFIX):
            self._change_count += 1

    def answer(self, line: str) -> str:
        """The reply to one line."""
        if not self._serving:
            return "busy: not this server, try the other one"
        match line.split():
            case ["who", extension]:
                # From memory: as fast as a dict, also while Redis is down.
                user = self._node.get(PREFIX + extension)
                if isinstance(user, dict):
                    return f"{extension} is {user.get('display_name')}"
                return f"{extension} is nobody"
            case ["changes"]:
                return f"{self._change_count} changes since the start"
            case ["block", seconds] if seconds.isdecimal():
                # A mistake: the loop stands still for everybody. But not for the node,
                # which has threads of its own, so nothing is taken over.
                time.sleep(int(seconds))
                return "done"
        return "commands: who EXTENSION, changes, block SECONDS"

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one caller until it hangs up."""
        try:
            while line := await reader.readline():
                writer.write(
                    self.answer(line.decode(errors="replace")).encode() + b"\n"
                )
                await writer.drain()
        except (ValueError, ConnectionError):
            pass  # A line over the limit, or a caller that went away.
        finally:
            writer.close()


async def run(config: NodeConfig, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    loop = asyncio.get_running_loop()
    node = NetPhoneNode(config)
    directory = Directory(node)

    # The node calls back from threads of its own; these hand the calls to the loop.
    def state_changed(change: StateChange) -> None:
        # Waits: in a planned switch the other node begins when this one has ended.
        done = asyncio.run_coroutine_threadsafe(directory.state_changed(change), loop)
        done.result(config.hook_deadline_s)

    def entry_changed(change: EntryChange) -> None:
        loop.call_soon_threadsafe(directory.entry_changed, change)

    node.on_state_change(state_changed)
    node.on_change(entry_changed)

    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    # `start` and `stop` wait for Redis and for the peer, so they get a thread.
    await asyncio.to_thread(node.start)
    try:
        server = await asyncio.start_server(
            directory.serve, "127.0.0.1", port, limit=LINE_BYTES_MAX
        )
        async with server:
            await stopping.wait()
    finally:
        # Says goodbye, so the other node takes over at once.
        await asyncio.to_thread(node.stop)


def main() -> None:
    parser = argparse.ArgumentParser(description="A highly available directory.")
    parser.add_argument("config", help="config file of this machine's node")
    parser.add_argument("--port", type=int, default=7500, help="where callers connect")
    options = parser.parse_args()
    asyncio.run(run(NodeConfig.from_file(options.config), options.port))


if __name__ == "__main__":
    main()
