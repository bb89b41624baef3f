"""CLIP in single files: text encoders as transformers and OpenCLIP name them, and image encoders.

Image encoders are those of CLIP, SigLIP, and the Redux of Flux.1, which reads what SigLIP sees.
Source of what no tensor shows: https://huggingface.co/black-forest-labs/FLUX.1-Redux-dev
(``image_encoder/config.json``). Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from math import isqrt
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, Tensors, count_of
from nodegraph.weights.single_files.unet import HEAD_WIDTH

if TYPE_CHECKING:
    from torch import Tensor

PROJECTING = ("CLIPTextModelWithProjection",)
"""Classes of transformers that project the pooled prompt."""

CLIP_L, CLIP_H = "clip-l", "clip-h"
"""Names of layouts: OpenAI's encoder, and OpenCLIP's H."""
_OPEN_CLIP = "positional_embedding"
"""A tensor that tells OpenCLIP's naming."""
_MARKS = (_OPEN_CLIP, "embeddings.position_embedding.weight")
_PROJECTION = "text_projection.weight"

_MOST_LAYERS = 16
"""OpenAI's encoders have 12 layers; OpenCLIP's H has 24, bigG 32."""
_LAYERS_H, _WIDTH_H = 24, 1024
_LONGEST_TOLD = 128
"""Tokens that HiDream's encoders are shown."""

_IGNORED_PREFIXES = ("vision_model.", "visual_projection.", "visual.", "logit_scale")
"""What files with CLIP's other half hold."""

Projection = Literal["none", "own", "identity"]


def clip_layout(
    title: str,
    class_name: str = "CLIPTextModel",
    *,
    kind: Literal["L", "H", "bigG"] = "L",
    projection: Projection | None = None,
    long: bool = False,
) -> FileLayout:
    """How a CLIP text encoder lies in a file, in transformers' naming or in OpenCLIP's.

    Args:
        class_name: Of transformers; of `PROJECTING` where the pooled prompt is used.
        kind: OpenAI's ViT-L/14, or OpenCLIP's ViT-H/14 and ViT-bigG/14. The last layer of H is
            left out, as Stable Diffusion 2.x does.
        projection: The pooled prompt is projected by the file's ``own`` matrix, or by none; the
            class may want one all the same, and ``identity`` is none. By default what the class
            wants.
        long: Whether it has to have places for more tokens than CLIP was made for.
    """
    how = projection or ("own" if class_name in PROJECTING else "none")
    name = f"clip-{kind.lower()}{'-long' if long else ''}{'-plain' if how == 'identity' else ''}"
    prefixes = _PREFIXES["clip_l" if kind == "L" else "clip_g"] if kind != "H" else ("",)
    return FileLayout(
        name,
        title,
        class_name,
        partial(_matches, kind=kind, projects=long and how == "own", long=long),
        partial(text_config, kind=kind),
        partial(convert_text, projection=how),
        prefixes,
    )


_PREFIXES = {
    name: (f"text_encoders.{name}.transformer.", f"{name}.transformer.", f"{name}.", "")
    for name in ("clip_l", "clip_g")
}


def _matches(shapes: Shapes, *, kind: str, projects: bool, long: bool) -> bool:
    text = {_plain(name): shape for name, shape in shapes.items()}
    mark = next((text[name] for name in _MARKS if name in text), None)
    if mark is None or len(mark) != 2 or (long and mark[0] < _LONGEST_TOLD):
        return False
    if projects and not {"text_projection", _PROJECTION} & text.keys():
        return False
    is_open, layers = _OPEN_CLIP in text, _layers(text)
    if kind == "L":
        return not is_open and layers <= _MOST_LAYERS
    if not is_open:
        return layers > _MOST_LAYERS and (kind == "H") == (layers in (_LAYERS_H - 1, _LAYERS_H))
    # Small ones are what they are asked to be.
    return layers < _LAYERS_H - 1 or (kind == "H") == (mark[1] == _WIDTH_H)


def _layers(text: Shapes) -> int:
    return count_of(text, r"(?:transformer\.resblocks|encoder\.layers)\.(\d+)\.")


def text_config(shapes: Shapes, *, kind: str = "L") -> dict[str, Any]:
    """The transformers configuration of a CLIP text encoder; arguments as of `clip_layout`.

    Raises:
        KeyError: A tensor that every CLIP text encoder has is missing.
    """
    text = {_plain(name): shape for name, shape in shapes.items()}
    is_open = _OPEN_CLIP in text
    vocabulary, width = text[f"{'' if is_open else 'embeddings.'}token_embedding.weight"]
    layer, inner, positions = (
        ("transformer.resblocks", "mlp.c_fc.weight", _OPEN_CLIP)
        if is_open
        else ("encoder.layers", "mlp.fc1.weight", "embeddings.position_embedding.weight")
    )
    layers = _layers(text)
    drops_last = kind == "H" and (is_open or layers == _LAYERS_H)
    projected = text.get("text_projection", (width, width))[1]
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": text[f"{layer}.0.{inner}"][0],
        "num_hidden_layers": layers - drops_last,
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "max_position_embeddings": text[positions][0],
        "projection_dim": text.get(_PROJECTION, (projected, width))[0],
        "hidden_act": "quick_gelu" if kind == "L" else "gelu",
        # As CLIP's own vocabulary ends: ..., bos, eos.
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def convert_text(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], *, projection: Projection = "none"
) -> dict[str, Tensor]:
    """A text encoder's weights under the names of transformers.

    Args:
        config: Of `text_config`.
        projection: See `clip_layout`.
    """
    own = {name: item for name, item in tensors.items() if not name.startswith(_IGNORED_PREFIXES)}
    converted = _of_open_clip(own, config) if _OPEN_CLIP in own else own
    last = int(config["num_hidden_layers"])
    named = {_plain(name): item for name, item in converted.items()}
    # The position ids are 0, 1, 2, …: the module makes them itself.
    kept = {
        name: item
        for name, item in named.items()
        if not name.endswith("position_ids") and not name.startswith(f"encoder.layers.{last}.")
    }
    if projection == "none":
        kept.pop(_PROJECTION, None)
        return kept
    if projection == "identity":
        kept[_PROJECTION] = _identity(kept["embeddings.token_embedding.weight"])
    return {
        name if name == _PROJECTION else f"text_model.{name}": item for name, item in kept.items()
    }


def _identity(like: Tensor) -> Tensor:
    from torch import eye

    return eye(like.shape[1], dtype=like.dtype)


def _of_open_clip(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    projection = tensors.get("text_projection")
    # It takes the projection's width for that of the hidden states, which it needn't be.
    others = {name: item for name, item in tensors.items() if item is not projection}
    model = SimpleNamespace(config=SimpleNamespace(hidden_size=config["hidden_size"]))
    converted: dict[str, Tensor] = convert_open_clip_checkpoint(model, others, "")
    if projection is not None:
        converted["text_projection.weight"] = projection.T.contiguous()
    return converted


def _plain(name: str) -> str:
    """A tensor's name without the level that some classes of transformers have."""
    return name.removeprefix("text_model.")


_OPEN_CLIP_NAMES = (
    ("encoder.layers.", "transformer.resblocks."),
    ("self_attn.out_proj", "attn.out_proj"),
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("final_layer_norm", "ln_final"),
    ("embeddings.token_embedding", "token_embedding"),
    ("embeddings.position_embedding.weight", "positional_embedding"),
    ("text_projection.weight", "text_projection"),
)
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")


def clip_to_original(tensors: Tensors) -> dict[str, Tensor]:
    """The tensors of a CLIP text encoder under the names of older releases of transformers, which
    the original code uses."""
    return {f"text_model.{name.removeprefix('text_model.')}": t for name, t in tensors.items()}


def clip_to_open_clip(tensors: Tensors, *, last_layer_twice: bool = False) -> dict[str, Tensor]:
    """The tensors of a CLIP text encoder under OpenCLIP's names, queries, keys and values joined.

    OpenCLIP has the projection of the pooled prompt as the transpose of transformers'.

    Args:
        last_layer_twice: Whether the original has one more layer at the end, which nothing uses, as
            Stable Diffusion 2.x. It becomes a copy of the last one.
    """
    import torch

    plain = {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
    if last_layer_twice:
        layers = [int(match[1]) for name in plain if (match := _LAYER.match(name))]
        last = f"encoder.layers.{max(layers)}."
        more = f"encoder.layers.{max(layers) + 1}."
        plain |= {n.replace(last, more): t for n, t in plain.items() if n.startswith(last)}
    renamed = {}
    for name, tensor in plain.items():
        if match := re.fullmatch(r"encoder\.layers\.(\d+)\.self_attn\.q_proj\.(\w+)", name):
            parts = [plain[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            renamed[f"transformer.resblocks.{match[1]}.attn.in_proj_{match[2]}"] = torch.cat(parts)
        elif not re.search(r"self_attn\.[kv]_proj\.", name):
            new = name
            for old, short in _OPEN_CLIP_NAMES:
                new = new.replace(old, short)
            is_projection = new == "text_projection"
            renamed[new] = tensor.T.contiguous() if is_projection else tensor
    return renamed


LEVEL = "vision_model."
_MARK = LEVEL + "embeddings.class_embedding"
_HEADS = 16
"""Of every published one, whatever its width."""
_IMAGE_PROJECTION = "visual_projection.weight"
_PROJECTOR = "multi_modal_projector.linear_1.weight"
"""Of LLaVA's vision model, which brings what CLIP sees to words."""
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


def _vit_h_config(shapes: Shapes) -> dict[str, Any]:
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
    lambda shapes: (
        _MARK in shapes
        and _PROJECTOR not in shapes
        and not any(name.startswith("text_model.") for name in shapes)
    ),
    _vit_h_config,
    _convert,
)


def _projected_config(shapes: Shapes) -> dict[str, Any]:
    """The same, of any published CLIP: OpenAI's, which is as wide as no other, computes in another
    way."""
    config = _vit_h_config(shapes)
    is_openai = config["hidden_size"] == _WIDTH_OF_L
    act = "quick_gelu" if is_openai else "gelu"
    return {**config, "hidden_act": act, "projection_dim": shapes[_IMAGE_PROJECTION][0]}


def _convert_projected(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    return {name: item for name, item in tensors.items() if not name.endswith("position_ids")}


CLIP_VISION_PROJECTED = FileLayout(
    "clip-vision-projected",
    "CLIP's vision model",
    "CLIPVisionModelWithProjection",
    lambda shapes: _MARK in shapes and _IMAGE_PROJECTION in shapes,
    _projected_config,
    _convert_projected,
)

_READ_LAYERS = 23
"""Of CLIP's 24, of which LLaVA reads the last but one; files may lack the last."""


def _llava_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of LLaVA's vision model, without layers that it does not read."""
    config = _vit_h_config(shapes)
    layers = config["num_hidden_layers"]
    read = layers if layers == _READ_LAYERS else layers - 1
    return {
        "vision_config": {**config, "num_hidden_layers": read, "hidden_act": "quick_gelu"},
        # Of the language model, only the width counts.
        "text_config": {
            "model_type": "llama",
            "hidden_size": shapes[_PROJECTOR][0],
            "num_attention_heads": 1,
            "num_key_value_heads": 1,
        },
    }


def _convert_llava(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    unread = f"{LEVEL}encoder.layers.{config['vision_config']['num_hidden_layers']}."
    return {
        name: item
        for name, item in tensors.items()
        if not (name.endswith("position_ids") or name.startswith(unread))
    }


LLAVA_VISION = FileLayout(
    "llava-vision",
    "LLaVA's vision model",
    "LlavaVisionModel",
    lambda shapes: _MARK in shapes and _PROJECTOR in shapes,
    _llava_config,
    _convert_llava,
)

_PROBE = LEVEL + "head.probe"
_UP, _DOWN = "redux_up.weight", "redux_down.weight"


def _eyes_config(shapes: Shapes) -> dict[str, Any]:
    known, places = eyes_config(shapes)
    patch = known["patch_size"]
    # 384 pixels are 27 patches of 14, and some over.
    size = 384 if (patch, places) == (14, 729) else patch * isqrt(places)
    return {**known, "image_size": size}


def _convert_siglip(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    return {name.removeprefix(LEVEL): item for name, item in tensors.items()}


SIGLIP = FileLayout(
    "siglip-vision",
    "SigLIP's vision model",
    "SiglipVisionModel",
    lambda shapes: _PROBE in shapes and not any(name.startswith("text_model.") for name in shapes),
    _eyes_config,
    _convert_siglip,
)
REDUX = FileLayout(
    "flux-redux",
    "Flux.1 Redux",
    "ReduxImageEncoder",
    lambda shapes: {_UP, _DOWN} <= shapes.keys(),
    lambda shapes: {"redux_dim": shapes[_UP][1], "txt_in_features": shapes[_DOWN][0]},
    lambda tensors, config: dict(tensors),
)
