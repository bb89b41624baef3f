"""Workflows of ComfyUI, translated for whoever asks the planner: packs may say how for theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.compat.comfyui.importing import ImportedWorkflow, import_document
from nodegraph.compat.comfyui.packs import node_table
from nodegraph.compat.comfyui.reading import carried_workflow
from nodegraph.compat.comfyui.report import import_report
from nodegraph.diffusion.models import find_path
from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.session.session import Session


def translated(session: Session, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a workflow of ComfyUI's is here, ``workflow``, and ``report``: what came of it.

    Args:
        arguments: `document`, or the `texts` that a file carries.
    Raises:
        InvalidFile, InvalidWorkflow: It can't be translated, or is none of ComfyUI's.
    """
    session.look_anew()
    imported = import_document(_document(arguments), node_table(session.registry.packs))
    return {"workflow": imported.workflow.to_dict(), "report": _report(session, imported)}


def _document(arguments: Mapping[str, Any]) -> Any:
    texts = arguments.get("texts")
    if texts is None:
        return arguments.get("document")
    found = carried_workflow(texts)
    if found is None:
        raise InvalidFile(
            "there is no workflow of ComfyUI in it",
            hint="A file of it holds either `nodes` and `links`, or nodes with a `class_type`.",
        )
    return found


def _report(session: Session, imported: ImportedWorkflow) -> dict[str, Any]:
    folders = session.environment.models

    def is_there(model: str) -> bool:
        try:
            return bool(find_path(model, folders))
        except NodegraphError:
            return False  # the place of remote ones may not answer

    found = import_report("", imported, session.registry, session.environment, is_there)
    return found.as_dict()
