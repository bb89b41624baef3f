"""Routes of job events: pages, server-sent events and a websocket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse

from nodegraph.client import shapes
from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import EventPage
from nodegraph.jobs.queue.job import ENDED
from nodegraph.server.access.caller import Caller
from nodegraph.server.events.hub import HubClosed, HubMessage, Subscription
from nodegraph.server.events.hub.messages import event_message
from nodegraph.server.events.sockets import JSON, MSGPACK, SocketConnection, chosen_codec
from nodegraph.server.events.sockets.codec import socket_limits
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import NotAcceptable, Refused
from nodegraph.server.http.problems import problem_response, responses
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_requests import get_visible_job

router = APIRouter(tags=["events"])


@router.websocket("/events")
async def follow(socket: WebSocket, services: TheServices, caller: MayRead) -> None:
    """Serve one websocket client."""
    codec = chosen_codec(socket.scope["subprotocols"])
    if codec is None:
        error = Refused(
            "none of the subprotocols is supported",
            given=", ".join(socket.scope["subprotocols"])[:200],
            expected=f"{MSGPACK.subprotocol} or {JSON.subprotocol}",
        )
        await socket.send_denial_response(problem_response(error, instance=socket.url.path))
        return
    await SocketConnection(socket, services, caller, codec, socket_limits(services.server)).run()


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
    """Return whether a client prefers a stream to a page.

    Raises:
        NotAcceptable: The client accepts neither.
    """
    kinds = {
        part.partition(";")[0].strip().lower() for value in accept for part in value.split(",")
    }
    if EVENT_STREAM in kinds:
        return True
    if not kinds or kinds & {"", "*/*", "application/*", "application/json", "text/*"}:
        return False
    raise NotAcceptable(
        "events are available as JSON and as a stream",
        given=", ".join(accept)[:200],
        expected=f"application/json or {EVENT_STREAM}",
    )


async def streamed(
    subscribe: Callable[[], Subscription],
    *,
    until_end: bool = False,
    is_allowed: Callable[[], bool] = lambda: True,
    heartbeat: float = HEARTBEAT,
) -> AsyncIterator[str]:
    """Yield the events of a subscription as server-sent events.

    Args:
        subscribe: Starts the subscription; called only if the stream is read.
        until_end: Whether the stream ends with its single job.
        is_allowed: Whether the client may still read: its token may be revoked meanwhile.
    """
    try:
        subscription = subscribe()
    except HubClosed:
        return
    try:
        yield _RETRY
        while True:
            batch = await subscription.next(heartbeat)
            if not is_allowed():
                return
            if not batch.messages:
                # A number alone is not an event; it tells the client where to resume.
                yield f": heartbeat\nid: {batch.last}\n\n"
                continue
            yield "".join(map(_text, batch.messages))
            if until_end and batch.messages[-1].kind in _ENDS:
                return
    except HubClosed:
        return  # the client reconnects by itself and resumes where it was
    except NodegraphError as error:
        # No number with it: the client comes back to the last event that it got.
        yield f"event: error\ndata: {error.problem.code}\n\n"
    finally:
        subscription.close()


def _text(message: HubMessage) -> str:
    number = "" if message.seq is None else f"id: {message.seq}\n"
    return f"{number}event: {message.kind}\ndata: {message.json}\n\n"


_JSON = "application/json"
_LARGEST_PAGE = 10_000
JobId = Annotated[str, Path(max_length=64, examples=["job_01hzy3m7q8r9s0t1v2w3x4y5z6"])]
After = Annotated[
    int | None,
    Query(ge=0, lt=1 << 63, description="Number of the last event that the client has."),
]
LastEventId = Annotated[
    str | None,
    Header(
        description="The same number, as browsers send it automatically.", pattern=r"^\d{0,18}$"
    ),
]
Live = Annotated[bool, Query(description="Whether a stream also has progress events.")]
Previews = Annotated[bool, Query(description="Whether a stream also has previews, in base64.")]
Limit = Annotated[
    int,
    Query(ge=1, le=_LARGEST_PAGE, description="Most events of a page; a stream ignores it."),
]


_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of events. With `Accept: text/event-stream`, a stream of all events "
        "as they happen: `id` is the number, `event` the kind, `data` the event as JSON.",
        "model": shapes.EventPage,
        "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
    },
    204: {"description": "The job has ended, and there is no event after the last known one."},
}


@router.get(
    "/events",
    summary="Follow jobs",
    response_class=Response,
    responses={200: _STREAM[200], **responses(401, 403, 406, 422, 503)},
)
async def get_events(
    request: Request,
    services: TheServices,
    caller: MayRead,
    after: After = None,
    limit: Limit = 1_000,
    live: Live = True,
    previews: Previews = False,
    last_event_id: LastEventId = None,
) -> Response:
    """Return the events of all jobs that the caller may see.

    Without `after`, a stream starts with the next event, and a page with the first stored event.
    """
    client, known = caller.only_client, _known(after, last_event_id)
    if not prefers_stream(request.headers.getlist("accept")):
        queue = services.queue
        return _page(
            await services.read_queue(queue.events_after, known or 0, client=client, limit=limit)
        )
    hub = services.hub
    if known is not None:
        known = await hub.resume_position(known)
    return _stream(
        services,
        caller,
        lambda: hub.subscribe(client=client, after=known, live=live, previews=previews),
    )


@router.get(
    "/jobs/{id}/events",
    summary="Follow a job",
    response_class=Response,
    responses={**_STREAM, **responses(401, 403, 404, 406, 422, 503)},
)
async def get_job_events(
    request: Request,
    services: TheServices,
    caller: MayRead,
    id: JobId,
    after: After = None,
    limit: Limit = 1_000,
    live: Live = True,
    previews: Previews = False,
    last_event_id: LastEventId = None,
) -> Response:
    """Return the events of a job, from the first event or from the one after `after`.

    A stream ends with the job. A client that reconnects after that gets 204, so that browsers stop
    reconnecting.
    """
    job = await get_visible_job(services, caller, id)
    known = _known(after, last_event_id) or 0
    queue = services.queue
    if not prefers_stream(request.headers.getlist("accept")):
        return _page(await services.read_queue(queue.events_after, known, job=id, limit=limit))
    if job.state in ENDED and known:
        remaining = await services.read_queue(queue.events_after, known, job=id, limit=1)
        if not remaining.events:
            return Response(status_code=204)
    hub = services.hub
    known = await hub.resume_position(known)
    return _stream(
        services,
        caller,
        lambda: hub.subscribe([id], after=known, live=live, previews=previews),
        until_end=True,
    )


def _known(after: int | None, last_event_id: str | None) -> int | None:
    # What a browser sends when it comes back is newer than what the page asked for first.
    return int(last_event_id) if last_event_id else after


def _page(page: EventPage) -> Response:
    items = ",".join(event_message(event).json for event in page.events)
    complete = "true" if page.is_complete else "false"
    text = f'{{"items":[{items}],"last":{page.last},"complete":{complete}}}'
    return Response(text, media_type=_JSON)


def _stream(
    services: Services,
    caller: Caller,
    subscribe: Callable[[], Subscription],
    *,
    until_end: bool = False,
) -> Response:
    may_go_on = partial(services.access.is_good, caller)
    content = streamed(subscribe, until_end=until_end, is_allowed=may_go_on)
    return StreamingResponse(content, media_type=EVENT_STREAM, headers=HEADERS)
