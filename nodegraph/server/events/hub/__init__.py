"""All that happens to jobs, for whoever follows it: numbered events, progress, previews."""

from __future__ import annotations

from nodegraph.server.events.hub.hub import EventHub, HubClosed, Notice
from nodegraph.server.events.hub.messages import HubMessage
from nodegraph.server.events.hub.subscription import Batch, SlowConsumer, Subscription

__all__ = [
    "Batch",
    "EventHub",
    "HubClosed",
    "HubMessage",
    "Notice",
    "SlowConsumer",
    "Subscription",
]
