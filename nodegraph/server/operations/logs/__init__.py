"""Log lines: for people or, one JSON object each, for programs. Neither tells a secret."""

from __future__ import annotations

from nodegraph.server.operations.logs.log_lines import JsonLines, TextLines, configure, redacted

__all__ = ["JsonLines", "TextLines", "configure", "redacted"]
