"""Convert the server's settings to the rules of its parts: limits, retention, workers, clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.core.host_memory import SHARE, host_weights_budget, total_memory
from nodegraph.jobs.cluster.autoscaling import (
    WorkerKind,
    count_worker_slots,
    needs_of,
    usual_device,
)
from nodegraph.jobs.queue import Limits, RetentionRules
from nodegraph.jobs.queue.job_order import INFINITE
from nodegraph.jobs.supervisor.worker_spec import (
    Needs,
    SupervisionRules,
    WorkerSpec,
    settings_flags,
)
from nodegraph.server.content.uploads import UploadRules
from nodegraph.server.settings import ClientLimits, ClusterKind, Retention, ServerSettings
from nodegraph.session.devices import visible_gpu_count
from nodegraph.session.settings import Settings, path_redactor

if TYPE_CHECKING:
    from nodegraph.jobs.cluster.connection import Node

PLANNER = "planner"


def client_limits(clients: ClientLimits) -> Limits:
    """What each client may have in the queue."""
    running = INFINITE if clients.running is None else clients.running
    return Limits(waiting=clients.waiting, running=running, bytes=clients.bytes)


def retention_rules(retention: Retention) -> RetentionRules:
    """Which ended jobs are kept."""
    return RetentionRules(
        seconds=retention.seconds,
        count=retention.count,
        failed_seconds=retention.failed_seconds,
        failed_count=retention.failed_count,
    )


def upload_rules(server: ServerSettings) -> UploadRules:
    """What may be uploaded, and how long it is kept."""
    limits, retention = server.limits, server.retention
    return UploadRules(
        types=frozenset(server.uploads.types),
        bytes=limits.upload,
        pixels=limits.pixels,
        json_bytes=limits.body,
        json_depth=limits.json_depth,
        json_values=limits.json_values,
        nodes=limits.nodes,
        held=retention.upload_bytes,
        seconds=retention.upload_seconds,
    )


def supervision_rules(server: ServerSettings) -> SupervisionRules:
    """When a worker counts as ill.

    Together, workers of this machine may take a share of its memory, unless the settings say more
    or less: what takes it all would else end other programs, or the server.
    """
    limit = server.worker_memory
    if limit is None and server.cluster is None:
        limit = int((total_memory() or 0) * SHARE) // max(1, len(_devices(server)))
    return SupervisionRules(
        node_stall_seconds=server.stall_seconds,
        cancel_seconds=server.cancel_seconds,
        memory_limit=limit or None,
        shutdown_grace=server.shutdown_seconds,
        merge_jobs=server.merge_jobs,
    )


def worker_specs(
    settings: Settings, server: ServerSettings, packs: Sequence[Path]
) -> list[WorkerSpec]:
    """The processes of a server on its machine: the planner, and its workers but for a cluster's.

    Args:
        settings: As the workers are to have them.
    """
    devices = [] if server.cluster is not None else _devices(server)
    flags = _flags(settings, max(1, len(devices)))
    common = _common(settings, server, packs, flags)
    workers = [
        replace(common, name=f"worker-{at + 1}", device=device, without_gpu=is_spared)
        for at, (device, is_spared) in enumerate(zip(devices, _spared(devices), strict=True))
    ]
    planner = replace(common, name=PLANNER, role="planner", warm=False)
    return [*workers, planner]


def cluster_kinds(
    settings: Settings, server: ServerSettings, packs: Sequence[Path], nodes: Sequence[Node]
) -> list[WorkerKind]:
    """What workers of a cluster are to be like, and how many there are to be.

    Args:
        settings: As the workers are to have them.
        nodes: Of the cluster, as they are now.
    """
    # What isn't said about memory, each finds out on its machine.
    common = _common(settings, server, packs, settings_flags(settings))
    named = dict(server.cluster_kinds)
    if not named:
        devices = list(dict.fromkeys(server.devices)) or [usual_device(nodes)]
        named = {
            "worker" if len(devices) == 1 else device.partition(":")[0]: ClusterKind(device=device)
            for device in devices
        }
    kinds = []
    spared = _spared([kind.device for kind in named.values()])
    for (name, kind), is_spared in zip(named.items(), spared, strict=True):
        spec = replace(common, name=name, device=kind.device, needs=_needs(kind))
        spec = replace(spec, without_gpu=is_spared)
        kinds.append(_numbered(WorkerKind(spec, 0, 0), kind, server, nodes))
    return kinds


def _needs(kind: ClusterKind) -> Needs:
    gpus = needs_of(kind.device).gpus if kind.gpus is None else kind.gpus
    return Needs(gpus, kind.cpus, kind.memory, kind.resources, kind.labels)


def _numbered(
    worker_kind: WorkerKind, kind: ClusterKind, server: ServerSettings, nodes: Sequence[Node]
) -> WorkerKind:
    if server.workers is not None:
        return replace(worker_kind, least=server.workers, most=server.workers)
    most = kind.max_workers or server.cluster_max_workers
    most = most or max(1, count_worker_slots(nodes, worker_kind.spec.needs))
    least = server.cluster_min_workers if kind.min_workers is None else kind.min_workers
    return replace(worker_kind, least=min(least, most), most=most)


def _common(
    settings: Settings,
    server: ServerSettings,
    packs: Sequence[Path],
    flags: dict[str, object],
) -> WorkerSpec:
    """What all processes of a server have in common."""
    return WorkerSpec(
        "worker",
        settings=flags,
        packs=[str(path) for path in packs],
        warm=server.warm,
        places=path_redactor(settings),
    )


def _flags(settings: Settings, workers: int) -> dict[str, object]:
    """The settings of each worker: what they don't say about memory is for all workers together."""
    flags = settings_flags(settings)
    if settings.memory_cache is None:
        flags["memory_cache"] = settings.memory_budget // workers
    budget = host_weights_budget()
    if settings.host_weights_budget is None and budget is not None:
        flags["host_weights_budget"] = budget // workers
    return flags


def _devices(server: ServerSettings) -> list[str | None]:
    """Of the workers; None leaves it to the settings of the installation."""
    names: Sequence[str | None] = server.devices or _cards()
    if server.workers is None:
        return list(names) or [None]
    if not names:
        return [None] * server.workers
    return [names[at % len(names)] for at in range(server.workers)]


def _spared(devices: Sequence[str | None]) -> list[bool]:
    """Of each worker's device, whether jobs that need a GPU are left to other workers."""
    has_other = any(device != "cpu" for device in devices)
    return [has_other and device == "cpu" for device in devices]


def _cards() -> list[str]:
    """Names of this machine's cards, where there are several to share out."""
    count = visible_gpu_count()
    return [f"cuda:{at}" for at in range(count)] if count > 1 else []
