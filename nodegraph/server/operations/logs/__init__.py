"""Log lines: for people or, one JSON object each, for programs. Neither tells a secret."""

from __future__ import annotations

from nodegraph.server.operations.logs.setup import JsonLines, TextLines, configure
from nodegraph.server.operations.logs.writer import redacted

__all__ = ["JsonLines", "TextLines", "configure", "redacted"]
