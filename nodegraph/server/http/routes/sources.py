"""Where to get what a workflow needs and this server hasn't.

The server asks nobody: it tells people where to look. What it says of a model's home is right for
the few that are listed here; for all others it knows where one searches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.client import shapes
from nodegraph.client.shapes import Source, SourceLink
from nodegraph.families.identified import supported
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.problems import responses
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
    """Where to get a model.

    Args:
        name: As the workflow names it.
        folders: Where models lie, for people who may know; none for others.
    """
    home = _home(name)
    stem = without_ending(re.split(r"[/\\]", name)[-1])
    search = SourceLink(f"Search for {stem}", f"{_HUB}/models?search={quote(stem, safe='')}", False)
    links = [search] if home is None else [SourceLink(home, f"{_HUB}/{home}", True), search]
    where = f"into {folders[0]}" if folders else "into a models folder of the server"
    steps = (
        f"Get a model of {supported()}: a .safetensors file, or a folder in the diffusers layout.",
        f"Put it {where}, so that its path there is {name}; or choose another model in the node.",
        "Run the workflow again: models are found without a restart.",
    )
    return Source("model", name, steps, tuple(links))


def pack_source(name: str) -> Source:
    """Where to get a node pack."""
    # No command that installs it by this name: anybody may have given that to anything.
    steps = (
        f"Ask whoever made the workflow where the pack {name} comes from. A pack is code: take it "
        "only from people you trust.",
        "Install it beside nodegraph, or put its file or folder into the packs folder.",
        "Have the server look at its packs anew, in its settings or by starting it again.",
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
    """Where to get models and node packs."""

    model_config = ConfigDict(extra="forbid")

    items: list[shapes.Source]
    next: str | None = None


@sources_router.get(
    "", summary="Look up where to get models and packs", responses=responses(401, 403, 422)
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
    """Of what a plan names as missing. Nobody is asked elsewhere: these are hints for people."""
    folders = [str(folder) for folder in services.settings.model_folders]
    shown = folders if caller.may("admin") else []
    sources = [model_source(name, shown) for name in model or ()]
    sources += [pack_source(name) for name in pack or ()]
    return SourceList(items=sources)
