"""MiniMax Music 3 in single files. Imports no torch, and reads no weights.

One file holds the diffusion model with its condition encoder, one the language model with the
depth decoder, and one the vocoder. ComfyUI's files have the names of the original code. Some are
pruned: they hold the rows of the language model that its prompts and audio codes need.

Sources of the names: diffusers, ``scripts/convert_minimax_music3_to_diffusers.py``; of merged
layers and pruned rows, ComfyUI, ``comfy/ldm/minimax_music/ar.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import (
    Config,
    FileLayout,
    OriginalNames,
    Table,
    Tensors,
    check_downscale,
    count_of,
)
from nodegraph.weights.single_files.renamed_layouts import (
    EULER_FLOW,
    PREFIXES,
    denoiser_layout,
)

if TYPE_CHECKING:
    from torch import Tensor

HOP = 512
"""Samples of a latent frame."""
AUDIO_END, CODE_OFFSET, CODES = 151_670, 151_675, 16_384
"""Tokens of the language model: the end of a song, the first audio code, and how many codes."""

_HEAD = 64
"""Width of an attention head of the transformer, which no tensor shows."""
_DEPTH_HEAD = 256
"""The same of the depth decoder."""
_RATES = {
    "input_sampling_rate": 24_000,
    "input_hop_length": 960,
    "output_sampling_rate": 44_100,
    "output_hop_length": HOP,
}
_WHOLE = "diffusion_transformer."
_BLOCK, _LAYER = "transformer_blocks.*.", f"{_WHOLE}transformer.layers.*."
_LAYERS: Table = (
    (f"{_BLOCK}attn.{{to_q,to_k,to_v}}", f"{_LAYER}self_attn.to_qkv"),
    (f"{_BLOCK}attn.to_out.0", f"{_LAYER}self_attn.to_out"),
    (f"{_BLOCK}ff_in", f"{_LAYER}ff.ff.0.proj"),
    (f"{_BLOCK}ff_out", f"{_LAYER}ff.ff.2"),
    *(
        (f"{_BLOCK}{ours}.{part}", f"{_LAYER}{theirs}.{letter}")
        for ours, theirs in (("norm1", "pre_norm"), ("norm2", "ff_norm"))
        for part, letter in (("weight", "gamma"), ("bias", "beta"))
    ),
    ("proj_in", f"{_WHOLE}transformer.project_in"),
    ("proj_out", f"{_WHOLE}transformer.project_out"),
    ("preprocess_conv", f"{_WHOLE}preprocess_conv"),
    ("postprocess_conv", f"{_WHOLE}postprocess_conv"),
    ("time_proj.weight", f"{_WHOLE}timestep_features.weight"),
    ("time_embed.linear_1", f"{_WHOLE}to_timestep_embed.0"),
    ("time_embed.linear_2", f"{_WHOLE}to_timestep_embed.2"),
)


def _transformer_config(shapes: Shapes) -> dict[str, Any]:
    width, joined = shapes["proj_in.weight"]
    channels, _ = shapes["proj_out.weight"]
    return {
        "in_channels": channels,
        "condition_dim": joined - 2 * channels,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_attention_heads": width // _HEAD,
        "attention_head_dim": _HEAD,
        "ff_inner_dim": shapes["transformer_blocks.0.ff_out.weight"][1],
        "rotary_dim": _HEAD // 2,
        "fourier_embedding_dim": 2 * shapes["time_proj.weight"][0],
    }


TRANSFORMER = replace(
    denoiser_layout(
        "minimax-music3-transformer",
        "the transformer of MiniMax Music 3",
        "MiniMaxMusic3Transformer1DModel",
        marks=(
            (
                f"{_WHOLE}transformer.layers.0.self_attn.to_qkv.weight",
                f"{_WHOLE}timestep_features.weight",
            ),
            ("transformer_blocks.0.ff_in.weight", "time_proj.weight", "preprocess_conv.weight"),
        ),
        names=OriginalNames(_LAYERS, equal_rows=True),
        config=_transformer_config,
        scheduler={**EULER_FLOW, "shift": 1.0},
        unused=(f"{_WHOLE}transformer.rotary_pos_emb.",),
    ),
    beginnings=(
        _WHOLE,
        *("transformer_blocks.", "proj_", "time_", "preprocess_conv.", "postprocess_conv."),
    ),
)
"""The noise levels of the published scheduler file; see the family about their direction."""

_CONDITION_NAMES = {
    "cond_layer_logits": "layer_weight_logits",
    "cond_layer_scale": "layer_scale",
    "latent_conditioners.0.weight": "proj.weight",
    "latent_conditioners.0.bias": "proj.bias",
}


def _condition_config(shapes: Shapes) -> dict[str, Any]:
    out, width, _ = shapes["latent_conditioners.0.weight"]
    return {
        "condition_hidden_dim": width,
        "num_condition_layers": shapes["cond_layer_logits"][0],
        "out_dim": out,
        **_RATES,
    }


CONDITIONS = FileLayout(
    "minimax-music3-conditions",
    "the condition encoder of MiniMax Music 3",
    "MiniMaxMusic3ConditionEncoder",
    lambda shapes: "cond_layer_logits" in shapes,
    _condition_config,
    lambda tensors, config: {
        _CONDITION_NAMES.get(name, name): item for name, item in tensors.items()
    },
    PREFIXES,
    ("cond_layer_", "latent_conditioners."),
    marks=(("cond_layer_logits",),),
)

# The language model, and what reads its states within a frame.

_EXTRA, _DECODER = "model.audio_extra_embedding.weight", "model.audio_decoder."
_PREFILL, _AUDIO = "model.embed_tokens_prefill.weight", "model.embed_tokens_audio.weight"
_WORDS, _HEAD_PRUNED = "model.embed_tokens.weight", "model.lm_head_pruned.weight"
_HEADS = ("lm_head.weight", "model.lm_head.weight")
_MERGED = (
    ("self_attn.qkv_proj", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
    ("mlp.gate_up_proj", ("mlp.gate_proj", "mlp.up_proj")),
)


def _is_language_model(shapes: Shapes) -> bool:
    return _EXTRA in shapes and any(f"{_DECODER}projection.weight" in item for item in shapes)


def _apart(name: str, count: int, shapes: Shapes) -> Iterator[tuple[str, slice | None]]:
    """The names of layers that lie in one tensor, each with its rows; the name alone of others.

    Args:
        count: Rows of the tensor.
        shapes: Of all tensors, whose outputs tell how wide queries are.
    """
    for merged, layers in _MERGED:
        stem, match, end = name.partition(merged)
        if not match:
            continue
        sizes = [count // len(layers)] * len(layers)
        if len(layers) == 3:
            queries = shapes[f"{stem}self_attn.o_proj.weight"][1]
            sizes = [queries, (count - queries) // 2, (count - queries) // 2]
        start = 0
        for layer, size in zip(layers, sizes, strict=True):
            yield f"{stem}{layer}{end}", slice(start, start + size)
            start += size
        return
    yield name, None


def _split_shapes(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {
        new: shape if rows is None else (rows.stop - rows.start, *shape[1:])
        for name, shape in shapes.items()
        for new, rows in _apart(name, shape[0] if shape else 0, shapes)
    }


def _split(tensors: Tensors) -> dict[str, Tensor]:
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    return {
        new: item if rows is None else item[rows]
        for name, item in tensors.items()
        for new, rows in _apart(name, item.shape[0] if item.ndim else 0, shapes)
    }


def _language_config(shapes: Shapes) -> dict[str, Any]:
    split = _split_shapes(shapes)
    is_pruned = _PREFILL in split
    words, width = split[_PREFILL if is_pruned else _WORDS]
    (head,) = split["model.layers.0.self_attn.q_norm.weight"]
    return {
        "vocab_size": words + split[_AUDIO][0] if is_pruned else words,
        "hidden_size": width,
        "intermediate_size": split["model.layers.0.mlp.gate_proj.weight"][0],
        "num_hidden_layers": count_of(split, r"model\.layers\.(\d+)\."),
        "num_attention_heads": split["model.layers.0.self_attn.q_proj.weight"][0] // head,
        "num_key_value_heads": split["model.layers.0.self_attn.k_proj.weight"][0] // head,
        "head_dim": head,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 10_240,
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    }


def _language_model(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    converted = _split(tensors)
    for name in _HEADS[1:]:
        if name in converted:
            converted[_HEADS[0]] = converted.pop(name)
    if _PREFILL in converted:
        converted[_WORDS] = torch.cat([converted.pop(_PREFILL), converted.pop(_AUDIO)])
    if _HEAD_PRUNED in converted:
        pruned = converted.pop(_HEAD_PRUNED)
        # Tokens that no song has are masked, so that any row will do.
        whole = pruned.new_zeros(config["vocab_size"], pruned.shape[1])
        whole[AUDIO_END] = pruned[0]
        whole[CODE_OFFSET : CODE_OFFSET + len(pruned) - 1] = pruned[1:]
        converted[_HEADS[0]] = whole
    return converted


LANGUAGE_MODEL = FileLayout(
    "minimax-music3-language-model",
    "the language model of MiniMax Music 3",
    "Qwen3ForCausalLM",
    _is_language_model,
    _language_config,
    _language_model,
    beginnings=("model.embed_tokens", "model.layers.", "model.norm.", "model.lm_head", "lm_head."),
)

_DEPTH_NAMES = {
    "self_attn.q_proj.": "attn.to_q.",
    "self_attn.k_proj.": "attn.to_k.",
    "self_attn.v_proj.": "attn.to_v.",
    "self_attn.o_proj.": "attn.to_out.",
    "mlp.": "",
}


def _depth_name(name: str) -> str:
    if name == _EXTRA:
        return "audio_embeddings.weight"
    name = name.removeprefix(_DECODER)
    for theirs, ours in _DEPTH_NAMES.items():
        name = name.replace(theirs, ours)
    return name


def _depth_config(shapes: Shapes) -> dict[str, Any]:
    named = {_depth_name(name): shape for name, shape in _split_shapes(shapes).items()}
    words, width = named["audio_heads.0.weight"]
    return {
        "hidden_size": width,
        "num_layers": count_of(named, r"layers\.(\d+)\."),
        "num_attention_heads": max(1, width // _DEPTH_HEAD),
        "intermediate_size": named["layers.0.gate_proj.weight"][0],
        "audio_vocab_size": words,
        "num_codebooks": count_of(named, r"audio_heads\.(\d+)\.") + 1,
        "max_position_embeddings": named["pos_embedding.weight"][0],
    }


DEPTH_DECODER = FileLayout(
    "minimax-music3-depth-decoder",
    "the depth decoder of MiniMax Music 3",
    "MiniMaxMusic3RVQDepthDecoder",
    _is_language_model,
    _depth_config,
    lambda tensors, config: {_depth_name(name): item for name, item in _split(tensors).items()},
    beginnings=(_EXTRA, _DECODER),
)

# The vocoder.

_FIRST = "decoder.model.0.bias"
_NORM_PARTS = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
"""Newer names of torch for the two parts of a weight, lengths and directions."""
_INNER = ("snake1", "conv_t1", "res_unit1", "res_unit2", "res_unit3")
_UNIT = ("snake1", "conv1", "snake2", "conv2")
_VOCODER_LAYER = re.compile(r"decoder\.model\.(\d+)\.(?:block\.(\d+)\.)?(?:block\.(\d+)\.)?")


def _vocoder_names(names: Mapping[str, object]) -> dict[str, str]:
    """The names of diffusers, by those of a file, which counts layers."""
    blocks = count_of(dict.fromkeys(names, ()), r"decoder\.model\.(\d+)\.block\.")
    return {name: _vocoder_name(name, blocks) for name in names}


def _vocoder_name(name: str, blocks: int) -> str:
    for newer, part in _NORM_PARTS.items():
        name = name.replace(newer, part)
    match = _VOCODER_LAYER.match(name)
    if match is None:
        return name
    layer, inner, innermost = match.groups()
    end, at = name[match.end() :], int(layer)
    if inner is None:
        ends = {0: "conv_in", blocks + 1: "snake_out", blocks + 2: "conv_out"}
        return f"{ends.get(at, layer)}.{end}"
    unit = "" if innermost is None else f"{_UNIT[int(innermost)]}."
    return f"blocks.{at - 1}.{_INNER[int(inner)]}.{unit}{end}"


def _vocoder_config(shapes: Shapes) -> dict[str, Any]:
    named = {new: shapes[old] for old, new in _vocoder_names(shapes).items()}
    width, half, _ = named["dec_in_proj.weight"]
    blocks = count_of(named, r"blocks\.(\d+)\.")
    # A kernel is twice as long as its stride.
    strides = [named[f"blocks.{at}.conv_t1.weight_v"][2] // 2 for at in range(blocks)]
    check_downscale(math.prod(strides), HOP)
    return {
        "latent_channels": 2 * half,
        "decoder_input_dim": width,
        "decoder_hidden_dim": named["conv_in.bias"][0],
        "upsampling_ratios": tuple(strides),
        "sampling_rate": _RATES["output_sampling_rate"],
    }


VOCODER = FileLayout(
    "minimax-music3-vocoder",
    "the vocoder of MiniMax Music 3",
    "MiniMaxMusic3Vocoder",
    lambda shapes: "dec_in_proj.weight" in shapes and _FIRST in shapes,
    _vocoder_config,
    lambda tensors, config: {new: tensors[old] for old, new in _vocoder_names(tensors).items()},
    ("first_stage_model.", "vae.", ""),
    ("dec_in_proj.", "decoder.model."),
)
