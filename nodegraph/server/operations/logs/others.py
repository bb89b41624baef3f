"""Logs of programs that run the application, such as uvicorn's own command."""

from __future__ import annotations

import logging

from nodegraph.server.operations.logs.redaction import redacted

_NAMES = ("uvicorn.error", "uvicorn.asgi", "hypercorn.error")
"""Loggers that may write requests' headers. Of those of requests, addresses hold no secrets."""


def redact_others() -> None:
    """Have them write stars in place of secrets: with ``--log-level debug``, uvicorn writes each
    header with which a websocket is asked for."""
    for name in _NAMES:
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
