"""What is being done while something is logged: for which request, and whose it is."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from logging import LogRecord
from typing import Any

from starlette.types import Scope

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
