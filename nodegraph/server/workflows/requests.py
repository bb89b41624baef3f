"""What clients ask to be checked, planned or run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nodegraph.jobs.queue.submission import HIGHEST_PRIORITY, LOWEST_PRIORITY
from nodegraph.session.settings_kinds import NUMBER

EXAMPLE: Mapping[str, Any] = {
    "format": "nodegraph/1",
    "title": "An apple",
    "parameters": {"path": "load.path"},
    "nodes": {
        "load": {"type": "LoadImage", "inputs": {"path": "upload:a5f0…c2e6/apple.png"}},
        "smaller": {
            "type": "ResizeImage",
            "inputs": {"image": {"from": "load.image"}, "width": 64, "height": 64},
        },
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "smaller"}, "name": "apple"}},
    },
}
Tag = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Target = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
StallSeconds = Annotated[float, NUMBER, Field(gt=0, le=86_400)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SavedReference(_Part):
    """A workflow that is saved on the server.

    Attributes:
        saved: Its name.
        version: Number of the version; the newest if not given.
    """

    saved: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    version: Annotated[int, NUMBER, Field(ge=1, lt=1 << 53)] | None = None


class WorkflowWish(_Part):
    """A workflow with values of its parameters."""

    workflow: Annotated[SavedReference | dict[str, Any], Field(union_mode="left_to_right")] = Field(
        description="A workflow as its file says it, or the name of a saved one.",
        examples=[EXAMPLE, {"saved": "apple", "version": 3}],
    )
    parameters: dict[str, Any] = Field(
        default={},
        description="Values of the workflow's named parameters.",
        examples=[{"path": "upload:17e3…09bd/pear.png"}],
    )
    targets: Annotated[list[Target], Field(max_length=10_000)] | None = Field(
        default=None,
        description="Nodes to run, with what they need; all that write something if not given.",
        examples=[["save"]],
    )


class RunOptions(_Part):
    """How to run it."""

    # As default of a field, what may change is copied each time.
    model_config = ConfigDict(frozen=True)

    deadline: Annotated[float, NUMBER, Field(gt=0, le=30 * 86_400)] | None = Field(
        default=None, description="Seconds of running after which it is cancelled."
    )
    check_mutation: bool | None = Field(
        default=None, description="Find nodes that change their inputs; slow."
    )
    stall_seconds: StallSeconds | dict[str, StallSeconds] | None = Field(
        default=None,
        description="Without news, after which a node counts as stalled: for all, or by node.",
    )


class JobWish(WorkflowWish):
    """A job to be."""

    name: Annotated[str, StringConstraints(max_length=256)] = Field(
        default="", description="For display; the workflow's title if not given."
    )
    tags: Annotated[list[Tag], Field(max_length=32)] = Field(
        default=[], description="To find it by.", examples=[["apples"]]
    )
    priority: Annotated[int, NUMBER, Field(ge=LOWEST_PRIORITY, le=HIGHEST_PRIORITY)] = Field(
        default=0, description="The highest goes first, before all jobs of lower ones."
    )
    held: bool = Field(default=False, description="Let it wait until it is let go.")
    options: RunOptions = RunOptions()
    plan: bool = Field(
        default=False, description="Plan it first, and keep the plan with it. Takes longer."
    )
