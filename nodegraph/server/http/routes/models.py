"""Routes of models, and hints where to get models and packs that are missing.

The server contacts no other site: hints are only for users. The home of the few models listed here
is known; for all others, a hint names where to search.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from blake3 import blake3
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.client import shapes
from nodegraph.client.shapes import Source, SourceLink
from nodegraph.client.shapes.schema import build_shape
from nodegraph.families.identification import supported
from nodegraph.models.known_words import known_words
from nodegraph.models.model_sources import FoundModel
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.file_responses import (
    THUMBNAIL_ANSWERS,
    ThumbnailSize,
    thumbnail_response,
)
from nodegraph.server.http.problems import responses
from nodegraph.server.http.responses import OpenFile
from nodegraph.server.root_path import public_path
from nodegraph.server.services import Services
from nodegraph.weights.file_kinds import without_ending

_HUB = "https://huggingface.co"
_CODE = "https://github.com"
_KNOWN: Mapping[str, Sequence[str]] = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": (
        *("stable-diffusion-v1-5", "v1-5-pruned", "v1-5-pruned-emaonly", "sd15", "sd-v1-5"),
    ),
    "CompVis/stable-diffusion-v1-4": ("stable-diffusion-v1-4", "sd-v1-4", "sd14"),
    "Lykon/dreamshaper-8": ("dreamshaper-8", "dreamshaper8"),
    "prompthero/openjourney": ("openjourney", "openjourney-v1"),
}
"""Homes of models of families that are supported, and what their files and folders are called."""
_PLAIN = re.compile(r"[^a-z0-9]+")


def model_source(name: str, folders: Sequence[str]) -> Source:
    """Return where to get a model.

    Args:
        name: Name of the model in the workflow.
        folders: Models folders, for users who may see them; empty for others.
    """
    home = _home(name)
    stem = without_ending(re.split(r"[/\\]", name)[-1])
    search = SourceLink(f"Search for {stem}", f"{_HUB}/models?search={quote(stem, safe='')}", False)
    links = [search] if home is None else [SourceLink(home, f"{_HUB}/{home}", True), search]
    where = f"into {folders[0]}" if folders else "into a models folder of the server"
    steps = (
        f"Get a model of {supported()}: a .safetensors file, or a folder in the diffusers layout.",
        f"Put it {where}, so that its path there is {name}. Or choose another model in the node.",
        "Run the workflow again: models are found without a restart.",
    )
    return Source("model", name, steps, tuple(links))


def pack_source(name: str) -> Source:
    """Return where to get a node pack."""
    # No install command with this name: anyone may have published another package under it.
    steps = (
        f"Ask the author of the workflow where the pack {name} comes from. A pack is code: use "
        "only packs from people you trust.",
        "Install it in the environment of nodegraph, or put its file or folder into the packs "
        "folder.",
        "Reload the packs in the settings of the server, or restart it.",
    )
    search = SourceLink(
        f"Search for {name}",
        f"{_CODE}/search?q={quote(f'{name} nodegraph', safe='')}&type=repositories",
        False,
    )
    return Source("pack", name, steps, (search,))


def _home(name: str) -> str | None:
    stem = without_ending(re.split(r"[/\\]", name)[-1]).removesuffix(".ckpt")
    plain = _PLAIN.sub("", stem.lower())
    for home, names in _KNOWN.items():
        if name == home or plain in (_PLAIN.sub("", known) for known in names):
            return home
    return None


sources_router = APIRouter(prefix="/sources", tags=["models"])

_MOST = 50
Names = list[Annotated[str, Field(min_length=1, max_length=300)]]


class SourceList(BaseModel):
    """Sources of missing models and node packs."""

    model_config = ConfigDict(extra="forbid")

    items: list[shapes.Source]
    next: str | None = None


@sources_router.get(
    "", summary="Find out where to get models and packs", responses=responses(401, 403, 422)
)
async def list_sources(
    services: TheServices,
    caller: MayRead,
    model: Annotated[
        Names | None, Query(max_length=_MOST, description="Name of a model that is missing.")
    ] = None,
    pack: Annotated[
        Names | None, Query(max_length=_MOST, description="Name of a pack that is missing.")
    ] = None,
) -> SourceList:
    """Return where to find models and packs that a plan reports as missing.

    The server contacts no other site: the answer contains hints for users.
    """
    folders = [str(folder) for folder in services.settings.model_folders]
    shown = folders if caller.may("admin") else []
    sources = [model_source(name, shown) for name in model or ()]
    sources += [pack_source(name) for name in pack or ()]
    return SourceList(items=sources)


router = APIRouter(prefix="/models", tags=["models"])

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_LARGEST = 32 << 20
"""Largest size in bytes of a model's image; larger files are ignored."""


class ModelList(BaseModel):
    """All models of the server."""

    items: list[shapes.Model]
    next: str | None = None
    folders: list[str] = Field(description="Folders for more models, shown only to admins.")


@router.get("", summary="List the models", responses=responses(401, 403))
async def list_models(services: TheServices, caller: MayRead) -> ModelList:
    """Return the models in the models folders, the remote models and the embedded model, by name.

    Models are identified by their headers, which are read again when files change. No weights are
    read, and no pickle is opened. A remote model may first be identified by its name alone: its
    header is fetched after the first request.
    """
    folders = services.settings.model_folders
    models = await services.run_in_thread(_listed, services)
    shown = [str(folder) for folder in folders] if caller.may("admin") else []
    return ModelList(items=models, folders=shown)


@router.get(
    "/thumbnail",
    summary="Get a thumbnail of a model",
    response_class=Response,
    responses={**THUMBNAIL_ANSWERS, **responses(401, 403, 404, 410, 422)},
)
async def get_model_thumbnail(
    request: Request,
    services: TheServices,
    caller: MayRead,
    name: Annotated[str, Query(max_length=1_000, description="Name of the model.")],
    size: ThumbnailSize = 256,
) -> Response:
    """Return the image that is stored next to the model.

    For a file `x.safetensors` it is `x.png`, `x.preview.png` or similar. In a folder it is
    `preview.png` or `thumbnail.png`. JPEG and WebP are supported, too.
    """
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
    """Words that a model's text encoder knows."""

    words: list[str] = Field(description="Words, the most common first; empty if none are known.")


@router.get(
    "/words",
    summary="List the words that a model's text encoder knows",
    responses=responses(401, 403, 404, 422),
)
async def get_model_words(
    services: TheServices,
    caller: MayRead,
    name: Annotated[str, Query(max_length=1_000, description="Name of the model.")],
) -> ModelWords:
    """Return the whole words of the tokenizer's vocabulary; no weights are read."""
    return ModelWords(words=await services.run_in_thread(_words, services, name))


def _words(services: Services, name: str) -> list[str]:
    """Return the words that a model knows.

    Raises:
        NotFound: There is no such model.
    """
    folders = services.environment.models
    model = services.models.get(name, folders)
    if model is None:
        raise NotFound("there is no such model", given=ascii(name[:80]))
    return list(known_words(model, folders))


def _picture(services: Services, name: str) -> tuple[str, bytes]:
    """Return the digest and the bytes of a model's image.

    Raises:
        NotFound: There is no such model, or it has no image.
    """
    known = {model.name: model for model in services.listed_models()}
    data = _read_picture(known[name].path) if name in known else None
    if data is None:
        raise NotFound("there is no image of this model", given=ascii(name[:80]))
    return blake3(data).hexdigest(), data


def _listed(services: Services) -> list[shapes.Model]:
    return [_entry(model) for model in services.listed_models()]


def _entry(model: FoundModel) -> shapes.Model:
    # Paths of this machine are not shown to clients.
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
    """Return the image in a model's folder or next to its file; None if there is none."""
    if model.is_dir():
        stems = [model / "preview", model / "thumbnail"]
    else:
        stems = [model.with_suffix(".preview"), model.with_suffix("")]
    # Not `with_suffix`, which would take a part of the name off: v1.5 is no suffix.
    places = (stem.with_name(f"{stem.name}{suffix}") for stem in stems for suffix in _SUFFIXES)
    return next((path for path in places if path.is_file()), None)


def _read_picture(model: Path) -> bytes | None:
    """Return the bytes of a model's image; None if there is no readable image."""
    picture = _picture_of(model)
    try:
        if picture is None or picture.stat().st_size > _LARGEST:
            return None
        return picture.read_bytes()
    except OSError:
        return None
