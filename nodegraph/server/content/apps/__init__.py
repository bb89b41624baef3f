"""Apps: saved workflows as plain HTTP endpoints with named parameters, and as forms."""

from __future__ import annotations

from nodegraph.server.content.apps.app import App, AppParameter, build_app

__all__ = ["App", "AppParameter", "build_app"]
