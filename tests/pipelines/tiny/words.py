"""Tokenizers that know the letters, and text encoders of one or two layers."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

import transformers

from tests.pipelines.tiny.base import LENGTH, WIDTH

_LETTERS = ascii_lowercase
_ENDS = [f"{letter}</w>" for letter in _LETTERS]
_CLIP_WORDS = [
    *_LETTERS,
    *(f"{letter}</w>" for letter in _LETTERS),
    "<|startoftext|>",
    "<|endoftext|>",
]
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def numbered(words: Sequence[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(words)}


def clip_tokenizer() -> Any:
    words = numbered(_CLIP_WORDS)
    return transformers.CLIPTokenizer(vocab=words, merges=[], model_max_length=LENGTH)


def clip_text(*, projected: bool = False, width: int = WIDTH) -> Any:
    # CLIP looks for the end of the text by its number, which has to be the largest.
    config = transformers.CLIPTextConfig(
        vocab_size=len(_CLIP_WORDS),
        hidden_size=width,
        intermediate_size=width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=len(_CLIP_WORDS) - 2,
        eos_token_id=len(_CLIP_WORDS) - 1,
        pad_token_id=1,
    )
    if projected:
        return transformers.CLIPTextModelWithProjection(config)
    return transformers.CLIPTextModel(config)


def t5_tokenizer() -> Any:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -2.0)]
    pieces += [(letter, -3.0) for letter in _LETTERS]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=LENGTH)


def t5_encoder(kind: str = "T5", width: int = WIDTH) -> Any:
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=4 + len(_LETTERS), d_model=width, d_kv=8, d_ff=width, num_layers=1, num_heads=4
    )
    return getattr(transformers, f"{kind}EncoderModel")(config)


def gemma_tokenizer() -> Any:
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581", *_LETTERS]
    return transformers.GemmaTokenizer(vocab=numbered(words), merges=[], model_max_length=32)


def qwen_tokenizer() -> Any:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words = numbered([*special, *_LETTERS, "\u0120", "\u010a"])
    made = transformers.Qwen2Tokenizer(vocab=words, merges=[], model_max_length=64)
    made.add_special_tokens({"additional_special_tokens": special[1:]})
    made.chat_template = _CHAT
    return made


def decoder_config(kind: str, *, words: int = 64, layers: int = 1) -> Any:
    """Of a language model that reads prompts: Gemma 2 or Qwen 3."""
    return getattr(transformers, f"{kind}Config")(
        vocab_size=words,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
    )
