"""Websockets: subscriptions and commands over one connection. See docs/websocket.md."""

from __future__ import annotations

from nodegraph.server.events.sockets.codec import JSON, MSGPACK, Codec, SocketRules, chosen_codec
from nodegraph.server.events.sockets.connection import SocketConnection

__all__ = ["JSON", "MSGPACK", "Codec", "SocketConnection", "SocketRules", "chosen_codec"]
