"""A connection to a Ray cluster. Nothing else of nodegraph imports Ray."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from nodegraph.errors import NodegraphError
from nodegraph.jobs.cluster.head import ClusterHead, HeadGone
from nodegraph.jobs.cluster.host import WorkerHost
from nodegraph.jobs.supervisor.rules import Needs

T = TypeVar("T")
AUTO = "auto"
CLIENT = "ray://"
_AT_ONCE = 8
"""Calls of an actor: one that waits for news, one that starts, some that tell."""
_STORE = 100 << 20
"""Bytes of the object store of a cluster that is started here: no values go through it."""
_HEAD_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Seconds without a head after which Ray would end this process; `ClusterHead` looks after it."""
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray takes the loopback address for the machine's own where this is 0, whatever the system."""


class ClusterFault(NodegraphError):
    """There is no cluster to work with."""

    code = "cluster"


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster.

    Attributes:
        resources: What it has in all, as Ray names it: ``CPU``, ``GPU``, ``memory``, others.
    """

    name: str
    address: str
    is_alive: bool
    resources: Mapping[str, float]
    labels: Mapping[str, str]


class Cluster:
    """What is asked of Ray. Made by `connect`.

    Attributes:
        address: As it was given.
        is_direct: Whether nodes can reach this machine, as it is one of them.
        head: Where it was joined.
    """

    def __init__(self, address: str, head: ClusterHead, *, is_own: bool) -> None:
        import ray

        self.address = address
        self.head = head
        self.is_direct = not address.startswith(CLIENT) and os.environ.get("RAY_USE_TLS") != "1"
        self._ray: Any = ray
        self._is_own = is_own
        self._joining = asyncio.Lock()

    @classmethod
    async def connect(cls, address: str) -> Cluster:
        """Join a cluster: ``auto`` for the one of this machine, which is started if there is none.

        Raises:
            ClusterFault: It can't be joined.
        """
        if find_spec("ray") is None:
            raise ClusterFault(
                "workers on a cluster need Ray",
                hint="pip install 'nodegraph[ray]', here and on every node.",
            )
        place = _place(address)
        if place is not None and not await (head := ClusterHead(*place)).answers():
            raise ClusterFault(
                f"the cluster at `{address}` can't be joined: nobody answers at {head}",
                hint="`ray status` tells on its machines whether it runs.",
            )
        # In a thread, as it takes seconds, and so that Ray leaves the signals alone.
        is_own = await asyncio.to_thread(_connect, address)
        return cls(address, ClusterHead(*(place or _joined_at())), is_own=is_own)

    @property
    def host(self) -> str:
        """The address by which the cluster knows this machine."""
        return str(self._ray.util.get_node_ip_address())

    def nodes(self) -> list[Node]:
        """All machines that there are, and those that went away."""
        return [
            Node(
                str(found["NodeName"]),
                str(found["NodeManagerAddress"]),
                bool(found["Alive"]),
                dict(found["Resources"]),
                dict(found.get("Labels") or {}),
            )
            for found in self._ray.nodes()
        ]

    async def actor(self, needs: Needs) -> RayActor:
        """A `WorkerHost` that gets a place as soon as a node has what it needs.

        Raises:
            ConnectionError: The cluster is gone, or is another one since, which can't be joined, or
                makes none now.
        """
        try:
            await self._join_again()
            making = asyncio.ensure_future(asyncio.to_thread(self._actor, needs))
            return RayActor(self._ray, await _unless_lost(making, self.head.lost), self.head)
        except OSError:
            raise
        except Exception as error:
            # Ray raises what any of its parts does, which may be otherwise at the next try.
            raise ConnectionError(f"Ray made no actor for it: {_first_line(error)}") from error

    async def _join_again(self) -> None:
        """Be joined to the cluster that there is now, if that is another one."""
        async with self._joining:
            is_there = await self.head.answers()
            if is_there and not self.head.is_lost:
                return
            if not is_there and not (self._is_own and self.head.is_lost):
                raise HeadGone(f"nobody answers at {self.head}, where the cluster was joined")
            try:
                await asyncio.to_thread(self._ray.shutdown)
                _hear_signals()
                # One that this process has started ended with its head: there is a new one then.
                self._is_own = await asyncio.to_thread(_connect, self.address)
            except ClusterFault as error:
                raise HeadGone(str(error)) from error
            finally:
                _hear_signals()
            self.head.found(*(_place(self.address) or _joined_at()))

    def _actor(self, needs: Needs) -> Any:
        options: dict[str, Any] = {
            "num_cpus": needs.cpus,
            "num_gpus": needs.gpus,
            "resources": dict(needs.resources) or None,
            "memory": needs.memory or None,
            "label_selector": dict(needs.labels) or None,
            "max_restarts": 0,
            "max_concurrency": _AT_ONCE,
            "scheduling_strategy": "SPREAD",
        }
        given = {key: value for key, value in options.items() if value is not None}
        return self._ray.remote(WorkerHost).options(**given).remote()

    async def close(self) -> None:
        """Leave it; its actors of this server end."""
        await asyncio.to_thread(self._ray.shutdown)


class RayActor:
    """An actor of Ray; see `nodegraph.jobs.cluster.process.Actor`."""

    def __init__(self, ray: Any, handle: Any, head: ClusterHead) -> None:
        self._ray = ray
        self._handle = handle
        self._lost = head.lost

    def call(self, method: str, *arguments: Any) -> Awaitable[Any]:
        found = getattr(self._handle, method).remote(*arguments).future()
        return _unless_lost(asyncio.wrap_future(found), self._lost)

    def kill(self) -> None:
        if not self._lost.done():
            # It asks the head, which may be gone without anybody knowing it yet.
            threading.Thread(target=self._kill, name="nodegraph-kill", daemon=True).start()

    def _kill(self) -> None:
        with suppress(Exception):  # it is gone already, or the cluster is
            self._ray.kill(self._handle)


async def _unless_lost(asked: asyncio.Future[T], lost: asyncio.Future[None]) -> T:
    """What was asked for.

    Raises:
        HeadGone: The head is gone: nobody will answer.
    """
    either: set[asyncio.Future[Any]] = {asked, lost}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if asked.done():
        return asked.result()
    asked.cancel()
    raise HeadGone("the head of its cluster is gone")


def _connect(address: str) -> bool:
    """Join a cluster; whether it was started for that."""
    # Before Ray is imported, which reads them then.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault(_HEAD_PATIENCE, str(365 * 24 * 3600))
    found = _local_cluster() if address == AUTO else address
    if found is None or _is_loopback(found):
        os.environ.setdefault(_LOOPBACK, "0")
    import ray

    # It warns that it leaves the signals alone, which is what it is to do.
    logging.getLogger("ray").setLevel(logging.ERROR)
    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "configure_logging": False,
    }
    try:
        if found is None:
            ray.init(include_dashboard=False, object_store_memory=_STORE, **common)
        elif found.startswith(CLIENT):
            ray.init(found, log_to_driver=False)
        else:
            ray.init(found, **common)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise ClusterFault(
            f"the cluster at `{found or address}` can't be joined: {_first_line(error)}",
            hint="`auto`, HOST:PORT as `ray start --head` prints it, or ray://HOST:10001. "
            "`ray status` tells whether it runs.",
        ) from error
    return found is None


def _local_cluster() -> str | None:
    """Address of the cluster that runs on this machine, as Ray leaves it for others."""
    given = os.environ.get("RAY_ADDRESS")
    if given:
        return given
    above = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    try:
        found = (above / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    host, _, port = found.rpartition(":")
    try:
        # What a cluster left that was killed is no cluster.
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except (OSError, ValueError):
        return None
    return found


def _hear_signals() -> None:
    """Have this process's own handlers called again: Ray takes the system's away as it ends."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler):
            signal.signal(number, handler)


def _place(address: str) -> tuple[str, int] | None:
    """The host and port in an address; None if it has none."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdecimal() else None


def _joined_at() -> tuple[str, int]:
    """Where the head is of the cluster that was joined."""
    import ray

    found = _place(ray.get_runtime_context().gcs_address)
    assert found is not None
    return found


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0]
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
