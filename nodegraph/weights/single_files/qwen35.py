"""Qwen 3.5 in one file: a language model, with or without its vision encoder. No torch.

Files have the names of transformers. Three of four layers have linear attention, a recurrent state
instead of keys and values. Widths and depths are read from the shapes. Rotary positions, and how
wide a head of keys of the linear attention is, are published figures.

Sources: transformers, ``models/qwen3_5``; ComfyUI, ``comfy/text_encoders/qwen35.py`` (0.8B, 2B, 4B,
9B and 27B) and ``comfy/sd.py``.
"""

from __future__ import annotations

import re
from math import isqrt
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, Tensors, count_of

if TYPE_CHECKING:
    from torch import Tensor

_TEXT, _SIGHT, _HEAD = "model.language_model.", "model.visual.", "lm_head.weight"
_ALONE = "model."
"""Before the names of a language model that is saved without its vision encoder."""
_IGNORED = ("mtp.",)
"""Layers that guess several words ahead, which transformers does not load either."""

_WORDS, _LAYER = "embed_tokens.weight", "layers.{}."
_DECAY = _LAYER + "linear_attn.A_log"
_QUERY, _KEY = _LAYER + "self_attn.q_proj.weight", _LAYER + "self_attn.k_proj.weight"
_QUERY_NORM = _LAYER + "self_attn.q_norm.weight"
_GATE = _LAYER + "mlp.gate_proj.weight"
_EXPERTS = _LAYER + "mlp.gate.weight"
_LINEAR = _LAYER + "linear_attn."

_PATCHES = f"{_SIGHT}patch_embed.proj.weight"
_POSITIONS = f"{_SIGHT}pos_embed.weight"
_MERGER = _SIGHT + "merger.linear_fc{}.weight"
_VISION_MLP = f"{_SIGHT}blocks.0.mlp.linear_fc1.weight"
_VISION_HEADS, _VISION_HEAD = 16, 64
"""Attention heads of the vision encoder, and the width of each in the small ones: 0.8B has 12."""

_LENGTH = 262144
"""Tokens of a text, at most."""
_ROTARY = {
    "rope_type": "default",
    "rope_theta": 1e7,
    "partial_rotary_factor": 0.25,
    "mrope_section": [11, 11, 10],
    "mrope_interleaved": True,
}
_MARKS = {
    "image_token_id": 248056,
    "video_token_id": 248057,
    "vision_start_token_id": 248053,
    "vision_end_token_id": 248054,
}


def _language(shapes: Shapes) -> Shapes:
    """The tensors of the language model by their own names."""
    level = _TEXT if f"{_TEXT}{_WORDS}" in shapes else _ALONE
    return {
        name.removeprefix(level): shape for name, shape in shapes.items() if name.startswith(level)
    }


def _is_language_model(shapes: Shapes) -> bool:
    names = _language(shapes)
    return {_WORDS, _DECAY.format(0), _GATE.format(0)} <= names.keys() and (
        # Those with experts are another class.
        _EXPERTS.format(0) not in names
    )


def _has_vision(shapes: Shapes) -> bool:
    # By any tensor: with some missing it is damaged, not another model.
    return any(name.startswith(_SIGHT) for name in shapes)


def _sees(shapes: Shapes) -> bool:
    return _is_language_model(shapes) and _has_vision(shapes)


def _is_blind(shapes: Shapes) -> bool:
    return _is_language_model(shapes) and not _has_vision(shapes)


def _text_config(shapes: Shapes) -> dict[str, Any]:
    names = _language(shapes)
    words, width = names[_WORDS]
    layers = count_of(names, r"layers\.(\d+)\.")
    kinds = [
        "linear_attention" if _DECAY.format(at) in names else "full_attention"
        for at in range(layers)
    ]
    full = kinds.index("full_attention")
    (head,) = names[_QUERY_NORM.format(full)]
    (value_head,) = names[_LINEAR.format(0) + "norm.weight"]
    convolved, _, kernel = names[_LINEAR.format(0) + "conv1d.weight"]
    values = names[_LINEAR.format(0) + "in_proj_z.weight"][0]
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": names[_GATE.format(0)][0],
        "num_hidden_layers": layers,
        # The other half of the rows is for gates.
        "num_attention_heads": names[_QUERY.format(full)][0] // (2 * head),
        "num_key_value_heads": names[_KEY.format(full)][0] // head,
        "head_dim": head,
        "layer_types": kinds,
        "linear_conv_kernel_dim": kernel,
        "linear_value_head_dim": value_head,
        "linear_num_value_heads": values // value_head,
        # In all sizes as wide as those of values.
        "linear_key_head_dim": value_head,
        "linear_num_key_heads": (convolved - values) // (2 * value_head),
        "max_position_embeddings": _LENGTH,
        "rope_parameters": dict(_ROTARY),
        "tie_word_embeddings": _HEAD not in shapes,
    }


def _config(shapes: Shapes) -> dict[str, Any]:
    width, _, frames, patch, _ = shapes[_PATCHES]
    merged = shapes[_MERGER.format(1)][1]
    positions = shapes[_POSITIONS][0]
    if not positions or isqrt(positions) ** 2 != positions:
        raise ValueError(f"{_POSITIONS} has {positions} rows, which are no square")
    sight = {
        "depth": count_of(shapes, rf"{re.escape(_SIGHT)}blocks\.(\d+)\."),
        "hidden_size": width,
        "intermediate_size": shapes[_VISION_MLP][0],
        "num_heads": min(_VISION_HEADS, width // _VISION_HEAD),
        "out_hidden_size": shapes[_MERGER.format(2)][0],
        "patch_size": patch,
        "temporal_patch_size": frames,
        "spatial_merge_size": isqrt(merged // width),
        "num_position_embeddings": positions,
    }
    text = _text_config(shapes)
    return {
        "text_config": text,
        "vision_config": sight,
        "tie_word_embeddings": text["tie_word_embeddings"],
        **_MARKS,
    }


def _convert(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """The weights under the names of ``Qwen3_5ForConditionalGeneration``."""
    return {name: item for name, item in tensors.items() if not name.startswith(_IGNORED)}


def _convert_blind(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """The weights under the names of ``Qwen3_5ForCausalLM``."""
    kept = _convert(tensors, config)
    return {
        _ALONE + name.removeprefix(_TEXT) if name.startswith(_TEXT) else name: item
        for name, item in kept.items()
    }


QWEN35 = FileLayout(
    "qwen3.5", "Qwen 3.5", "Qwen3_5ForConditionalGeneration", _sees, _config, _convert
)
QWEN35_TEXT = FileLayout(
    "qwen3.5-text",
    "Qwen 3.5 without its vision encoder",
    "Qwen3_5ForCausalLM",
    _is_blind,
    _text_config,
    _convert_blind,
)
