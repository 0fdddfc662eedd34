"""A pair and what happens to it, in words."""

from __future__ import annotations

from node.link_messages import Goodbye, SwitchMessage
from node.situation import Giving, HandingOver
from tests.exploration.network import BOTH, Network
from tests.exploration.nodes import Message, Node, Word
from tests.exploration.pairs import Pair, Pairs
from tests.exploration.world import Move


def told(move: Move) -> str:
    text, place = move
    who = "the nodes" if place < 0 else f"the {BOTH[place]}"
    return f"{who} {text}"


def picture(pairs: Pairs, pair: Pair) -> str:
    """Both nodes, and between them what each has said that is under way."""
    nodes = [_node_in_words(pairs.nodes.values[pair[place]]) for place in (0, 1)]
    said = [
        " ".join(_message_in_words(one) for one in pairs.queues.values[number])
        for number in pair[2:4]
    ]
    network = pairs.network(pair)
    there, back = (_line_in_words(network, place, said[place]) for place in (0, 1))
    return f"master {nodes[0]}{there} | standby {nodes[1]}{back}"


def _line_in_words(network: Network, place: int, said: str) -> str:
    marks = [f"says {said}"] if said else []
    if not network.up[place]:
        marks.append("not heard")
    if not network.stands[place]:
        marks.append("not connected")
    if not network.witness[place]:
        marks.append("no witness")
    if network.took_over[place]:
        marks.append("took over lately")
    return f" ({', '.join(marks)})" if marks else ""


def _node_in_words(node: Node | None) -> str:
    if node is None:
        return "dead"
    phase = type(node.phase).__name__.lower()
    if isinstance(node.phase, Giving):
        phase = f"giving/{node.phase.step}"
    if isinstance(node.phase, HandingOver):
        phase = "handing over"
    marks = [
        *(["late"] if node.late else []),
        *([f"still ({node.sleep.name.lower()})"] if node.sleep else []),
        *(["frozen"] if node.frozen else []),
        *(["paused"] if node.paused else []),
        *(["sick"] if node.sick else []),
    ]
    return " ".join((phase, *marks))


def _message_in_words(message: Message) -> str:
    match message:
        case Word():
            promise = "+promise" if message.promise else ""
            return f"{message.state}{promise}{'' if message.fresh else '(stale)'}"
        case SwitchMessage():
            return f"{message.step}!"
        case Goodbye():
            return "goodbye"
