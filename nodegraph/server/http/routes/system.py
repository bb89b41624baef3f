"""Routes of the server itself: its state and its settings."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import psutil
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter

from nodegraph.client import shapes
from nodegraph.core.version import VERSION
from nodegraph.errors import NodegraphError
from nodegraph.server.access.caller import Caller
from nodegraph.server.http.dependencies import MayAdmin, MayRead, MayRun, TheServices
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.services import Services
from nodegraph.server.settings import Retention, ServerSettings
from nodegraph.session.settings_kinds import Count, Seconds
from nodegraph.store.secrets import SECRETS_FILE, SecretStore, StoredSecret

settings_router = APIRouter(prefix="/settings", tags=["system"], route_class=JsonRoute)


class RetentionChange(BaseModel):
    """New retention limits. Omitted fields stay unchanged; null removes a limit."""

    model_config = ConfigDict(extra="forbid")

    seconds: Seconds | None = None
    count: Count | None = None
    failed_seconds: Seconds | None = None
    failed_count: Count | None = None


class SettingsChange(BaseModel):
    """Settings that can be changed while the server runs."""

    model_config = ConfigDict(extra="forbid")

    retention: Annotated[
        RetentionChange | None, Field(description="Rules for how long ended jobs are kept.")
    ] = None


@settings_router.get("", summary="Get the settings", responses=responses(401, 403))
async def get_settings(services: TheServices, caller: MayAdmin) -> ServerSettings:
    """Return the current settings. They contain no secrets and no tokens."""
    return services.server


@settings_router.patch(
    "",
    summary="Change settings",
    responses=responses(400, 401, 403, 413, 415, 422),
)
async def change_settings(
    services: TheServices, caller: MayAdmin, change: SettingsChange
) -> ServerSettings:
    """Change settings until the next restart. Put permanent changes into the config file."""
    if change.retention is not None:
        overrides: dict[str, Any] = change.retention.model_dump(exclude_unset=True)
        kept = services.server.retention.model_dump() | overrides
        update = {"retention": Retention.model_validate(kept)}
        services.server = services.server.model_copy(update=update)
    return services.server


secrets_router = APIRouter(prefix="/secrets", tags=["system"], route_class=JsonRoute)


class SecretValue(BaseModel):
    """A secret to store. Its value is never returned."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: Annotated[
        SecretStr, Field(description="The value: 4 to 4096 printable characters without spaces.")
    ]
    hosts: Annotated[
        list[str],
        Field(description="Hosts that it may be sent to, such as `api.openai.com`.", max_length=64),
    ]


def _secrets(services: Services) -> SecretStore:
    return SecretStore(services.home / SECRETS_FILE)


def _secret_info(secret: StoredSecret) -> shapes.SecretInfo:
    return shapes.SecretInfo(
        name=secret.name, hosts=secret.hosts, source=secret.source, changed=secret.changed
    )


@secrets_router.get("", summary="List the secrets", responses=responses(401, 403))
async def list_secrets(services: TheServices, caller: MayRun) -> shapes.SecretList:
    """Return the names and hosts of the secrets that nodes can name. Values are never returned."""
    secrets = await services.run_in_thread(_secrets(services).list)
    return shapes.SecretList(secrets=tuple(map(_secret_info, secrets)))


@secrets_router.put(
    "/{name}", summary="Store a secret", responses=responses(400, 401, 403, 413, 415, 422)
)
async def set_secret(
    services: TheServices, caller: MayAdmin, name: str, secret: SecretValue
) -> shapes.SecretInfo:
    """Store or replace a secret. It is sent to the hosts in `hosts` and to no others."""
    store, value = _secrets(services), secret.value.get_secret_value()
    stored = await services.run_in_thread(partial(store.set, name, value, secret.hosts))
    return _secret_info(stored)


@secrets_router.delete(
    "/{name}", status_code=204, summary="Remove a secret", responses=responses(401, 403, 422)
)
async def remove_secret(services: TheServices, caller: MayAdmin, name: str) -> None:
    """Remove a secret. Jobs that name it fail from then on."""
    await services.run_in_thread(partial(_secrets(services).remove, name))


router = APIRouter(prefix="/system", tags=["system"])
_WORKER = TypeAdapter(shapes.WorkerInfo)


@router.get("", summary="Get the state of the server", responses=responses(401, 403, 503))
async def get_system(services: TheServices, caller: MayRead) -> shapes.System:
    """Return versions, processes, devices, memory and the state of the queue."""
    workers = await services.queue_reads.run(_workers, services, caller)
    measured = await services.read_queue(_measured, services, caller)
    types = services.node_types.now
    return shapes.System(
        version=VERSION,
        python=".".join(map(str, sys.version_info[:3])),
        started=services.started,
        uptime=services.uptime,
        devices=tuple(sorted({each.device for each in workers if each.role == "worker"})),
        workers=tuple(workers),
        packs=dict(types.packs),
        node_types=len(types.specs),
        problems=tuple(types.problems),
        **measured,
    )


def _workers(services: Services, caller: Caller) -> list[shapes.WorkerInfo]:
    return [_worker(asdict(each), caller, services) for each in services.worker_states()]


def _worker(worker: dict[str, Any], caller: Caller, services: Services) -> shapes.WorkerInfo:
    worker["per_hour"] = services.throughput.per_hour(worker["name"], worker["done"])
    first = worker["job"] or worker["helps"]
    if first is not None and caller.only_client is not None:
        visible = [job for job in worker["jobs"] if _sees(services, caller, job)]
        worker |= {"job": next(iter(visible), None), "jobs": visible}
        if first not in visible and not (
            first == worker["helps"] and _sees(services, caller, first)
        ):
            worker |= {"helps": None, "node": None}
    return _WORKER.validate_python(worker)


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
        "memory": shapes.Memory(total=machine.total, available=machine.available, server=own),
        "disk": shapes.Disk(total=disk.total, free=disk.free),
        "queue": shapes.QueueInfo(
            paused=services.queue.is_paused(),
            counts=shapes.Counts(**asdict(services.queue.counts(caller.only_client))),
            fault=services.queue_fault(),
        ),
    }


@router.post("/refresh", summary="Reload the node packs", responses=responses(401, 403, 503))
async def refresh(services: TheServices, caller: MayAdmin) -> shapes.Refreshed:
    """Read new and changed packs. Each worker loads them when it has no job."""
    types = await services.refresh_node_types()
    return shapes.Refreshed(node_types=len(types.specs), problems=tuple(types.problems))
