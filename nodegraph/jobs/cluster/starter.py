"""Starting workers' processes on the nodes of a cluster."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nodegraph.core.version import VERSION
from nodegraph.jobs.cluster.connection import Cluster
from nodegraph.jobs.cluster.exchange import Exchange
from nodegraph.jobs.cluster.parcels import Parcel, parcels
from nodegraph.jobs.cluster.process import ActorProcess, other_version
from nodegraph.jobs.supervisor.launch import Launch
from nodegraph.jobs.supervisor.messages import Ready
from nodegraph.jobs.supervisor.rules import WorkerSpec
from nodegraph.jobs.supervisor.starting import Ears
from nodegraph.session.settings import load_settings

_GIVEN_ON = ("OMP_NUM_THREADS",)
"""Variables of this process that workers have, too: they decide on results' last bits."""


class ActorStarter:
    """Starts each process by an actor of its own; see `Starter`.

    Args:
        cluster: Whose nodes they run on.
        exchange: Where they call.
    """

    def __init__(self, cluster: Cluster, exchange: Exchange) -> None:
        self._cluster = cluster
        self._exchange = exchange

    async def start(self, spec: WorkerSpec, ears: Ears) -> ActorProcess:
        sent = await asyncio.to_thread(_parcels, spec)
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

        return ActorProcess(actor, begin, ears, lambda: self._exchange.forget(secret))

    def refusal(self, ready: Ready) -> str | None:
        version = str(ready.versions.get("nodegraph", "of an unknown version"))
        return None if version == VERSION else other_version(version, "of this worker")


def _parcels(spec: WorkerSpec) -> list[Parcel]:
    # Packs may lie where only this machine looks.
    return parcels(spec.packs, load_settings(spec.settings).pack_folders)


def _launch(spec: WorkerSpec) -> dict[str, Any]:
    """What a worker is told that is the same on all machines."""
    launch = asdict(Launch.of(spec, ""))
    settings = {name: _plain(value) for name, value in launch["settings"].items()}
    del launch["parent"], launch["recorder"]
    return {**launch, "settings": settings}


def _plain(value: object) -> object:
    return os.fspath(value) if isinstance(value, Path) else value
