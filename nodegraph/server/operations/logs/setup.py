"""Having everything that is logged written to stderr: for people, or as JSON for programs."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import datetime, timezone
from typing import Any, Literal

from nodegraph.core.words import to_well_formed
from nodegraph.server.operations.logs.context import fields_of
from nodegraph.server.operations.logs.writer import LineWriter, redacted, redacted_field

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


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def _about(record: logging.LogRecord) -> str:
    """For which request it is; the rest stands in the message."""
    about = getattr(record, "about", {})
    text = " ".join(f"{name}={value}" for name, value in about.items() if value)
    return f" [{text}]" if text else ""


class JsonLines(logging.Formatter):
    """A JSON object in one line: time, level, logger, message, and the record's fields.

    Fields are `request` and `client` of the request that it is about, `job`, `worker`, and what
    the code that logs has to say in ``extra={"fields": …}``.
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        message = record.getMessage()
        entry: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(message),
        }
        for name, value in fields_of(record, message).items():
            entry[f"{name}_" if name in _RESERVED else name] = redacted_field(name, value)
        if record.exc_info:
            entry["trace"] = redacted(self.formatException(record.exc_info))
        return json.dumps(to_well_formed(entry))


LogForm = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

_REFUSED = "nodegraph.server.refused"


def configure(form: LogForm = "text", level: Level = "info") -> None:
    """Write log lines to stderr from now on.

    Args:
        form: For people or for programs.
        level: The least that is written. Refused requests are written at any.
    """
    number = logging.getLevelName(level.upper())
    handler = LineWriter(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines(is_colored=_has_color()))
    root = logging.getLogger()
    for former in root.handlers[:]:
        root.removeHandler(former)
        if isinstance(former, LineWriter):
            former.close()
    root.addHandler(handler)
    root.setLevel(number)
    logging.getLogger(_REFUSED).setLevel(min(number, logging.WARNING))
    # It tells of each start and end what is told already.
    logging.getLogger("uvicorn.error").setLevel(max(number, logging.WARNING))
    logging.captureWarnings(True)


def _has_color() -> bool:
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stderr.isatty() and not is_plain and sys.platform != "win32"


_FOREIGN_LOGGERS = ("uvicorn.error", "uvicorn.asgi", "hypercorn.error")
"""Loggers that may write requests' headers. Of those of requests, addresses hold no secrets."""


def redact_foreign_loggers() -> None:
    """Have them write stars in place of secrets: with ``--log-level debug``, uvicorn writes each
    header with which a websocket is asked for."""
    for name in _FOREIGN_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _Redacting) for each in logger.filters):
            logger.addFilter(_Redacting())


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        shown = redacted(text)
        if shown != text:  # else its form stays: a colour is told by the parts
            record.msg, record.args = shown, ()
            record.__dict__.pop("color_message", None)
        return True
