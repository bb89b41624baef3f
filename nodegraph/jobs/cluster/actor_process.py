"""Start worker processes by Ray actors, and talk to them over connections of their own."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, cast

from nodegraph.core.version import VERSION
from nodegraph.jobs.cluster.connection import Cluster
from nodegraph.jobs.cluster.failure_detection import exit_of
from nodegraph.jobs.cluster.worker_host import PackArchive, Signal, archive_packs
from nodegraph.jobs.supervisor.messages import Ready
from nodegraph.jobs.supervisor.protocol import Message, encode
from nodegraph.jobs.supervisor.starter import MessageReader, ProcessExit, ProcessListener
from nodegraph.jobs.supervisor.worker_spec import Launch, WorkerSpec
from nodegraph.session.settings import load_settings

SECRET_BYTES = 32
_PATIENCE = 10.0
"""Seconds to say a secret in."""
_MOST_STRANGERS = 256
"""Callers at a time that haven't said one yet."""


class CallbackHandler(Protocol):
    """Who waits for a call."""

    def connected(self, line: asyncio.Transport) -> None:
        """It came."""

    def data_received(self, data: bytes) -> None:
        """The caller says something."""

    def connection_lost(self) -> None:
        """Nothing more will come."""


class CallbackServer:
    """Listens at one address of this machine, and joins each caller with whoever waits for it.

    What goes over a line is as open as what Ray itself sends: a cluster's network must be its own.
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, CallbackHandler] = {}
        self._strangers = 0
        self._server: asyncio.Server | None = None
        self._address: tuple[str, int] | None = None

    async def open(self, host: str) -> None:
        """Listen at any free port.

        Raises:
            OSError: That isn't an address of this machine.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Caller(self), host, 0)
        self._address = self._server.sockets[0].getsockname()[:2]

    @property
    def address(self) -> tuple[str, int] | None:
        """Where it listens, if it does."""
        return self._address

    def expect(self, called: CallbackHandler) -> bytes:
        """What a caller has to say to reach somebody, once."""
        secret = secrets.token_bytes(SECRET_BYTES)
        self._waiting[_key(secret)] = called
        return secret

    def forget(self, secret: bytes) -> None:
        """Nobody waits for that caller any more."""
        self._waiting.pop(_key(secret), None)

    def called(self, secret: bytes) -> CallbackHandler | None:
        """Who waits for a caller that says this."""
        return self._waiting.pop(_key(secret), None)

    def admit(self) -> bool:
        """Whether one more stranger may try."""
        if self._strangers >= _MOST_STRANGERS:
            return False
        self._strangers += 1
        return True

    def known(self) -> None:
        """A stranger is one no more, or is gone."""
        self._strangers -= 1

    async def close(self) -> None:
        """Listen no more; lines that stand stay."""
        if self._server is not None:
            self._server.close()
            self._server = None


def _key(secret: bytes) -> bytes:
    # Looking it up takes as long for a secret that is almost right as for any other.
    return sha256(secret).digest()


class _Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, exchange: CallbackServer) -> None:
        self._exchange = exchange
        self._said = b""
        self._called: CallbackHandler | None = None
        self._done: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._line = cast(asyncio.Transport, transport)
        if not self._exchange.admit():
            self._line.abort()
            return
        late = asyncio.get_running_loop().call_later(_PATIENCE, self._line.abort)

        def done() -> None:
            self._done = None
            late.cancel()
            self._exchange.known()

        self._done = done

    def data_received(self, data: bytes) -> None:
        if self._called is not None:
            self._called.data_received(data)
            return
        self._said += data
        if len(self._said) < SECRET_BYTES:
            return
        secret, remaining = self._said[:SECRET_BYTES], self._said[SECRET_BYTES:]
        self._called = self._exchange.called(secret)
        if self._called is None:
            self._line.abort()
            return
        if self._done is not None:
            self._done()
        self._called.connected(self._line)
        if remaining:
            self._called.data_received(remaining)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None:
            self._done()
        if self._called is not None:
            self._called.connection_lost()


_GIVEN_ON = ("OMP_NUM_THREADS",)
"""Variables of this process that workers have, too: they decide on results' last bits."""


class ActorStarter:
    """Starts each process by an actor of its own; see `Starter`.

    Args:
        cluster: Whose nodes they run on.
        exchange: Where they call.
    """

    host = ""

    def __init__(self, cluster: Cluster, exchange: CallbackServer) -> None:
        self._cluster = cluster
        self._exchange = exchange
        # What is sent to all workers, and the digests of what each of them was sent.
        self._given: tuple[Sequence[str], Sequence[Path], Path | None] = (), (), None
        self._sent: dict[str, list[str]] = {}

    async def start(self, spec: WorkerSpec, ears: ProcessListener) -> ActorProcess:
        # Packs may lie where only this machine looks.
        settings = load_settings(spec.settings)
        self._given = spec.packs, settings.pack_folders, settings.data_folder
        sent = await asyncio.to_thread(archive_packs, *self._given)
        self._sent[spec.name] = _digests(sent)
        actor = await self._cluster.actor(spec.needs)
        environment = {name: os.environ[name] for name in _GIVEN_ON if name in os.environ}
        secret = b""

        async def begin(process: ActorProcess) -> dict[str, Any]:
            nonlocal secret
            line = None
            if self._exchange.address is not None:
                secret = self._exchange.expect(process)
                line = ([self._exchange.address], secret)
            arguments = (_launch(spec), {**environment, **spec.environment}, sent, line)
            born: dict[str, Any] = await actor.call("start", *arguments)
            return born

        def gone() -> None:
            self._exchange.forget(secret)
            self._sent.pop(spec.name, None)

        return ActorProcess(actor, begin, ears, gone)

    async def outdated(self) -> list[str]:
        """Names of the workers that were sent other packs than there are now.

        They don't see an edit by themselves, as those on this machine do.

        Raises:
            PackError: One is too large to be sent now.
        """
        try:
            now = _digests(await asyncio.to_thread(archive_packs, *self._given))
        except OSError:
            return list(self._sent)  # somebody is just editing them
        return [name for name, sent in self._sent.items() if sent != now]

    def refusal(self, ready: Ready) -> str | None:
        version = str(ready.versions.get("nodegraph", "of an unknown version"))
        return None if version == VERSION else version_mismatch(version, "of this worker")


def _digests(sent: Iterable[PackArchive]) -> list[str]:
    return [each.digest for each in sent]


def _launch(spec: WorkerSpec) -> dict[str, Any]:
    """What a worker is told that is the same on all machines."""
    launch = asdict(Launch.of(spec, ""))
    settings = {name: _plain(value) for name, value in launch["settings"].items()}
    del launch["parent"], launch["recorder"]
    return {**launch, "settings": settings}


def _plain(value: object) -> object:
    return os.fspath(value) if isinstance(value, Path) else value


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
