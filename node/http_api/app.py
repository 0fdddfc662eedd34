"""The routes of a node put together behind the gate."""

from fastapi import Depends, FastAPI, Security
from fastapi.security import HTTPBearer

from node.config import NodeConfig
from node.http_api.archive import archive
from node.http_api.authorisation import Gate, Tokens
from node.http_api.conflicts import conflicts
from node.http_api.entries import entries
from node.http_api.events import events
from node.http_api.history import history
from node.http_api.lanes import Lanes
from node.http_api.licences import licences
from node.http_api.limits import Limits
from node.http_api.metrics import metrics
from node.http_api.operation import operation
from node.http_api.past import past
from node.http_api.probes import probes
from node.http_api.refusals import FORESEEN, answer
from node.http_api.request_values import refuse_unknown_parameters
from node.http_api.served_node import ServedNode
from node.http_api.verify import verify
from node.version import VERSION

_ABOUT = """One node of a pair of telephone servers.

Every error is `{"error": "one line", "code": "for programs"}`. Probes need no token,
reading needs the read token, and everything else the change token. Who and why come
from the headers `X-Actor` and `X-Reason` (percent-encoded UTF-8, at most 256 and 1024
bytes). Unknown parameters are refused."""


def create_app(node: ServedNode, config: NodeConfig, limits: Limits) -> FastAPI:
    """The ASGI application that serves `node`; nothing listens yet."""
    assert config.read_token is not None, "NodeConfig has tokens with http_listen"
    assert config.change_token is not None, "NodeConfig has tokens with http_listen"
    app = FastAPI(
        title="NetPhone Standby",
        version=VERSION,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    lanes = Lanes(limits)
    bearer = Security(HTTPBearer(auto_error=False, description="See above."))
    closed = [bearer, Depends(refuse_unknown_parameters)]
    app.include_router(probes(node))
    app.include_router(operation(node, lanes), dependencies=closed)
    app.include_router(metrics(node), dependencies=closed)
    app.include_router(entries(node, lanes), dependencies=closed)
    app.include_router(history(node, lanes), dependencies=closed)
    app.include_router(events(node, lanes), dependencies=closed)
    app.include_router(verify(node, lanes), dependencies=closed)
    app.include_router(conflicts(node, lanes), dependencies=closed)
    app.include_router(archive(node, lanes), dependencies=closed)
    app.include_router(licences(node, lanes), dependencies=closed)
    app.include_router(past(node, lanes), dependencies=closed)
    for error in FORESEEN:
        app.add_exception_handler(error, answer)
    tokens = Tokens(read=config.read_token, change=config.change_token)
    app.add_middleware(Gate, tokens=tokens, request_count_max=limits.request_count_max)
    return app
