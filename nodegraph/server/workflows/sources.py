"""Where to get models and node packs that a workflow names and this machine hasn't.

The server asks nobody: it tells people where to look. What it says of a model's home is right for
the few that are listed here; for all others it knows where one searches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from nodegraph.client.shapes import Source, SourceLink
from nodegraph.diffusion.families.identified import supported
from nodegraph.diffusion.file_kinds import without_ending

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
    place = f"into {folders[0]}" if folders else "into a models folder of the server"
    steps = (
        f"Get a model of {supported()}: a .safetensors file, or a folder in the diffusers layout.",
        f"Put it {place}, so that its path there is {name}; or choose another model in the node.",
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
    found = SourceLink(
        f"Search for {name}",
        f"{_CODE}/search?q={quote(f'{name} nodegraph', safe='')}&type=repositories",
        False,
    )
    return Source("pack", name, steps, (found,))


def _home(name: str) -> str | None:
    stem = without_ending(re.split(r"[/\\]", name)[-1]).removesuffix(".ckpt")
    plain = _PLAIN.sub("", stem.lower())
    for home, names in _KNOWN.items():
        if name == home or plain in (_PLAIN.sub("", known) for known in names):
            return home
    return None
