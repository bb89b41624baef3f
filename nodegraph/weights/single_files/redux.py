"""Flux.1 Redux in files of its own: what it sees with, and what brings that to prompts.

Imports no torch. Source of what no tensor shows:
https://huggingface.co/black-forest-labs/FLUX.1-Redux-dev (``image_encoder/config.json``).
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, Tensors
from nodegraph.weights.single_files.clip_vision import LEVEL, eyes_config

if TYPE_CHECKING:
    from torch import Tensor

_PROBE = LEVEL + "head.probe"
_UP, _DOWN = "redux_up.weight", "redux_down.weight"


def _eyes_config(shapes: Shapes) -> dict[str, Any]:
    known, places = eyes_config(shapes)
    patch = known["patch_size"]
    # 384 pixels are 27 patches of 14, and some over.
    size = 384 if (patch, places) == (14, 729) else patch * isqrt(places)
    return {**known, "image_size": size}


def _plain(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    return {name.removeprefix(LEVEL): item for name, item in tensors.items()}


SIGLIP = FileLayout(
    "siglip-vision",
    "SigLIP's eyes",
    "SiglipVisionModel",
    lambda shapes: _PROBE in shapes and not any(name.startswith("text_model.") for name in shapes),
    _eyes_config,
    _plain,
)
REDUX = FileLayout(
    "flux-redux",
    "Flux.1 Redux",
    "ReduxImageEncoder",
    lambda shapes: {_UP, _DOWN} <= shapes.keys(),
    lambda shapes: {"redux_dim": shapes[_UP][1], "txt_in_features": shapes[_DOWN][0]},
    lambda tensors, config: dict(tensors),
)
