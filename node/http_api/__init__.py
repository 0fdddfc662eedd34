"""A node's HTTP interface: `HttpServer` serves a `ServedNode` from a thread of its own."""

from node.http_api.limits import Limits
from node.http_api.served_node import ServedNode, SwitchReport
from node.http_api.server import HttpServer

__all__ = ["HttpServer", "Limits", "ServedNode", "SwitchReport"]
