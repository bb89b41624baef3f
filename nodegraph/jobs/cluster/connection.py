"""A connection to a Ray cluster. Nothing else of nodegraph imports Ray.

A token keeps strangers out of a cluster. Ray leaves out one that is there where it is given an
address, unless it is told to show it. Told so, it takes no calls of a cluster that has none, so
that its actors never start.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.jobs.cluster import discovery as started
from nodegraph.jobs.cluster.discovery import CLIENT, is_loopback, parse_host_port, resolve_address
from nodegraph.jobs.cluster.failure_detection import (
    LOOK_EVERY,
    ClusterHead,
    HeadGone,
    SerialCalls,
    reason_of,
    run_detached,
    wait_unless_lost,
)
from nodegraph.jobs.cluster.worker_host import WorkerHost
from nodegraph.jobs.supervisor.worker_spec import Needs


class RayActor:
    """An actor of Ray; see `nodegraph.jobs.cluster.actor_process.Actor`."""

    def __init__(self, ray: Any, handle: Any, head: ClusterHead) -> None:
        self._ray = ray
        self._handle = handle
        self._head = head

    async def call(self, method: str, *arguments: Any) -> Any:
        # Over `ray://` even to begin a call is to wait for an answer.
        begun = await wait_unless_lost(run_detached(self._begin, method, *arguments), self._head)
        # Ray's own thread ends with an error where an answer finds its future cancelled.
        answer = asyncio.shield(asyncio.wrap_future(begun))
        return await wait_unless_lost(answer, self._head)

    def _begin(self, method: str, *arguments: Any) -> Future[Any]:
        answer: Future[Any] = getattr(self._handle, method).remote(*arguments).future()
        return answer

    def kill(self) -> None:
        if not self._head.is_lost:
            # It asks the head, which may be gone without anybody knowing it yet.
            threading.Thread(target=self._kill, name="nodegraph-kill", daemon=True).start()

    def _kill(self) -> None:
        with suppress(Exception):  # it is gone already, or the cluster is
            self._ray.kill(self._handle)


MODE = "RAY_AUTH_MODE"
_PATIENCE = 30.0
"""Seconds to be told; importing Ray takes most of them."""
_ASK = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"


def has_token() -> bool:
    """Whether there is a token where Ray looks for one."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    token_path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return (Path(token_path) if token_path else Path.home() / ".ray" / "auth_token").is_file()


def requires_token(address: str) -> bool:
    """Whether it is to be shown there: by Ray's client always, which others don't call."""
    if address.startswith(CLIENT):
        return True
    try:
        # In another process: Ray reads once, as it is imported, how it is to show itself.
        probe = subprocess.run(  # noqa: S603 - this very Python, by its own path
            [sys.executable, "-c", _ASK, address],
            env={**os.environ, MODE: "disabled"},
            check=False,
            capture_output=True,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"AuthenticationError" in probe.stderr


_AT_ONCE = 8
"""Calls of an actor: one that waits for news, one that starts, some that tell."""
_ASKED_SECONDS = 60.0
"""For Ray to say what it knows, or to make an actor, which doesn't wait for a place."""
_JOINING_SECONDS = 120.0
_LEAVING_SECONDS = 30.0
_LEFT_SECONDS = 3.0
"""For one whose head is gone: nothing there waits to be put in order."""
_THREAD_SECONDS = 1.0
"""For a thread of Ray's to end that may wait for a head that is gone."""
_STORE = 100 << 20
"""Bytes of the object store of a cluster that is started here: no values go through it."""
_LOG = logging.getLogger(__name__)
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
        head: Where it is joined.

    Args:
        passes: Whether it ends with a process that `auto` had start it, so that none comes back.
    """

    def __init__(
        self, address: str, head: ClusterHead, changes: SerialCalls | None = None, *, passes: bool
    ) -> None:
        import ray

        self.address = address
        self.head = head
        self.is_direct = not address.startswith(CLIENT) and os.environ.get("RAY_USE_TLS") != "1"
        self._ray: Any = ray
        self._passes = passes
        self._joining = asyncio.Lock()
        # What joins and leaves: two of them at a time would leave Ray in no state at all.
        self._changes = changes or SerialCalls()

    @classmethod
    async def connect(cls, address: str) -> Cluster:
        """Join a cluster: ``auto`` for the one of this machine, which is started if there is none.

        Raises:
            ClusterFault: It can't be joined.
        """
        if find_spec("ray") is None:
            raise ClusterFault(
                "workers on a cluster need Ray",
                hint="Run `pip install 'nodegraph[ray]'` here and on every node of the cluster.",
            )
        changes = SerialCalls()
        try:
            head, passes = await _join_cluster(address, changes)
        except BaseException:
            changes.close()
            raise
        finally:
            _restore_signal_handlers()
        return cls(address, head, changes, passes=passes)

    @property
    def host(self) -> str:
        """The address by which the cluster knows this machine."""
        return str(self._ray.util.get_node_ip_address())

    async def nodes(self) -> list[Node]:
        """All machines that there are, and those that went away.

        Raises:
            ClusterFault: Nobody tells.
        """
        try:
            known = await wait_unless_lost(run_detached(self._ray.nodes), self.head, _ASKED_SECONDS)
        except HeadGone as error:
            raise _join_error(self.address, error) from error
        return [
            Node(
                str(node["NodeName"]),
                str(node["NodeManagerAddress"]),
                bool(node["Alive"]),
                dict(node["Resources"]),
                dict(node.get("Labels") or {}),
            )
            for node in known
        ]

    async def actor(self, needs: Needs) -> RayActor:
        """A `WorkerHost` that gets a place as soon as a node has what it needs.

        Raises:
            ConnectionError: The cluster is gone, or is another one since, which can't be joined, or
                makes none now.
        """
        try:
            await self._join_again()
            head = self.head
            handle = await wait_unless_lost(run_detached(self._actor, needs), head, _ASKED_SECONDS)
            return RayActor(self._ray, handle, head)
        except OSError:
            raise
        except Exception as error:
            # Ray raises what any of its parts does, which may be otherwise at the next try.
            raise ConnectionError(f"Ray made no actor for it: {reason_of(error)}") from error

    async def _join_again(self) -> None:
        """Be joined to the cluster that there is now, if that is another one."""
        async with self._joining:
            is_there = await self.head.probe()
            if is_there and not self.head.is_lost:
                return
            if not is_there and not (self._passes and self.head.is_lost):
                raise HeadGone(f"no answer from {self.head}, where the cluster was joined")
            try:
                await self._leave()
                _restore_signal_handlers()
                # One that `auto` has started ended with its head: there is a new one then.
                head, self._passes = await _join_cluster(self.address, self._changes)
            except ClusterFault as error:
                raise HeadGone(str(error)) from error
            finally:
                _restore_signal_handlers()
            self.head.leave()
            self.head = head

    async def watch(self) -> None:
        """Look after the head, for ever."""
        while True:
            await self.head.probe()
            await asyncio.sleep(LOOK_EVERY)

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
        actor_options = {key: value for key, value in options.items() if value is not None}
        return self._ray.remote(WorkerHost).options(**actor_options).remote()

    async def close(self) -> None:
        """Leave it; its actors of this server end."""
        self.head.leave()
        started.delete_record()
        try:
            await self._leave(_LEFT_SECONDS if self.head.is_lost else _LEAVING_SECONDS)
        except HeadGone as error:
            # Nor is it as this process ends, which would wait for it without an end.
            atexit.unregister(self._ray.shutdown)
            _LOG.warning("leaving the cluster failed: %s", error)
        finally:
            self._changes.close()
            _restore_signal_handlers()

    async def _leave(self, seconds: float = _LEAVING_SECONDS) -> None:
        leaving = self._changes.apart(_disconnect, self.head.is_lost)
        try:
            await asyncio.wait_for(leaving, seconds)
        except asyncio.TimeoutError as error:
            raise HeadGone(f"Ray takes more than {seconds:g} s to leave it") from error


async def _join_cluster(address: str, changes: SerialCalls) -> tuple[ClusterHead, bool]:
    """The head of a cluster that was joined, and whether it ends with a process of nodegraph's.

    Raises:
        ClusterFault: It can't be joined.
    """
    existing = await asyncio.to_thread(resolve_address, address)
    if existing is not None:
        return await _join_existing(address, existing, changes), False
    async with started.start_lock():
        other = await asyncio.to_thread(started.find_other)
        if other is not None:
            try:
                return await _join_existing(address, other, changes), True
            except ClusterFault as error:
                _LOG.info("starts a new cluster: %s", error)
        try:
            await changes.apart(_connect, address, None)
        except HeadGone as error:
            raise _join_error(address, error) from error
        head = ClusterHead(*_head_address())
        await head.probe()
        started.write_record(str(head))
        return head, True


async def _join_existing(address: str, existing: str, changes: SerialCalls) -> ClusterHead:
    """The head of a cluster that is there.

    Raises:
        ClusterFault: It can't be joined.
    """
    head_address = parse_host_port(existing)
    if head_address is None:
        await changes.apart(_connect, address, existing)
        head = ClusterHead(*_head_address())
        await head.probe()
        return head
    # It is watched before Ray joins it, so that no end of it is missed.
    head = ClusterHead(*head_address)
    try:
        if not await head.probe():
            raise HeadGone(f"no answer from {head}")
        await wait_unless_lost(changes.apart(_connect, address, existing), head, _JOINING_SECONDS)
    except HeadGone as error:
        head.leave()
        raise _join_error(address, error) from error
    except BaseException:
        head.leave()
        raise
    return head


def _connect(address: str, existing: str | None) -> None:
    """Join the cluster that was found, or start one.

    Raises:
        ClusterFault: It can't be joined.
    """
    # Before Ray is imported, which reads them then.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault(_HEAD_PATIENCE, str(365 * 24 * 3600))
    if existing is None or is_loopback(existing):
        os.environ.setdefault(_LOOPBACK, "0")
    if existing is not None and existing.startswith(CLIENT):
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if existing is not None and MODE not in os.environ and has_token() and requires_token(existing):
        os.environ[MODE] = "token"
    import ray

    # It warns that it leaves the signals alone, which is what it is to do.
    logging.getLogger("ray").setLevel(logging.ERROR)
    # What nodes write as they die would come between what this process prints, for which Ray has
    # no setting. That they died is told anyway.
    ray._private.worker._worker_logs_enabled = False
    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "configure_logging": False,
    }
    try:
        if existing is None:
            ray.init(include_dashboard=False, object_store_memory=_STORE, **common)
        elif existing.startswith(CLIENT):
            ray.init(existing, log_to_driver=False, configure_logging=False)
        else:
            ray.init(existing, **common)
    except (
        ConnectionError,
        ValueError,
        RuntimeError,
        OSError,
        ray.exceptions.RayError,  # that there is no token where there is to be one
    ) as error:
        raise _join_error(existing or address, error) from error


def _disconnect(is_lost: bool) -> None:
    """Leave the cluster that was joined.

    Args:
        is_lost: Whether its head is gone.
    """
    import ray

    if is_lost:
        _detach_threads(ray._private.worker.global_worker)
    ray.shutdown()


def _detach_threads(worker: Any) -> None:
    """Have `ray.shutdown` not join threads that still wait for the head that is gone.

    It joins each without a bound. One that has asked the head something, as the thread for errors
    does first of all, gets no answer until `_HEAD_PATIENCE` is over.
    """
    stopped = getattr(worker, "threads_stopped", None)
    if stopped is None:
        return
    stopped.set()
    for name in ("listener_thread", "logger_thread"):
        thread = getattr(worker, name, None)
        if thread is None:
            continue
        thread.join(_THREAD_SECONDS)
        if thread.is_alive():
            delattr(worker, name)
            # It keeps the old event, by which it ends if it is answered after all; Ray clears the
            # worker's, which those of the next cluster get.
            worker.threads_stopped = threading.Event()


def _join_error(address: str, error: Exception) -> ClusterFault:
    return ClusterFault(
        f"the cluster at `{address}` cannot be joined: {reason_of(error)}",
        hint="`auto`, HOST:PORT as `ray start --head` prints it, or ray://HOST:10001. `ray status` "
        "shows whether it runs. If the cluster needs a token, put it here too, in "
        "RAY_AUTH_TOKEN or ~/.ray/auth_token.",
    )


def _restore_signal_handlers() -> None:
    """Have this process's own handlers called again.

    Ray puts the system's in their place as it ends; and as it begins its own, which ends the
    process with SIGABRT three seconds after a SIGTERM, whatever is done about that.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler):
            signal.signal(number, handler)


def _head_address() -> tuple[str, int]:
    """Where the head is of the cluster that was joined."""
    import ray

    head_address = parse_host_port(ray.get_runtime_context().gcs_address)
    assert head_address is not None
    return head_address
