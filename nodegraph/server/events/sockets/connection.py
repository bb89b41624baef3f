"""One websocket: what is asked on it, and what is told."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from nodegraph.core.version import VERSION
from nodegraph.errors import NodegraphError
from nodegraph.server.access.authentication import RateLimiter
from nodegraph.server.access.caller import Caller
from nodegraph.server.events.hub import HubClosed, Notice, SlowConsumer, Subscription
from nodegraph.server.events.sockets.codec import (
    BROKEN,
    GONE,
    NOT_ALLOWED,
    SILENT,
    STOPPING,
    TOO_SLOW,
    Closing,
    Codec,
    SocketRules,
    UnreadableMessage,
)
from nodegraph.server.events.sockets.commands import (
    Commands,
    InvalidMessage,
    SocketRequest,
    Subscribe,
    TaskGroup,
    Unsubscribe,
    is_large,
    parse_message,
)
from nodegraph.server.events.sockets.drafts import DraftRequest, OpenDrafts
from nodegraph.server.events.sockets.protocol import abort
from nodegraph.server.http.errors import NotFound, Unprocessable, status_of
from nodegraph.server.http.problems import problem_response
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_requests import read_visible_job

_QUICK = 20
"""Jobs that are looked up on the event loop."""


class Subscriptions:
    """What a client follows, by name.

    Args:
        overrun: Is called when events come too fast for the client.
    """

    def __init__(
        self,
        services: Services,
        caller: Caller,
        rules: SocketRules,
        overrun: Callable[[NodegraphError], None],
    ) -> None:
        self._services = services
        self._caller = caller
        self._rules = rules
        self._overrun = overrun
        self._names = map(str, count(1))
        self._open: dict[str, Subscription] = {}

    async def begin(self, wanted: Subscribe) -> tuple[str, Subscription]:
        """Follow jobs; the subscription and its name.

        Raises:
            JobNotFound: One that the caller may not see, or that isn't there.
            Unprocessable: There are too many.
        """
        _check(len(wanted.jobs or ()), self._rules.jobs, "jobs in one subscription")
        jobs = wanted.jobs or []
        look = self._services.read_queue if len(jobs) > _QUICK else self._services.queue_reads.run
        await look(self._look_up, jobs)
        hub, after = self._services.hub, wanted.after
        after = None if after is None else await hub.resume_position(after)
        _check(len(self._open) + 1, self._rules.subscriptions, "subscriptions at a time")
        subscription = hub.subscribe(
            wanted.jobs,
            client=self._caller.only_client,
            after=after,
            live=wanted.live,
            previews=wanted.previews,
            overrun=self._overrun,
        )
        name = next(self._names)
        self._open[name] = subscription
        return name, subscription

    def _look_up(self, jobs: list[str]) -> None:
        for job in jobs:
            read_visible_job(self._services, self._caller, job)

    def end(self, name: str) -> None:
        """Follow them no more.

        Raises:
            NotFound: There is no such subscription.
        """
        subscription = self._open.pop(name, None)
        if subscription is None:
            raise NotFound("there is no such subscription", given=name)
        subscription.close()

    def forget(self, name: str) -> None:
        """Close a subscription if it is open."""
        if name in self._open:
            self.end(name)

    def close(self) -> None:
        """End all."""
        for name in list(self._open):
            self.end(name)


def _check(count: int, most: int, what: str) -> None:
    if count > most:
        raise Unprocessable(f"too many {what}", given=str(count), expected=f"at most {most}")


_LOG = logging.getLogger(__name__)
PROTOCOL = "nodegraph.v1"


class SocketConnection:
    """Serves one client until either side has enough.

    Args:
        socket: Not accepted yet.
        caller: Who may read at least.
        codec: The form of messages.
    """

    def __init__(
        self,
        socket: WebSocket,
        services: Services,
        caller: Caller,
        codec: Codec,
        rules: SocketRules,
    ) -> None:
        self._socket = socket
        self._services = services
        self._caller = caller
        self._codec = codec
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._commands = Commands(services, caller)
        self._subscriptions = Subscriptions(services, caller, rules, self._overrun)
        self._rates = RateLimiter(rules.commands_per_second, rules.burst)
        self._free = asyncio.Semaphore(rules.commands)
        self._tasks = TaskGroup(self._failed)
        self._drafts = OpenDrafts(services.drafts, caller, self._send, self._tasks.begin)
        self._last_received = self._loop.time()
        self._ending: asyncio.Future[Closing | None] = self._loop.create_future()

    async def run(self) -> None:
        """Accept the connection, serve it, and close it."""
        try:
            await self._socket.accept(self._codec.subprotocol if self._is_named() else None)
        except (WebSocketDisconnect, OSError):
            return
        end_notices = self._services.hub.listen(self._noticed)
        if self._services.hub.is_open:
            self._tasks.begin(self._talk())
        else:
            self._noticed(Notice("server.stopping"))
        try:
            closing = await self._ending
        finally:
            end_notices()
            self._subscriptions.close()
            self._drafts.close()
            await self._tasks.end()
        if closing is not None:
            await self._close(closing)

    def _is_named(self) -> bool:
        # Naming one that wasn't offered makes clients hang up.
        return self._codec.subprotocol in self._socket.scope["subprotocols"]

    async def _talk(self) -> None:
        await self._send(self._welcome())
        self._tasks.begin(self._send_heartbeats())
        self._tasks.begin(self._watch())
        await self._read()

    def _welcome(self) -> dict[str, Any]:
        rules, caller = self._rules, self._caller
        return {
            "type": "welcome",
            "protocol": PROTOCOL,
            "version": VERSION,
            "caller": {"name": caller.name, "scopes": sorted(caller.scopes)},
            "last": self._services.hub.newest,
            "node_types": self._services.node_types.now.digest,
            "drafts": self._services.drafts is not None,
            "heartbeat": rules.heartbeat,
            "silence": rules.silence,
            "limits": {
                "frame": rules.frame,
                "depth": rules.depth,
                "values": rules.values,
                "subscriptions": rules.subscriptions,
                "jobs": rules.jobs,
                "commands": rules.commands,
            },
        }

    # What comes in.

    async def _read(self) -> None:
        while True:
            received = await self._socket.receive()
            if received["type"] == "websocket.disconnect":
                self._end(None)
                return
            self._last_received = self._loop.time()
            try:
                request = await self._parse_request(received)
            except UnreadableMessage as error:
                self._end(error.closing)
                return
            except InvalidMessage as error:
                await self._refuse(error.id, error.refusal)
            else:
                if request is not None:
                    await self._take(request)

    async def _parse_request(self, received: Mapping[str, Any]) -> SocketRequest | None:
        if is_large(received):
            # Others get their turn meanwhile.
            return await self._services.run_in_thread(
                parse_message, received, self._codec, self._rules
            )
        return parse_message(received, self._codec, self._rules)

    async def _take(self, request: SocketRequest) -> None:
        # A client that asks too much is read more slowly, and so held up by its own network.
        while wait := self._rates.acquire(""):
            await asyncio.sleep(wait)
        if self._commands.can_wait(request):
            self._tasks.begin(self._answer(request))
            return
        await self._free.acquire()
        self._tasks.begin(self._answer(request)).add_done_callback(lambda _: self._free.release())

    async def _answer(self, request: SocketRequest) -> None:
        try:
            if isinstance(request, Subscribe):
                await self._subscribe(request)
            elif isinstance(request, Unsubscribe):
                self._subscriptions.end(request.subscription)
                await self._reply(request.id, {})
            elif isinstance(request, DraftRequest):
                await self._reply(request.id, await self._drafts.result(request))
            else:
                await self._reply(request.id, await self._commands.result(request))
        except NodegraphError as error:
            await self._refuse(request.id, error)

    async def _subscribe(self, request: Subscribe) -> None:
        name, subscription = await self._subscriptions.begin(request)
        is_known = request.after is None or subscription.position == request.after
        answer = {"subscription": name, "after": subscription.position, "reset": not is_known}
        await self._reply(request.id, answer)
        self._tasks.begin(self._follow(name, subscription))

    # What goes out.

    async def _follow(self, name: str, subscription: Subscription) -> None:
        try:
            position = subscription.position
            while subscription.is_open:
                batch = await subscription.next(self._rules.heartbeat)
                # Also if all that happened was for others, so that it isn't gone through again.
                if batch.messages or batch.last > position:
                    await self._put(self._codec.events(name, batch))
                    position = batch.last
        except SlowConsumer as error:
            self._overrun(error)
        except HubClosed as error:
            self._end(Closing(STOPPING, error.problem.message))
        except NodegraphError as error:
            _LOG.error("a subscription ended: %s", error)
            self._subscriptions.forget(name)
            problem = self._problem(error)
            await self._send({"type": "ended", "subscription": name, "problem": problem})

    async def _reply(self, id: str | int, result: Mapping[str, Any]) -> None:
        await self._send({"type": "reply", "id": id, "result": result})

    async def _refuse(self, id: str | int | None, error: NodegraphError) -> None:
        if status_of(error)[0] >= 500:
            _LOG.error("websocket: %s", error)
        await self._send({"type": "error", "id": id, "problem": self._problem(error)})

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self._put(self._codec.write(message))

    async def _put(self, written: dict[str, Any]) -> None:
        try:
            await self._socket.send(written)
        except RuntimeError as error:
            # A frame that is none has ended the connection, before it was told of here.
            raise WebSocketDisconnect(GONE) from error

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self._rules.heartbeat)
            await self._send({"type": "heartbeat"})

    async def _watch(self) -> None:
        """End the connection if nothing is heard, or its token is good no more."""
        while True:
            left = self._last_received + self._rules.silence - self._loop.time()
            if left <= 0:
                reason = f"nothing was received for {self._rules.silence:g} s"
                self._end(Closing(SILENT, reason))
                return
            if not self._services.access.is_good(self._caller):
                self._end(Closing(NOT_ALLOWED, "the token is no longer valid"))
                return
            await asyncio.sleep(min(left, self._rules.heartbeat))

    def _noticed(self, notice: Notice) -> None:
        if notice.kind == "server.stopping":
            self._end(Closing(STOPPING, "the server is stopping"))
        else:
            self._tasks.begin(
                self._send({"type": "notice", "kind": notice.kind, "data": notice.data})
            )

    # The end.

    def _overrun(self, error: NodegraphError) -> None:
        self._end(Closing(TOO_SLOW, error.problem.message))

    def _end(self, closing: Closing | None) -> None:
        """Have the connection end; None if the client has ended it."""
        if not self._ending.done():
            self._ending.set_result(closing)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, (WebSocketDisconnect, OSError)) or self._ending.done():
            self._end(None)
            return
        _LOG.error("a websocket failed", exc_info=error)
        self._end(Closing(BROKEN, "the server failed; its log shows why"))

    async def _close(self, closing: Closing) -> None:
        try:
            farewell = self._socket.close(closing.code, closing.reason)
            await asyncio.wait_for(farewell, self._rules.close_timeout)
        except asyncio.TimeoutError:
            # It reads nothing, not even this: what waits for it would wait for ever.
            abort(self._socket.scope)
        except (WebSocketDisconnect, RuntimeError, OSError):
            return  # it has gone meanwhile

    def _problem(self, error: NodegraphError) -> dict[str, Any]:
        response = problem_response(error, places=self._services.places)
        problem: dict[str, Any] = json.loads(bytes(response.body))
        return problem
