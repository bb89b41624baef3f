"""Starting workers' processes on the nodes of a cluster."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nodegraph.core.version import VERSION
from nodegraph.jobs.cluster.connection import Cluster
from nodegraph.jobs.cluster.exchange import CallbackServer
from nodegraph.jobs.cluster.parcels import PackArchive, archive_packs
from nodegraph.jobs.cluster.process import ActorProcess, version_mismatch
from nodegraph.jobs.supervisor.launch import Launch
from nodegraph.jobs.supervisor.messages import Ready
from nodegraph.jobs.supervisor.rules import WorkerSpec
from nodegraph.jobs.supervisor.starting import ProcessListener
from nodegraph.session.settings import load_settings

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
        self._given: tuple[Sequence[str], Sequence[Path]] = (), ()
        self._sent: dict[str, list[str]] = {}

    async def start(self, spec: WorkerSpec, ears: ProcessListener) -> ActorProcess:
        # Packs may lie where only this machine looks.
        self._given = spec.packs, load_settings(spec.settings).pack_folders
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
