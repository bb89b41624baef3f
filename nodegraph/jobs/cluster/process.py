"""A worker's process on a node of a cluster, as its server sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from nodegraph.core.version import VERSION
from nodegraph.jobs.cluster.host import Signal
from nodegraph.jobs.cluster.words import exit_of
from nodegraph.jobs.supervisor.frames import encode
from nodegraph.jobs.supervisor.message import Message
from nodegraph.jobs.supervisor.message_reader import MessageReader
from nodegraph.jobs.supervisor.starting import ProcessExit, ProcessListener

_LEFT = 1.0
"""Seconds in which what a dead process said may still be on its way."""
_TRACES = 0.5
"""Seconds for a process to write what its threads do, before it is killed."""
_LAST_GRACE = 5.0
"""Seconds between killing a process by its actor and killing the actor."""


class Actor(Protocol):
    """A `WorkerHost` on a node."""

    def call(self, method: str, *arguments: Any) -> Awaitable[Any]:
        """Call a method of it; raises what it raises, or why it is gone."""

    def kill(self) -> None:
        """End it, and what it has started."""


class ActorProcess:
    """A process that an actor starts and watches over; see `WorkerHandle`.

    It is heard and told over a line of its own where it has called, else through its actor, which
    takes some milliseconds each way.

    Args:
        start: Has the actor start it; gives what `WorkerHost.start` does.
        on_ended: Is called when it has ended.
    """

    def __init__(
        self,
        actor: Actor,
        start: Callable[[ActorProcess], Awaitable[dict[str, Any]]],
        ears: ProcessListener,
        on_ended: Callable[[], None],
    ) -> None:
        self._actor = actor
        self._ears = ears
        self._hearing = MessageReader(ears)
        self._gone = on_ended
        self._loop = asyncio.get_running_loop()
        self._pid: int | None = None
        self._host = ""
        self._line: asyncio.Transport | None = None
        self._hung_up = asyncio.Event()
        self._to_say = bytearray()
        self._saying: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Future[Any]] = set()
        self._is_killed = False
        self._life = self._loop.create_task(self._live(start(self)))

    # Its life

    async def _live(self, starting: Awaitable[dict[str, Any]]) -> ProcessExit:
        try:
            return await self._exit(starting)
        except Exception as error:  # noqa: BLE001 - whatever is raised, there is no actor to ask
            return exit_of(error, self._host)
        finally:
            self._actor.kill()
            if self._line is not None:
                self._line.abort()
            self._gone()

    async def _exit(self, starting: Awaitable[dict[str, Any]]) -> ProcessExit:
        born = await starting
        self._host, self._pid = str(born["host"]), int(born["pid"])
        if born["version"] != VERSION:
            return ProcessExit(None, {}, reason=version_mismatch(born["version"], self._host))
        while True:
            out, err, ended = await self._actor.call("read")
            self._hearing.feed(out)
            if err:
                self._ears.on_output(err)
            if ended is not None:
                if born["is_direct"]:
                    with suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(self._hung_up.wait(), _LEFT)
                return ProcessExit(**ended)

    async def ended(self) -> ProcessExit:
        return await asyncio.shield(self._life)

    @property
    def pid(self) -> int | None:
        return self._pid

    @property
    def host(self) -> str:
        return self._host

    # What its line tells

    def connected(self, line: asyncio.Transport) -> None:
        """It has called."""
        self._line = line

    def data_received(self, data: bytes) -> None:
        """It says something."""
        self._hearing.feed(data)

    def connection_lost(self) -> None:
        """It says no more."""
        self._hung_up.set()

    # What the supervisor does

    def send(self, message: Message) -> None:
        frame = encode(message.as_dict())
        if self._line is not None:
            if not self._line.is_closing():
                self._line.write(frame)
            return
        self._to_say += frame
        if self._saying is None or self._saying.done():
            self._saying = self._loop.create_task(self._say())

    async def _say(self) -> None:
        """Say what waits, one call after the other: calls may overtake each other."""
        while self._to_say:
            data = bytes(self._to_say)
            self._to_say.clear()
            try:
                await self._actor.call("write", data)
            except Exception:  # noqa: BLE001 - its life ends with the same error, and tells of it
                return

    def terminate(self) -> None:
        if self._pid is None:
            self._actor.kill()  # it has nothing to lose
        else:
            self._signal("terminate")

    def kill(self, *, with_traces: bool = False) -> None:
        if self._is_killed or self._life.done():
            return
        self._is_killed = True
        if self._pid is None:
            self._actor.kill()
            return
        if with_traces:
            self._signal("traces")
        self._loop.call_later(_TRACES if with_traces else 0.0, self._signal, "kill")
        self._loop.call_later(_LAST_GRACE, self._give_up)

    def _give_up(self) -> None:
        if not self._life.done():
            self._actor.kill()

    def _signal(self, what: Signal) -> None:
        if self._life.done():
            return
        call = asyncio.ensure_future(self._actor.call("signal", what))
        self._calls.add(call)
        call.add_done_callback(self._signalled)

    def _signalled(self, call: asyncio.Future[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # an actor that is gone has no process to be told


def version_mismatch(version: str, host: str) -> str:
    """Why a worker isn't worked with that has another version than this server."""
    return (
        f"the node {host} has nodegraph {version} and this server {VERSION}; "
        "install the same version there"
    )
