"""Language models of few numbers whose other figures are the published ones, and what is written
into files of them."""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

import torch
import transformers as tf
from torch import Tensor

from .text_files import drawn, named, renamed

QWEN_WORDS, QWEN_VL_WORDS, TEKKEN_WORDS = 151936, 152064, 131072


def _sized(words: int, layers: int, head: int = 128) -> dict[str, Any]:
    return {
        "vocab_size": words,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": head,
    }


def _rotary(theta: float, **more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": theta, **more}


@cache
def qwen3(kind: Any = tf.Qwen3Model, layers: int = 3, width: int = 16) -> Any:
    torch.manual_seed(1)
    sized = _sized(QWEN_WORDS, layers) | {"hidden_size": width, "intermediate_size": 2 * width}
    return drawn(kind(tf.Qwen3Config(**sized, rms_norm_eps=1e-6, rope_parameters=_rotary(1e6))))


@cache
def qwen25_vl() -> Any:
    torch.manual_seed(2)
    text = _sized(QWEN_VL_WORDS, 3)
    text.pop("head_dim")
    text |= {"hidden_size": 128, "num_attention_heads": 1, "rms_norm_eps": 1e-6}
    seeing = {
        "depth": 2,
        "hidden_size": 160,
        "intermediate_size": 24,
        "num_heads": 2,
        "out_hidden_size": 128,
        "patch_size": 14,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
    }
    rotary = _rotary(1e6, mrope_section=[16, 24, 24])
    config = tf.Qwen2_5_VLConfig(
        text_config={**text, "rope_parameters": rotary},
        vision_config=seeing,
        tie_word_embeddings=True,
        image_token_id=151655,
        video_token_id=151656,
        vision_start_token_id=151652,
        vision_end_token_id=151653,
    )
    return drawn(tf.Qwen2_5_VLForConditionalGeneration(config))


@cache
def qwen3_vl(layers: int = 3) -> Any:
    torch.manual_seed(6)
    rotary = _rotary(5e6, mrope_section=[24, 20, 20], mrope_interleaved=True)
    config = tf.Qwen3VLConfig(
        text_config=_sized(QWEN_WORDS, layers) | {"rms_norm_eps": 1e-6, "rope_parameters": rotary},
        vision_config={
            "depth": 24,
            "hidden_size": 64,
            "intermediate_size": 24,
            "num_heads": 16,
            "out_hidden_size": 16,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [5, 11, 17],
        },
    )
    return drawn(tf.Qwen3VLForConditionalGeneration(config))


@cache
def gemma2(words: int) -> Any:
    torch.manual_seed(3)
    return drawn(tf.Gemma2Model(tf.Gemma2Config(**_sized(words, 3, 256))))


@cache
def llama3(words: int) -> Any:
    torch.manual_seed(4)
    reach = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = tf.LlamaConfig(
        **_sized(words, 2),
        rms_norm_eps=1e-5,
        max_position_embeddings=131072,
        rope_parameters=_rotary(5e5) | reach,
    )
    return drawn(tf.LlamaForCausalLM(config))


LLAVA_WORDS = 128320


@cache
def llava_llama3() -> Any:
    """Llama 3 without the rotary scaling of 3.1, with 64 words more."""
    torch.manual_seed(7)
    config = tf.LlamaConfig(
        **_sized(LLAVA_WORDS, 4),
        rms_norm_eps=1e-5,
        max_position_embeddings=8192,
        rope_parameters=_rotary(5e5),
    )
    return drawn(tf.LlamaForCausalLM(config))


@cache
def mistral3(layers: int = 32) -> Any:
    torch.manual_seed(5)
    text = {
        "model_type": "mistral",
        **_sized(TEKKEN_WORDS, layers),
        "rms_norm_eps": 1e-5,
        "sliding_window": None,
        "max_position_embeddings": 131072,
        "rope_parameters": _rotary(1e9),
    }
    seeing = {
        "model_type": "pixtral",
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
        "head_dim": 8,
    }
    config = tf.Mistral3Config(text_config=text, vision_config=seeing, image_token_index=10)
    return drawn(tf.Mistral3ForConditionalGeneration(config))


@cache
def ministral3(kind: Any = tf.Ministral3Model) -> Any:
    torch.manual_seed(7)
    # Its other figures are the defaults of its class, as published.
    config = tf.Ministral3Config(**_sized(TEKKEN_WORDS, 3), tie_word_embeddings=True)
    return drawn(kind(config))


def text_file(module: Any) -> dict[str, Tensor]:
    """A language model as its makers name it: behind ``model.``, the head beside it."""
    found = {}
    for name, tensor in named(module).items():
        plain = name.removeprefix("model.").removeprefix("language_model.")
        is_tied = plain.startswith("lm_head.") and module.config.tie_word_embeddings
        if is_tied or plain.startswith(("vision_tower.", "multi_modal_projector.")):
            continue
        is_own = not plain.startswith(("lm_head.", "visual."))
        found[f"model.{plain}" if is_own else plain] = tensor
    return found


def gguf_text(module: Any) -> dict[str, Tensor]:
    """A language model as llama.cpp names it."""
    return renamed(text_file(module), _GGUF)


_GGUF = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers": "blk",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "self_attn.": "attn_",
    "mlp.": "ffn_",
    "_proj": "",
}


def sentencepiece(words: list[str]) -> Tensor:
    """A SentencePiece model as files of text encoders hold it.

    Args:
        words: Of it; the first five are marks.
    """

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2]) + _varint(len(content)) + content

    model = b""
    for number, word in enumerate(words):
        kind = _KINDS[number] if number < len(_KINDS) else 6 if word.startswith("<0x") else 1
        score = b"\x1d" + struct.pack("<f", -float(number))
        model += field(1, field(1, word.encode()) + score + bytes([3 << 3, kind]))
    return torch.frombuffer(bytearray(model), dtype=torch.uint8)


_KINDS = (3, 3, 3, 2, 4)
"""Of marks: three that stand for no text, the unknown word, and one that is never cut."""


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])
