"""What can be asked about anything but jobs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nodegraph.client.calls import Call
from nodegraph.client.entries import (
    App,
    AppItem,
    AppRun,
    Checked,
    Model,
    Plan,
    SavedItem,
    SavedVersion,
    System,
    Upload,
)
from nodegraph.client.job_calls import (
    PLAN_SECONDS,
    AnyWorkflow,
    AsDocument,
    WishFields,
    document_of,
    wish,
)
from nodegraph.client.node_types import NodeTypes, read_node_type, read_node_types
from nodegraph.client.reading import Page, as_mapping, as_nothing, as_one, as_page
from nodegraph.client.requests import Request, json_request, place, query
from nodegraph.core.spec import NodeSpec

_LONGEST_NAME = 200


def validate(workflow: AnyWorkflow, fields: WishFields) -> Call[Checked]:
    """Everything that is wrong with a workflow."""
    request = json_request("POST", "/validate", wish(workflow, fields))
    return Call(replace(request, seconds=PLAN_SECONDS), as_one(Checked))


def plan(workflow: AnyWorkflow, fields: WishFields) -> Call[Plan]:
    """What a run would do."""
    request = json_request("POST", "/plan", wish(workflow, fields))
    return Call(replace(request, seconds=PLAN_SECONDS), as_one(Plan))


def upload(file: Path | str | bytes, name: str | None) -> Call[Upload]:
    """Bring a file.

    Args:
        file: Its path, or its bytes.
        name: What it is called there; its own name if not given.
    """
    body = Path(file) if isinstance(file, str) else file
    if name is None:
        name = body.name if isinstance(body, Path) else ""
    headers = {"Content-Type": "application/octet-stream"}
    asked = query(name=name[-_LONGEST_NAME:])
    # Named by its content there, so that bringing it twice is bringing it once.
    return Call(Request("POST", "/uploads", asked, headers, body), as_one(Upload))


def uploads(cursor: str | None) -> Call[Page[Upload]]:
    """Some files that were brought."""
    return Call(Request("GET", "/uploads", query(cursor=cursor)), as_page(Upload))


def save_workflow(
    name: str, workflow: Mapping[str, Any] | AsDocument, changes: str | None, is_new: bool
) -> Call[SavedVersion]:
    """Keep a workflow.

    Args:
        changes: Digest of the version that the change is made to; None for any.
        is_new: Refuse if there is one of that name.
    """
    headers = {"If-None-Match": "*"} if is_new else {}
    if changes is not None:
        headers["If-Match"] = f'"{changes}"'
    document = document_of(workflow)
    request = json_request("PUT", f"/workflows{place(name)}", document, headers)
    # With a condition, the second one would be refused because of the first.
    return Call(request, as_one(SavedVersion), is_repeatable=not headers)


def get_workflow(name: str, version: int | None) -> Call[Mapping[str, Any]]:
    """A saved workflow."""
    way = place(name) if version is None else place(name, "versions", version)
    return Call(Request("GET", f"/workflows{way}"), as_mapping)


def delete_workflow(name: str) -> Call[None]:
    """Delete a saved workflow with all its versions."""
    return Call(Request("DELETE", f"/workflows{place(name)}"), as_nothing, done_before=404)


def workflows(cursor: str | None, text: str) -> Call[Page[SavedItem]]:
    """Some saved workflows."""
    return Call(Request("GET", "/workflows", query(text=text, cursor=cursor)), as_page(SavedItem))


def versions(name: str) -> Call[Page[SavedVersion]]:
    """The versions of a saved workflow."""
    return Call(Request("GET", f"/workflows{place(name, 'versions')}"), as_page(SavedVersion))


def apps(cursor: str | None) -> Call[Page[AppItem]]:
    """Some apps."""
    return Call(Request("GET", "/apps", query(cursor=cursor)), as_page(AppItem))


def app(name: str) -> Call[App]:
    """What an app takes."""
    request = Request("GET", f"/apps{place(name)}", headers={"Accept": "application/json"})
    return Call(request, as_one(App))


def run_app(name: str, values: Mapping[str, Any], wait: int, key: str | None) -> Call[AppRun]:
    """Run an app.

    Args:
        wait: Seconds that the server waits for it to finish before it answers.
    """
    headers = {
        "Accept": "application/json",
        "Idempotency-Key": key or secrets.token_hex(16),
        "Prefer": f"wait={wait}",
    }
    request = json_request("POST", f"/apps{place(name)}", dict(values), headers)
    return Call(replace(request, seconds=float(wait)), as_one(AppRun))


def node_types() -> Call[NodeTypes]:
    """All node types."""
    return Call(Request("GET", "/node-types"), read_node_types)


def node_type(name: str) -> Call[NodeSpec]:
    """A node type."""
    return Call(Request("GET", f"/node-types{place(name)}"), read_node_type)


def models() -> Call[Page[Model]]:
    """The models."""
    return Call(Request("GET", "/models"), as_page(Model))


def system() -> Call[System]:
    """The server itself."""
    return Call(Request("GET", "/system"), as_one(System))
