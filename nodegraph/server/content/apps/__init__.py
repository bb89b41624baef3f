"""Apps: saved workflows as plain HTTP endpoints with named parameters, and as forms."""

from __future__ import annotations

from nodegraph.server.content.apps.app import App, AppParameter, app_of

__all__ = ["App", "AppParameter", "app_of"]
