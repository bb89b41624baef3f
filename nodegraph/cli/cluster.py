"""The commands of `nodegraph cluster`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from nodegraph.cli.options import CommonOptions, JsonOption, ServerOption, open_client
from nodegraph.cli.output import StyledText, echo, format_size, print_json, print_table

if TYPE_CHECKING:
    from nodegraph.client import System
    from nodegraph.client.shapes import WorkerInfo

_COLOURS = {"busy": "green", "dead": "red", "starting": "yellow", "stopping": "yellow"}


def status(common: CommonOptions, server: ServerOption = None, json: JsonOption = False) -> int:
    """Show the workers of a server and their machines.

    It works for a server without a cluster, too, whose workers run on its machine.
    `nodegraph cluster` alone does the same.
    """
    with open_client(server) as client:
        system = client.system()
    if json:
        workers = [asdict(worker) for worker in _workers(system)]
        print_json({"workers": workers, "queue": asdict(system.queue)})
    else:
        _print(system)
    return 0


def _workers(system: System) -> list[WorkerInfo]:
    return [worker for worker in system.workers if worker.role == "worker"]


def _print(system: System) -> None:
    workers = _workers(system)
    if not workers:
        echo("No workers.")
        return
    head = ("worker", "machine", "device", "state", "jobs", "an hour", "memory")
    print_table([(*head, "models and faults"), *[_row(worker) for worker in workers]])
    counts = system.queue.counts
    waiting = counts.queued - counts.held
    pace = sum(worker.per_hour or 0.0 for worker in workers)
    echo(
        f"{waiting} jobs wait, {counts.running} run, {counts.finished} have finished; {pace:.0f} "
        "an hour recently."
    )


def _row(worker: WorkerInfo) -> tuple[StyledText, ...]:
    return (
        worker.name,
        _machine(worker.host),
        worker.device,
        (_activity(worker), _COLOURS.get(worker.state, "")),
        str(worker.done),
        "-" if worker.per_hour is None else f"{worker.per_hour:.0f}",
        _memory(worker),
        worker.fault or ", ".join(worker.weights) or "-",
    )


def _activity(worker: WorkerInfo) -> str:
    if worker.helps:
        return f"helps {worker.helps}"
    return f"{worker.state}, {len(worker.jobs)} jobs" if len(worker.jobs) > 1 else worker.state


def _machine(host: str | None) -> str:
    if host is None:
        return "the server"
    return host or "waiting for one"


def _memory(worker: WorkerInfo) -> str:
    parts = [worker.memory, worker.device_memory]
    return " + ".join(format_size(part) for part in parts if part is not None) or "-"
