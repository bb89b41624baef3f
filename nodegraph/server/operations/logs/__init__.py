"""Log lines: for people or, one JSON object each, for programs. Neither tells a secret."""

from __future__ import annotations

from nodegraph.server.operations.logs.forms import JsonLines, TextLines
from nodegraph.server.operations.logs.redaction import redacted
from nodegraph.server.operations.logs.setup import configure

__all__ = ["JsonLines", "TextLines", "configure", "redacted"]
