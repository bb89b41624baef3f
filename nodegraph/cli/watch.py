"""`nodegraph watch`: a job of a server as if it ran here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, cast

import typer

from nodegraph.cli.job_selection import LAST, JobArgument, exit_code, find_job, print_outcome
from nodegraph.cli.options import CommonOptions, JsonOption, ServerOption, open_client
from nodegraph.cli.output import CANCELLED, echo_stderr, print_json, to_json
from nodegraph.cli.progress import progress_for
from nodegraph.core.events import Event as RunEvent
from nodegraph.core.events import EventKind
from nodegraph.errors import InvalidValue
from nodegraph.observe.progress import Silent

if TYPE_CHECKING:
    from nodegraph.client import Client, Event, Job

_REASONS = {
    "released": "its worker returned it",
    "died": "its worker died",
    "recovered": "the server was restarted",
}


class JobLines:
    """Writes each event of a job as a line of JSON as it comes."""

    def show(self, event: Event) -> None:
        """Write an event."""
        line = {
            "seq": event.seq,
            "job": event.job,
            "attempt": event.attempt,
            "number": event.number,
            "kind": event.kind,
            "at": event.at,
            "node": event.node,
            "seconds": event.seconds,
            "data": event.data,
        }
        print(to_json(line), flush=True)


def follow_job(
    client: Client, id: str, types: Mapping[str, str], *, events: bool, quiet: bool
) -> Job:
    """A job once it has ended; until then it is shown how it goes on.

    Args:
        types: Node types by node.
        events: Print events as lines of JSON instead.
        quiet: Show nothing.
    """
    lines = JobLines() if events else None
    with ExitStack() as stack:
        shown = stack.enter_context(progress_for(sys.stderr, types, quiet=quiet or events))
        display = _Display(shown)
        for event in client.watch(id, live=lines is not None or not quiet):
            if lines is not None:
                lines.show(event)
            display.show(event)
    return client.get(id)


class _Display:
    """Hands a job's events to what shows a run."""

    def __init__(self, shown: Silent) -> None:
        self._shown = shown
        self._attempt: int | None = None

    def show(self, event: Event) -> None:
        """Show an event."""
        if event.number is None:
            self._of_queue(event)
            return
        if event.attempt != self._attempt:
            again = "" if self._attempt is None else f"attempt {event.attempt}"
            self._shown.start(again)
            self._attempt = event.attempt
        kind = cast(EventKind, event.kind)
        seconds = event.seconds or 0.0
        self._shown.show(RunEvent(event.number, kind, event.node, seconds, event.data))

    def _of_queue(self, event: Event) -> None:
        if event.kind == "job.requeued":
            reason = str(event.data.get("reason"))
            self._shown.say(f"it waits again: {_REASONS.get(reason, reason)}")
        elif event.kind == "job.held":
            self._shown.say("held until it is released")


EventsOption = Annotated[bool, typer.Option("--events", help="Print events as lines of JSON.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only the names of the files, and errors.")
]


def watch(
    common: CommonOptions,
    job: JobArgument = LAST,
    server: ServerOption = None,
    json: JsonOption = False,
    events: EventsOption = False,
    quiet: QuietOption = False,
) -> int:
    """Watch a job of a server until it ends.

    It shows past events, too, and reconnects if the connection breaks. Ctrl-C ends the
    watching, not the job.
    """
    check_outputs(json=json, events=events)
    with open_client(server) as client:
        job_id = find_job(client, job).id
        ended = follow_until_interrupted(
            client, job_id, types_of(client, job_id), events=events, quiet=quiet or json
        )
    if ended is None:
        return CANCELLED
    show_end(ended, json=json, events=events, quiet=quiet)
    return exit_code(ended)


def check_outputs(*, json: bool, events: bool) -> None:
    """Refuse two things for stdout.

    Raises:
        InvalidValue: They were both asked for.
    """
    if json and events:
        raise InvalidValue("--json and --events both write to stdout", hint="Choose one of them.")


def types_of(client: Client, id: str) -> dict[str, str]:
    """The node types of a job's workflow by node.

    Raises:
        NodegraphError: There is no such job.
    """
    nodes = client.workflow(id).get("nodes", {})
    return {name: str(node.get("type", "")) for name, node in nodes.items()}


def follow_until_interrupted(
    client: Client, id: str, types: dict[str, str], *, events: bool, quiet: bool
) -> Job | None:
    """A job once it has ended; None if the user has had enough before."""
    try:
        return follow_job(client, id, types, events=events, quiet=quiet)
    except KeyboardInterrupt:
        echo_stderr(
            f"The job continues: `nodegraph watch {id}` shows it, `nodegraph cancel {id}` cancels "
            "it."
        )
        return None


def show_end(job: Job, *, json: bool, events: bool, quiet: bool) -> None:
    """Print how a job has ended."""
    if json:
        print_json(asdict(job))
        return
    # Beside events, stdout has no room for people.
    with redirect_stdout(sys.stderr if events else sys.stdout):
        print_outcome(job, quiet=quiet)
