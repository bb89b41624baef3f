"""What can be asked about workflows that are kept on the server, and apps made of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nodegraph.client.calls import Call
from nodegraph.client.job_calls import AsDocument, document_of
from nodegraph.client.reading import (
    Page,
    as_bytes,
    as_mapping,
    as_nothing,
    as_one,
    as_page,
    as_picture,
)
from nodegraph.client.requests import Request, json_request, place, query
from nodegraph.client.shapes import App, AppItem, AppRun, SavedItem, SavedVersion, Template

_WORKFLOWS, _TEMPLATES, _APPS = "/workflows", "/templates", "/apps"


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
    request = json_request("PUT", _WORKFLOWS + place(name), document, headers)
    # With a condition, the second one would be refused because of the first.
    return Call(request, as_one(SavedVersion), is_repeatable=not headers)


def get_workflow(name: str, version: int | None) -> Call[Mapping[str, Any]]:
    """A saved workflow."""
    way = place(name) if version is None else place(name, "versions", version)
    return Call(Request("GET", _WORKFLOWS + way), as_mapping)


def delete_workflow(name: str) -> Call[None]:
    """Delete a saved workflow with all its versions."""
    return Call(Request("DELETE", _WORKFLOWS + place(name)), as_nothing, done_before=404)


def workflows(cursor: str | None, text: str) -> Call[Page[SavedItem]]:
    """Some saved workflows."""
    return Call(Request("GET", _WORKFLOWS, query(text=text, cursor=cursor)), as_page(SavedItem))


def versions(name: str) -> Call[Page[SavedVersion]]:
    """The versions of a saved workflow."""
    return Call(Request("GET", _WORKFLOWS + place(name, "versions")), as_page(SavedVersion))


def templates() -> Call[Page[Template]]:
    """The workflows that come with the server."""
    return Call(Request("GET", _TEMPLATES), as_page(Template))


def get_template(name: str) -> Call[Mapping[str, Any]]:
    """One of them."""
    return Call(Request("GET", _TEMPLATES + place(name)), as_mapping)


def template_picture(name: str) -> Call[bytes]:
    """A picture of what one makes."""
    return Call(Request("GET", _TEMPLATES + place(name, "picture")), as_picture)


def template_file(name: str, file: str) -> Call[bytes]:
    """A file that one needs."""
    return Call(Request("GET", _TEMPLATES + place(name, "files", file)), as_bytes)


def apps(cursor: str | None) -> Call[Page[AppItem]]:
    """Some apps."""
    return Call(Request("GET", _APPS, query(cursor=cursor)), as_page(AppItem))


def app(name: str) -> Call[App]:
    """What an app takes."""
    request = Request("GET", _APPS + place(name), headers={"Accept": "application/json"})
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
    request = json_request("POST", _APPS + place(name), dict(values), headers)
    return Call(replace(request, seconds=float(wait)), as_one(AppRun))
