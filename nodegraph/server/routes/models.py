"""Which models there are."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.diffusion import models
from nodegraph.server.dependencies import MayRead, TheServices
from nodegraph.server.problems import responses

router = APIRouter(prefix="/models", tags=["models"])


class ModelEntry(BaseModel):
    """A file or folder under the models folders that may be a model."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    name: str = Field(description="What `LoadModel` takes.", examples=["tiny"])
    kind: Literal["diffusers", "checkpoint", "embedded"]
    family: str | None = Field(description="None if it can't be used.", examples=["sd1"])
    bytes: int = Field(description="On disk.", examples=[19_534_105])
    problem: str | None = Field(description="Why it can't be used; none if it can.")


class ModelList(BaseModel):
    """The models."""

    items: list[ModelEntry]
    next: str | None = None
    folders: list[str] = Field(
        description="Where to put more; only those who may administer are told."
    )


@router.get("", summary="List the models", responses=responses(401, 403))
async def list_models(services: TheServices, caller: MayRead) -> ModelList:
    """The models in the models folders, by name, and the one that comes with nodegraph.

    They are told by their headers: no weights are read, and no pickle is opened.
    """
    folders = services.settings.model_folders
    found = await services.off_loop(models.list_models, folders)
    shown = [str(folder) for folder in folders] if caller.may("admin") else []
    return ModelList(items=[_entry(model) for model in found], folders=shown)


def _entry(model: models.FoundModel) -> ModelEntry:
    # Where files lie on this machine is nobody's business who can't see the machine.
    problem = model.problem and model.problem.replace(str(model.path), model.name)
    return ModelEntry(
        name=model.name,
        kind=model.kind,
        family=model.family,
        bytes=model.bytes,
        problem=problem,
    )
