"""Tools of MCP: functions of the server that are safe to offer to language models, and apps."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nodegraph.client import shapes
from nodegraph.core.digests import digest_bytes
from nodegraph.core.json_schema import inputs_json_schema
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow
from nodegraph.jobs.queue import Job, JobFilter, State
from nodegraph.packs.manifest import is_in_category, listed_type, search_types
from nodegraph.server.access.caller import Caller, Scope
from nodegraph.server.content.apps import App
from nodegraph.server.content.apps.app import parameters_schema
from nodegraph.server.events.hub import HubMessage
from nodegraph.server.http.dependencies import require_scope
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.problems import validation_problem
from nodegraph.server.protocols.app_runs import (
    WaitedTooLong,
    cancelled_on_leave,
    event_data,
    follow,
    read_file,
    saved_app,
    upload_bytes,
    upload_data_url,
)
from nodegraph.server.services import Services
from nodegraph.server.workflows.checks import check_size
from nodegraph.server.workflows.job_entries import job_detail, job_entry
from nodegraph.server.workflows.job_requests import (
    JobWish,
    change_visible_job,
    get_visible_job,
    plan_request,
    restrict_to_caller,
    submit,
    validate_request,
)
from nodegraph.session.examples import template, templates

URI = "nodegraph://"
PAGE = 100
_APP = "app"
_LONGEST_NAME = 50
"""Characters of an app's name in its tool's: clients accept 64 of a tool's name."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_WITH_DIGEST = re.compile(r"(?:^|_)[0-9a-f]{6}$")
_CHECKED = TypeAdapter(shapes.Checked)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Who calls a tool, and where.

    Attributes:
        report: Sends progress: done, total, text.
    """

    services: Services
    caller: Caller
    report: Callable[[float, float | None, str | None], Awaitable[None]]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SearchModels(_Arguments):
    text: Annotated[str, Field(max_length=200, description="Part of the name or family.")] = ""
    limit: Annotated[int, Field(ge=1, le=1_000)] = 200


class SearchWorkflows(_Arguments):
    text: Annotated[str, Field(max_length=200, description="Part of name or description.")] = ""


class NamedTemplate(_Arguments):
    name: Annotated[str, Field(max_length=256, description="From `list_templates`.")]


class NamedWorkflow(_Arguments):
    name: Annotated[str, Field(max_length=256, description="Name of a saved workflow.")]


class SearchNodeTypes(_Arguments):
    search: Annotated[
        str, Field(max_length=200, description="Words that must occur in the node type.")
    ] = ""
    category: Annotated[str, Field(max_length=200, description="Such as `image`.")] = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 30


class NamedNodeType(_Arguments):
    type: Annotated[str, Field(max_length=256, description="From `search_node_types`.")]


Source = Annotated[
    dict[str, Any],
    Field(
        description='The content of a workflow file, or `{"saved": NAME}`, or `{"template": NAME}`.'
    ),
]


class WorkflowSource(_Arguments):
    workflow: Source
    parameters: Annotated[
        dict[str, Any], Field(description="Values of the workflow's named parameters.")
    ] = {}


class RunWorkflow(WorkflowSource):
    wait: Annotated[
        float | None,
        Field(ge=0, le=86_400, description="Seconds to wait for the result; 0 returns at once."),
    ] = None


class SaveWorkflow(_Arguments):
    name: Annotated[str, Field(max_length=256, description="Name of the app.")]
    workflow: Source


class ListJobs(_Arguments):
    state: State | None = None
    text: Annotated[str, Field(max_length=256, description="Part of the name or a tag.")] = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 20


class NamedJob(_Arguments):
    job: Annotated[str, Field(max_length=64, description="Id of a job.")]


class WaitForJob(NamedJob):
    seconds: Annotated[float, Field(ge=0, le=86_400)] = 60.0


Answer = Job | Mapping[str, Any]


async def _list_models(call: ToolCall, arguments: SearchModels) -> Answer:
    """List the models that workflows can name."""
    wanted = arguments.text.casefold()
    models = await call.services.run_in_thread(call.services.listed_models)
    listed = [
        {"name": each.name, "family": each.family, "kind": each.part, "bytes": each.bytes}
        for each in models
        if each.problem is None and wanted in f"{each.name} {each.family} {each.part}".casefold()
    ]
    return {"models": listed[: arguments.limit], "found": len(listed)}


async def _list_templates(call: ToolCall, arguments: _Arguments) -> Answer:
    """List the workflows that come with nodegraph, as starting points."""
    workflows = await call.services.run_in_thread(templates)
    listed = [
        {
            "name": name,
            "title": each.title,
            "description": each.description,
            "parameters": list(each.parameters),
        }
        for name, each in workflows.items()
    ]
    return {"templates": listed}


async def _get_template(call: ToolCall, arguments: NamedTemplate) -> Answer:
    """Get a workflow of the gallery."""
    text, files = await call.services.run_in_thread(template, arguments.name)
    return {"workflow": json.loads(text), "needs": sorted(files)}


async def _list_workflows(call: ToolCall, arguments: SearchWorkflows) -> Answer:
    """List the saved workflows, and the tool that runs each."""
    pages = call.services.workflows
    page = await call.services.run_in_thread(pages.page, text=arguments.text, limit=PAGE)
    tools = {app: tool for tool, app in tool_names(await saved_names(call.services)).items()}
    listed = [
        {
            "name": each.name,
            "tool": tools.get(each.name),
            "title": each.title,
            "description": each.description,
            "parameters": list(each.parameters),
        }
        for each in page.entries
    ]
    return {"workflows": listed}


async def _get_workflow(call: ToolCall, arguments: NamedWorkflow) -> Answer:
    """Get the file of a saved workflow."""
    saved = await call.services.run_in_thread(call.services.workflows.get, arguments.name)
    return {"workflow": saved.document, "version": saved.version.number}


async def _search_node_types(call: ToolCall, arguments: SearchNodeTypes) -> Answer:
    """Find node types by words or category."""
    types = await call.services.node_types.current()

    def find() -> list[dict[str, Any]]:
        rows = [listed_type(types.specs[name]) for name in types.node_types()]
        if arguments.category:
            rows = [row for row in rows if is_in_category(row, arguments.category)]
        if arguments.search:
            rows = search_types(rows, arguments.search, types.other_names)
        return [
            {"type": row.type, "category": row.category, "summary": row.summary}
            for row in rows[: arguments.limit]
        ]

    return {"node_types": await call.services.run_in_thread(find)}


async def _get_node_type(call: ToolCall, arguments: NamedNodeType) -> Answer:
    """Get the inputs and outputs of a node type."""
    types = await call.services.node_types.current()
    spec = types.spec(arguments.type)
    if spec is None:
        hint = did_you_mean(arguments.type, types.node_types())
        raise NotFound("there is no such node type", given=ascii(arguments.type[:80]), hint=hint)
    outputs = [{"name": each.name, "type": str(each.type)} for each in spec.outputs]
    about = {"type": spec.type, "category": spec.category, "help": spec.help}
    return {**about, "inputs": inputs_json_schema(spec), "outputs": outputs}


async def _validate_workflow(call: ToolCall, arguments: WorkflowSource) -> Answer:
    """Find all faults of a workflow without running it."""
    request = await _job_request(call, arguments.workflow, arguments.parameters)
    checked = await validate_request(call.services, call.caller, request)
    return dict(_CHECKED.dump_python(checked, mode="json"))


async def _plan_workflow(call: ToolCall, arguments: WorkflowSource) -> Answer:
    """Show what a run would do: nodes, cached results, seconds, memory."""
    request = await _job_request(call, arguments.workflow, arguments.parameters)
    return await plan_request(call.services, call.caller, request)


async def _list_jobs(call: ToolCall, arguments: ListJobs) -> Answer:
    """List jobs, the newest first."""
    states = () if arguments.state is None else (arguments.state,)
    which = restrict_to_caller(call.caller, JobFilter(states, text=arguments.text or None))
    if which is None:
        return {"jobs": []}
    queue = call.services.queue
    page = await call.services.read_queue(queue.page, which, limit=arguments.limit)
    return {"jobs": [job_entry(each) for each in page.jobs]}


async def _get_job(call: ToolCall, arguments: NamedJob) -> Answer:
    """Get the state, files and errors of a job."""
    job = await get_visible_job(call.services, call.caller, arguments.job)
    return job_detail(job, call.services.uploads.mask_paths)


async def _get_results(call: ToolCall, arguments: NamedJob) -> Answer:
    """Get the images, sounds and files of a job."""
    return await get_visible_job(call.services, call.caller, arguments.job)


async def _wait_for_job(call: ToolCall, arguments: WaitForJob) -> Answer:
    """Wait until a job has ended, and get its results."""
    job = await get_visible_job(call.services, call.caller, arguments.job)
    return await _followed(call, job.id, arguments.seconds)


async def _cancel_job(call: ToolCall, arguments: NamedJob) -> Answer:
    """Cancel a job that waits or runs."""
    cancel = call.services.queue.cancel
    return job_entry(await change_visible_job(call.services, call.caller, arguments.job, cancel))


async def _run_workflow(call: ToolCall, arguments: RunWorkflow) -> Answer:
    """Run a workflow and get its results."""
    request = await _job_request(call, arguments.workflow, arguments.parameters)
    return await _submitted(call, request, arguments.wait)


async def _save_workflow(call: ToolCall, arguments: SaveWorkflow) -> Answer:
    """Save a workflow under a name; it becomes a tool of its own."""
    request = await _job_request(call, arguments.workflow, {})
    services = call.services
    document = request.workflow
    if not isinstance(document, dict):
        named = document.saved, document.version
        document = (await services.run_in_thread(services.workflows.get, *named)).document

    def save() -> int:
        workflow = Workflow.from_dict(document)
        check_size(workflow, services.server.limits.nodes)
        return services.workflows.put(arguments.name, workflow)[0].version.number

    version = await services.run_in_thread(save)
    tools = {app: tool for tool, app in tool_names(await saved_names(services)).items()}
    return {"name": arguments.name, "version": version, "tool": tools.get(arguments.name)}


async def _job_request(
    call: ToolCall, workflow: Mapping[str, Any], parameters: Mapping[str, Any]
) -> JobWish:
    """The request for a workflow that is written out, saved, or of the gallery."""
    document: Any = workflow
    if set(workflow) == {"template"}:
        document = await _template_document(call, str(workflow["template"]))
    try:
        return JobWish.model_validate({"workflow": document, "parameters": parameters})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidWorkflow(
            [validation_problem(first, ".".join(map(str, first["loc"])) or "workflow")]
        ) from None


async def _template_document(call: ToolCall, name: str) -> Any:
    """A workflow of the gallery; the files that it reads become uploads of a caller who may."""
    text, files = await call.services.run_in_thread(template, name)
    shown = text.decode()
    for file, data in files.items() if call.caller.may("run") else ():
        if not file.endswith(".py"):
            reference = await upload_bytes(call.services, call.caller, data, file)
            shown = shown.replace(json.dumps(file), json.dumps(reference))
    return json.loads(shown)


async def _submitted(call: ToolCall, request: JobWish, wait: float | None = None) -> Answer:
    """Run a workflow, and follow the job; it is cancelled if the call is."""
    job = (await submit(call.services, call.caller, request)).job.id
    async with cancelled_on_leave(call.services, [job]):
        return await _followed(call, job, wait)


async def _followed(call: ToolCall, job: str, seconds: float | None) -> Answer:
    """A job once it has ended, or as it is after so many seconds."""
    progress = JobProgress()
    following = follow(call.services, [job], live=True, seconds=seconds)
    try:
        async with aclosing(following) as events:
            async for event in events:
                if isinstance(event, Job):
                    return event
                if (report := progress.update(event)) is not None:
                    await call.report(*report)
    except WaitedTooLong:
        pass  # the job continues, and the answer says so
    return await call.services.queue_reads.run(call.services.queue.get, job)


class JobProgress:
    """How far a job is, in nodes; grows from report to report."""

    def __init__(self) -> None:
        self._nodes = 0
        self._ended: set[str] = set()
        self._last = -1.0

    def update(self, message: HubMessage) -> tuple[float, float, str] | None:
        """Nodes that are done, of how many, and a text; None if it is no news."""
        share, node = 0.0, message.node or ""
        if message.kind == "job.started":
            self._nodes = int(event_data(message).get("nodes", 0))
        elif message.kind == "node.progress":
            data = event_data(message)
            share = min(int(data.get("step", 0)) / max(int(data.get("total", 1)), 1), 1.0)
        elif message.kind == "node.finished":
            self._ended.add(node)
        elif message.kind == "nodes.cached":
            self._ended |= {str(each) for each in event_data(message).get("nodes", ())}
        else:
            return None
        done = len(self._ended) + share
        if done <= self._last:
            return None
        self._last = done
        text = f"{node}: {share:.0%}" if share else f"{len(self._ended)} nodes are done"
        return done, float(max(self._nodes, len(self._ended) + bool(share))), text


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool that every server has; the docstring of its function is its description.

    Attributes:
        is_destructive: Whether it ends what others may need.
    """

    scope: Scope
    arguments: type[_Arguments]
    run: Callable[[ToolCall, Any], Awaitable[Answer]]
    is_destructive: bool = False


TOOLS: Mapping[str, ServerTool] = {
    "list_models": ServerTool("read", SearchModels, _list_models),
    "list_templates": ServerTool("read", _Arguments, _list_templates),
    "get_template": ServerTool("read", NamedTemplate, _get_template),
    "list_workflows": ServerTool("read", SearchWorkflows, _list_workflows),
    "get_workflow": ServerTool("read", NamedWorkflow, _get_workflow),
    "search_node_types": ServerTool("read", SearchNodeTypes, _search_node_types),
    "get_node_type": ServerTool("read", NamedNodeType, _get_node_type),
    "validate_workflow": ServerTool("read", WorkflowSource, _validate_workflow),
    "plan_workflow": ServerTool("read", WorkflowSource, _plan_workflow),
    "list_jobs": ServerTool("read", ListJobs, _list_jobs),
    "get_job": ServerTool("read", NamedJob, _get_job),
    "wait_for_job": ServerTool("read", WaitForJob, _wait_for_job),
    "get_results": ServerTool("read", NamedJob, _get_results),
    "run_workflow": ServerTool("run", RunWorkflow, _run_workflow),
    "save_workflow": ServerTool("run", SaveWorkflow, _save_workflow),
    "cancel_job": ServerTool("run", NamedJob, _cancel_job, is_destructive=True),
}


def tool_names(apps: Sequence[str]) -> dict[str, str]:
    """The apps by the names of their tools, which have no other characters than clients accept.

    Of apps whose names would become equal, all but one with exactly that name have a digest. So
    have those whose own name ends like one: no app gets the name of another one's tool.
    """
    plain = {app: _UNSAFE.sub("_", app).strip("_")[:_LONGEST_NAME] for app in apps}
    counts: dict[str, int] = {}
    for name in plain.values():
        counts[name] = counts.get(name, 0) + 1
    names = {}
    for app, name in plain.items():
        is_unique = name == app or (name and counts[name] == 1)
        is_clear = is_unique and not _WITH_DIGEST.search(name)
        digest = "" if is_clear else digest_bytes(app.encode())[:6]
        names["_".join(filter(None, (_APP, name, digest)))] = app
    return names


async def saved_names(services: Services) -> list[str]:
    """The names of all saved workflows."""
    return await services.run_in_thread(services.workflows.names)


async def _app_values(call: ToolCall, app: App, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The values for an app: files may be data URLs, or addresses of results."""
    values = dict(arguments)
    for parameter in app.parameters:
        value = values.get(parameter.name)
        if not parameter.is_file or not isinstance(value, str):
            continue
        if value.startswith("data:"):
            values[parameter.name] = await upload_data_url(
                call.services, call.caller, value, parameter.name
            )
        elif value.startswith(f"{URI}results/"):
            digest = value.rpartition("/")[2]
            data = await read_file(call.services, call.caller, digest)
            values[parameter.name] = await upload_bytes(
                call.services, call.caller, data, parameter.name
            )
    return values


def app_schema(app: App) -> dict[str, Any]:
    """The JSON Schema of an app's values, which says how to give a file."""
    schema = parameters_schema(app)
    for parameter in app.parameters:
        if parameter.is_file:
            entry = schema["properties"][parameter.name]
            more = f"Or a data URL, or the address of a result: {URI}results/…"
            entry["description"] = f"{entry.get('description', '')} {more}".strip()
    return schema


class UnknownTool(NotFound):
    """There is no tool of a name that the caller may use."""

    code = "unknown-tool"


async def call_tool(call: ToolCall, name: str, arguments: Mapping[str, Any]) -> Answer:
    """Call a tool.

    Raises:
        UnknownTool: There is none of that name.
        Forbidden: The caller may not.
        NodegraphError: It is refused, or fails.
    """
    tool = TOOLS.get(name)
    if tool is None:
        names = tool_names(await saved_names(call.services))
        if name not in names:
            hint = did_you_mean(name, [*TOOLS, *names])
            raise UnknownTool(f"there is no tool {name[:80]!a}", hint=hint)
        require_scope(call.caller, "run")
        target = await saved_app(call.services, names[name])
        values = await _app_values(call, target.app, arguments)
        fields = {"workflow": target.workflow, "parameters": values, "name": target.app.name}
        return await _submitted(call, JobWish.model_validate(fields))
    require_scope(call.caller, tool.scope)
    try:
        checked = tool.arguments.model_validate(arguments)
    except ValidationError as error:
        problems = [
            validation_problem(each, ".".join(map(str, each["loc"])) or "arguments")
            for each in error.errors()
        ]
        raise InvalidWorkflow(problems) from None
    return await tool.run(call, checked)
