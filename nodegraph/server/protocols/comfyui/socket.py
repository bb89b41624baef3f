"""ComfyUI's websocket: the queue's state and the messages of a client's prompts.

A message of many nodes names those alone about which something is new: see `RunMessages`.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import msgpack
from fastapi import Request, Response, WebSocket
from starlette.websockets import WebSocketDisconnect

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import JobEvent
from nodegraph.jobs.queue.job import ENDED
from nodegraph.server.access.caller import Caller
from nodegraph.server.events.hub import HubClosed, HubMessage, SlowConsumer
from nodegraph.server.http.dependencies import MayAdmin, MayRead, TheServices
from nodegraph.server.http.request_bodies import read_document
from nodegraph.server.operations.logs import RECENT
from nodegraph.server.protocols.comfyui.node_info import features, log_document
from nodegraph.server.protocols.comfyui.paths import comfyui_router
from nodegraph.server.protocols.comfyui.runs import (
    Message,
    PromptRun,
    PromptRuns,
    RunMessages,
    TheRuns,
)
from nodegraph.server.services import Services

router = comfyui_router()

_LONGEST_ID = 200
_BEATS = 30.0
"""Seconds after which it is checked that the client may still listen."""
_LOG_SECONDS = 0.5
"""Between two looks at the log."""
_CLOSED, _NOT_ALLOWED = 1001, 1008
_QUEUE_CHANGES = frozenset(
    {"job.queued", "job.claimed", "job.requeued", "job.retried"}
    | {"job.finished", "job.failed", "job.cancelled"}
)
_ENDS = frozenset(f"job.{state}" for state in ENDED)
_QUICK = 20
"""Events that are read on the event loop, which takes less time than to change threads."""
_LIVE = frozenset({"node.progress", "node.preview"})
_FOR_ALL = frozenset({"progress", "progress_state", "execution_interrupted"})
"""Types of messages of a prompt without a client that all get."""
_PREVIEWED = frozenset({"auto", "latent2rgb", "taesd"})
"""Ways to make previews, as prompts name them; any of them gets those of the node."""
_IMAGE, _IMAGE_WITH_METADATA = 1, 4
_FORMATS: Mapping[str, int] = {"image/jpeg": 1, "image/png": 2}
_MOST_UNRELATED = 10_000
"""Jobs of which it is remembered that they are no prompts for this client."""


@router.websocket("/ws")
async def follow(socket: WebSocket, services: TheServices, caller: MayRead, runs: TheRuns) -> None:
    """Serve one client."""
    client_id = socket.query_params.get("clientId", "")[:_LONGEST_ID] or uuid4().hex
    await ClientSocket(socket, services, caller, runs, client_id).run()


@router.patch("/internal/logs/subscribe")
async def subscribe_to_log(
    request: Request, services: TheServices, caller: MayAdmin, runs: TheRuns
) -> Response:
    """Send new lines of the log to a client's websocket, or no more."""
    document = read_document(await request.body())
    fields = document if isinstance(document, dict) else {}
    key = caller.name, str(fields.get("clientId", ""))[:_LONGEST_ID]
    if fields.get("enabled") is True and key in runs.sockets:
        runs.log_readers[key] = RECENT[-1] if RECENT else None
        runs.is_log_read.set()
    else:
        runs.forget_log_reader(key)
    return Response(status_code=200)


class ClientSocket:
    """The websocket of one client.

    Args:
        client_id: Named by the client; a newer socket of this name takes its place.
    """

    def __init__(
        self,
        socket: WebSocket,
        services: Services,
        caller: Caller,
        runs: PromptRuns,
        client_id: str,
    ) -> None:
        self._socket = socket
        self._services = services
        self._caller = caller
        self._runs = runs
        self._client_id = client_id
        self._flags: Mapping[str, Any] = {}
        self._followed: dict[str, _Followed | int | None] = {}
        """By job; of one that has ended, the number of this event: it may be tried again."""

    async def run(self) -> None:
        """Accept the connection, and serve it until one side has enough."""
        with suppress(WebSocketDisconnect, OSError, RuntimeError):
            await self._socket.accept()
            sockets = self._runs.sockets
            key = self._key
            sockets[key] = self
            ways = (self._read(), self._follow(), self._follow_log())
            tasks = [asyncio.create_task(way) for way in ways]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if sockets.get(key) is self:
                    del sockets[key]
                    self._runs.forget_log_reader(key)
            for task in done:
                task.result()

    @property
    def _key(self) -> tuple[str, str]:
        return self._caller.name, self._client_id

    @property
    def _is_current(self) -> bool:
        """Whether no newer socket has this one's name."""
        return self._runs.sockets.get(self._key) is self

    async def _follow_log(self) -> None:
        """Send new lines of the log, as long as they are wanted."""
        readers = self._runs.log_readers
        while True:
            await self._runs.is_log_read.wait()
            await asyncio.sleep(_LOG_SECONDS)
            if self._key not in readers or not self._services.access.is_good(self._caller):
                continue
            lines, last = list(RECENT), readers[self._key]
            known = next((at for at, line in enumerate(lines) if line is last), -1)
            if new := lines[known + 1 :]:
                readers[self._key] = new[-1]
                await self._send("logs", log_document(new))

    async def _read(self) -> None:
        is_first = True
        while True:
            received = await self._socket.receive()
            if received["type"] == "websocket.disconnect":
                return
            if is_first and (flags := _read_flags(received.get("text"))) is not None:
                self._flags = flags
                await self._send("feature_flags", features(self._services))
            is_first = False

    async def _follow(self) -> None:
        hub = self._services.hub
        try:
            subscription = hub.subscribe(client=self._caller.only_client)
        except HubClosed:
            await self._socket.close(_CLOSED)
            return
        try:
            await self._greet(subscription.position)
            position = subscription.position
            while True:
                try:
                    batch = await subscription.next(_BEATS)
                except SlowConsumer:
                    # What was not taken is read again from the queue, at the client's pace.
                    client = self._caller.only_client
                    subscription = hub.subscribe(client=client, after=position)
                    continue
                position = batch.last
                if not self._services.access.is_good(self._caller):
                    await self._socket.close(_NOT_ALLOWED)
                    return
                if batch.messages and self._is_current:
                    await self._take(batch.messages)
        except HubClosed:
            await self._socket.close(_CLOSED)
        finally:
            subscription.close()

    async def _greet(self, position: int) -> None:
        """Send the state of the queue, and the node that runs for this client.

        Args:
            position: Number of the last event that does not follow.
        """
        status = await self._services.read_queue(self._status)
        await self._send("status", {**status, "sid": self._client_id})
        for current in await self._services.read_queue(self._running, position):
            await self._send("executing", {"node": current})

    def _running(self, position: int) -> list[str]:
        nodes = []
        for job in self._runs.list(self._caller, "running"):
            followed = self._find(job.id)
            if followed is not None and followed.is_for(self._client_id):
                followed.read(self._runs, position)
                followed.take(position)
                nodes += [followed.messages.current] if followed.messages.current else []
        return nodes

    def _status(self) -> dict[str, Any]:
        remaining = self._runs.count(self._caller)
        return {"status": {"exec_info": {"queue_remaining": remaining}}}

    def _find(self, job: str) -> _Followed | None:
        known = self._followed.get(job)
        if job not in self._followed or isinstance(known, int):
            if len(self._followed) >= _MOST_UNRELATED:
                followed = self._followed.items()
                self._followed = {
                    name: each for name, each in followed if isinstance(each, _Followed)
                }
            run = self._runs.read(job)
            after = known if isinstance(known, int) else 0
            known = None if run is None else _Followed(run, self._runs, after)
            self._followed[job] = known
        return known

    def _prepare(self, messages: Sequence[HubMessage]) -> dict[str, Any] | None:
        """Read what some events are about, and what they say in full.

        Returns:
            The state of the queue; None if they do not change it.
        """
        is_change = False
        changed = {message.job for message in messages if message.kind in _QUEUE_CHANGES}
        last = {message.job: message.seq for message in messages if message.seq is not None}
        for job in dict.fromkeys(message.job for message in messages):
            followed = self._find(job)
            is_change |= followed is not None and job in changed
            if followed is not None and followed.concerns(self._client_id) and job in last:
                followed.read(self._runs, last[job])
        return self._status() if is_change else None

    async def _take(self, messages: Sequence[HubMessage]) -> None:
        """Send what comes of some events."""
        services = self._services
        read = services.queue_reads.run if len(messages) <= _QUICK else services.read_queue
        status = await read(self._prepare, messages)
        touched: dict[str, _Followed] = {}
        for message in messages:
            followed = self._followed.get(message.job)
            if not isinstance(followed, _Followed):
                continue
            is_change = message.kind in _QUEUE_CHANGES
            if followed.concerns(self._client_id):
                touched[message.job] = followed
                if message.seq is None:
                    await self._show(followed, message)
                else:
                    await self._send_all(followed, followed.take(message.seq))
            elif message.kind not in _ENDS:
                continue
            if is_change and status is not None and followed.concerns(self._client_id):
                await self._send("status", status)
            if message.kind in _ENDS:
                if followed.is_for(self._client_id) and followed.messages.has_begun:
                    end = {"node": None, "prompt_id": followed.run.prompt_id}
                    await self._send("executing", end)
                self._followed[message.job] = message.seq
        for followed in touched.values():
            await self._send_all(followed, list(followed.messages.flush()))
        if status is not None and not touched:
            await self._send("status", status)

    async def _show(self, followed: _Followed, message: HubMessage) -> None:
        """Send progress or a preview."""
        content = msgpack.unpackb(message.packed, strict_map_key=False)
        data = content["data"]
        if message.kind == "node.progress":
            made = list(followed.messages.handle(message.kind, message.node, data))
            await self._send_all(followed, made)
        elif (frame := self._frame(followed, message.node or "", data)) is not None:
            await self._socket.send_bytes(frame)

    def _frame(self, followed: _Followed, node: str, data: Mapping[str, Any]) -> bytes | None:
        """Return the frame of a preview; None if this client did not ask for it."""
        run = followed.run
        wanted = str(run.extra_data.get("preview_method") or "default")  # clients send anything
        has_metadata = self._flags.get("supports_preview_metadata") is True
        if wanted not in _PREVIEWED and not (wanted == "default" and has_metadata):
            return None
        image, mime = data.get("image"), data.get("mime", "")
        node_id = run.origins.get(node.partition("/")[0])
        # What an output node shows is a result, and comes as such.
        if (
            node_id is None
            or node_id in run.outputs
            or mime not in _FORMATS
            or not isinstance(image, bytes)
        ):
            return None
        if not has_metadata:
            return struct.pack(">II", _IMAGE, _FORMATS[mime]) + image
        ids = {"node_id": node_id, "prompt_id": run.prompt_id, "display_node_id": node_id}
        about = {**ids, "parent_node_id": None, "real_node_id": node_id, "image_type": mime}
        text = json.dumps(about).encode()
        return struct.pack(">II", _IMAGE_WITH_METADATA, len(text)) + text + image

    async def _send_all(self, followed: _Followed, messages: Iterable[Message]) -> None:
        for kind, data in messages:
            if followed.is_for(self._client_id) or kind in _FOR_ALL:
                await self._send(kind, data)

    async def _send(self, kind: str, data: Mapping[str, Any]) -> None:
        if self._is_current:
            text = json.dumps({"type": kind, "data": data}, separators=(",", ":"))
            await self._socket.send_text(text)


class _Followed:
    """A prompt whose events after one are followed."""

    def __init__(self, run: PromptRun, runs: PromptRuns, after: int) -> None:
        self.run = run
        self.messages = RunMessages(run, runs.lists)
        self._last = after
        self._unread: deque[JobEvent] = deque()

    def is_for(self, client_id: str) -> bool:
        """Whether all messages are for a client."""
        return self.run.client_id == client_id

    def concerns(self, client_id: str) -> bool:
        """Whether any messages are for a client: those of a prompt without one are for all."""
        return self.run.client_id in (client_id, "")

    def read(self, runs: PromptRuns, last: int) -> None:
        """Read the events up to one; `take` returns their messages."""
        with suppress(NodegraphError):  # the job is gone
            for event in runs.events(self.run.job.id, self._last, last):
                self._last = event.seq
                self._unread.append(event)

    def take(self, last: int) -> list[Message]:
        """Return the messages of the events that were read, up to one; each once."""
        made: list[Message] = []
        while self._unread and self._unread[0].seq <= last:
            event = self._unread.popleft()
            made += self.messages.handle(event.kind, event.node, event.data, event.at)
        return made


def _read_flags(text: object) -> Mapping[str, Any] | None:
    """Return what a client says it can do, if that is what a message says."""
    if not isinstance(text, str):
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("type") != "feature_flags":
        return None
    flags = message.get("data")
    return flags if isinstance(flags, dict) else {}
