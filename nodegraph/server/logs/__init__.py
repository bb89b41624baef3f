"""Log lines: for people or, one JSON object each, for programs. Neither tells a secret."""

from __future__ import annotations

from nodegraph.server.logs.forms import JsonLines, TextLines
from nodegraph.server.logs.redaction import redacted
from nodegraph.server.logs.setup import configure

__all__ = ["JsonLines", "TextLines", "configure", "redacted"]
