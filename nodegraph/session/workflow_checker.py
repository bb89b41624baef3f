"""Check workflows before they run, and build the graphs and documents that runs keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack

from nodegraph.core.analysis import check_workflow
from nodegraph.core.context import Environment
from nodegraph.core.declarations import to_versioned_dict
from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_access import may_contain_uploads, with_upload_references
from nodegraph.core.garbage_collection import PausedGC
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.hooks import await_validations, deferred_validations, keep_validations
from nodegraph.core.json_text import write_json
from nodegraph.core.workflow import Workflow, WorkflowOrDict
from nodegraph.engine.options import RunOptions
from nodegraph.errors import InvalidWorkflow, Problem
from nodegraph.media.images.input_files import LEFT_OUT

if TYPE_CHECKING:
    from nodegraph.core.graph_builder import GraphCache
    from nodegraph.engine.live_values import LiveWorkflow, SharedValues
    from nodegraph.packs.registry import Registry


class CheckedWorkflow(NamedTuple):
    """A workflow that may run.

    Attributes:
        document: It as it is noted.
        embedded_document: It as images carry it.
    """

    graph: CheckedGraph
    document: dict[str, Any]
    embedded_document: Mapping[str, Any]


async def validated(
    check: Callable[[WorkflowOrDict, RunOptions], CheckedWorkflow],
    workflow: WorkflowOrDict,
    options: RunOptions,
) -> CheckedWorkflow:
    """Check a workflow; what its async validate hooks wait for holds up nothing else.

    Raises:
        InvalidWorkflow: Lists all that is wrong with it.
    """
    with deferred_validations() as pending:
        checked = check(workflow, options)
    if pending and options.targets is not None:
        keep_validations(pending, checked.graph.nodes)
    problems, _ = await await_validations(pending)
    if problems:
        raise InvalidWorkflow(problems)
    return checked


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks workflows by the node types and permissions of one moment."""

    registry: Registry
    environment: Environment

    def problems(self, workflow: Workflow, targets: Sequence[str] | None) -> list[Problem]:
        """Everything that is wrong with a workflow."""
        live = self._live(workflow)
        if live is not None:
            return list(live.analysed(self.environment, targets).problems)
        return check_workflow(workflow, self.registry, self.environment, targets=targets)

    def graph(self, workflow: Workflow, targets: Sequence[str] | None) -> CheckedGraph:
        """The executable graph of a workflow.

        Raises:
            InvalidWorkflow: Lists all that is wrong with it.
        """
        from nodegraph.core.graph_builder import build_graph

        live = self._live(workflow)
        if live is not None:
            return live.graph(self.environment, targets)
        return build_graph(workflow, self.registry, self.environment, targets=targets)

    def check(
        self,
        workflow: WorkflowOrDict,
        options: RunOptions,
        graphs: GraphCache,
        *,
        uploads: Path | None = None,
        shared: SharedValues | None = None,
    ) -> CheckedWorkflow:
        """What can be run.

        Args:
            graphs: Remembers those that were built before.
            uploads: Where files lie that clients brought; images don't tell of the place.
            shared: Of runs that begin together.
        Raises:
            InvalidWorkflow: Lists all that is wrong with it.
            InvalidValue: It holds what no record of the run could.
        """
        parameters = options.parameters or {}
        if shared is not None:
            parameters = shared.copy_parameters(parameters)
        targets = options.targets
        with PausedGC():
            whole = Workflow.of(workflow).with_parameters(parameters)
            # What sinks keep is to mean the same after an upgrade of the nodes.
            document = to_versioned_dict(whole, self.registry)
            packed = None if whole.too_large_input() else _packed(document)
            live = self._live(whole, shared) if packed is None else None
        if live is not None:
            graph = live.graph(self.environment, targets)
            document = to_versioned_dict(live.document, self.registry)
            packed = _packed(document)
        elif packed is None:
            # It has values that no file has; where they are objects, they may have changed.
            graph = self.graph(whole, targets)
        else:
            digest = digest_bytes(packed)
            graph = graphs.get_or_build(
                digest, whole, self.registry, self.environment, targets=targets
            )
        if packed is None:
            write_json(document)  # what the editor or a later version keeps in it is in no graph
        return CheckedWorkflow(graph, document, _embedded_document(document, packed, uploads))

    def _live(self, workflow: Workflow, shared: SharedValues | None = None) -> LiveWorkflow | None:
        """A workflow whose inputs are given live values, made ready; None for others."""
        if not workflow.live_inputs():
            return None
        from nodegraph.engine.live_values import LiveWorkflow  # files have none

        return LiveWorkflow.of(workflow, self.registry, shared)


def _packed(document: Mapping[str, Any]) -> bytes | None:
    """All that a workflow says; None if it has values that no file has."""
    try:
        packed: bytes = msgpack.packb(document, strict_types=True, use_bin_type=True)
    except (TypeError, ValueError, OverflowError):
        return None
    return packed


_LONG_TEXT = 32 << 10
_BINARY = re.compile(r"(data:[^,]{0,200},)?[A-Za-z0-9+/=_\s-]+")


def _without_binary_texts(document: dict[str, Any]) -> dict[str, Any]:
    """A workflow without long base64 texts, such as images; the document itself without any.

    What stands for one has its digest, which tells which it was.
    """
    changed = False

    def without(value: Any) -> Any:
        nonlocal changed
        if isinstance(value, Mapping):
            return {key: without(item) for key, item in value.items()}
        if isinstance(value, list):
            return [without(item) for item in value]
        if not isinstance(value, str) or len(value) < _LONG_TEXT:
            return value
        is_prose = " " in value or _BINARY.fullmatch(value) is None
        if is_prose:
            return value
        changed = True
        return f"{LEFT_OUT}{len(value)} characters, blake3 {digest_bytes(value.encode())}"

    own = {name: item if name == "ui" else without(item) for name, item in document.items()}
    if not changed:
        return document
    if isinstance(own.get("ui"), Mapping):
        # the document that a workflow was imported from has the same text
        own["ui"] = {name: item for name, item in own["ui"].items() if name != "comfyui"}
    return own


def _embedded_document(
    document: dict[str, Any], packed: bytes | None, uploads: Path | None
) -> dict[str, Any]:
    """A workflow as images carry it, without the places of files that a client brought, and without
    long binary texts, which would be in each image."""
    if packed is not None and len(packed) >= _LONG_TEXT:
        document = _without_binary_texts(document)
    if uploads is None or (packed is not None and not may_contain_uploads(packed, uploads)):
        return document
    referenced: dict[str, Any] = with_upload_references(document, uploads)
    return referenced
