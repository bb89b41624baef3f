"""All that happens to jobs, for whoever follows it: numbered events, progress, previews."""

from __future__ import annotations

from nodegraph.server.hub.errors import HubClosed, SlowConsumer
from nodegraph.server.hub.hub import EventHub, Notice
from nodegraph.server.hub.message import Message
from nodegraph.server.hub.subscription import Batch, Subscription

__all__ = [
    "Batch",
    "EventHub",
    "HubClosed",
    "Message",
    "Notice",
    "SlowConsumer",
    "Subscription",
]
