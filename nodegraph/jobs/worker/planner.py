"""The planner role: answer the server's questions about workflows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from nodegraph.core.file_access import uploaded_paths
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.workflow import Workflow
from nodegraph.engine.options import RunOptions
from nodegraph.engine.planning.device_memory import DeviceMemory, RemoteMemory
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, NodegraphError, Problem
from nodegraph.interop.comfyui.importer import (
    ImportedWorkflow,
    NodeTable,
    import_document,
    node_table,
)
from nodegraph.interop.comfyui.reading import find_embedded_workflow
from nodegraph.interop.comfyui.report import import_report
from nodegraph.jobs.supervisor.errors import ProtocolFault, error_from_problems, error_to_dict
from nodegraph.jobs.supervisor.messages import Answer, Ask, MemoryUpdate
from nodegraph.jobs.supervisor.protocol import Message
from nodegraph.jobs.worker.job_runner import StoreFlusher
from nodegraph.jobs.worker.pipes import Outbox, call_threadsafe
from nodegraph.models.model_sources import find_path
from nodegraph.packs.registry import Registry
from nodegraph.session.session import Session
from nodegraph.session.settings import path_redactor

_HASHED_BYTES = 4 << 30
"""Bytes of model files that one import may read for their hashes: some seconds."""


class Role(Protocol):
    """The work of a process, on the event loop of its main thread."""

    @property
    def job(self) -> str | None:
        """Id of the job that it has."""

    def receive(self, message: Message) -> None:
        """The server says something; in the listening thread."""

    def end(self, reason: str) -> None:
        """Come to an end soon, and lose nothing; from any thread."""

    async def serve(self) -> None:
        """Work until it has come to an end."""


class Planner:
    """Answers one question after the other; see `Role`. Made on the event loop's thread."""

    def __init__(
        self, answers: PlannerAnswers, outbox: Outbox, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._answers = answers
        self._outbox = outbox
        self._loop = loop
        self._waiting: asyncio.Queue[Ask | MemoryUpdate | None] = asyncio.Queue()

    @property
    def job(self) -> str | None:
        return None

    def receive(self, message: Message) -> None:
        if not isinstance(message, Ask | MemoryUpdate):
            raise ProtocolFault("a planner does not run jobs", given=message.kind)
        self._put(message)

    def end(self, reason: str) -> None:
        self._put(None)

    def _put(self, message: Ask | MemoryUpdate | None) -> None:
        # A question may still come behind the order to end; who asked hears of the end.
        call_threadsafe(self._loop, lambda: self._waiting.put_nowait(message))

    async def serve(self) -> None:
        while (ask := await self._waiting.get()) is not None:
            if isinstance(ask, MemoryUpdate):
                self._answers.update_memory(ask)
                continue
            answer = self._answer(ask)
            try:
                self._outbox.send(answer)
            except ProtocolFault as fault:
                problem = Problem(fault.code, f"the answer cannot be sent: {fault}")
                self._outbox.send(Answer(ask.id, error=error_from_problems([problem])))

    def _answer(self, ask: Ask) -> Answer:
        try:
            return Answer(ask.id, self._answers.answer(ask.question, ask.arguments))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - of a pack's hook, maybe
            places = path_redactor(self._answers.session.settings)
            return Answer(ask.id, error=places.redact_json(error_to_dict(error)))


def translated(
    session: Session, arguments: Mapping[str, Any], table: Callable[[], NodeTable]
) -> dict[str, Any]:
    """What another tool's workflow is here, ``workflow``, and ``report``: what came of it.

    Args:
        arguments: `document`, or the `texts` that a file carries.
        table: Returns the table of ComfyUI's node types.
    Raises:
        InvalidFile, InvalidWorkflow: It can't be translated, or is no other tool's.
    """
    texts = arguments.get("texts")
    document = arguments.get("document") if texts is None else find_embedded_workflow(texts)
    if document is None:
        imported = _import_settings(session, texts or {})
    else:
        imported = import_document(document, table())
    return {"workflow": imported.workflow.to_dict(), "report": _report(session, imported)}


def _import_settings(session: Session, texts: Mapping[str, str]) -> ImportedWorkflow:
    """The workflow of the settings that another tool's image carries."""
    from nodegraph.interop.image_metadata import find_generation
    from nodegraph.interop.image_metadata.generation_workflow import import_generation
    from nodegraph.interop.image_metadata.model_finder import ModelFinder

    generation = find_generation(texts)
    if generation is None:
        raise InvalidFile(
            "it does not contain a ComfyUI workflow, nor the settings of another tool",
            hint="A ComfyUI file has either `nodes` and `links`, or nodes with a `class_type`.",
        )
    folders, cache = session.environment.models, session.settings.cache_folder
    return import_generation(generation, ModelFinder(folders, cache, budget=_HASHED_BYTES))


def _report(session: Session, imported: ImportedWorkflow) -> dict[str, Any]:
    folders = session.environment.models

    def is_there(model: str) -> bool:
        try:
            return bool(find_path(model, folders))
        except NodegraphError:
            return False  # the place of remote ones may not answer

    report = import_report("", imported, session.registry, session.environment, is_there)
    return report.as_dict()


class PlannerAnswers:
    """Answers on a session, by the names of its methods that don't begin with an underscore.

    Args:
        session: Opens one. It is opened anew where packs may have changed.
    """

    def __init__(self, session: Callable[[], Session]) -> None:
        self._open = session
        self._session = session()
        self._upkeep = StoreFlusher(self._session)
        self._places = path_redactor(self._session.settings)
        self._stock = RemoteMemory()
        self._table: tuple[Registry, NodeTable] | None = None
        self._known: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "check": self._check,
            "comfyui_prompt": self._comfyui_prompt,
            "comfyui_types": self._comfyui_types,
            "compare": self._compare,
            "import": self._import,
            "merge": self._merge,
            "node_types": self._node_types,
            "plan": self._plan,
            "script": self._script,
        }

    @property
    def session(self) -> Session:
        """The one in use."""
        return self._session

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def update_memory(self, news: MemoryUpdate) -> None:
        """Plans are for a worker that holds this in memory."""
        self._stock.update(news.results, news.gone, news.weights, is_all=news.is_all)
        self._stock.rooms = {kind: DeviceMemory(**room) for kind, room in news.rooms.items()}

    def answer(self, question: str, arguments: Mapping[str, Any]) -> Any:
        """The answer, of plain values.

        Raises:
            NodegraphError: Why there is none.
        """
        handler = self._known.get(question)
        if handler is None:
            hint = did_you_mean(question, self._known)
            raise InvalidValue("there is no such request", given=question, hint=hint)
        return handler(arguments)

    def _check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that is wrong with a workflow: ``valid``, and ``problems``.

        `workflow` is a document or its text; `parameters` and `targets` may be left out.
        """
        workflow, problems = _with_parameters(arguments)
        targets, granted = arguments.get("targets"), self._granted(arguments)
        problems += self._session.check(workflow, targets=targets, granted=granted)
        plain_problems = [self._places.redact_json(problem.as_dict()) for problem in problems]
        return {"valid": not problems, "problems": plain_problems}

    def _compare(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See `workflow_comparison.compare_documents`."""
        from nodegraph.session.workflow_comparison import compare_documents  # as few ask for it

        return compare_documents(**arguments)

    def _merge(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See `workflow_comparison.merge_documents`."""
        from nodegraph.session.workflow_comparison import merge_documents  # as few ask for it

        return merge_documents(**arguments)

    def _import(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See `translating.translated`, which is imported here as few ask for it."""
        self._session.refresh()
        translation = translated(self._session, arguments, self._node_table)
        return {**translation, "report": self._places.redact_json(translation["report"])}

    def _comfyui_prompt(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A ComfyUI client's `prompt` as `CheckedPrompt.as_dict`; or ``error`` and
        ``node_errors``, in ComfyUI's form. `targets` may be left out."""
        from nodegraph.interop.comfyui.prompt_check import InvalidPrompt, check_prompt

        session, prompt = self._session, arguments["prompt"]
        session.refresh()
        granted = self._granted({"workflow": json.dumps(prompt)})
        try:
            checked = check_prompt(
                prompt,
                self._node_table(),
                session.registry,
                session.environment.with_granted(granted),
                arguments.get("targets"),
            )
        except InvalidPrompt as invalid:
            answer = {"error": dict(invalid.error), "node_errors": dict(invalid.node_errors)}
            return dict(self._places.redact_json(answer))
        errors = self._places.redact_json(dict(checked.node_errors))
        return {**checked.as_dict(), "node_errors": errors}

    def _comfyui_types(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """ComfyUI's node types that packs translate: each its ``signature`` and ``native`` type."""
        self._session.refresh()
        return [
            {"signature": asdict(entry.signature), "native": entry.native}
            for entry in self._node_table().entries.values()
            if not entry.is_built_in
        ]

    def _node_table(self) -> NodeTable:
        """The table of ComfyUI's node types; made once for a registry, as that takes a while."""
        registry = self._session.registry
        if self._table is None or self._table[0] is not registry:
            self._table = registry, node_table(registry.packs, registry)
        return self._table[1]

    def _plan(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """As `Plan.as_dict`, and whether it is ``valid``; arguments as for `_check`."""
        workflow, problems = _with_parameters(arguments)
        targets = arguments.get("targets")
        # Workers have learned meanwhile what things take.
        self._upkeep.if_due()
        plan = self._session.plan(
            workflow,
            targets=targets,
            problems=problems,
            granted=self._granted(arguments),
            stock=self._stock,
            files=RunOptions(**arguments.get("options") or {}),
        )
        fields = plan.as_dict()
        plain_fields = {
            name: self._places.redact_json(fields[name]) for name in ("problems", "warnings")
        }
        return {"valid": not plan.problems, **fields, **plain_fields}

    def _script(self, arguments: Mapping[str, Any]) -> str:
        """The Python script that builds `workflow`."""
        from nodegraph.python.builder.script import python_script  # as few ask for it

        self._session.refresh()
        return python_script(Workflow.from_dict(arguments["workflow"]), self._session)

    def _granted(self, arguments: Mapping[str, Any]) -> Collection[Path]:
        """Uploads that whoever asks may read: a server has put their paths into the workflow."""
        workflow, uploads = arguments.get("workflow"), self._session.settings.uploads
        if uploads is None:
            return ()
        text = workflow if isinstance(workflow, str) else json.dumps(workflow)
        return uploaded_paths(text, arguments.get("parameters") or {}, uploads)

    def _node_types(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Look at the packs anew, and write down what they declare, for others to read."""
        former, self._session = self._session, self._open()
        former.close()
        self._upkeep = StoreFlusher(self._session)
        registry = self._session.registry
        return {"node_types": len(registry.node_types()), "problems": list(registry.problems)}


def _with_parameters(arguments: Mapping[str, Any]) -> tuple[Workflow, list[Problem]]:
    """The workflow with its parameters set as far as that can be, and what is wrong with them.

    Raises:
        InvalidFile, InvalidWorkflow: It can't be read.
    """
    document = arguments.get("workflow")
    workflow = (
        Workflow.from_json(document) if isinstance(document, str) else Workflow.from_dict(document)
    )
    try:
        return workflow.with_parameters(arguments.get("parameters") or {}), []
    except InvalidWorkflow as error:
        return workflow, list(error.problems)
