"""`nodegraph submit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.bringing import FileUploader
from nodegraph.cli.connecting import ServerOption, open_client
from nodegraph.cli.functions import ExtraOptions
from nodegraph.cli.job_view import exit_code
from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import CANCELLED, echo, echo_stderr, print_json
from nodegraph.cli.parameters import parameter_texts
from nodegraph.cli.prepared import (
    BypassOption,
    MuteOption,
    RunRequest,
    SetOption,
    ToOption,
    WorkflowArgument,
    parse_modes,
)
from nodegraph.cli.pull import download_files, file_documents, out_folder, print_pulled
from nodegraph.cli.remote import apply_request, get_remote, remote_options
from nodegraph.cli.watch import EventsOption, check_outputs, follow_until_interrupted, show_end

if TYPE_CHECKING:
    from nodegraph.client import Client, Job, JobFields, JobSummary


SavedOption = Annotated[
    bool, typer.Option("--saved", help="WORKFLOW is the name of one saved on the server.")
]
NameOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="The job's  [default: the workflow's title]")
]
TagsOption = Annotated[
    list[str] | None, typer.Option(metavar="TAG", help="To find it by; may be repeated.")
]
PriorityOption = Annotated[
    int, typer.Option(metavar="N", help="The highest goes first.", min=-100, max=100)
]
HoldOption = Annotated[bool, typer.Option("--hold", help="Let it wait until it is let go.")]
DeadlineOption = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Cancel it if it runs for longer than this."),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="KEY", help="With the same one, there is one job however often this is run."
    ),
]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Watch it until it ends.")]
BringOption = Annotated[
    str | None,
    typer.Option(
        "--out", "-o", metavar="DIR", help="Watch it, and download its files into this folder."
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print nothing but the job's id or files, and errors."),
]


def submit(
    common: CommonOptions,
    more: ExtraOptions,
    workflow: WorkflowArgument,
    set_: SetOption = None,
    to: ToOption = None,
    mute: MuteOption = None,
    bypass: BypassOption = None,
    saved: SavedOption = False,
    name: NameOption = None,
    tag: TagsOption = None,
    priority: PriorityOption = 0,
    hold: HoldOption = False,
    deadline: DeadlineOption = None,
    key: KeyOption = None,
    watch: WatchOption = False,
    out: BringOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
    events: EventsOption = False,
    quiet: QuietOption = False,
) -> int:
    """Have a server run a workflow.

    Files of this machine that it reads are uploaded. The workflow's named parameters are options
    too: `nodegraph submit WORKFLOW --help` lists them. Once the job's id is printed, it survives
    whatever happens here or there.
    """
    check_outputs(json=json, events=events)
    about = _about(name, tag, priority, hold, deadline)
    with open_client(server) as client:
        remote = get_remote(client, workflow, more, is_saved=saved)
        texts = parameter_texts(remote.opened.workflow, more.values)
        request = RunRequest(to or None, set_ or (), texts, parse_modes(mute, bypass))
        ready, values = apply_request(remote, request)
        folder = common.settings().environment(inputs=remote.opened.folder).inputs
        bringer = FileUploader(client, remote.types, folder, quiet=quiet or json)
        about |= {
            "targets": request.targets,
            "parameters": bringer.upload_parameter_files(ready, values),
        }
        job = client.submit(bringer.upload_workflow_files(ready), key=key, **about)
        if not (watch or events or out is not None):
            _tell_of(job, client, json=json, quiet=quiet)
            return 0
        types = {each: node.type for each, node in ready.nodes.items()}
        ended = follow_until_interrupted(client, job.id, types, events=events, quiet=quiet or json)
        if ended is None:
            return CANCELLED
        if out is None or ended.state != "finished":
            show_end(ended, json=json, events=events, quiet=quiet)
        else:
            _bring(client, ended, out_folder(common, out), json=json, events=events)
    return exit_code(ended)


def _about(
    name: str | None, tags: list[str] | None, priority: int, hold: bool, deadline: float | None
) -> JobFields:
    about: JobFields = {"priority": priority, "held": hold, "tags": tags or []}
    if name is not None:
        about["name"] = name
    if deadline is not None:
        about["options"] = {"deadline": deadline}
    return about


def more_options(common: CommonOptions, arguments: Sequence[str]) -> ExtraOptions:
    """The parameters of the workflow that the arguments name.

    Raises:
        NodegraphError: The workflow can't be read, or the server not be asked.
    """
    return remote_options(submit, arguments)


def _tell_of(job: JobSummary, client: Client, *, json: bool, quiet: bool) -> None:
    if json:
        print_json(asdict(job))
        return
    # Alone on stdout, so that a script can take it.
    echo(job.id)
    if not quiet:
        echo_stderr(
            f"Submitted to {client.server}. `nodegraph watch {job.id}` shows how it goes on."
        )


def _bring(client: Client, job: Job, folder: Path, *, json: bool, events: bool) -> None:
    files = download_files(client, job, folder)
    if json:
        document: dict[str, Any] = {**asdict(job), "files": file_documents(files)}
        print_json(document)
    elif events:
        for file in files:
            echo_stderr(str(file.path))
    else:
        print_pulled(files)
