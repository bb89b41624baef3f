"""Flux.1 Redux in files of its own: what it sees with, and what brings that to prompts.

Imports no torch. Source of what no tensor shows:
https://huggingface.co/black-forest-labs/FLUX.1-Redux-dev (``image_encoder/config.json``).
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import Config, FileLayout, Tensors, count_of

if TYPE_CHECKING:
    from torch import Tensor

_LEVEL = "vision_model."
_PROBE = _LEVEL + "head.probe"
_HEADS = 16
_UP, _DOWN = "redux_up.weight", "redux_down.weight"


def _eyes_config(shapes: Shapes) -> dict[str, Any]:
    width, _, patch, _ = shapes[_LEVEL + "embeddings.patch_embedding.weight"]
    places = shapes[_LEVEL + "embeddings.position_embedding.weight"][0]
    return {
        "hidden_size": width,
        "intermediate_size": shapes[_LEVEL + "encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": count_of(shapes, r"vision_model\.encoder\.layers\.(\d+)\."),
        "num_attention_heads": _HEADS,
        "patch_size": patch,
        # 384 pixels are 27 patches of 14, and some over.
        "image_size": 384 if (patch, places) == (14, 729) else patch * isqrt(places),
    }


def _plain(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    return {name.removeprefix(_LEVEL): item for name, item in tensors.items()}


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
