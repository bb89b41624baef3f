"""The parts of ACE-Step 1.5 in files without a configuration. Imports no torch.

The published file of a diffusion model also holds the condition encoder, the audio tokenizer and
its counterpart. The text encoder and the VAE have files of their own, or lie beside it in one file.
No file holds the latents of silence: the VAE encodes them.

Sources: diffusers, ``scripts/convert_ace_step_to_diffusers.py`` and ``loaders/
lora_conversion_utils.py``; the published configurations, for what no tensor shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import (
    FileLayout,
    OriginalNames,
    Table,
    count_of,
)
from nodegraph.weights.single_files.language import QWEN3
from nodegraph.weights.single_files.oobleck import oobleck_layout
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

_WHOLE = ("model.diffusion_model.", "diffusion_model.", "")
"""Before the names of all parts but the text encoder and the VAE."""

_LANGUAGE_MODEL_WORDS = 160_000
"""Words that only the language model for audio codes has, which is a Qwen3 as well: with its codes
it has 217,204, and Qwen3-Embedding 151,669."""

SILENT_FRAMES = 15_000
"""Latent frames of silence, ten minutes."""

_SLIDING_WINDOW = 128

_ATTENTION_NAMES = {
    "to_q": "q_proj",
    "to_k": "k_proj",
    "to_v": "v_proj",
    "to_out.0": "o_proj",
    "norm_q": "q_norm",
    "norm_k": "k_norm",
}
LAYER_NAMES: Table = (
    ("proj_in_conv", "proj_in.1"),
    ("proj_out_conv", "proj_out.1"),
    *(
        (f"layers.*.{attention}.{ours}", f"layers.*.{attention}.{theirs}")
        for attention in ("self_attn", "cross_attn")
        for ours, theirs in _ATTENTION_NAMES.items()
    ),
)
_NAMES = OriginalNames(LAYER_NAMES)


def _attention(shapes: Shapes, layer: str) -> dict[str, Any]:
    """Sizes of a stack of layers, by its first one."""
    (head,) = shapes[f"{layer}self_attn.norm_q.weight"]
    return {
        "intermediate_size": shapes[f"{layer}mlp.gate_proj.weight"][0],
        "num_attention_heads": shapes[f"{layer}self_attn.to_q.weight"][0] // head,
        "num_key_value_heads": shapes[f"{layer}self_attn.to_k.weight"][0] // head,
        "head_dim": head,
        "attention_bias": f"{layer}self_attn.to_q.bias" in shapes,
        "sliding_window": _SLIDING_WINDOW,
    }


def _transformer_config(shapes: Shapes) -> dict[str, Any]:
    width, channels, patch = shapes["proj_in_conv.weight"]
    return {
        "hidden_size": width,
        "in_channels": channels,
        "patch_size": patch,
        "audio_acoustic_hidden_dim": shapes["proj_out_conv.weight"][1],
        "encoder_hidden_size": shapes["condition_embedder.weight"][1],
        "num_hidden_layers": count_of(shapes, r"layers\.(\d+)\."),
        **_attention(shapes, "layers.0."),
    }


TRANSFORMER = replace(
    denoiser_layout(
        "ace-step-transformer",
        "the transformer of ACE-Step 1.5",
        "AceStepTransformer1DModel",
        marks=(
            ("proj_in.1.weight", "time_embed_r.time_proj.weight"),
            ("proj_in_conv.weight", "time_embed_r.time_proj.weight"),
        ),
        names=_NAMES,
        config=_transformer_config,
        scheduler={**EULER_FLOW, "shift": 3.0},
    ),
    prefixes=(*(f"{prefix}decoder." for prefix in _WHOLE), "transformer.", *_WHOLE),
)


def _renamed(name: str) -> str:
    for ours, theirs in _ATTENTION_NAMES.items():
        name = name.replace(f".self_attn.{theirs}.", f".self_attn.{ours}.")
    return name


def _own(items: Mapping[str, Any], beginnings: tuple[str, ...]) -> dict[str, Any]:
    """The items of a part, by diffusers' names."""
    return {
        _renamed(re.sub(r"^(?:encoder|tokenizer|detokenizer)\.", "", name)): item
        for name, item in items.items()
        if name.startswith(beginnings)
    }


def _beside_layout(
    name: str,
    title: str,
    class_name: str,
    beginnings: tuple[str, ...],
    mark: str,
    config: Callable[[Shapes], dict[str, Any]],
    more: Callable[[Mapping[str, Any]], dict[str, Tensor]] = lambda config: {},
) -> FileLayout:
    """The layout of a part beside the transformer.

    Args:
        beginnings: What the names of its tensors begin with.
        mark: A tensor that it has.
        more: Tensors that the file lacks, for its configuration.
    """
    return FileLayout(
        name,
        title,
        class_name,
        lambda shapes: mark in shapes,
        lambda shapes: config(_own(shapes, beginnings)),
        lambda tensors, config: {**more(config), **_own(tensors, beginnings)},
        _WHOLE,
        beginnings,
    )


def _conditions_config(shapes: Shapes) -> dict[str, Any]:
    width, text_width = shapes["text_projector.weight"]
    return {
        "hidden_size": width,
        "text_hidden_dim": text_width,
        "timbre_hidden_dim": shapes["timbre_encoder.embed_tokens.weight"][1],
        "num_lyric_encoder_hidden_layers": count_of(shapes, r"lyric_encoder\.layers\.(\d+)\."),
        "num_timbre_encoder_hidden_layers": count_of(shapes, r"timbre_encoder\.layers\.(\d+)\."),
        **_attention(shapes, "lyric_encoder.layers.0."),
    }


def _no_silence(config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The buffer of silence as the class starts it, with zeros, which no encoded silence has."""
    zero = torch.zeros(1, 1, config["timbre_hidden_dim"])
    return {"silence_latent": zero.expand(-1, SILENT_FRAMES, -1)}


CONDITIONS = _beside_layout(
    "ace-step-conditions",
    "the condition encoder of ACE-Step 1.5",
    "AceStepConditionEncoder",
    ("encoder.", "null_condition_emb", "silence_latent"),
    "encoder.text_projector.weight",
    _conditions_config,
    _no_silence,
)


def _tokenizer_config(shapes: Shapes) -> dict[str, Any]:
    width, features = shapes["audio_acoustic_proj.weight"]
    return {
        "hidden_size": width,
        "audio_acoustic_hidden_dim": features,
        "fsq_dim": shapes["quantizer.project_in.weight"][1],
        "num_attention_pooler_hidden_layers": count_of(
            shapes, r"attention_pooler\.layers\.(\d+)\."
        ),
        **_attention(shapes, "attention_pooler.layers.0."),
    }


TOKENIZER = _beside_layout(
    "ace-step-audio-tokenizer",
    "the audio tokenizer of ACE-Step 1.5",
    "AceStepAudioTokenizer",
    ("tokenizer.",),
    "tokenizer.audio_acoustic_proj.weight",
    _tokenizer_config,
)


def _detokenizer_config(shapes: Shapes) -> dict[str, Any]:
    _, window, width = shapes["special_tokens"]
    return {
        "hidden_size": width,
        "pool_window_size": window,
        "audio_acoustic_hidden_dim": shapes["proj_out.weight"][0],
        "num_attention_pooler_hidden_layers": count_of(shapes, r"layers\.(\d+)\."),
        **_attention(shapes, "layers.0."),
    }


DETOKENIZER = _beside_layout(
    "ace-step-audio-detokenizer",
    "the audio detokenizer of ACE-Step 1.5",
    "AceStepAudioTokenDetokenizer",
    ("detokenizer.",),
    "detokenizer.proj_out.weight",
    _detokenizer_config,
)


def _embeds_text(shapes: Shapes) -> bool:
    """Whether it is the text encoder, and not the language model for audio codes."""
    if not QWEN3.matches(shapes):
        return False
    return int(QWEN3.config(shapes)["vocab_size"]) < _LANGUAGE_MODEL_WORDS


TEXT_ENCODER = replace(
    QWEN3,
    name="qwen3-embedding",
    title="Qwen3-Embedding 0.6B",
    matches=_embeds_text,
    prefixes=(
        "text_encoders.qwen3_06b.transformer.",
        "qwen3_06b.transformer.",
        "qwen3_06b.",
        "",
    ),
)


def is_ace_step_length(samples: int) -> bool:
    """Whether a latent frame of an Oobleck autoencoder is one of ACE-Step 1.5: 1920 samples at 48
    kHz, 25 frames per second. Those of Stable Audio Open have a power of 2."""
    return samples % 5 == 0


VAE = oobleck_layout("ace-step-vae", "the VAE of ACE-Step 1.5", 48_000, is_ace_step_length)
