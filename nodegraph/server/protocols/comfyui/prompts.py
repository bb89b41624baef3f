"""ComfyUI's routes of prompts: submit, queue, interrupt, history and jobs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Header, Query, Request, Response

from nodegraph.core.digests import digest_bytes
from nodegraph.errors import InvalidFile, InvalidWorkflow, NodegraphError
from nodegraph.jobs.queue import JobFilter, JobSummary
from nodegraph.jobs.queue.job import ENDED
from nodegraph.jobs.supervisor.errors import QuestionFailed
from nodegraph.server.access.caller import Caller
from nodegraph.server.http.dependencies import MayAdmin, MayRead, MayRun, TheServices
from nodegraph.server.http.errors import NotFound, Refused, TooLarge
from nodegraph.server.http.responses import json_response
from nodegraph.server.protocols.comfyui.files import find_inputs
from nodegraph.server.protocols.comfyui.paths import comfyui_router, json_body, prompt_error
from nodegraph.server.protocols.comfyui.runs import (
    FRONT_TAG,
    NUMBERED_TAG,
    TAG,
    UUID,
    PromptOptions,
    PromptRun,
    PromptRuns,
    TheRuns,
    milliseconds,
    number_of,
    number_tag,
    prompt_tag,
    with_prompt,
)
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_requests import JobWish, submit

router = comfyui_router()

_SECONDS = 60.0
_PATIENCE = 60.0
"""Seconds for which a prompt waits while packs are imported: clients do not ask again."""
_SECRETS = frozenset({"auth_token_comfy_org", "api_key_comfy_org"})
"""Keys of a prompt's extra data that are neither kept nor listed."""
_LONGEST_ID = 200
_LARGEST_NUMBER = 1 << 53
_MOST_IDS = 1_000
_MOST_ENTRIES = 256
"""Entries of the history for a client that does not say how many it wants."""
_UPCOMING = 1_000
"""Waiting prompts among which a prompt with a number finds its position."""


class _PromptRefused(Exception):
    """A prompt that is refused; carries the answer."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(document["error"]["message"])
        self.document = document


def _refused(
    kind: str, message: str, details: str = "", extra: Mapping[str, Any] | None = None
) -> _PromptRefused:
    return _PromptRefused(prompt_error(kind, message, details, extra))


@router.post("/prompt")
async def post_prompt(
    request: Request,
    services: TheServices,
    caller: MayRun,
    runs: TheRuns,
    comfy_usage_source: Annotated[str | None, Header(max_length=_LONGEST_ID)] = None,
) -> Response:
    """Submit a prompt as a job. If only some outputs are valid, only these run."""
    try:
        submission = _PromptSubmission(await json_body(request), comfy_usage_source)
        answer = await _submitted(services, caller, runs, submission)
    except _PromptRefused as refusal:
        return json_response(refusal.document, 400)
    return json_response(answer)


class _PromptSubmission:
    """What a client asks for.

    Raises:
        _PromptRefused: It isn't well formed.
    """

    def __init__(self, body: object, usage: str | None) -> None:
        fields = body if isinstance(body, dict) else {}
        if "prompt" not in fields:
            details = "The body must be a JSON object with a field `prompt`."
            raise _refused("no_prompt", "No prompt provided", details)
        self.prompt = _nodes(fields["prompt"])
        self.prompt_id = _prompt_id(fields.get("prompt_id"))
        self.number = _number(fields.get("number"))
        self.is_front = self.number is None and fields.get("front") is True
        extra = fields.get("extra_data")
        extra = extra if isinstance(extra, dict) else {}
        self.client_id = _text(fields.get("client_id") or extra.get("client_id"))
        left_out = {*_SECRETS, "client_id", "create_time"}
        self.extra = {name: value for name, value in extra.items() if name not in left_out}
        if usage and "comfy_usage_source" not in self.extra:
            self.extra["comfy_usage_source"] = usage
        self.targets = _targets(fields.get("partial_execution_targets"))


def _nodes(prompt: object) -> dict[str, Any]:
    if isinstance(prompt, dict) and all(isinstance(node, dict) for node in prompt.values()):
        return prompt
    details = "`prompt` must be an object of nodes, each an object with `class_type` and `inputs`."
    raise _refused("invalid_prompt", "The prompt is not an object of nodes", details)


def _prompt_id(value: object) -> str:
    if value is None:
        return str(uuid.uuid4())
    if isinstance(value, str) and UUID.fullmatch(value):
        return value
    details = f"given: {ascii(value)[:80]}; expected: a UUID in lower case with hyphens"
    raise _refused("invalid_prompt_id", "The prompt_id is not a UUID", details)


def _number(value: object) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and -_LARGEST_NUMBER < value < _LARGEST_NUMBER:  # type: ignore[operator]
        return value  # type: ignore[return-value]
    details = f"given: {ascii(value)[:80]}; expected: a number; the smallest runs first"
    raise _refused("invalid_prompt", "The `number` of the prompt is not a number", details)


def _text(value: object) -> str:
    return str(value)[:_LONGEST_ID] if isinstance(value, (str, int)) else ""


def _targets(value: object) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, list):
        return [str(each) for each in value if isinstance(each, (str, int))]
    details = "`partial_execution_targets` must be a list of ids of output nodes."
    raise _refused("invalid_prompt", "The targets are not a list", details)


async def _submitted(
    services: Services, caller: Caller, runs: PromptRuns, submission: _PromptSubmission
) -> dict[str, Any]:
    checked = await _checked(services, caller, runs, submission)
    tags = [TAG, prompt_tag(submission.prompt_id)]
    if submission.number is not None:
        tags += [NUMBERED_TAG, number_tag(submission.number)]
    tags += [FRONT_TAG] if submission.is_front else []
    kept = {
        "prompt_id": submission.prompt_id,
        "client_id": submission.client_id,
        "extra_data": submission.extra,
        "outputs": list(checked["outputs"]),
    }
    info = submission.extra.get("extra_pnginfo")
    # Images have them as those that ComfyUI saves do, so that its page opens them.
    metadata = {"prompt": submission.prompt, **(info if isinstance(info, dict) else {})}
    request = JobWish.model_construct(
        workflow={**checked["workflow"], "metadata": metadata},
        targets=checked["targets"],
        tags=tags,
        options=PromptOptions(comfyui=kept),
    )
    try:
        job = (await submit(services, caller, request)).job
    except (InvalidWorkflow, InvalidFile) as error:
        raise _invalid_outputs(submission.prompt, checked, error) from error
    await _move(services, caller, job)
    number = number_of(job)
    errors = checked["node_errors"]
    return {"prompt_id": submission.prompt_id, "number": number, "node_errors": errors}


async def _checked(
    services: Services, caller: Caller, runs: PromptRuns, submission: _PromptSubmission
) -> Mapping[str, Any]:
    """Return the translated prompt, as `CheckedPrompt` has it."""
    if len(submission.prompt) > services.server.limits.nodes:
        most = f"at most {services.server.limits.nodes}"
        raise TooLarge("the prompt has too many nodes", expected=most)
    try:
        prompt, key = await find_inputs(services, caller, submission.prompt)
    except InvalidWorkflow as error:
        raise _refused("invalid_prompt", "An upload is missing", str(error)) from error
    written = f"{json.dumps(submission.targets)} {services.node_types.now.digest} {key}"
    digest = digest_bytes(written.encode(errors="surrogatepass"))
    known = runs.checked.get(digest)
    if known is not None:
        return known
    arguments = {"prompt": prompt, "targets": submission.targets}
    try:
        answer = await services.supervisor.ask("comfyui_prompt", arguments, _SECONDS, _PATIENCE)
    except QuestionFailed as error:
        raise _refused("invalid_prompt", "Cannot read the prompt", str(error)) from error
    if "error" in answer:
        raise _PromptRefused(services.uploads.mask_paths(answer))

    def keeping() -> dict[str, Any]:
        shown = answer if prompt is submission.prompt else services.uploads.mask_paths(answer)
        workflow = with_prompt(shown["workflow"], submission.prompt, shown["origins"])
        return {**shown, "workflow": workflow}

    checked = await services.run_in_thread(keeping)
    # What is wrong may be mended outside of the prompt: a file that was missing may come.
    return checked if checked["node_errors"] else runs.checked.put(digest, checked)


def _invalid_outputs(
    prompt: Mapping[str, Any], checked: Mapping[str, Any], error: NodegraphError
) -> _PromptRefused:
    """Return the refusal of a prompt with problems that only its submission found."""
    from nodegraph.interop.comfyui.importer import NodeTable  # takes a while, and few need it
    from nodegraph.interop.comfyui.prompt_check import PromptCheck

    check = PromptCheck(prompt, NodeTable({}))
    nodes = checked["workflow"]["nodes"]
    for problem in error.problems:
        node_id = checked["origins"].get(problem.node or "")
        if node_id is not None:
            check.add_problem(problem, node_id, nodes.get(problem.node, {}).get("inputs", {}))
    details = "\n".join(str(problem) for problem in error.problems)
    kind = "prompt_outputs_failed_validation"
    document = prompt_error(kind, "Prompt outputs failed validation", details)
    return _PromptRefused({**document, "node_errors": check.node_errors(checked["outputs"])})


async def _move(services: Services, caller: Caller, job: JobSummary) -> None:
    """Move a prompt before those with larger numbers."""
    number, queue = number_of(job), services.queue
    if number == job.number:
        numbered = JobFilter(("queued",), caller.name, NUMBERED_TAG)
        if not await services.read_queue(queue.count, numbered):
            return  # all others that wait have smaller numbers
    waiting = await services.read_queue(queue.upcoming, _UPCOMING, caller.name)
    others = (each for each in waiting if TAG in each.tags and each.id != job.id)
    first = next((each for each in others if number_of(each) > number), None)
    if first is not None:
        with suppress(NodegraphError):  # either may have begun meanwhile
            await services.queue_reads.changed(queue.move_before(job.id, first.id))


@router.get("/prompt")
async def get_prompt(services: TheServices, caller: MayRead, runs: TheRuns) -> Response:
    """Return how many prompts wait or run."""
    remaining = await services.read_queue(runs.count, caller)
    return json_response({"exec_info": {"queue_remaining": remaining}})


@router.get("/queue")
async def get_queue(services: TheServices, caller: MayRead, runs: TheRuns) -> Response:
    """Return the prompts that run and wait."""

    def listed() -> dict[str, Any]:
        names = ("queue_running", "queue_pending")
        return {
            name: [run.queue_item for run in _read(runs, jobs)]
            for name, jobs in zip(names, runs.active(caller), strict=True)
        }

    return json_response(await services.read_queue(listed))


def _read(runs: PromptRuns, jobs: Iterable[JobSummary]) -> list[PromptRun]:
    return [run for job in jobs if (run := runs.read(job.id)) is not None]


def _ids(value: object) -> list[str]:
    ids = value if isinstance(value, list) else []
    return [each for each in ids[:_MOST_IDS] if isinstance(each, str)]


async def _fields(request: Request) -> Mapping[str, Any]:
    body = await json_body(request)
    return body if isinstance(body, dict) else {}


async def _cancel(services: Services, jobs: Iterable[JobSummary | None]) -> list[str]:
    """Cancel those of some jobs that have not ended; their ids."""
    cancelled = []
    for job in jobs:
        if job is not None and job.state not in ENDED:
            with suppress(NodegraphError):  # it has ended meanwhile
                await services.queue_reads.changed(services.queue.cancel(job.id))
                cancelled.append(job.id)
    return cancelled


async def _find(
    services: Services, runs: PromptRuns, caller: Caller, ids: Iterable[str]
) -> list[JobSummary | None]:
    return await services.read_queue(lambda: [runs.find(caller, prompt_id) for prompt_id in ids])


@router.post("/queue")
async def post_queue(
    request: Request, services: TheServices, caller: MayRun, runs: TheRuns
) -> Response:
    """Remove waiting prompts: all, or some."""
    fields = await _fields(request)
    _, waiting = await services.read_queue(runs.active, caller)
    if fields.get("clear"):
        await services.run_long_change(services.queue.clear, runs.filter(caller))
    tags = {prompt_tag(prompt_id) for prompt_id in _ids(fields.get("delete"))}
    await _cancel(services, [job for job in waiting if fields.get("clear") or tags & {*job.tags}])
    return Response()


@router.post("/interrupt")
async def interrupt(
    request: Request, services: TheServices, caller: MayRun, runs: TheRuns
) -> Response:
    """Stop the prompts that run, or the one that is named."""
    try:
        prompt_id = (await _fields(request)).get("prompt_id")
    except Refused:
        prompt_id = None  # a body that is not JSON is none
    running, _ = await services.read_queue(runs.active, caller)
    tag = None if prompt_id is None else prompt_tag(_text(prompt_id))
    await _cancel(services, [job for job in running if tag is None or tag in job.tags])
    return Response()


@router.post("/free")
async def free(request: Request, services: TheServices, caller: MayAdmin) -> Response:
    """Let workers give their memory back: each starts again once it has no job."""
    fields = await _fields(request)
    if fields.get("unload_models") or fields.get("free_memory"):
        services.supervisor.renew()
    return Response()


# The history.


@router.get("/history")
async def get_history(
    services: TheServices,
    caller: MayRead,
    runs: TheRuns,
    max_items: Annotated[int | None, Query(lt=1 << 31)] = None,
    offset: Annotated[int, Query(lt=1 << 31)] = -1,
) -> Response:
    """Return the prompts that ended, the first that ended first."""

    def listed() -> dict[str, Any]:
        jobs = runs.ended(caller)
        most = max(0, _MOST_ENTRIES if max_items is None else max_items)
        start = max(0, len(jobs) - most) if offset < 0 else offset
        return _entries(runs, jobs[start : start + most])

    return json_response(await services.read_queue(listed))


def _entries(runs: PromptRuns, jobs: Iterable[JobSummary]) -> dict[str, Any]:
    return {run.prompt_id: runs.entry(run) for run in _read(runs, jobs)}


@router.get("/history/{prompt_id}")
async def get_history_entry(
    services: TheServices, caller: MayRead, runs: TheRuns, prompt_id: str
) -> Response:
    """Return a prompt that ended; an empty object if there is none."""

    def listed() -> dict[str, Any]:
        job = runs.find(caller, prompt_id)
        is_listed = job is not None and job.state in ENDED and runs.has_begun(job)
        return _entries(runs, [job] if job is not None and is_listed else [])

    return json_response(await services.read_queue(listed))


@router.post("/history")
async def post_history(
    request: Request, services: TheServices, caller: MayRun, runs: TheRuns
) -> Response:
    """Delete prompts that ended: all, or some."""
    fields = await _fields(request)
    if fields.get("clear"):
        which = runs.filter(caller, ENDED)
        await services.run_long_change(services.queue.delete_matching, which)
    for job in await _find(services, runs, caller, _ids(fields.get("delete"))):
        if job is not None and job.state in ENDED:
            with suppress(NodegraphError):
                await services.queue_reads.changed(services.queue.delete(job.id))
    services.hub.notify("jobs.deleted")
    return Response()


# Jobs, which ComfyUI's current page lists instead of the queue and the history.

_STATUSES: Mapping[str, str] = {
    "queued": "pending",
    "running": "in_progress",
    "finished": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
_LARGEST_PAGE = 1_000
_LONGEST_TEXT = 1_024
_SHOWN = ("images", "video", "audio", "3d", "text")


class BadQuery(Refused):
    """A value of the query that isn't one of the choices."""

    code = "bad-query"


def _choice(name: str, value: str, *choices: str) -> str:
    if value not in choices:
        raise BadQuery(
            f"`{name}` is not one of its choices",
            given=ascii(value[:80]),
            expected=", ".join(choices),
        )
    return value


@router.get("/jobs")
async def list_jobs(
    services: TheServices,
    caller: MayRead,
    runs: TheRuns,
    status: str = "",
    workflow_id: str = "",
    ids: str = "",
    sort_by: str = "created_at",
    sort_order: str = "desc",
    limit: Annotated[int | None, Query(ge=1, lt=1 << 31)] = None,
    offset: Annotated[int, Query(ge=0, lt=1 << 31)] = 0,
) -> Response:
    """Return a page of prompts."""
    names = [name.strip() for name in status.split(",") if name.strip()]
    chosen = {_choice("status", name, *_STATUSES.values()) for name in names}
    _choice("sort_by", sort_by, "created_at", "execution_duration")
    is_newest_first = _choice("sort_order", sort_order, "asc", "desc") == "desc"
    wanted = {each.strip() for each in ids.split(",") if each.strip()}
    states = [state for state, name in _STATUSES.items() if not chosen or name in chosen]
    # One that a worker holds but has not begun waits.
    states += ["running"] if "pending" in chosen and "running" not in states else []

    def listed() -> dict[str, Any]:
        listed = runs.list(caller, *states)
        jobs = [job for job in listed if job.state != "cancelled" or runs.has_begun(job)]
        if names:
            jobs = [job for job in jobs if _status(runs, job) in chosen]
        if wanted:
            tags = {prompt_tag(prompt_id) for prompt_id in wanted}
            jobs = [job for job in jobs if tags & set(job.tags)]
        if sort_by == "execution_duration":
            jobs.sort(key=lambda job: (job.finished or 0.0) - (job.started or 0.0))
        if is_newest_first:
            jobs.reverse()
        if workflow_id:
            matching = [run for run in _read(runs, jobs) if _workflow_id(run) == workflow_id]
            jobs = [run.job for run in matching]
        most = min(limit or _LARGEST_PAGE, _LARGEST_PAGE)
        page = _read(runs, jobs[offset : offset + most])
        has_more = offset + most < len(jobs)
        pages = {"offset": offset, "limit": most, "total": len(jobs), "has_more": has_more}
        return {"jobs": [_job(runs, run) for run in page], "pagination": pages}

    return json_response(await services.read_queue(listed))


def _status(runs: PromptRuns, job: JobSummary) -> str:
    is_waiting = job.state == "running" and not runs.has_begun(job)
    return "pending" if is_waiting else _STATUSES[job.state]


def _workflow_id(run: PromptRun) -> str | None:
    info = run.extra_data.get("extra_pnginfo")
    workflow = info.get("workflow") if isinstance(info, dict) else None
    return workflow.get("id") if isinstance(workflow, dict) else None


def _job(runs: PromptRuns, run: PromptRun) -> dict[str, Any]:
    job = run.job
    entry = runs.entry(run) if job.state in ENDED else None
    outputs: Mapping[str, Any] = {} if entry is None else entry["outputs"]
    failures = [
        data
        for kind, data in (entry or {"status": {"messages": []}})["status"]["messages"]
        if kind == "execution_error"
    ]
    fields: dict[str, Any] = {
        "id": run.prompt_id,
        "status": _status(runs, job),
        "priority": number_of(job),
        "create_time": milliseconds(job.created),
        "execution_start_time": None if job.started is None else milliseconds(job.started),
        "execution_end_time": None if job.finished is None else milliseconds(job.finished),
        "execution_error": failures[0] if failures else None,
        "outputs_count": sum(len(items) for _, _, items in _items(outputs)),
        "preview_output": _preview(outputs),
        "workflow_id": _workflow_id(run),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _items(outputs: Mapping[str, Any]) -> Iterable[tuple[str, str, Sequence[Any]]]:
    for node_id, lists in outputs.items():
        for key, items in lists.items():
            if key != "animated" and isinstance(items, (list, tuple)):
                yield node_id, key, items


def _preview(outputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the first output that can be shown, one that is kept if there is one."""
    shown: list[dict[str, Any]] = []
    for node_id, key, items in _items(outputs):
        about = {"nodeId": node_id, "mediaType": key}
        for item in items if key in _SHOWN else ():
            if isinstance(item, Mapping):
                shown.append({**item, **about})
            else:
                text = str(item)
                cut = {"truncated": True} if len(text) > _LONGEST_TEXT else {}
                shown.append({"content": text[:_LONGEST_TEXT], **cut, **about})
    kept = [each for each in shown if each.get("type") == "output"]
    return next(iter([*kept, *shown]), None)


@router.get("/jobs/{prompt_id}")
async def get_job(
    services: TheServices, caller: MayRead, runs: TheRuns, prompt_id: str
) -> Response:
    """Return a prompt with what came of it."""

    def described() -> dict[str, Any] | None:
        job = runs.find(caller, prompt_id)
        run = None if job is None else runs.read(job.id)
        if run is None:
            return None
        workflow = {"prompt": run.prompt, "extra_data": run.extra}
        document = {**_job(runs, run), "workflow": workflow}
        if run.job.state in ENDED:
            entry = runs.entry(run)
            document |= {"outputs": entry["outputs"], "execution_status": entry["status"]}
        return document

    document = await services.read_queue(described)
    if document is None:
        raise NotFound("there is no such job", given=ascii(prompt_id[:80]))
    return json_response(document)


def _is_uuid(value: object) -> bool:
    return isinstance(value, str) and UUID.fullmatch(value.lower()) is not None


@router.post("/jobs/cancel")
async def cancel_jobs(
    request: Request, services: TheServices, caller: MayRun, runs: TheRuns
) -> Response:
    """Cancel prompts that wait or run."""
    ids = (await _fields(request)).get("job_ids")
    listed = ids if isinstance(ids, list) else None
    wrong = [
        node_id
        for node_id in listed or ()
        if not (isinstance(node_id, str) and UUID.fullmatch(node_id.lower()))
    ]
    if listed is None or wrong or len(listed) > _MOST_IDS:
        text = "`job_ids` must be a list of UUIDs"
        return json_response({"error": text, "invalid_ids": wrong[:_MOST_IDS]}, 400)
    jobs = await _find(services, runs, caller, [each.lower() for each in listed])
    return json_response({"cancelled": bool(await _cancel(services, jobs))})


@router.post("/jobs/{prompt_id}/cancel")
async def cancel_job(
    services: TheServices, caller: MayRun, runs: TheRuns, prompt_id: str
) -> Response:
    """Cancel a prompt that waits or runs."""
    jobs = await _find(services, runs, caller, [prompt_id])
    return json_response({"cancelled": bool(await _cancel(services, jobs))})
