"""Events and commands over a websocket; docs/websocket.md says what is sent."""

from __future__ import annotations

from fastapi import APIRouter, WebSocket

from nodegraph.server.events.sockets import JSON, MSGPACK, SocketConnection, chosen_codec
from nodegraph.server.events.sockets.rules import socket_limits
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import Refused
from nodegraph.server.http.problems import problem_response

router = APIRouter(tags=["events"])


@router.websocket("/events")
async def follow(socket: WebSocket, services: TheServices, caller: MayRead) -> None:
    """Serve one client."""
    codec = chosen_codec(socket.scope["subprotocols"])
    if codec is None:
        error = Refused(
            "none of the subprotocols is spoken here",
            given=", ".join(socket.scope["subprotocols"])[:200],
            expected=f"{MSGPACK.subprotocol} or {JSON.subprotocol}",
        )
        await socket.send_denial_response(problem_response(error, instance=socket.url.path))
        return
    await SocketConnection(socket, services, caller, codec, socket_limits(services.server)).run()
