"""What a websocket may bring, how long either side may be silent, and why it is closed."""

from __future__ import annotations

from dataclasses import dataclass

from nodegraph.errors import NodegraphError
from nodegraph.server.settings import ServerSettings

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


class UnreadableMessage(NodegraphError):
    """A message that can't be answered, as nothing of it can be read."""

    code = "unreadable-message"

    def __init__(self, message: str, closing: int = UNREADABLE) -> None:
        super().__init__(message)
        self.closing = Closing(closing, message)


@dataclass(frozen=True, slots=True)
class SocketRules:
    """Bounds of one connection.

    Attributes:
        heartbeat: Seconds between two heartbeats of the server.
        silence: Seconds without anything from the client, after which it counts as gone.
        subscriptions: At a time.
        jobs: Of one subscription, if it names them.
        commands: That may be worked at at a time; the next ones aren't read until then.
        commands_per_second, burst: How often, in the long run and at once; more are read later.
        frame: Bytes of a message.
        depth, values: Of a message: levels of maps and lists, and values in all.
        close_timeout: Seconds that a client gets to read why it is hung up on.
    """

    heartbeat: float = 15.0
    silence: float = 45.0
    subscriptions: int = 64
    jobs: int = 1_000
    commands: int = 16
    commands_per_second: float = 2_000.0
    burst: int = 4_000
    frame: int = 16 << 20
    depth: int = 64
    values: int = 1_000_000
    close_timeout: float = 5.0


def socket_limits(server: ServerSettings) -> SocketRules:
    """The bounds that the settings say."""
    limits, rates = server.limits, server.rates
    return SocketRules(
        frame=limits.frame,
        depth=limits.json_depth,
        values=limits.json_values,
        commands_per_second=rates.requests_per_second,
        burst=rates.burst,
    )
