"""The commands of `nodegraph queue` and `nodegraph cluster`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.job_selection import TagOption
from nodegraph.cli.options import CommonOptions, JsonOption, ServerOption, open_client
from nodegraph.cli.output import (
    StyledText,
    echo,
    format_size,
    format_time,
    pluralize,
    print_json,
    print_table,
)
from nodegraph.cli.runs import format_title

if TYPE_CHECKING:
    from nodegraph.client import JobSummary, QueueState, System
    from nodegraph.client.shapes import WorkerInfo


def clear(
    common: CommonOptions,
    tag: TagOption = None,
    client: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only jobs of the owner of this token.")
    ] = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Cancel all jobs that wait.

    A token cancels its owner's jobs; an admin token those of all clients, or of --client.
    Running jobs continue.
    """
    with open_client(server) as connection:
        number = connection.queue.clear(client=client, tag=tag)
    if json:
        print_json({"cancelled": number})
    else:
        echo(f"Cancelled {pluralize(number, 'job')}.")
    return 0


def resume(common: CommonOptions, server: ServerOption = None, json: JsonOption = False) -> int:
    """Start jobs again.

    It needs an admin token.
    """
    with open_client(server) as client:
        print_state(client.queue.resume(), json=json)
    return 0


def pause(common: CommonOptions, server: ServerOption = None, json: JsonOption = False) -> int:
    """Start no more jobs.

    This stays so after a restart of the server. Running jobs continue. It needs an admin
    token.
    """
    with open_client(server) as client:
        print_state(client.queue.pause(), json=json)
    return 0


def show(
    common: CommonOptions,
    limit: Annotated[
        int, typer.Option(metavar="N", help="List at most this many", min=0, max=1_000)
    ] = 20,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Show whether the queue runs, how many jobs wait, and which come next.

    A token sees its owner's jobs; an admin token sees all. `nodegraph queue` alone does the
    same.
    """
    with open_client(server) as client:
        queue = client.queue.get(limit)
    print_json(asdict(queue)) if json else _print(queue)
    return 0


def print_state(queue: QueueState, *, json: bool) -> None:
    """Print whether a queue goes on."""
    if json:
        print_json({"paused": queue.paused, "counts": asdict(queue.counts)})
    else:
        echo("The queue ", _state_part(queue), ".")


def _state_part(queue: QueueState) -> StyledText:
    return ("is paused", "yellow") if queue.paused else "runs"


def _print(queue: QueueState) -> None:
    print_state(queue, json=False)
    counts = queue.counts
    ended = f"{counts.finished} finished, {counts.failed} failed, {counts.cancelled} cancelled"
    rows: list[tuple[StyledText, ...]] = [
        ("waiting", f"{counts.queued}, {counts.held} of them held"),
        ("running", str(counts.running)),
        ("ended", ended),
    ]
    print_table(rows, indent=2)
    if queue.upcoming:
        echo()
        heads = [(head, "bold") for head in ("next", "priority", "client", "submitted", "name")]
        print_table([heads, *(_row(job) for job in queue.upcoming)])


def _row(job: JobSummary) -> list[StyledText]:
    name = format_title(job.name)
    return [job.id, str(job.priority), job.client, format_time(job.created), name]


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
        _print_workers(system)
    return 0


def _workers(system: System) -> list[WorkerInfo]:
    return [worker for worker in system.workers if worker.role == "worker"]


def _print_workers(system: System) -> None:
    workers = _workers(system)
    if not workers:
        echo("No workers.")
        return
    head = ("worker", "machine", "device", "state", "jobs", "an hour", "memory")
    print_table([(*head, "models and faults"), *[_worker_row(worker) for worker in workers]])
    counts = system.queue.counts
    waiting = counts.queued - counts.held
    pace = sum(worker.per_hour or 0.0 for worker in workers)
    echo(
        f"{waiting} jobs wait, {counts.running} run, {counts.finished} have finished; {pace:.0f} "
        "an hour recently."
    )


def _worker_row(worker: WorkerInfo) -> tuple[StyledText, ...]:
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
