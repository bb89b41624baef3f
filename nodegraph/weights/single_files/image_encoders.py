"""Image encoders in files: CLIP vision, SigLIP, Flux.1 Redux. No torch.

Source of what no tensor shows: https://huggingface.co/black-forest-labs/FLUX.1-Redux-dev
(``image_encoder/config.json``).
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, Tensors, count_of

if TYPE_CHECKING:
    from torch import Tensor

LEVEL = "vision_model."
_MARK = LEVEL + "embeddings.class_embedding"
_HEADS = 16
"""Of every published one, whatever its width."""
_PROJECTION = "visual_projection.weight"
_WIDTH_OF_L = 1024


def eyes_config(shapes: Shapes) -> tuple[dict[str, Any], int]:
    """What shapes tell of a transformers configuration, and in how many places it sees."""
    width, _, patch, _ = shapes[LEVEL + "embeddings.patch_embedding.weight"]
    known = {
        "hidden_size": width,
        "intermediate_size": shapes[LEVEL + "encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": count_of(shapes, r"vision_model\.encoder\.layers\.(\d+)\."),
        "num_attention_heads": _HEADS,
        "patch_size": patch,
    }
    return known, shapes[LEVEL + "embeddings.position_embedding.weight"][0]


def _config(shapes: Shapes) -> dict[str, Any]:
    """The transformers configuration of OpenCLIP's ViT-H/14, as far as shapes don't tell."""
    known, places = eyes_config(shapes)
    # One place is that of the whole image.
    size = known["patch_size"] * isqrt(places - 1)
    return {**known, "image_size": size, "hidden_act": "gelu"}


def _convert(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    return {
        name.removeprefix(LEVEL): tensor
        for name, tensor in tensors.items()
        if not name.endswith("position_ids") and name != "visual_projection.weight"
    }


CLIP_VISION = FileLayout(
    "clip-vision",
    "CLIP's vision model",
    "CLIPVisionModel",
    lambda shapes: _MARK in shapes and not any(name.startswith("text_model.") for name in shapes),
    _config,
    _convert,
)


def _projected_config(shapes: Shapes) -> dict[str, Any]:
    """The same, of any published CLIP: OpenAI's, which is as wide as no other, computes in another
    way."""
    config = _config(shapes)
    is_openai = config["hidden_size"] == _WIDTH_OF_L
    act = "quick_gelu" if is_openai else "gelu"
    return {**config, "hidden_act": act, "projection_dim": shapes[_PROJECTION][0]}


def _convert_projected(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    return {name: item for name, item in tensors.items() if not name.endswith("position_ids")}


CLIP_VISION_PROJECTED = FileLayout(
    "clip-vision-projected",
    "CLIP's vision model",
    "CLIPVisionModelWithProjection",
    lambda shapes: _MARK in shapes and _PROJECTION in shapes,
    _projected_config,
    _convert_projected,
)


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
    "SigLIP's vision model",
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
