"""`nodegraph submit`: upload a workflow's files to a server, and queue it as a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nodegraph.cli.argument_scan import option_names, scan
from nodegraph.cli.job_selection import exit_code
from nodegraph.cli.jobs import download_files, file_documents, out_folder, print_pulled
from nodegraph.cli.options import (
    CommonOptions,
    ExtraOptions,
    JsonOption,
    ServerOption,
    common_options,
    declared_options,
    open_client,
)
from nodegraph.cli.output import (
    CANCELLED,
    echo,
    echo_stderr,
    format_path,
    format_size,
    pluralize,
    print_json,
)
from nodegraph.cli.run_request import (
    BypassOption,
    MetadataOption,
    MuteOption,
    NoPromptsOption,
    RowsOption,
    RunRequest,
    SetOption,
    SidecarOption,
    ToOption,
    WorkflowArgument,
    file_options,
    named_workflow,
    parameter_options,
    parameter_texts,
    parse_modes,
    with_values,
)
from nodegraph.cli.variations import by_row
from nodegraph.cli.watch import EventsOption, check_outputs, follow_until_interrupted, show_end
from nodegraph.cli.workflow_source import OpenedWorkflow, open_workflow
from nodegraph.core.declarations import input_spec, parameter_values
from nodegraph.core.links import is_link
from nodegraph.core.parts import NodeEntry
from nodegraph.core.rows import Row, read_rows
from nodegraph.core.spec import InputSpec
from nodegraph.core.subgraphs import SpecResolver
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, NodegraphError

if TYPE_CHECKING:
    from nodegraph.client import (
        Client,
        Job,
        JobFields,
        JobGroup,
        JobSummary,
        NodeTypes,
        WebhookFields,
    )

_HELP = {"-h", "--help"}
_SAVED = "--saved"


@dataclass(frozen=True)
class RemoteWorkflow:
    """A workflow and the node types of the server that is to run it."""

    opened: OpenedWorkflow
    types: NodeTypes


def remote_options(function: Callable[..., Any], arguments: Sequence[str]) -> ExtraOptions:
    """The parameters of the workflow that a command's arguments name, as the server has them.

    Args:
        function: The command's, whose first argument is the workflow.
    Raises:
        NodegraphError: The workflow can't be read, or the server not be asked.
    """
    declared = {**declared_options(function), **common_options()}
    scanned = scan(arguments, declared)
    name = named_workflow(scanned.positional, scanned.ambiguous)
    if name is None:
        return ExtraOptions()
    try:
        with open_client(scanned.values.get("server", [None])[-1]) as client:
            remote = _opened(client, name, is_saved=_SAVED in arguments)
    except NodegraphError:
        if _HELP & set(arguments):
            return ExtraOptions()
        raise
    workflow = remote.opened.workflow
    return ExtraOptions(
        parameter_options(workflow, remote.types, option_names(declared)), opened=remote
    )


def get_remote(client: Client, name: str, more: ExtraOptions, *, is_saved: bool) -> RemoteWorkflow:
    """The workflow of a command, which `remote_options` may have opened already.

    Raises:
        NodegraphError: It can't be read.
    """
    # Standard input can be read only once.
    opened = more.opened
    is_known = isinstance(opened, RemoteWorkflow) and opened.opened.name == name
    return opened if is_known else _opened(client, name, is_saved=is_saved)


def _opened(client: Client, name: str, *, is_saved: bool) -> RemoteWorkflow:
    if is_saved:
        document = dict(client.workflows.get(name))
        return RemoteWorkflow(
            OpenedWorkflow(Workflow.from_dict(document), name, None), client.node_types()
        )
    opened = open_workflow(name)
    return RemoteWorkflow(opened, client.node_types())


def apply_request(remote: RemoteWorkflow, request: RunRequest) -> tuple[Workflow, dict[str, Any]]:
    """The workflow with its inputs and modes set, and the values of its parameters apart.

    Raises:
        InvalidWorkflow: Lists all that is wrong with what was given.
    """
    own = RunRequest(request.targets, request.assignments, {}, request.modes)
    workflow, value_problems = with_values(remote.types, remote.opened.workflow, own)
    problems = list(value_problems)
    values: dict[str, Any] = {}
    try:
        workflow, values = parameter_values(workflow, remote.types, request.parameters)
    except InvalidWorkflow as error:
        problems += error.problems
    if problems:
        raise InvalidWorkflow(problems)
    return workflow, values


_FILE = "file:"
_FILE_STATUS_CODES = (413, 415, 422)
"""Statuses that say something of the file that was sent."""


class FileUploader:
    """Uploads what inputs of a workflow name, each file once.

    Inputs that name no file here stay as they are: they may name one of the server's.

    Args:
        types: Tell which inputs take files; models stay where they are.
        folder: Where relative paths start.
        quiet: Say nothing of it.
    """

    def __init__(self, client: Client, types: NodeTypes, folder: Path, *, quiet: bool) -> None:
        self._client = client
        self._types = types
        self._folder = folder
        self._quiet = quiet
        self._brought: dict[Path, str] = {}

    def upload_workflow_files(self, workflow: Workflow) -> dict[str, Any]:
        """What the file of a workflow says, with uploads in place of paths.

        Raises:
            InvalidFile: One of them isn't taken by the server.
        """
        document = deepcopy(workflow.to_dict())
        specs = SpecResolver(workflow, self._types)
        self._nodes(document.get("nodes", {}), workflow.nodes, specs)
        for name, block in workflow.subgraphs.items():
            self._nodes(document["subgraphs"][name].get("nodes", {}), block.nodes, specs)
        return document

    def _nodes(
        self, written: dict[str, Any], entries: Mapping[str, NodeEntry], specs: SpecResolver
    ) -> None:
        for name, entry in entries.items():
            spec = specs.resolve(entry)
            inputs = written[name].get("inputs", {})
            for port in spec.inputs if spec is not None else ():
                if port.name in inputs and _takes_file(port):
                    inputs[port.name] = self._value(inputs[port.name])

    def upload_parameter_files(
        self, workflow: Workflow, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Values of parameters, with uploads in place of paths; raises as `workflow` does."""
        converted = {}
        for name, value in values.items():
            port = self._port(workflow, name)
            converted[name] = (
                self._value(value) if port is not None and _takes_file(port) else value
            )
        return converted

    def upload_row_files(self, workflow: Workflow, row: Row) -> Row:
        """A row of a table, with uploads in place of paths; raises as `upload_workflow_files`."""
        ports = {name: self._port(workflow, name) for name in row}
        return {
            name: self._file(text) if (port := ports[name]) and _takes_file(port) else text
            for name, text in row.items()
        }

    def _port(self, workflow: Workflow, name: str) -> InputSpec | None:
        """What a parameter takes, or an input as ``node.input``."""
        parameter = workflow.parameters.get(name)
        target = name if parameter is None else parameter.input
        try:
            return input_spec(workflow, target, self._types)
        except InvalidWorkflow:
            return None  # the server tells of it

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, dict) and not is_link(value):
            return {key: self._value(item) for key, item in value.items()}
        return self._file(value) if isinstance(value, str) else value

    def _file(self, text: str) -> str:
        path = self._path(text)
        if path is None:
            return text
        if path not in self._brought:
            self._brought[path] = self._upload(path)
        return self._brought[path]

    def _path(self, text: str) -> Path | None:
        """The file of this machine that a text names, if it names one."""
        try:
            path = self._folder / Path(text).expanduser()
            return path if path.is_file() else None
        except (OSError, RuntimeError, ValueError):
            return None  # nobody's home, a zero byte, a name that is too long

    def _upload(self, path: Path) -> str:
        try:
            upload = self._client.upload(path)
        except NodegraphError as error:
            if not _is_about_file(error):
                raise
            # Nobody would know otherwise which of the files it is.
            problem = error.problem
            raise InvalidFile(
                f"{format_path(path)} cannot be uploaded: {problem.message}",
                given=problem.given,
                expected=problem.expected,
                hint=problem.hint,
            ) from error
        if not self._quiet:
            echo_stderr(f"Uploaded {format_path(path)}, {format_size(upload.size)}.")
        return upload.value


def _is_about_file(error: NodegraphError) -> bool:
    from nodegraph.client import ServerError

    if isinstance(error, ServerError):
        return error.status in _FILE_STATUS_CODES
    return isinstance(error, (InvalidFile, InvalidWorkflow, InvalidValue))


def _takes_file(port: InputSpec) -> bool:
    return port.widget.startswith(_FILE) and not port.is_model_file


SavedOption = Annotated[
    bool, typer.Option("--saved", help="WORKFLOW is the name of a workflow saved on the server.")
]
NameOption = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Name of the job  [default: the workflow's title]"),
]
TagsOption = Annotated[
    list[str] | None, typer.Option(metavar="TAG", help="Tag to find the job by; may be repeated.")
]
PriorityOption = Annotated[
    int,
    typer.Option(metavar="N", help="Jobs with the highest priority run first.", min=-100, max=100),
]
HoldOption = Annotated[bool, typer.Option("--hold", help="Hold the job until `jobs unhold`.")]
DeadlineOption = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Cancel the job if it runs longer than this."),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Start the job no sooner: 02:00 is the next time of this hour here, 2026-12-01T02:00 "
        "a local time.",
    ),
]
InOption = Annotated[
    str | None, typer.Option("--in", metavar="PERIOD", help="Start the job after 90m, 2h or 1d.")
]
WebhookOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Send events of the job there; none: not even to the webhook of the token.",
    ),
]
WebhookEventsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="EVENT",
        help="Event for --webhook, such as job.started; may be repeated  [default: those that end "
        "the job]",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Submitting again with the same key returns the same job."),
]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Watch the job until it ends.")]
BringOption = Annotated[
    str | None,
    typer.Option(
        "--out", "-o", metavar="DIR", help="Watch the job, and download its files into this folder."
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print only the job's id or files, and errors."),
]


def submit(
    common: CommonOptions,
    more: ExtraOptions,
    workflow: WorkflowArgument,
    set_: SetOption = None,
    to: ToOption = None,
    mute: MuteOption = None,
    bypass: BypassOption = None,
    rows: RowsOption = None,
    saved: SavedOption = False,
    name: NameOption = None,
    tag: TagsOption = None,
    priority: PriorityOption = 0,
    hold: HoldOption = False,
    deadline: DeadlineOption = None,
    at: AtOption = None,
    in_: InOption = None,
    webhook: WebhookOption = None,
    webhook_event: WebhookEventsOption = None,
    key: KeyOption = None,
    watch: WatchOption = False,
    out: BringOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
    events: EventsOption = False,
    quiet: QuietOption = False,
    metadata: MetadataOption = None,
    no_prompts: NoPromptsOption = False,
    sidecar: SidecarOption = False,
) -> int:
    """Run a workflow on a server.

    It uploads the files of this machine that the workflow reads. The workflow's named parameters
    are options too: `nodegraph submit WORKFLOW --help` lists them. Once the job's id is printed,
    the job survives a crash on either side.
    """
    check_outputs(json=json, events=events)
    about = _about(name, tag, priority, hold, deadline)
    texts_of_files = file_options(metadata, no_prompts=no_prompts, sidecar=sidecar)
    if texts_of_files:
        about["options"] = {**about.get("options", {}), **texts_of_files}
    if at is not None or in_ is not None:
        about["not_before"] = _start_time(at, in_)
    if webhook is not None or webhook_event:
        about["webhook"] = _webhook(webhook, webhook_event)
    with open_client(server) as client:
        remote = get_remote(client, workflow, more, is_saved=saved)
        texts = parameter_texts(remote.opened.workflow, more.values)
        request = RunRequest(to or None, set_ or (), texts, parse_modes(mute, bypass))
        folder = common.settings().environment(inputs=remote.opened.folder).inputs
        bringer = FileUploader(client, remote.types, folder, quiet=quiet or json)
        about["targets"] = request.targets
        if rows is not None:
            if watch or events or out is not None:
                raise InvalidValue(
                    "--rows cannot be combined with --watch, --events and --out",
                    hint="Submit first, then run `nodegraph watch` with a job's id.",
                )
            group = _submit_rows(
                client, remote, request, read_rows(Path(rows)), bringer, about, key
            )
            _tell_of_rows(group, client, json=json, quiet=quiet)
            return 0
        ready, values = apply_request(remote, request)
        about["parameters"] = bringer.upload_parameter_files(ready, values)
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


def _submit_rows(
    client: Client,
    remote: RemoteWorkflow,
    request: RunRequest,
    rows: Sequence[Row],
    bringer: FileUploader,
    about: JobFields,
    key: str | None,
) -> JobGroup:
    """Submit a job for each row, all of them or none."""
    workflow = remote.opened.workflow
    # Before any file is uploaded.
    by_row(request, workflow, rows, lambda values: apply_request(remote, values))
    ready, values = apply_request(remote, request)
    about["parameters"] = bringer.upload_parameter_files(ready, values)
    table = [bringer.upload_row_files(workflow, row) for row in rows]
    return client.submit_rows(bringer.upload_workflow_files(ready), table, key=key, **about)


def _about(
    name: str | None, tags: list[str] | None, priority: int, hold: bool, deadline: float | None
) -> JobFields:
    about: JobFields = {"priority": priority, "held": hold, "tags": tags or []}
    if name is not None:
        about["name"] = name
    if deadline is not None:
        about["options"] = {"deadline": deadline}
    return about


def _start_time(at: str | None, in_: str | None) -> float:
    """Unix time before which a job does not start."""
    from nodegraph.jobs.queue.schedules import parse_clock_time, parse_period

    if at is not None and in_ is not None:
        raise InvalidValue("--at and --in cannot be combined", expected="one of them")
    return time() + parse_period(in_) if in_ is not None else parse_clock_time(at or "", time())


def _webhook(url: str | None, events: list[str] | None) -> WebhookFields | Literal["none"]:
    """Where events of a job are sent."""
    if url is None or (events and url == "none"):
        raise InvalidValue("--webhook-event needs an address", expected="--webhook URL")
    if url == "none":
        return "none"
    return {"url": url, "events": events} if events else {"url": url}


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
        echo_stderr(f"Submitted to {client.server}. `nodegraph watch {job.id}` shows its progress.")


def _tell_of_rows(group: JobGroup, client: Client, *, json: bool, quiet: bool) -> None:
    if json:
        jobs = client.list(tag=group.group, order="oldest", limit=1_000)
        print_json({"group": group.group, "jobs": [asdict(job) for job in jobs]})
        return
    for job in group.jobs:
        echo(job)
    if not quiet:
        echo_stderr(
            f"Submitted {pluralize(len(group.jobs), 'job')} to {client.server}. "
            f"`nodegraph queue clear --tag {group.group}` cancels those that wait."
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
