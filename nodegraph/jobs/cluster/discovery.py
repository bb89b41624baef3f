"""Find a Ray cluster: its address, and the record of the one that `auto` started.

Ray records only clusters that ``ray start`` started. So `write_record` records the others, beside
Ray's token, without which nobody can join. Machines may share a home folder, so each has its own
record.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from platform import node
from time import monotonic
from typing import Any

import psutil

from nodegraph.core.files import write_file
from nodegraph.core.version import VERSION
from nodegraph.errors import OutputError
from nodegraph.store.claims import lock_place

AUTO = "auto"
CLIENT = "ray://"


def resolve_address(address: str) -> str | None:
    """The address that Ray is to join; None if there is none that `ray start` has started."""
    return _local_cluster() if address == AUTO else address


def parse_host_port(address: str) -> tuple[str, int] | None:
    """The host and port in an address; None if it has none."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdecimal() else None


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine alone."""
    host = address.rpartition(":")[0]
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_listening(address: str) -> bool:
    """Whether somebody listens at an address of this machine."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


def _local_cluster() -> str | None:
    """Address of the cluster that runs on this machine, as Ray leaves it for others."""
    configured = os.environ.get("RAY_ADDRESS")
    if configured:
        return configured
    above = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    try:
        address = (above / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    # What a cluster left that was killed is no cluster.
    return address if is_listening(address) else None


_PATIENCE = 60.0
"""Seconds for another process to start its cluster."""
_LOOK_EVERY = 0.1


def write_record(address: str) -> None:
    """Leave word of the cluster that this process has started."""
    record = {"address": address, **_mine()}
    with suppress(OutputError, OSError):  # then others start their own
        path = _path("json")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, json.dumps(record).encode(), private=True, durable=False)


def delete_record() -> None:
    """Have nobody join what this process has started, as it ends."""
    if _read_record().get("process") == _mine()["process"]:
        with suppress(OSError):
            _path("json").unlink()


def find_other() -> str | None:
    """Address of the cluster that another process has started; None if none is there.

    Nor if it has other programs than this one: its workers would be of that version.
    """
    record = _read_record()
    if any(record.get(name) != value for name, value in _mine().items() if name != "process"):
        return None
    if record["process"] == _mine()["process"] or not _is_alive(record["process"]):
        return None
    address = str(record.get("address"))
    return address if is_listening(address) else None


@asynccontextmanager
async def start_lock() -> AsyncIterator[None]:
    """Inside of the `async with` no other process starts a cluster, so that one of several does."""
    try:
        path = _path("lock")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield  # as if there were no others, who find no word of it either
        return
    try:
        with suppress(OSError):  # a file system without locks
            end = monotonic() + _PATIENCE
            while not lock_place(descriptor, 0) and monotonic() < end:
                await asyncio.sleep(_LOOK_EVERY)
        yield
    finally:
        os.close(descriptor)


def _path(kind: str) -> Path:
    return Path.home() / ".ray" / f"nodegraph-{node() or 'here'}.{kind}"


def _read_record() -> dict[str, Any]:
    try:
        record = json.loads(_path("json").read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _mine() -> dict[str, Any]:
    return {
        "process": [os.getpid(), psutil.Process().create_time()],
        "python": sys.executable,
        "nodegraph": VERSION,
    }


def _is_alive(process: Any) -> bool:
    """Whether it still is there: a cluster ends a while after one that was killed."""
    try:
        number, began = process
        return bool(abs(psutil.Process(number).create_time() - began) < 1.0)
    except (psutil.Error, TypeError, ValueError):
        return False
