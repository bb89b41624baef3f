"""The server itself: versions, processes, devices, memory."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import asdict
from typing import Any

import psutil
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.errors import NodegraphError
from nodegraph.server.auth.caller import Caller
from nodegraph.server.dependencies import MayAdmin, MayRead, TheServices
from nodegraph.server.problems import responses
from nodegraph.server.routes.queue import StateCounts
from nodegraph.server.services import Services
from nodegraph.version import VERSION

router = APIRouter(prefix="/system", tags=["system"])


class WorkerEntry(BaseModel):
    """A worker process."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(examples=["worker-1"])
    role: str = Field(description="A planner answers questions and takes no jobs.")
    state: str = Field(examples=["idle"])
    device: str = Field(examples=["cpu"])
    pid: int | None
    restarts: int = Field(description="How often it was started again after a death.")
    job: str | None = Field(description="That it has, if the caller may see it.")
    node: str | None = Field(description="That began last in that job.")
    last_heartbeat: float | None = Field(description="Seconds since then.")
    next_start: float | None = Field(description="Seconds until then, if it is dead.")
    memory: int | None = Field(description="Bytes.")
    device_memory: int | None
    versions: dict[str, str] | None = Field(examples=[{"torch": "2.8.0"}])


class Memory(BaseModel):
    """Memory, in bytes."""

    total: int = Field(description="Of the machine.")
    available: int
    server: int = Field(description="Of the server's own process.")


class Disk(BaseModel):
    """Where the server keeps its files, in bytes."""

    total: int
    free: int


class QueueState(BaseModel):
    """How the queue is."""

    paused: bool
    counts: StateCounts
    fault: str | None = Field(description="Why it can't be written to, if it can't.")


class SystemEntry(BaseModel):
    """The server and the machine that it runs on."""

    version: str = Field(description="Of nodegraph.", examples=["0.1.0"])
    python: str = Field(examples=["3.11.9"])
    platform: str = Field(examples=["Linux-6.8-x86_64"])
    started: float = Field(description="Unix time.")
    uptime: float = Field(description="Seconds.")
    devices: list[str] = Field(description="That workers compute on.", examples=[["cpu"]])
    workers: list[WorkerEntry]
    memory: Memory
    disk: Disk
    queue: QueueState
    packs: dict[str, str] = Field(description="Versions of the node packs by name.")
    node_types: int = Field(description="How many there are.")
    problems: list[str] = Field(description="What is wrong with node packs.")


class Refreshed(BaseModel):
    """What there is now."""

    node_types: int = Field(description="How many there are.")
    problems: list[str]


@router.get("", summary="Look at the server", responses=responses(401, 403, 503))
async def get_system(services: TheServices, caller: MayRead) -> SystemEntry:
    """Versions, processes, devices, memory, the queue."""
    workers = [_worker(asdict(each), caller, services) for each in services.worker_states()]
    measured = await services.off_loop(_measured, services, caller)
    types = services.node_types.now
    return SystemEntry(
        version=VERSION,
        python=".".join(map(str, sys.version_info[:3])),
        started=services.started,
        uptime=services.uptime,
        devices=sorted({each.device for each in workers if each.role == "worker"}),
        workers=workers,
        packs=dict(types.packs),
        node_types=len(types.specs),
        problems=list(types.problems),
        **measured,
    )


def _worker(found: dict[str, Any], caller: Caller, services: Services) -> WorkerEntry:
    job = found["job"]
    if job is not None and caller.only_client is not None and not _sees(services, caller, job):
        found |= {"job": None, "node": None}
    return WorkerEntry.model_validate(found)


def _sees(services: Services, caller: Caller, job: str) -> bool:
    try:
        return caller.sees(services.queue.get(job).client)
    except NodegraphError:
        return False


def _measured(services: Services, caller: Caller) -> dict[str, Any]:
    machine, own = psutil.virtual_memory(), psutil.Process().memory_info().rss
    disk = shutil.disk_usage(services.home)
    return {
        "platform": platform.platform(),
        "memory": Memory(total=machine.total, available=machine.available, server=own),
        "disk": Disk(total=disk.total, free=disk.free),
        "queue": QueueState(
            paused=services.queue.is_paused(),
            counts=StateCounts(**asdict(services.queue.counts(caller.only_client))),
            fault=services.queue_fault(),
        ),
    }


@router.post("/refresh", summary="Look at the node packs anew", responses=responses(401, 403, 503))
async def refresh(services: TheServices, caller: MayAdmin) -> Refreshed:
    """Read packs that were added or changed. Workers take them up once they have no job."""
    types = await services.refresh_node_types()
    return Refreshed(node_types=len(types.specs), problems=list(types.problems))
