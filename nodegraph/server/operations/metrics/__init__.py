"""Figures for monitoring: counted as things happen, and written as Prometheus reads them."""

from __future__ import annotations

from nodegraph.server.operations.metrics.metrics import CONTENT_TYPE, Metrics, ServerState

__all__ = ["CONTENT_TYPE", "Metrics", "ServerState"]
