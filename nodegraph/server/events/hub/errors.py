"""Why a subscription ends."""

from __future__ import annotations

from nodegraph.errors import NodegraphError
from nodegraph.server.http.errors import Unavailable


class SlowConsumer(NodegraphError):
    """A subscriber that takes events more slowly than they happen, for too long."""

    code = "slow-consumer"


class HubClosed(Unavailable):
    """The server stops; there will be no more events."""

    code = "server-stopping"
