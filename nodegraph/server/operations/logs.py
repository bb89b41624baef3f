"""Log lines as text or JSON, about which request, without secrets, written by a thread."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from logging import LogRecord
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from threading import Event
from time import monotonic
from typing import Any, Literal, TextIO

from starlette.types import Scope

from nodegraph.core.text_format import to_well_formed
from nodegraph.jobs.queue import JobEvent
from nodegraph.server.access.caller import KEY

_JOB = re.compile(r"\bjob_[0-9a-z]{26}\b")


@dataclass(frozen=True, slots=True)
class CurrentRequest:
    """A request that is being answered.

    Attributes:
        id: Of the request, in the answer's `X-Request-Id` too.
        scope: Whose notes tell the caller, once that is known.
    """

    id: str
    scope: Scope

    @property
    def client(self) -> str:
        """The caller's name; empty as long as nobody is known."""
        notes = self.scope.get(KEY)
        return "" if notes is None or notes.caller is None else notes.caller.name


CURRENT: ContextVar[CurrentRequest | None] = ContextVar("nodegraph_request", default=None)
"""Of the task or thread; code that is handed to a thread takes it along."""


def attach_request(record: LogRecord) -> None:
    """Write into a record for which request it is, if for any; done where it is logged."""
    request = CURRENT.get()
    if request is not None and not hasattr(record, "about"):
        record.about = {"request": request.id, "client": request.client}


def fields_of(record: LogRecord, message: str) -> dict[str, Any]:
    """The fields of a record: those that it was logged with, and what it is about.

    Args:
        message: Its text; the first job that it names is the one that it is about.
    """
    fields = {name: value for name, value in getattr(record, "about", {}).items() if value}
    extra = getattr(record, "fields", None)
    if isinstance(extra, dict):
        fields |= {name: value for name, value in extra.items() if value is not None}
    if "job" not in fields and (job := _JOB.search(message)):
        fields["job"] = job[0]
    return fields


STARS = "***"

_SECRETS = re.compile(
    r"""
    (?P<own>ng_[0-9a-f]{4,12}_)[0-9a-zA-Z_-]+       # a token of ours
    | (?P<session>nodegraph_session(?:_[0-9]{1,5})?=)[0-9a-zA-Z_-]+
    | (?P<bearer>\b(?:bearer|basic)\s+)[^\s'",;]+   # whatever stands for a user
    | (?P<known>\b(?:hf|sk|ghp|gho|glpat)[_-])[0-9A-Za-z_-]{16,}
    | (?P<user>\b[a-z][a-z0-9+.-]{1,15}://[^\s/@:]{0,80}:)[^\s/@]+(?=@)  # of a URL
    | (?P<named>["']?\b(?:authorization|password|passwd|secret|api[_-]?key|access[_-]?token
        |token)["']?\s*[=:]\s*["']?)(?!bearer|basic)[^\s"',;&]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
_NAMES = re.compile(r"authorization|password|passwd|secret|api_?key|token|cookie", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text with stars in place of what looks like a secret."""
    return _SECRETS.sub(lambda match: f"{match[match.lastgroup or 0]}{STARS}", text)


def redacted_field(name: str, value: Any) -> Any:
    """A field of a record: numbers as they are, everything else as text without secrets."""
    if _NAMES.fullmatch(name):
        return STARS
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redacted(str(value))


_MOST = 10_000
"""Records that wait; more are left out, and how many that were is told."""
_AT_ONCE = 500
"""Records after which it is told at the latest."""
_PATIENCE = 2.0
"""Seconds that the end of the process waits for a reader who doesn't read."""
RECENT: deque[tuple[float, str]] = deque(maxlen=300)
"""Unix time and text of the last lines of the process, without secrets."""


class LineWriter(QueueHandler):
    """Writes records to a stream, in order, from a thread of its own.

    A pipe that nobody reads, or a slow disk, holds up that thread and not the server. Whatever is
    wrong with the stream, nothing is raised where something is logged.

    Args:
        most: Records that may wait.
    """

    def __init__(self, stream: TextIO, most: int = _MOST) -> None:
        self._waiting: SimpleQueue[Any] = SimpleQueue()
        super().__init__(self._waiting)
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._most = most
        self._left_out = self._written = 0
        self._is_open = True
        self._listener = _Listener(self._waiting, self._write)
        self._listener.start()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record with its text as it is now: what it tells of may soon be something else."""
        attach_request(record)
        record.msg, record.args = record.getMessage(), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Take a record, or leave it out."""
        if self._is_open and self._waiting.qsize() < self._most:
            self._waiting.put(record)
        elif self._is_open:
            self._left_out += 1

    def flush(self) -> None:
        """Wait until all that was taken is written, or for as long as it makes sense."""
        if self._is_open:
            written = Event()
            self._waiting.put(written)
            written.wait(_PATIENCE)

    def close(self) -> None:
        """Write what was taken, and end."""
        if self._is_open:
            self._is_open = False
            self._listener.stop()
        super().close()

    def _write(self, record: logging.LogRecord) -> None:
        self._written += 1
        lines = [self._line(record)]
        RECENT.append((record.created, lines[0]))
        if self._left_out and (self._waiting.empty() or self._written % _AT_ONCE == 0):
            left_out, self._left_out = self._left_out, 0
            text = f"{left_out} lines are not shown here: there were too many to write"
            lines.append(self._line(_record(text)))
        try:
            self._put("".join(f"{line}\n" for line in lines))
        except (OSError, ValueError):
            return  # a full disk, a closed stream: there is nowhere to tell it

    def _put(self, text: str) -> None:
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        # Not through the stream: who is stuck in it keeps the whole process from ending.
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:  # noqa: BLE001 - the others' lines are written all the same
            return f"a line of {record.name} cannot be written: {type(error).__name__}"


class _Listener(QueueListener):
    """Has records written, and tells those who wait that it has come so far."""

    def __init__(
        self, waiting: SimpleQueue[Any], write: Callable[[logging.LogRecord], None]
    ) -> None:
        super().__init__(waiting)
        self._write = write

    def handle(self, record: logging.LogRecord | Event) -> None:
        """Do what is next."""
        if isinstance(record, Event):
            record.set()
        else:
            self._write(record)

    def stop(self) -> None:
        """End, once all is written or nobody seems to read it."""
        self.enqueue_sentinel()
        if self._thread is not None:
            self._thread.join(_PATIENCE)


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None  # it lies in memory


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, "", 0, text, (), None)


_LOG = logging.getLogger("nodegraph.server.jobs")
_LEVELS = {
    "job.finished": logging.INFO,
    "job.cancelled": logging.INFO,
    "job.requeued": logging.INFO,
    "job.failed": logging.WARNING,
}
_LONGEST = 300


class JobLog:
    """Has a line for each job that ends or has to wait again; a listener of `EventTail`."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[str, float]] = {}

    def handle_events(self, events: Sequence[JobEvent]) -> None:
        """Tell of some events, in order."""
        for event in events:
            if event.kind == "job.claimed":
                self._running[event.job] = str(event.data.get("worker", "")), monotonic()
            elif event.kind in _LEVELS:
                self._tell(event)

    def _tell(self, event: JobEvent) -> None:
        worker, since = self._running.pop(event.job, ("", None))
        if not _LOG.isEnabledFor(_LEVELS[event.kind]):
            return
        fields: dict[str, Any] = {
            "event": event.kind,
            "job": event.job,
            "client": event.client,
            "attempt": event.attempt,
        }
        text = f"{event.job} {'waits again' if event.kind == 'job.requeued' else event.kind[4:]}"
        if since is not None:
            fields |= {"worker": worker, "seconds": round(monotonic() - since, 6)}
            text += f" after {fields['seconds']:.3f} s on {worker}"
        if why := _reason(event):
            fields["reason"] = why
            text += f": {why}"
        # The text may hold anything that a node or a client wrote.
        _LOG.log(_LEVELS[event.kind], "%s", text, extra={"fields": fields})


def _reason(event: JobEvent) -> str:
    error = event.data.get("error")
    message = error.get("message") if isinstance(error, dict) else event.data.get("reason")
    return str(message or "")[:_LONGEST]


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
        if shown != text:  # else its form stays: a color is told by the parts
            record.msg, record.args = shown, ()
            record.__dict__.pop("color_message", None)
        return True
