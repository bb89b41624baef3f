"""Runs of prompts: what a job keeps of its prompt, and its events in ComfyUI's words."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from fastapi import Depends
from pydantic import Field
from starlette.requests import HTTPConnection

from nodegraph.core.recent_values import RecentValues
from nodegraph.errors import Cancelled
from nodegraph.interop.comfyui.original_document import pack_document, unpack_document
from nodegraph.jobs.queue import Job, JobEvent, JobFilter, JobNotFound, JobSummary
from nodegraph.jobs.queue.job import ENDED
from nodegraph.server.access.caller import Caller
from nodegraph.server.protocols.comfyui.files import FileLists
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_requests import RunOptions

TAG = "comfyui"
"""Of all jobs that are prompts."""
_NUMBER_TAG = "comfyui-number:"
NUMBERED_TAG = "comfyui-numbered"
"""Of all prompts whose client gave a number."""
FRONT_TAG = "comfyui-front"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOST_LISTED = 10_000
"""Prompts in a list."""
_MOST_EVENTS = 1_000
"""Events that are read at once."""
_WHOLE_STATES = 64
"""Nodes of a prompt up to which each message of progress names all that have begun, as ComfyUI's
does. Beyond, the messages of a run would grow with the square of its nodes."""
_MOST_RUNNING = 8
"""Nodes that a message of progress names though nothing is new about them."""
Message = tuple[str, dict[str, Any]]
"""Type and data."""


def prompt_tag(prompt_id: str) -> str:
    """Return the tag that finds the job of a prompt."""
    return f"{TAG}:{prompt_id}"


def number_tag(number: float) -> str:
    """Return the tag that keeps the number a client gave its prompt."""
    return f"{_NUMBER_TAG}{number!r}"


def number_of(job: JobSummary) -> float:
    """Return the number of a prompt: its client's, or that of the job; the smallest runs first."""
    for tag in job.tags:
        if tag == FRONT_TAG:
            return -job.number
        if tag.startswith(_NUMBER_TAG):
            text = tag.removeprefix(_NUMBER_TAG)
            return float(text) if set(text) & set(".en") else int(text)
    return job.number


class PromptOptions(RunOptions):
    """Options of a job that is a prompt.

    Attributes:
        comfyui: What is kept of the request: `prompt_id`, `client_id`, `extra_data` and `outputs`.
    """

    comfyui: dict[str, Any] = Field(default_factory=dict)


def with_prompt(
    workflow: Mapping[str, Any], prompt: Mapping[str, Any], origins: Mapping[str, str]
) -> dict[str, Any]:
    """Return a workflow that keeps the prompt it was made of."""
    ui = dict(workflow.get("ui") or {})
    kept = {**ui.get("comfyui", {}), "original": pack_document(prompt), "origins": dict(origins)}
    return {**workflow, "ui": {**ui, "comfyui": kept}}


@dataclass(frozen=True, slots=True)
class PromptRun:
    """A job that is a prompt.

    Attributes:
        client_id: Id of the websocket that gets its messages; empty if the client named none.
        prompt: As the client sent it.
        origins: Node of the prompt that each native node was made of.
        outputs: The prompt's output nodes that run.
    """

    job: Job
    prompt_id: str
    client_id: str
    extra_data: Mapping[str, Any]
    prompt: Mapping[str, Any]
    origins: Mapping[str, str]
    outputs: Sequence[str]

    @property
    def extra(self) -> dict[str, Any]:
        """The request's extra data, as ComfyUI lists it."""
        client = {"client_id": self.client_id} if self.client_id else {}
        return {**self.extra_data, **client, "create_time": milliseconds(self.job.created)}

    @property
    def queue_item(self) -> list[Any]:
        """As lists of the queue and of the history have it."""
        number = number_of(self.job)
        return [number, self.prompt_id, self.prompt, self.extra, list(self.outputs)]

    def type_of(self, node_id: str) -> str:
        """The class of a node."""
        return str(self.prompt[node_id]["class_type"]) if node_id in self.prompt else ""


def milliseconds(seconds: float) -> int:
    """Return a Unix time as ComfyUI has it."""
    return int(seconds * 1000)


class RunMessages:
    """A run's events as messages of ComfyUI's websocket, one event after the other.

    Args:
        ui: Turns the files of an output node into what ComfyUI lists of it.

    Attributes:
        outputs: What is listed of each node that has written files or returned a `ui`, so far.
        has_begun: Whether the run has.
    """

    def __init__(self, run: PromptRun, ui: FileLists) -> None:
        self._run = run
        self._lists = ui
        self._natives: dict[str, set[str]] = {}
        for name, node_id in run.origins.items():
            self._natives.setdefault(node_id, set()).add(name)
        self._is_whole = len(self._natives) <= _WHOLE_STATES
        self._reset()

    def _reset(self) -> None:
        self.outputs: dict[str, dict[str, Any]] = {}
        self.has_begun = False
        self._done: set[str] = set()
        self._states: dict[str, tuple[float, float, str]] = {}
        self._running: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        self._files: dict[str, list[Mapping[str, Any]]] = {}
        self._ui: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._is_cached_told = False
        self._failure: tuple[str, Mapping[str, Any]] | None = None

    @property
    def current(self) -> str | None:
        """The node that began last and still runs."""
        return next(reversed(self._running), None)

    def handle(
        self, kind: str, node: str | None, data: Mapping[str, Any], at: float = 0.0
    ) -> Iterator[Message]:
        """Yield the messages of an event.

        Args:
            at: Unix time.
        """
        if kind == "job.started":
            self._reset()
            self.has_begun = True
            yield "execution_start", self._timed(at)
        elif kind in ("job.requeued", "job.retried"):
            self._reset()
        elif kind == "nodes.cached":
            for name, ui in (data.get("ui") or {}).items():
                self._show(name, ui)
            yield from self._cached(data.get("nodes", ()))
        elif kind in ("job.finished", "job.failed", "job.cancelled"):
            yield from self._ended(kind, data, at)
        elif node is not None and (node_id := self._run.origins.get(_outer(node))) is not None:
            yield from self._of_node(kind, node, node_id, data, at)

    def _of_node(
        self, kind: str, node: str, node_id: str, data: Mapping[str, Any], at: float
    ) -> Iterator[Message]:
        is_inner = _outer(node) != node
        if kind == "node.finished":
            self._show(node, data.get("ui"))
        if kind == "node.wrote":
            self._files.setdefault(node_id, []).append(data)
        elif kind == "node.progress":
            yield from self._progressed(node_id, data)
        elif is_inner:
            return
        elif kind == "node.started":
            yield from self._tell_cached(at)
            if node_id not in self._running:
                self._running[node_id] = None
                self._states[node_id] = (0.0, 1.0, "running")
                yield from self._progress_state(node_id)
                yield "executing", {"node": node_id, "display_node": node_id, **self._id}
        elif kind == "node.finished":
            yield from self._tell_cached(at)
            self._done.add(node)
            yield from self._completed(node_id)
        elif kind == "node.failed":
            yield from self._tell_cached(at)
            self._failure = self._failure or (node_id, data)
            self._running.pop(node_id, None)
            self._states[node_id] = (*self._states.get(node_id, (0.0, 1.0, ""))[:2], "error")
            yield from self._progress_state(node_id)

    def flush(self) -> Iterator[Message]:
        """Yield the state of nodes that changed since the last time, if it was not told at once."""
        if self._changed:
            running = [node_id for node_id in self._running if node_id not in self._changed][
                -_MOST_RUNNING:
            ]
            ids = [*self._changed, *running]
            self._changed = {}
            yield (
                "progress_state",
                {**self._id, "nodes": {node_id: self._state(node_id) for node_id in ids}},
            )

    @property
    def _id(self) -> dict[str, Any]:
        return {"prompt_id": self._run.prompt_id}

    def _timed(self, at: float) -> dict[str, Any]:
        return {**self._id, "timestamp": milliseconds(at)}

    def _progress_state(self, node_id: str) -> Iterator[Message]:
        self._changed[node_id] = None
        if self._is_whole:
            self._changed = dict.fromkeys(self._states)
            yield from self.flush()

    def _state(self, node_id: str) -> dict[str, Any]:
        value, most, state = self._states[node_id]
        ids = {"node_id": node_id, **self._id, "display_node_id": node_id}
        more = {"parent_node_id": None, "real_node_id": node_id}
        return {"value": value, "max": most, "state": state, **ids, **more}

    def _progressed(self, node_id: str, data: Mapping[str, Any]) -> Iterator[Message]:
        # A node's natives run one after the other: the one that counts steps stands for all.
        value, most = data.get("step", 0), data.get("total") or 1
        if node_id in self._running:
            self._states[node_id] = (value, most, "running")
            yield from self._progress_state(node_id)
            yield "progress", {"value": value, "max": most, **self._id, "node": node_id}

    def _show(self, node: str, ui: object) -> None:
        """Keep what a node shows until the node that it was made of has ended."""
        node_id = self._run.origins.get(_outer(node))
        if node_id is not None and isinstance(ui, Mapping):
            self._ui.setdefault(node_id, {})[node] = ui

    def _cached(self, natives: Iterable[str]) -> Iterator[Message]:
        ids: dict[str, None] = {}
        for name in natives:
            self._done.add(name)
            if _outer(name) == name and (node_id := self._run.origins.get(name)) is not None:
                ids[node_id] = None
        if self._is_cached_told:
            for node_id in ids:
                yield from self._completed(node_id)

    def _tell_cached(self, at: float) -> Iterator[Message]:
        """Yield which nodes were cached, before the first that was not."""
        if self._is_cached_told or not self.has_begun:
            return
        self._is_cached_told = True
        cached = [node_id for node_id, names in self._natives.items() if names <= self._done]
        yield "execution_cached", {"nodes": cached, **self._timed(at)}
        for node_id in cached:
            self._states[node_id] = (1.0, 1.0, "finished")
            yield from self._executed(node_id)

    def _completed(self, node_id: str) -> Iterator[Message]:
        """Yield that a node has ended, once all its native nodes have."""
        if not self._natives[node_id] <= self._done:
            return
        yield from self._executed(node_id)
        self._running.pop(node_id, None)
        most = self._states.get(node_id, (0.0, 1.0, ""))[1]
        self._states[node_id] = (most, most, "finished")
        yield from self._progress_state(node_id)

    def _executed(self, node_id: str) -> Iterator[Message]:
        listed = _listed(self._lists, self._files.pop(node_id, ()), self._ui.pop(node_id, {}))
        if listed:
            self.outputs[node_id] = listed
            yield (
                "executed",
                {"node": node_id, "display_node": node_id, "output": listed, **self._id},
            )

    def _ended(self, kind: str, data: Mapping[str, Any], at: float) -> Iterator[Message]:
        if not self.has_begun and kind == "job.cancelled":
            return
        if not self.has_begun:
            self.has_begun = True
            yield "execution_start", self._timed(at)
        yield from self._tell_cached(at)
        for node_id in dict.fromkeys([*self._files, *self._ui]):
            yield from self._executed(node_id)
        current = self.current
        for node_id in self._running:
            state = "finished" if kind == "job.finished" else "error"
            self._states[node_id] = (*self._states[node_id][:2], state)
            self._changed[node_id] = None
        self._running = {}
        yield from self.flush()
        done = [node_id for node_id, names in self._natives.items() if names <= self._done]
        failed, failure = self._failure or (None, {})
        has_interrupted = failure.get("code") == Cancelled.code
        if kind == "job.finished":
            yield "execution_success", self._timed(at)
        elif kind == "job.cancelled" or has_interrupted:
            current = failed if has_interrupted else current
            node_type = self._run.type_of(current or "") or None
            about = {"node_id": current, "node_type": node_type, "executed": done}
            yield "execution_interrupted", {**self._timed(at), **about}
        else:
            yield "execution_error", {**self._error(data), "executed": done, **self._timed(at)}

    def _error(self, data: Mapping[str, Any]) -> dict[str, Any]:
        node_id, failure = self._failure or (None, self._run.job.error or data)
        inputs = self._run.prompt.get(node_id or "", {}).get("inputs")
        values = inputs if isinstance(inputs, dict) else {}
        parts = [failure.get("message") or "the run failed", failure.get("hint")]
        outputs = {node_id for node_id, names in self._natives.items() if names <= self._done}
        return {
            "node_id": node_id,
            "node_type": self._run.type_of(node_id or ""),
            "exception_message": ". ".join(str(part).rstrip(".") for part in parts if part),
            "exception_type": failure.get("code") or "error",
            "traceback": str(data.get("trace") or "").splitlines(keepends=True),
            "current_inputs": {name: [str(value)] for name, value in values.items()},
            "current_outputs": sorted(outputs),
        }


def _listed(
    lists: FileLists, files: Iterable[Mapping[str, Any]], shown: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what is listed of a node of a prompt.

    Args:
        files: That its native nodes wrote.
        shown: Objects that these show, by name. Lists under one key are joined, by the nodes'
            names: the results of a cache come in another order than those of a run.
    """
    listed: dict[str, Any] = {}
    for _, ui in sorted(shown.items()):
        for key, value in ui.items():
            is_joined = isinstance(value, list) and isinstance(listed.get(key), list)
            listed[key] = [*listed[key], *value] if is_joined else value
    return {**lists.of(files), **listed}


def _outer(node: str) -> str:
    """The node whose expansion a node is part of, or the node itself."""
    return node.partition("/")[0]


@dataclass
class PromptRuns:
    """The queue's prompts. Reads the queue: call its methods in a thread."""

    services: Services
    lists: FileLists = field(init=False)

    def __post_init__(self) -> None:
        self.lists = FileLists(self.services)
        self._prompts: RecentValues[str, tuple[Any, Mapping[str, str]]] = RecentValues(64)
        self._begun: RecentValues[str, bool] = RecentValues(MOST_LISTED)
        self._entries: RecentValues[str, dict[str, Any]] = RecentValues(512)
        self.checked: RecentValues[str, Mapping[str, Any]] = RecentValues(64)
        """Translated prompts by digest."""
        self.sockets: dict[tuple[str, str], object] = {}
        """The newest websocket of each caller and client id."""
        self.log_readers: dict[tuple[str, str], object] = {}
        """The last line of the log that was sent, or was there, of those who follow it."""
        self.is_log_read = asyncio.Event()
        """Set while anybody follows the log, so that websockets look at it then alone."""

    def forget_log_reader(self, key: tuple[str, str]) -> None:
        """Send lines of the log to a websocket no more."""
        self.log_readers.pop(key, None)
        if not self.log_readers:
            self.is_log_read.clear()

    def filter(self, caller: Caller, states: Sequence[Any] = (), tag: str = TAG) -> JobFilter:
        """Return the filter of the caller's prompts."""
        return JobFilter(states, caller.only_client, tag)

    def list(self, caller: Caller, *states: Any) -> Sequence[JobSummary]:
        """Return the caller's newest prompts, the oldest of them first."""
        which = self.filter(caller, states)
        return self.services.queue.page(which, limit=MOST_LISTED).jobs[::-1]

    def count(self, caller: Caller) -> int:
        """Return the number of the caller's prompts that wait or run."""
        return self.services.queue.count(self.filter(caller, ("queued", "running")))

    def ended(self, caller: Caller) -> Sequence[JobSummary]:
        """Return the caller's prompts that ran, the first that ended first."""
        ran = filter(self.has_begun, self.list(caller, *ENDED))
        return sorted(ran, key=lambda job: (job.finished or 0.0, job.number))

    def active(self, caller: Caller) -> tuple[Sequence[JobSummary], Sequence[JobSummary]]:
        """Return the caller's prompts that run, and those that wait.

        A worker has the next prompts already while short ones run; these wait as well.
        """
        jobs = self.list(caller, "running", "queued")
        running = [job for job in jobs if job.state == "running" and self.has_begun(job)]
        waiting = [job for job in jobs if job not in running and job.wanted != "cancel"]
        return running, waiting

    def has_begun(self, job: JobSummary) -> bool:
        """Whether a prompt's run has begun, or had when it was cancelled."""
        if job.state not in ("running", "cancelled"):
            return job.state != "queued"
        key = f"{job.id} {job.attempt}"
        if self._begun.get(key):
            return True
        with suppress(JobNotFound):
            attempt = job.attempt if job.state == "running" else None
            for event in self.events(job.id) if job.attempt else ():
                if event.kind == "job.started" and attempt in (None, event.attempt):
                    return self._begun.put(key, True)
        return False

    def find(self, caller: Caller, prompt_id: str) -> JobSummary | None:
        """Return the job of a prompt; None if the caller has no such."""
        if not UUID.fullmatch(prompt_id):
            return None
        which = self.filter(caller, tag=prompt_tag(prompt_id))
        return next(iter(self.services.queue.page(which, limit=1).jobs), None)

    def read(self, job_id: str) -> PromptRun | None:
        """Return the prompt of a job; None if it is none, or gone."""
        try:
            job = self.services.queue.get(job_id)
            kept = job.options.get(TAG)
            if not isinstance(kept, Mapping) or TAG not in job.tags:
                return None
            prompt, origins = self._prompt(job.workflow)
        except (JobNotFound, KeyError):
            return None
        ids = str(kept["prompt_id"]), str(kept["client_id"])
        return PromptRun(job, *ids, kept["extra_data"], prompt, origins, kept["outputs"])

    def _prompt(self, digest: str) -> tuple[Any, Mapping[str, str]]:
        known = self._prompts.get(digest)
        if known is not None:
            return known
        kept = json.loads(self.services.queue.workflow(digest))["ui"][TAG]
        prompt = unpack_document(kept["original"]) or {}
        return self._prompts.put(digest, (prompt, kept["origins"]))

    def events(self, job_id: str, after: int = 0, until: int | None = None) -> Iterator[JobEvent]:
        """Yield the stored events of a job after one, up to another one."""
        is_complete = False
        while not is_complete:
            most = _MOST_EVENTS if until is None else min(_MOST_EVENTS, until - after)
            if most <= 0:
                return
            page = self.services.queue.events_after(after, job=job_id, limit=most)
            for event in page.events:
                if until is not None and event.seq > until:
                    return
                yield self._with_job(event)
            after, is_complete = page.last, page.is_complete

    def _with_job(self, event: JobEvent) -> JobEvent:
        """Return an event with what it leaves out: a text that is shown, a pack's traceback."""
        if event.kind == "node.wrote" and event.data.get("file") == "text":
            text = self.lists.text(str(event.data.get("path", "")))
            return replace(event, data={**event.data, "text": text})
        if event.kind == "job.failed":
            error = self.services.queue.get(event.job).error or {}
            return replace(event, data={**event.data, "trace": error.get("trace") or ""})
        return event

    def entry(self, run: PromptRun) -> dict[str, Any]:
        """Return a prompt that has ended, as the history lists it."""
        known = self._entries.get(run.job.id)
        if known is not None:
            return known
        translated, messages = RunMessages(run, self.lists), list[Any]()
        with suppress(JobNotFound):
            for event in self.events(run.job.id):
                for message in translated.handle(event.kind, event.node, event.data, event.at):
                    if message[0] == "execution_start":
                        messages.clear()  # those of an attempt that was given up
                    if message[0].startswith("execution_"):
                        messages.append(list(message))
        is_good = run.job.state == "finished"
        outputs = translated.outputs or self._listed(run)
        meta = {
            node_id: {
                "node_id": node_id,
                "display_node": node_id,
                "parent_node": None,
                "real_node_id": node_id,
            }
            for node_id in outputs
        }
        status = {
            "status_str": "success" if is_good else "error",
            "completed": is_good,
            "messages": messages,
        }
        entry = {"prompt": run.queue_item, "outputs": outputs, "meta": meta, "status": status}
        # A job that was tried again has another entry later.
        return self._entries.put(run.job.id, entry) if run.job.state == "finished" else entry

    def _listed(self, run: PromptRun) -> dict[str, Any]:
        """What is listed of a job whose events are gone."""
        files: dict[str, list[Any]] = {}
        for file in (run.job.outputs or {}).get("files", ()):
            node_id = run.origins.get(_outer(str(file.get("node", ""))))
            if node_id is not None:
                files.setdefault(node_id, []).append(file)
        shown: dict[str, dict[str, Any]] = {}
        for name, ui in ((run.job.outputs or {}).get("ui") or {}).items():
            node_id = run.origins.get(_outer(name))
            if node_id is not None:
                shown.setdefault(node_id, {})[name] = ui
        return {
            node_id: _listed(self.lists, files.get(node_id, ()), shown.get(node_id, {}))
            for node_id in dict.fromkeys([*files, *shown])
        }


async def prompt_runs(request: HTTPConnection) -> PromptRuns:
    """The server's prompts."""
    state = request.app.state
    if not hasattr(state, "comfyui"):
        state.comfyui = PromptRuns(state.services)
    runs: PromptRuns = state.comfyui
    return runs


TheRuns = Annotated[PromptRuns, Depends(prompt_runs)]
