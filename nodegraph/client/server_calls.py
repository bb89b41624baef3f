"""What can be asked about the server itself, its queue, and workflows that aren't to be kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

from nodegraph.client.calls import Call
from nodegraph.client.job_calls import PLAN_SECONDS, AnyWorkflow, WishFields, wish
from nodegraph.client.node_types import NodeTypes, read_node_type, read_node_types
from nodegraph.client.reading import Page, as_count, as_mapping, as_one, as_page, as_picture
from nodegraph.client.requests import Request, json_request, place, query
from nodegraph.client.shapes import (
    Checked,
    Model,
    Plan,
    QueueState,
    Refreshed,
    Source,
    System,
)
from nodegraph.core.spec import NodeSpec

_QUEUE, _SETTINGS = "/queue", "/settings"


class RetentionChange(TypedDict, total=False):
    """Which ended jobs are kept; None for no limit.

    Attributes:
        seconds, count: For how long, and how many: finished and cancelled ones.
        failed_seconds, failed_count: The same for failed ones.
    """

    seconds: float | None
    count: int | None
    failed_seconds: float | None
    failed_count: int | None


class SettingsChange(TypedDict, total=False):
    """What may be changed of a server's settings while it runs."""

    retention: RetentionChange


def validate(workflow: AnyWorkflow, fields: WishFields) -> Call[Checked]:
    """Everything that is wrong with a workflow."""
    request = json_request("POST", "/validate", wish(workflow, fields))
    return Call(replace(request, seconds=PLAN_SECONDS), as_one(Checked))


def plan(workflow: AnyWorkflow, fields: WishFields) -> Call[Plan]:
    """What a run would do."""
    request = json_request("POST", "/plan", wish(workflow, fields))
    return Call(replace(request, seconds=PLAN_SECONDS), as_one(Plan))


def node_types() -> Call[NodeTypes]:
    """All node types."""
    return Call(Request("GET", "/node-types"), read_node_types)


def node_type(name: str) -> Call[NodeSpec]:
    """A node type."""
    return Call(Request("GET", f"/node-types{place(name)}"), read_node_type)


def models() -> Call[Page[Model]]:
    """The models."""
    return Call(Request("GET", "/models"), as_page(Model))


def model_thumbnail(name: str, size: int) -> Call[bytes]:
    """A small picture of a model."""
    return Call(Request("GET", "/models/thumbnail", query(name=name, size=size)), as_picture)


def sources(models: Sequence[str], packs: Sequence[str]) -> Call[Page[Source]]:
    """Where to get models and node packs."""
    asked = query(model=list(models), pack=list(packs))
    return Call(Request("GET", "/sources", asked), as_page(Source))


def system() -> Call[System]:
    """The server itself."""
    return Call(Request("GET", "/system"), as_one(System))


def refresh() -> Call[Refreshed]:
    """Have node packs looked at anew."""
    request = Request("POST", "/system/refresh", seconds=PLAN_SECONDS)
    return Call(request, as_one(Refreshed))


def settings() -> Call[Mapping[str, Any]]:
    """The settings."""
    return Call(Request("GET", _SETTINGS), as_mapping)


def change_settings(change: SettingsChange) -> Call[Mapping[str, Any]]:
    """Change settings."""
    return Call(json_request("PATCH", _SETTINGS, change), as_mapping)


def queue(limit: int) -> Call[QueueState]:
    """How the queue is, with so many of the next jobs."""
    return Call(Request("GET", _QUEUE, query(limit=limit)), as_one(QueueState))


def pause() -> Call[QueueState]:
    """Begin no more jobs."""
    return Call(Request("POST", f"{_QUEUE}/pause"), as_one(QueueState))


def resume() -> Call[QueueState]:
    """Begin jobs again."""
    return Call(Request("POST", f"{_QUEUE}/resume"), as_one(QueueState))


def clear(client: str | None, tag: str | None) -> Call[int]:
    """Cancel what waits; how many those were."""
    # Sent once more, it would cancel what was submitted since.
    request = Request("POST", f"{_QUEUE}/clear", query(client=client, tag=tag))
    return Call(request, as_count("cancelled"), is_repeatable=False)
