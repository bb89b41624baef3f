"""Models that see in files that need no configuration: their tensors say what they are.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.depth import files as depth
from nodegraph.diffusion.families.identify import identify_tensors
from nodegraph.diffusion.foreground.architectures import foreground_class, published_preparation
from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.errors import InvalidFile

KINDS = "a file of BiRefNet, RMBG, ISNet, U²-Net or Depth Anything V2"
_ELSEWHERE = {
    "pretrained.": (
        "a Depth Anything of another kind",
        "depth-anything/Depth-Anything-V2-Small-hf",
    ),
    "detector.backbone.": ("SAM 3", "facebook/sam3"),
    "image_encoder.trunk.": ("SAM 2", "facebook/sam2-hiera-tiny"),
    "image_encoder.blocks.": ("SAM", "facebook/sam-vit-base"),
}
"""Files in namings of their own, by how their tensors' names begin: what each is, and the folder
that transformers reads."""


def class_alone(shapes: Shapes) -> str | None:
    """The class of what a file holds; None where that needs a configuration."""
    name = foreground_class(shapes)
    return name or (depth.DEPTH_ANYTHING if depth.is_depth(shapes) else None)


def preparation_alone(class_name: str, shapes: Shapes) -> Mapping[str, Any]:
    """How pictures are prepared for it, where nothing beside it says so."""
    return (
        depth.PREPARATION if class_name == depth.DEPTH_ANYTHING else published_preparation(shapes)
    )


def options_alone(class_name: str, path: Path) -> tuple[tuple[str, str], ...]:
    """What of it only the file's name tells, as options of recipes."""
    is_metric = class_name == depth.DEPTH_ANYTHING and depth.METRIC in path.name.lower()
    return ((depth.METRIC, "on"),) if is_metric else ()


def refused_alone(path: Path, shapes: Shapes, expected: str, where: str) -> InvalidFile:
    """Why a file without a configuration beside it can't be used.

    Args:
        expected: What can be.
        where: What to do if it isn't known.
    """
    for name, (title, folder) in _ELSEWHERE.items():
        if any(item.startswith(name) for item in shapes):
            return InvalidFile(
                f"{path} is {title} by itself, in the naming of its authors.",
                expected="the folder that transformers reads, with its config.json",
                hint=f"Get {folder} as a folder, and name that.",
            )
    told = identify_tensors(shapes)
    return InvalidFile(
        f"{path} is {told.title}, and there is no {layout.CONFIG} beside it.",
        expected=expected,
        hint=f"{told.node} takes it." if told.node else where,
    )
