"""A connection to a Ray cluster. Nothing else of nodegraph imports Ray."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.jobs.cluster.host import WorkerHost
from nodegraph.jobs.supervisor.rules import Needs

AUTO = "auto"
CLIENT = "ray://"
_AT_ONCE = 8
"""Calls of an actor: one that waits for news, one that starts, some that tell."""
_STORE = 100 << 20
"""Bytes of the object store of a cluster that is started here: no values go through it."""
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
    """

    def __init__(self, address: str) -> None:
        import ray

        self.address = address
        self.is_direct = not address.startswith(CLIENT) and os.environ.get("RAY_USE_TLS") != "1"
        self._ray: Any = ray

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
        # In a thread, as it takes seconds, and so that Ray leaves the signals alone.
        await asyncio.to_thread(_connect, address)
        return cls(address)

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

    def actor(self, name: str, needs: Needs) -> RayActor:
        """A `WorkerHost` that gets a place as soon as a node has what it needs."""
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
        return RayActor(self._ray, self._ray.remote(WorkerHost).options(**given).remote())

    async def close(self) -> None:
        """Leave it; its actors of this server end."""
        await asyncio.to_thread(self._ray.shutdown)


class RayActor:
    """An actor of Ray; see `nodegraph.jobs.cluster.process.Actor`."""

    def __init__(self, ray: Any, handle: Any) -> None:
        self._ray = ray
        self._handle = handle

    def call(self, method: str, *arguments: Any) -> Awaitable[Any]:
        found: Awaitable[Any] = asyncio.wrap_future(
            getattr(self._handle, method).remote(*arguments).future()
        )
        return found

    def kill(self) -> None:
        with suppress(Exception):  # it is gone already, or the cluster is
            self._ray.kill(self._handle)


def _connect(address: str) -> None:
    # Before Ray is imported, which reads them then.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
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
