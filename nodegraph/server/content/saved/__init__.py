"""Workflows that clients keep on the server, by name and with all their versions."""

from __future__ import annotations

from nodegraph.server.content.saved.saved import (
    SavedEntry,
    SavedPage,
    SavedWorkflow,
    SavedWorkflows,
    Version,
)

__all__ = ["SavedEntry", "SavedPage", "SavedWorkflow", "SavedWorkflows", "Version"]
