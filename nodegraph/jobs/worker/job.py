"""Run one job on a session, and describe the files that it writes."""

from __future__ import annotations

import asyncio
import json
import logging
import mimetypes
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from nodegraph.core.events import Event, Listener
from nodegraph.core.file_access import uploaded_paths
from nodegraph.core.file_digests import hash_file
from nodegraph.core.text_format import is_well_formed, pluralize
from nodegraph.core.workflow import Workflow
from nodegraph.engine.lanes import Share
from nodegraph.engine.options import CancelToken, RunOptions
from nodegraph.engine.result import NodeReport, RunResult, WrittenFile
from nodegraph.errors import InvalidFile, Problem
from nodegraph.jobs.supervisor.errors import error_from_problems, error_to_dict, node_errors_to_dict
from nodegraph.jobs.supervisor.messages import Ended, EndStatus, RunJob
from nodegraph.session.session import Session
from nodegraph.session.settings import path_redactor

_LOG = logging.getLogger(__name__)
_MOST_WORKFLOWS = 16
_RUN_OPTIONS = ("deadline", "check_mutation", "metadata", "metadata_prompts", "sidecar")
"""What the options of a job say of its run; the rest is for the supervisor."""
_SAYING = frozenset({"node.failed", "node.retried", "node.skipped", "log"})
"""Kinds of events that pass on what a node says, in words of its own."""
StoppedAs = Literal["cancelled", "released"]
_UNKNOWN = "application/octet-stream"
_MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".glb": "model/gltf-binary",
    ".ply": "model/ply",
    ".obj": "model/obj",
    ".sdf": "chemical/x-mdl-sdfile",
    ".pdb": "chemical/x-pdb",
    ".smi": "chemical/x-daylight-smiles",
    ".ora": "application/x-openraster",
    ".psd": "application/x-photoshop",
}
"""Not every system knows them."""
MOST_WARNINGS = 100
"""Of all nodes of a job, that are kept with it; each was told by an event, too."""
MOST_UI = 8 << 20
"""Bytes of JSON that its nodes show, and that are kept with it."""
_AT_ONCE = 64 << 20
"""Bytes that are digested while others wait to tell something; larger files wait for the end."""


def outputs_of(result: RunResult, files: JobFiles) -> dict[str, Any]:
    """Its files, the digests of its targets' outputs, how many nodes ran and what they warned of.

    A file that is gone already is left out.
    """
    entries = [_entry(file, files) for file in result.files]
    reports = result.nodes
    statuses = [report.status for report in reports.values()]
    return {
        "files": [file for file in entries if file is not None],
        "outputs": {
            output: reports[node].outputs[port]
            for output in result.outputs
            for node, _, port in [output.rpartition(".")]
            if node in reports and port in reports[node].outputs
        },
        "nodes": {"ran": statuses.count("ran"), "cached": statuses.count("cached")},
        "warnings": _warnings(reports),
        "ui": _ui(reports),
        "seconds": round(result.seconds, 6),
        "run": result.run,
    }


def _ui(reports: Mapping[str, NodeReport]) -> dict[str, Any]:
    """What clients show for the nodes, by their names; the first ones, if it is very much."""
    shown: dict[str, Any] = {}
    size = 0
    for report in reports.values():
        for name, ui in report.ui.items():
            if name not in shown:
                size += len(json.dumps(ui))
                if size > MOST_UI:
                    return shown
                shown[name] = ui
    return shown


def _warnings(reports: Mapping[str, NodeReport]) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = [
        {"node": name, "message": message}
        for name, report in reports.items()
        for message in report.warnings
    ]
    more = len(warnings) - MOST_WARNINGS
    if more > 0:
        warnings[MOST_WARNINGS:] = [{"node": None, "message": pluralize(more, "more warning")}]
    return warnings


def _entry(file: WrittenFile, files: JobFiles) -> dict[str, Any] | None:
    description = files.described(file.path)
    if description is None:
        return None
    return {"node": file.node, "kind": file.kind, "existed": file.existed, **description}


class Assignment:
    """One attempt at a job. What is wished for may be said from any thread.

    Attributes:
        token: Control of its run.
        ending: How it is to end, if it has to; None if it may finish.
    """

    def __init__(self, order: RunJob) -> None:
        self.order = order
        self.token = CancelToken()
        self.ending: StoppedAs | None = None

    def is_of(self, job: str, attempt: int) -> bool:
        """Whether it is that job's, at that attempt."""
        return (self.order.job, self.order.attempt) == (job, attempt)

    def cancel(self, reason: str) -> None:
        """Have it stop at its next step. It doesn't go on, even if it was to be released before."""
        self.ending = "cancelled"
        self.token.cancel(reason)

    def release(self, reason: str) -> None:
        """Have it save its work at its next step and stop there."""
        if self.ending is None:
            self.ending = "released"
        self.token.cancel(reason)


class Jobs:
    """Runs jobs on a session, which keeps weights and results from one to the next."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._places = path_redactor(session.settings)
        self._workflows: OrderedDict[str, Workflow] = OrderedDict()

    async def run(self, assignment: Assignment, listener: Listener) -> Ended:
        """How a job ended; its events went to the listener."""
        order, files = assignment.order, JobFiles()
        try:
            result = await self._result(assignment, files.describing(self._discreet(listener)))
            ended = await self._ended(assignment, result, files)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is this job's fault alone
            ended = _end(order, "failed", error=error_to_dict(error))
        try:
            return (
                replace(ended, error=self._places.redact_json(ended.error))
                if ended.error
                else ended
            )
        finally:
            self._tell_problems()

    def _discreet(self, listener: Listener) -> Listener:
        """A listener that isn't told where things lie on this machine, in words of nodes."""

        def tell(event: Event) -> None:
            if event.kind in _SAYING or "ui" in event.data:
                event = replace(event, data=self._places.redact_json(event.data))
            listener(event)

        return tell

    async def _result(self, assignment: Assignment, listener: Listener) -> RunResult:
        order = assignment.order
        uploads = self._session.settings.uploads
        run_options = {
            name: order.options[name]
            for name in _RUN_OPTIONS
            if order.options.get(name) is not None
        }
        options = RunOptions(
            parameters=order.parameters,
            targets=order.targets,
            listener=listener,
            cancel=assignment.token,
            values=False,
            share=Share(order.client, _urgency(order.priority)),
            granted=uploaded_paths(order.workflow, order.parameters, uploads) if uploads else (),
            **run_options,
        )
        return await self._session.run_async(self._workflow(order.workflow), options)

    def _workflow(self, text: str) -> Workflow:
        """Read a workflow; the same one often comes again, with other parameters."""
        known = self._workflows.pop(text, None)
        workflow = Workflow.from_json(text) if known is None else known
        self._workflows[text] = workflow
        if len(self._workflows) > _MOST_WORKFLOWS:
            self._workflows.popitem(last=False)
        return workflow

    async def _ended(self, assignment: Assignment, result: RunResult, files: JobFiles) -> Ended:
        order = assignment.order
        if result.status == "ok":
            return _end(order, "finished", outputs=await self._outputs(result, files))
        if result.status == "failed":
            error = node_errors_to_dict(result.errors)
            if warnings := _warnings(result.nodes):
                error["warnings"] = warnings
            return _end(order, "failed", error=error)
        if assignment.ending is None:
            return _end(
                order, "failed", error=error_from_problems([Problem("deadline", result.reason)])
            )
        if assignment.ending == "released":
            await asyncio.to_thread(self._keep)
        return _end(order, assignment.ending)

    async def _outputs(self, result: RunResult, files: JobFiles) -> dict[str, Any]:
        # Their digests take reading them.
        outputs = (
            await asyncio.to_thread(outputs_of, result, files)
            if result.files
            else outputs_of(result, files)
        )
        spoken = {name: self._places.redact_json(outputs[name]) for name in ("warnings", "ui")}
        return outputs | spoken

    def _keep(self) -> None:
        """See to it that what a job has computed is there for its next attempt, here or elsewhere.

        Its checkpoints are written, and what its nodes have given.
        """
        self._session.engine.shared.saver.flush()
        store = self._session.store
        if store is not None:
            store.flush()

    def _tell_problems(self) -> None:
        for problem in self._session.problems:
            _LOG.warning("%s", problem)
        self._session.problems.clear()


def _urgency(priority: int) -> int:
    """The lanes' class of priority."""
    if priority == 0:
        return 1
    return 0 if priority > 0 else 2


def _end(
    order: RunJob,
    status: EndStatus,
    *,
    outputs: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> Ended:
    return Ended(order.job, order.attempt, status, outputs, error)


class JobFiles:
    """Describes the files of one job; what hasn't changed since is read once.

    Safe to use from several threads: at worst a file is read twice.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], Mapping[str, Any]]] = {}

    def described(self, path: Path, *, most: int | None = None) -> Mapping[str, Any] | None:
        """Where a file lies, its digest, size, media type and, of an image, its pixels.

        None if it is gone, larger than wanted, or has a name that is no text: the queue couldn't
        hold that, nor anybody ask for it.

        Args:
            most: Bytes.
        """
        absolute_path = path.absolute()
        if not is_well_formed(str(absolute_path)):
            _LOG.warning(
                "%s was written but is not listed: its name is not UTF-8", ascii(str(absolute_path))
            )
            return None
        try:
            status = absolute_path.stat()
            if most is not None and status.st_size > most:
                return None
            stamp = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
            known = self._known.get(str(absolute_path))
            if known is not None and known[0] == stamp:
                return known[1]
            description = _described(absolute_path, status)
        except OSError as error:
            _LOG.warning("%s was written but no longer exists: %s", absolute_path, error)
            return None
        self._known[str(absolute_path)] = stamp, description
        return description

    def describing(self, listener: Listener) -> Listener:
        """A listener that is told more of each file that is written."""

        def tell(event: Event) -> None:
            if event.kind == "node.wrote" and "path" in event.data:
                description = self.described(Path(event.data["path"]), most=_AT_ONCE)
                event = replace(event, data={**event.data, **(description or {})})
            listener(event)

        return tell


def _described(path: Path, status: os.stat_result) -> dict[str, Any]:
    guessed = mimetypes.guess_type(path.name)[0] or _UNKNOWN
    media_type = _MEDIA_TYPES.get(path.suffix.lower(), guessed)
    description = {
        "path": str(path),
        "media_type": media_type,
        "size": status.st_size,
        "digest": hash_file(path),
    }
    if media_type.startswith("video/"):
        return {**description, **_frame_pixels(path)}
    return {**description, **(_pixels(path) if media_type.startswith("image/") else {})}


def _frame_pixels(path: Path) -> dict[str, int]:
    """Width and height of a video as it is shown; nothing if that isn't known."""
    from nodegraph.media.videos.video_files import video_facts

    try:
        facts = video_facts(path)
    except InvalidFile:
        return {}
    return {"width": facts.width, "height": facts.height}


def _pixels(path: Path) -> dict[str, int]:
    """Width and height of an image as it is shown; nothing if that isn't known."""
    # Whatever writes images has it in memory by now.
    from nodegraph.media.images.images import picture_size

    try:
        width, height = picture_size(path, max_pixels=None)
    except InvalidFile:
        return {}
    return {"width": width, "height": height}
