"""The two forms of a log line: for people, and one JSON object each for programs."""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime, timezone
from typing import Any

from nodegraph.server.operations.logs.context import fields_of
from nodegraph.server.operations.logs.redaction import redacted, redacted_field

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_COLORS = {logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31"}
_RESERVED = frozenset({"time", "level", "logger", "message", "trace"})


class TextLines(logging.Formatter):
    """A line for people; what follows on further lines is indented.

    So nothing that is logged, whoever wrote it, looks like a line of its own, or steers a terminal.

    Args:
        is_colored: Whether warnings and errors are to be seen from afar.
    """

    def __init__(self, *, is_colored: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._is_colored = is_colored

    def format(self, record: logging.LogRecord) -> str:
        text = redacted(_CONTROL.sub(_escaped, super().format(record)))
        text += _about(record)
        text = text.replace("\n", "\n    ")
        color = _COLORS.get(record.levelno) if self._is_colored else None
        return text if color is None else f"\x1b[{color}m{text}\x1b[0m"


def _escaped(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def _about(record: logging.LogRecord) -> str:
    """For which request it is; the rest stands in the message."""
    found = getattr(record, "about", {})
    text = " ".join(f"{name}={value}" for name, value in found.items() if value)
    return f" [{text}]" if text else ""


class JsonLines(logging.Formatter):
    """A JSON object in one line: time, level, logger, message, and the record's fields.

    Fields are `request` and `client` of the request that it is about, `job`, `worker`, and what
    the code that logs has to say in ``extra={"fields": …}``.
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        message = record.getMessage()
        found: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(message),
        }
        for name, value in fields_of(record, message).items():
            found[f"{name}_" if name in _RESERVED else name] = redacted_field(name, value)
        if record.exc_info:
            found["trace"] = redacted(self.formatException(record.exc_info))
        return json.dumps(found)
