"""Why a connection is closed, as its close frame says it."""

from __future__ import annotations

from dataclasses import dataclass

from nodegraph.errors import NodegraphError

STOPPING = 1001
WRONG_KIND = 1003
GONE = 1006
UNREADABLE = 1007
NOT_ALLOWED = 1008
TOO_LARGE = 1009
BROKEN = 1011
TOO_SLOW = 4000
SILENT = 4001

_LONGEST = 123


@dataclass(frozen=True, slots=True)
class Closing:
    """An end.

    Attributes:
        code: Of the close frame; 1000 to 1015 as RFC 6455 has them.
        reason: In words; cut to what fits in.
    """

    code: int
    reason: str

    def __post_init__(self) -> None:
        text = self.reason.encode(errors="replace")[:_LONGEST].decode(errors="ignore")
        object.__setattr__(self, "reason", text)


class Unreadable(NodegraphError):
    """A message that can't be answered, as nothing of it can be read."""

    code = "unreadable-message"

    def __init__(self, message: str, closing: int = UNREADABLE) -> None:
        super().__init__(message)
        self.closing = Closing(closing, message)
