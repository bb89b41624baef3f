"""Gemma 4 in one file: a language model with its vision and audio encoders. No torch.

ComfyUI's files rename the parts that transformers has, and give the layers that share keys and
values copies of the weights that they do not use. Widths and depths are read from the shapes.
Windows, rotary positions and numbers of shared layers are published figures.

Sources: transformers, ``models/gemma4``; ComfyUI, ``comfy/text_encoders/gemma4.py``; the published
configurations of google/gemma-4-E2B-it, google/gemma-4-E4B-it and google/gemma-4-31B-it.
"""

from __future__ import annotations

import re
from math import isqrt
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, Tensors, count_of

if TYPE_CHECKING:
    from torch import Tensor

TOKENIZER_TENSOR = "tokenizer_json"
"""Tensor of bytes that holds the file ``tokenizer.json``."""
_ASSETS = (TOKENIZER_TENSOR, "hf_asset__", "lm_head.")
"""What is no weight, and the head, which is the embedding of tokens."""

_TEXT, _SIGHT, _HEARING = "language_model.", "vision_tower.", "audio_tower."
_PROJECTIONS = ("embed_vision.", "embed_audio.")
_PARTS = (
    ("vision_model.", _SIGHT),
    ("audio_model.", _HEARING),
    ("multi_modal_projector.", _PROJECTIONS[0]),
    ("audio_projector.", _PROJECTIONS[1]),
)
"""Names of ComfyUI and of transformers. ComfyUI's ``model.`` is the language model alone."""

_WORDS = f"{_TEXT}embed_tokens.weight"
_LAYER = _TEXT + "layers.{}."
_QUERY, _KEY = _LAYER + "self_attn.q_proj.weight", _LAYER + "self_attn.k_proj.weight"
_QUERY_NORM, _VALUE = _LAYER + "self_attn.q_norm.weight", _LAYER + "self_attn.v_proj.weight"
_GATE, _SCALE = _LAYER + "mlp.gate_proj.weight", _LAYER + "layer_scalar"
_LAYER_WIDTH = f"{_TEXT}per_layer_projection_norm.weight"

_PATCHES = f"{_SIGHT}patch_embedder.input_proj.weight"
_POSITIONS = f"{_SIGHT}patch_embedder.position_embedding_table"
_SEEING = f"{_SIGHT}encoder.layers.0."
_AUDIO_CONV = _HEARING + "subsample_conv_projection.layer{}.conv.weight"
_AUDIO_LAYER = f"{_HEARING}layers.0."
_AUDIO_OUTPUT = f"{_HEARING}output_proj.weight"

_SHARED = {42: 18, 35: 20}
"""Last layers that use the keys and values of earlier ones, by the number of layers: E4B, E2B."""
_UNUSED = ("k_proj.", "v_proj.", "k_norm.")
"""Of those layers: weights that files of ComfyUI hold all the same."""
_WINDOWS = (512, 1024)
"""Tokens of the sliding attention: with inputs of each layer (E2B, E4B) and without (31B)."""


def _plain(name: str) -> str:
    """A tensor's name as ``Gemma4Model`` of transformers has it."""
    for theirs, ours in _PARTS:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    name = name.removeprefix("model.")
    is_known = name.startswith((_TEXT, _SIGHT, _HEARING, *_PROJECTIONS))
    return name if is_known else _TEXT + name


def _named(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {_plain(name): shape for name, shape in shapes.items() if not name.startswith(_ASSETS)}


def _matches(shapes: Shapes) -> bool:
    names = _named(shapes)
    wanted = {_WORDS, *(name.format(0) for name in (_QUERY, _KEY, _QUERY_NORM, _GATE, _SCALE))}
    # The 12B has no vision encoder but a projection of patches, the 26B has experts.
    others = (f"{_SIGHT}patch_dense.weight", f"{_LAYER.format(0)}router.proj.weight")
    return wanted <= names.keys() and names.keys().isdisjoint(others)


def _shared_layers(names: Shapes, layers: int) -> int:
    """Last layers without keys of their own. Files of transformers lack their weights."""
    own = sum(_KEY.format(at) in names for at in range(layers))
    return layers - own or _SHARED.get(layers, 0)


def _text_config(names: Shapes) -> dict[str, Any]:
    words, width = names[_WORDS]
    layers = count_of(names, rf"{re.escape(_TEXT)}layers\.(\d+)\.")
    heads = [names[_QUERY_NORM.format(at)][0] for at in range(layers)]
    head, whole = heads[0], heads[-1]
    own = layers - _shared_layers(names, layers)
    whole_at = next((at for at in range(own) if heads[at] == whole), 0)
    inner = names[_GATE.format(0)][0]
    layer_width = names.get(_LAYER_WIDTH, (0,))[0]
    return {
        "vocab_size": words,
        "vocab_size_per_layer_input": words,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": names[_QUERY.format(0)][0] // head,
        "num_key_value_heads": names[_KEY.format(0)][0] // head,
        "num_global_key_value_heads": names[_KEY.format(whole_at)][0] // whole,
        "head_dim": head,
        "global_head_dim": whole,
        "layer_types": [
            "sliding_attention" if size == head else "full_attention" for size in heads
        ],
        "attention_k_eq_v": _VALUE.format(whole_at) not in names,
        "num_kv_shared_layers": layers - own,
        "use_double_wide_mlp": names[_GATE.format(layers - 1)][0] == 2 * inner,
        "hidden_size_per_layer_input": layer_width,
        "sliding_window": _WINDOWS[0 if layer_width else 1],
        "use_bidirectional_attention": None if layer_width else "vision",
        "final_logit_softcapping": 30.0,
    }


def _vision_config(names: Shapes) -> dict[str, Any] | None:
    if _PATCHES not in names:
        return None
    width, pixels = names[_PATCHES]
    (head,) = names[f"{_SEEING}self_attn.q_norm.weight"]
    return {
        "hidden_size": width,
        "intermediate_size": names[f"{_SEEING}mlp.gate_proj.linear.weight"][0],
        "num_hidden_layers": count_of(names, rf"{re.escape(_SIGHT)}encoder\.layers\.(\d+)\."),
        "num_attention_heads": names[f"{_SEEING}self_attn.q_proj.linear.weight"][0] // head,
        "num_key_value_heads": names[f"{_SEEING}self_attn.k_proj.linear.weight"][0] // head,
        "head_dim": head,
        "patch_size": isqrt(pixels // 3),
        "position_embedding_size": names[_POSITIONS][1],
        "use_clipped_linears": f"{_SEEING}self_attn.q_proj.input_max" in names,
        "standardize": f"{_SIGHT}std_scale" in names,
    }


def _audio_config(names: Shapes) -> dict[str, Any] | None:
    if _AUDIO_OUTPUT not in names:
        return None
    result, width = names[_AUDIO_OUTPUT]
    channels = [names[_AUDIO_CONV.format(at)][0] for at in (0, 1)]
    return {
        "hidden_size": width,
        "num_hidden_layers": count_of(names, rf"{re.escape(_HEARING)}layers\.(\d+)\."),
        "num_attention_heads": width // names[f"{_AUDIO_LAYER}self_attn.per_dim_scale"][0],
        "subsampling_conv_channels": channels,
        "conv_kernel_size": names[f"{_AUDIO_LAYER}lconv1d.depthwise_conv1d.weight"][2],
        "use_clipped_linears": f"{_AUDIO_LAYER}self_attn.q_proj.input_max" in names,
        "output_proj_dims": result,
    }


def _config(shapes: Shapes) -> dict[str, Any]:
    names = _named(shapes)
    return {
        "text_config": _text_config(names),
        "vision_config": _vision_config(names),
        "audio_config": _audio_config(names),
    }


def _convert(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """The weights under the names of ``Gemma4ForConditionalGeneration``."""
    text = config["text_config"]
    first = text["num_hidden_layers"] - text["num_kv_shared_layers"]
    unused = tuple(
        f"{_LAYER.format(at)}self_attn.{name}"
        for at in range(first, text["num_hidden_layers"])
        for name in _UNUSED
    )
    named = ((_plain(name), item) for name, item in tensors.items() if not name.startswith(_ASSETS))
    return {f"model.{name}": item for name, item in named if not name.startswith(unused)}


GEMMA4 = FileLayout(
    "gemma4", "Gemma 4", "Gemma4ForConditionalGeneration", _matches, _config, _convert
)

_SEEN_PATCHES = f"{_SIGHT}patch_dense.weight"
"""Of the 12B, which projects patches of an image without an encoder."""
_LANGUAGE = (f"{_TEXT}embed_tokens.", f"{_TEXT}layers.", f"{_TEXT}norm.")
_UNKNOWN_ENTRIES = ("vocab_size_per_layer_input", "hidden_size_per_layer_input")
"""Of the other sizes' configurations."""


def _is_12b(shapes: Shapes) -> bool:
    names = _named(shapes)
    without_patches = {name: shape for name, shape in names.items() if name != _SEEN_PATCHES}
    return _matches(without_patches) and {_PATCHES, _LAYER_WIDTH}.isdisjoint(names)


def _config_12b(shapes: Shapes) -> dict[str, Any]:
    config = _text_config(_named(shapes))
    return {name: value for name, value in config.items() if name not in _UNKNOWN_ENTRIES}


def _convert_12b(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """The weights of the language model alone, which reads no images for prompts."""
    named = ((_plain(name), item) for name, item in tensors.items() if not name.startswith(_ASSETS))
    return {name.removeprefix(_TEXT): item for name, item in named if name.startswith(_LANGUAGE)}


GEMMA4_12B = FileLayout(
    "gemma4-12b", "Gemma 4 12B", "Gemma4UnifiedTextModel", _is_12b, _config_12b, _convert_12b
)
"""Source: transformers, ``models/gemma4_unified``, and google/gemma-4-12B-it."""
