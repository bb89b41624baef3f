"""Having everything that is logged written to stderr."""

from __future__ import annotations

import logging
import os
import sys
from typing import Literal

from nodegraph.server.operations.logs.forms import JsonLines, TextLines
from nodegraph.server.operations.logs.writer import LineWriter

Form = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

_REFUSED = "nodegraph.server.refused"


def configure(form: Form = "text", level: Level = "info") -> None:
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
