"""Server-sent events, as browsers' EventSource reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from nodegraph.errors import NodegraphError
from nodegraph.server.events.hub import HubClosed, HubMessage, Subscription
from nodegraph.server.http.errors import NotAcceptable

EVENT_STREAM = "text/event-stream"
HEADERS = {
    "Cache-Control": "no-store",
    # Proxies would hold it back until there is more.
    "X-Accel-Buffering": "no",
}
HEARTBEAT = 15.0
"""Seconds without an event after which a comment is sent, so that proxies keep the connection."""
_RETRY = "retry: 1000\n\n"
_ENDS = frozenset({"job.finished", "job.failed", "job.cancelled"})


def prefers_stream(accept: Sequence[str]) -> bool:
    """Whether a client wants a stream rather than a page.

    Raises:
        NotAcceptable: It takes neither.
    """
    kinds = {
        part.partition(";")[0].strip().lower() for value in accept for part in value.split(",")
    }
    if EVENT_STREAM in kinds:
        return True
    if not kinds or kinds & {"", "*/*", "application/*", "application/json", "text/*"}:
        return False
    raise NotAcceptable(
        "there are events as JSON and as a stream",
        given=", ".join(accept)[:200],
        expected=f"application/json or {EVENT_STREAM}",
    )


async def streamed(
    subscribe: Callable[[], Subscription],
    *,
    until_end: bool = False,
    may_go_on: Callable[[], bool] = lambda: True,
    heartbeat: float = HEARTBEAT,
) -> AsyncIterator[str]:
    """A subscription's events as a stream.

    Args:
        subscribe: Begins it; called only if somebody reads.
        until_end: Whether it ends with the job, of which there is one.
        may_go_on: Whether the client may still know: its token may be taken back meanwhile.
    """
    try:
        subscription = subscribe()
    except HubClosed:
        return
    try:
        yield _RETRY
        while True:
            batch = await subscription.next(heartbeat)
            if not may_go_on():
                return
            if not batch.messages:
                # A number alone is no event, and says where to go on from.
                yield f": heartbeat\nid: {batch.last}\n\n"
                continue
            yield "".join(map(_text, batch.messages))
            if until_end and batch.messages[-1].kind in _ENDS:
                return
    except HubClosed:
        return  # the client comes back by itself, and goes on where it was
    except NodegraphError as error:
        # No number with it: the client comes back to the last event that it got.
        yield f"event: error\ndata: {error.problem.code}\n\n"
    finally:
        subscription.close()


def _text(message: HubMessage) -> str:
    number = "" if message.seq is None else f"id: {message.seq}\n"
    return f"{number}event: {message.kind}\ndata: {message.json}\n\n"
