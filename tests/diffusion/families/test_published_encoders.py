"""Text encoders as large as published ones, by names and shapes alone: each is told for what it is,
and configured as it was published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as tf

from nodegraph.families.registry import FAMILIES
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout

from .language_files import text_file
from .text_files import clip_file, named, wan_file

CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32}
CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
LAYOUTS = {layout.name: layout for f in FAMILIES.values() for p in f.encoders for layout in p.files}


def clip(
    sizes: dict[str, int], heads: int, act: str, projects: bool = True, length: int = 77
) -> Any:
    kind = tf.CLIPTextModelWithProjection if projects else tf.CLIPTextModel
    width = sizes["hidden_size"]
    return kind(
        tf.CLIPTextConfig(
            **sizes,
            vocab_size=49408,
            num_attention_heads=heads,
            hidden_act=act,
            projection_dim=width,
            max_position_embeddings=length,
        )
    )


def t5(kind: Any, config: Any, **sizes: int) -> Any:
    whole = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
    return kind(config(**{**whole, **sizes}, feed_forward_proj="gated-gelu"))


def language(kind: Any, config: Any, sizes: tuple[int, ...], **more: Any) -> Any:
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
    heads = ("num_attention_heads", "num_key_value_heads")
    return kind(config(**dict(zip((*names, *heads), sizes, strict=True)), **more))


def qwen25_vl() -> Any:
    text = {
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [16, 24, 24],
        },
    }
    seeing = {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "out_hidden_size": 3584,
        "tokens_per_second": 2,
    }
    return tf.Qwen2_5_VLForConditionalGeneration(
        tf.Qwen2_5_VLConfig(text_config=text, vision_config=seeing)
    )


QWEN3 = (tf.Qwen3ForCausalLM, tf.Qwen3Config)
T5 = (tf.T5EncoderModel, tf.T5Config)
PUBLISHED: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], str]] = {
    "clip_l": (lambda: clip(CLIP_L, 12, "quick_gelu", projects=False), clip_file, "clip-l"),
    "clip_l_hidream": (
        lambda: clip(CLIP_L, 12, "quick_gelu", length=248),
        clip_file,
        "clip-l-long",
    ),
    "clip_h": (lambda: clip(CLIP_H, 16, "gelu", projects=False), clip_file, "clip-h"),
    "clip_g": (lambda: clip(CLIP_G, 20, "gelu"), clip_file, "clip-bigg"),
    "clip_g_hidream": (lambda: clip(CLIP_G, 20, "gelu", length=248), clip_file, "clip-bigg-long"),
    "t5xxl": (lambda: t5(*T5, vocab_size=32128), named, "t5"),
    "umt5_xxl": (
        lambda: t5(tf.UMT5EncoderModel, tf.UMT5Config, vocab_size=256384),
        named,
        "umt5",
    ),
    "umt5 by Wan": (
        lambda: t5(tf.UMT5EncoderModel, tf.UMT5Config, vocab_size=256384),
        wan_file,
        "umt5-original",
    ),
    "byt5_small": (
        lambda: t5(*T5, vocab_size=1510, d_model=1472, d_ff=3584, num_layers=12, num_heads=6),
        named,
        "byt5",
    ),
    "qwen_2.5_vl_7b": (qwen25_vl, text_file, "qwen2.5-vl"),
    "qwen_3_06b_base": (
        lambda: language(*QWEN3, (151936, 1024, 3072, 28, 16, 8), head_dim=128),
        text_file,
        "qwen3",
    ),
    "qwen_3_4b": (
        lambda: language(*QWEN3, (151936, 2560, 9728, 36, 32, 8), head_dim=128),
        text_file,
        "qwen3",
    ),
    "qwen_3_8b": (
        lambda: language(*QWEN3, (151936, 4096, 12288, 36, 32, 8), head_dim=128),
        text_file,
        "qwen3",
    ),
    "gemma_2_2b": (
        lambda: language(tf.Gemma2Model, tf.Gemma2Config, (256000, 2304, 9216, 26, 8, 4)),
        text_file,
        "gemma2",
    ),
    "llama_3.1_8b": (
        lambda: language(tf.LlamaForCausalLM, tf.LlamaConfig, (128256, 4096, 14336, 32, 32, 8)),
        text_file,
        "llama3",
    ),
    "llava_llama3": (
        lambda: language(tf.LlamaForCausalLM, tf.LlamaConfig, (128320, 4096, 14336, 32, 32, 8)),
        text_file,
        "llava-llama3",
    ),
    "mistral_3_small": (
        lambda: language(
            tf.MistralForCausalLM, tf.MistralConfig, (131072, 5120, 32768, 30, 32, 8), head_dim=128
        ),
        text_file,
        "mistral3",
    ),
    "ministral-3-3b": (
        lambda: language(
            tf.Ministral3ForCausalLM,
            tf.Ministral3Config,
            (131072, 3072, 9216, 26, 32, 8),
            head_dim=128,
            tie_word_embeddings=True,
        ),
        text_file,
        "ministral3",
    ),
}


def shapes_of(name: str) -> tuple[Any, Shapes]:
    build, write, _ = PUBLISHED[name]
    with torch.device("meta"):
        module = build()
    return module, {key: tuple(item.shape) for key, item in write(module).items()}


def matching(shapes: Shapes) -> set[str]:
    layouts: list[FileLayout] = [*LAYOUTS.values()]
    return {layout.name for layout in layouts if layout.prefix(shapes) is not None}


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_is_told_for_what_it_is_and_configured_as_published(name: str) -> None:
    module, shapes = shapes_of(name)
    expected = PUBLISHED[name][2]
    short = expected.removesuffix("-long")
    # A long one does for families that take a short one.
    # ACE-Step's encoder has the architecture of Qwen3.
    alike = {f"{short}-plain", f"{short}-embedding"}
    assert matching(shapes) - alike == {expected, short}

    found = LAYOUTS[expected].config(shapes)
    figures = found.get("text_config", found) | found.get("vision_config", {})
    given = module.config.to_dict()
    flat = {**given, **given.get("text_config", {}), **given.get("vision_config", {})}
    different = {
        key: (value, flat[key])
        for key, value in figures.items()
        if key in flat and value != flat[key] and key not in _NOT_OF_SHAPES
    }
    assert different == {}


_NOT_OF_SHAPES = {
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "max_position_embeddings",
    "rope_parameters",
    "rms_norm_eps",
    "sliding_window",
    "tie_word_embeddings",
}
"""Figures that are published, which the other tests look at."""


@pytest.mark.slow
def test_each_converts_to_what_its_class_wants() -> None:
    for name, (_, write, expected) in PUBLISHED.items():
        module, shapes = shapes_of(name)
        layout = LAYOUTS[expected]
        with torch.device("meta"):
            config = layout.config(shapes)
            kind = getattr(tf, layout.class_name)
            wanted = kind(kind.config_class(**config)).state_dict()
            tensors = layout.convert(write(module), config)
        found = {key: tuple(item.shape) for key, item in tensors.items()}
        plain = {key.removeprefix("text_model."): shape for key, shape in found.items()}
        needed = {
            key.removeprefix("text_model."): tuple(item.shape)
            for key, item in wanted.items()
            if key != "encoder.embed_tokens.weight"
        }
        assert plain == needed, name
