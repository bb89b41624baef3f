"""Which models there are."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from blake3 import blake3
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from nodegraph.client import shapes
from nodegraph.client.shapes.telling import build_shape
from nodegraph.models.known_words import known_words
from nodegraph.models.model_sources import FoundModel
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.file_answers import THUMBNAIL_ANSWERS, ThumbnailSize, thumbnail_response
from nodegraph.server.http.problems import responses
from nodegraph.server.http.sending import OpenFile
from nodegraph.server.root_path import public_path
from nodegraph.server.services import Services

router = APIRouter(prefix="/models", tags=["models"])

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_LARGEST = 32 << 20
"""Bytes of a picture that is read; a larger one is no picture of a model."""


class ModelList(BaseModel):
    """The models."""

    items: list[shapes.Model]
    next: str | None = None
    folders: list[str] = Field(
        description="Where to put more; only those who may administer are told."
    )


@router.get("", summary="List the models", responses=responses(401, 403))
async def list_models(services: TheServices, caller: MayRead) -> ModelList:
    """The models in the models folders and in the place of remote ones, by name, and the one that
    comes with nodegraph.

    They are told by their headers, read again where files have changed: no weights are read, and
    no pickle is opened. A remote one may be told by its name alone at first, as its header is
    fetched after it was asked for.
    """
    folders = services.settings.model_folders
    models = await services.run_in_thread(_listed, services)
    shown = [str(folder) for folder in folders] if caller.may("admin") else []
    return ModelList(items=models, folders=shown)


@router.get(
    "/thumbnail",
    summary="Get a small picture of a model",
    response_class=Response,
    responses={**THUMBNAIL_ANSWERS, **responses(401, 403, 404, 410, 422)},
)
async def get_model_thumbnail(
    request: Request,
    services: TheServices,
    caller: MayRead,
    name: Annotated[str, Query(max_length=1_000, description="The model's.")],
    size: ThumbnailSize = 256,
) -> Response:
    """The picture that lies beside the model: `x.png`, `x.preview.png` and the like for a file
    `x.safetensors`, `preview.png` or `thumbnail.png` in a folder; also JPEG and WebP."""
    digest, data = await services.run_in_thread(_picture, services, name)
    return await thumbnail_response(
        request,
        caller,
        services.artifacts.thumbnails,
        digest,
        size,
        lambda: OpenFile(BytesIO(data), len(data), digest),
    )


class ModelWords(BaseModel):
    """Words of prompts."""

    words: list[str] = Field(description="The most common first; empty if none are known.")


@router.get(
    "/words",
    summary="List the words that a model's text encoder knows",
    responses=responses(401, 403, 404, 422),
)
async def get_model_words(
    services: TheServices,
    caller: MayRead,
    name: Annotated[str, Query(max_length=1_000, description="The model's.")],
) -> ModelWords:
    """Whole words of its vocabulary, read from its tokenizer; no weights are read."""
    return ModelWords(words=await services.run_in_thread(_words, services, name))


def _words(services: Services, name: str) -> list[str]:
    """The words of a model.

    Raises:
        NotFound: There is no such model.
    """
    folders = services.environment.models
    model = services.models.get(name, folders)
    if model is None:
        raise NotFound("there is no such model", given=ascii(name[:80]))
    return list(known_words(model, folders))


def _picture(services: Services, name: str) -> tuple[str, bytes]:
    """The picture of a model, with its digest.

    Raises:
        NotFound: There is no such model, or no picture of it.
    """
    known = {model.name: model for model in services.listed_models()}
    data = _read_picture(known[name].path) if name in known else None
    if data is None:
        raise NotFound("there is no picture of such a model", given=ascii(name[:80]))
    return blake3(data).hexdigest(), data


def _listed(services: Services) -> list[shapes.Model]:
    return [_entry(model) for model in services.listed_models()]


def _entry(model: FoundModel) -> shapes.Model:
    # Where files lie on this machine is nobody's business who can't see the machine.
    problem = model.problem and model.problem.replace(str(model.path), model.name)
    is_remote = model.remote_url is not None
    return build_shape(
        shapes.Model, model, problem=problem, thumbnail=_thumbnail(model), is_remote=is_remote
    )


def _thumbnail(model: FoundModel) -> str | None:
    if _picture_of(model.path) is None:
        return None
    return public_path(f"/api/v1/models/thumbnail?name={quote(model.name, safe='')}")


def _picture_of(model: Path) -> Path | None:
    """The picture of a model, in its folder or beside its file; None if there is none."""
    if model.is_dir():
        stems = [model / "preview", model / "thumbnail"]
    else:
        stems = [model.with_suffix(".preview"), model.with_suffix("")]
    # Not `with_suffix`, which would take a part of the name off: v1.5 is no suffix.
    places = (stem.with_name(f"{stem.name}{suffix}") for stem in stems for suffix in _SUFFIXES)
    return next((path for path in places if path.is_file()), None)


def _read_picture(model: Path) -> bytes | None:
    """The bytes of a model's picture; None if there is none that can be read."""
    picture = _picture_of(model)
    try:
        if picture is None or picture.stat().st_size > _LARGEST:
            return None
        return picture.read_bytes()
    except OSError:
        return None
