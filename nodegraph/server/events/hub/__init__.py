"""All that happens to jobs, for whoever follows it: numbered events, progress, previews."""

from __future__ import annotations

from nodegraph.server.events.hub.errors import HubClosed, SlowConsumer
from nodegraph.server.events.hub.hub import EventHub, Notice
from nodegraph.server.events.hub.message import Message
from nodegraph.server.events.hub.subscription import Batch, Subscription

__all__ = [
    "Batch",
    "EventHub",
    "HubClosed",
    "Message",
    "Notice",
    "SlowConsumer",
    "Subscription",
]
