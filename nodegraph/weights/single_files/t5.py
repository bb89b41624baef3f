"""Encoders of T5's kind in files: T5 1.1, UMT5 and ByT5.

They are laid out as transformers names them, mostly without the decoder; UMT5 also as Wan's own
code names it. What their configurations say shows in the shapes, but for what all of them share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, Tensors, count_of
from nodegraph.weights.single_files.renamed_layouts import Names, renamed_layout

if TYPE_CHECKING:
    from torch import Tensor

_WORDS, _TIED_WORDS = "shared.weight", "encoder.embed_tokens.weight"
_BLOCK = "encoder.block.{}.layer."
_PLACES = _BLOCK + "0.SelfAttention.relative_attention_bias.weight"
_GATE = _BLOCK + "1.DenseReluDense.wi_0.weight"
_MOST_BYTES = 2048
"""Words of a vocabulary of bytes with some marks; others have tens of thousands."""
_FARTHEST = 128
"""Tokens apart, from where on all are equally far."""

_IGNORED_PREFIXES = ("decoder.", "lm_head.")
"""The other half of whole models."""
_TOKENIZER = "spiece_model"
"""A tensor of some files: the tokenizer, as SentencePiece has it."""


def t5_matches(shapes: Shapes) -> bool:
    """Whether it is a T5 1.1 with a vocabulary of words."""
    return _is_t5(shapes) and _words(shapes)[0] > _MOST_BYTES and not _is_umt5(shapes)


def byt5_matches(shapes: Shapes) -> bool:
    """Whether it is one that reads bytes."""
    return _is_t5(shapes) and _words(shapes)[0] <= _MOST_BYTES and not _is_umt5(shapes)


def umt5_matches(shapes: Shapes) -> bool:
    """Whether it is a UMT5: each block knows how far tokens are apart."""
    return _is_t5(shapes) and _is_umt5(shapes)


def _is_t5(shapes: Shapes) -> bool:
    known = len(shapes.get(_WORDS) or shapes.get(_TIED_WORDS) or ()) == 2
    return known and _PLACES.format(0) in shapes and _GATE.format(0) in shapes


def _is_umt5(shapes: Shapes) -> bool:
    return _PLACES.format(1) in shapes


def _words(shapes: Shapes) -> tuple[int, ...]:
    return shapes.get(_WORDS) or shapes[_TIED_WORDS]


def t5_config(shapes: Shapes) -> dict[str, Any]:
    """The transformers configuration of an encoder.

    Raises:
        KeyError: A tensor that every such encoder has is missing.
    """
    words, width = _words(shapes)
    buckets, heads = shapes[_PLACES.format(0)]
    return {
        "vocab_size": words,
        "d_model": width,
        "d_kv": shapes[_BLOCK.format(0) + "0.SelfAttention.q.weight"][0] // heads,
        "d_ff": shapes[_GATE.format(0)][0],
        "num_layers": count_of(shapes, r"encoder\.block\.(\d+)\."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": _FARTHEST,
        "feed_forward_proj": "gated-gelu",
        "layer_norm_epsilon": 1e-6,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }


def convert_t5(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """An encoder's weights under the names of transformers' encoders alone."""
    kept = {
        name: item
        for name, item in tensors.items()
        if not name.startswith(_IGNORED_PREFIXES) and name != _TOKENIZER
    }
    tied = kept.pop(_TIED_WORDS, None)
    return {_WORDS: tied, **kept} if _WORDS not in kept and tied is not None else kept


_WAN: Names = (
    (r"token_embedding\.", "shared."),
    (r"norm\.", "encoder.final_layer_norm."),
    (r"blocks\.(\d+)\.norm1\.", r"encoder.block.\1.layer.0.layer_norm."),
    (r"blocks\.(\d+)\.norm2\.", r"encoder.block.\1.layer.1.layer_norm."),
    (r"blocks\.(\d+)\.attn\.", r"encoder.block.\1.layer.0.SelfAttention."),
    (
        r"blocks\.(\d+)\.pos_embedding\.embedding\.",
        r"encoder.block.\1.layer.0.SelfAttention.relative_attention_bias.",
    ),
    (r"blocks\.(\d+)\.ffn\.gate\.0\.", r"encoder.block.\1.layer.1.DenseReluDense.wi_0."),
    (r"blocks\.(\d+)\.ffn\.fc1\.", r"encoder.block.\1.layer.1.DenseReluDense.wi_1."),
    (r"blocks\.(\d+)\.ffn\.fc2\.", r"encoder.block.\1.layer.1.DenseReluDense.wo."),
)
"""Source: https://github.com/Wan-Video/Wan2.1, ``wan/modules/t5.py``."""

_GGUF: Names = (
    (r"token_embd\.", "shared."),
    (r"enc\.output_norm\.", "encoder.final_layer_norm."),
    (r"enc\.blk\.(\d+)\.attn_norm\.", r"encoder.block.\1.layer.0.layer_norm."),
    (r"enc\.blk\.(\d+)\.ffn_norm\.", r"encoder.block.\1.layer.1.layer_norm."),
    (
        r"enc\.blk\.(\d+)\.attn_rel_b\.",
        r"encoder.block.\1.layer.0.SelfAttention.relative_attention_bias.",
    ),
    (r"enc\.blk\.(\d+)\.attn_([qkvo])\.", r"encoder.block.\1.layer.0.SelfAttention.\2."),
    (r"enc\.blk\.(\d+)\.ffn_gate\.", r"encoder.block.\1.layer.1.DenseReluDense.wi_0."),
    (r"enc\.blk\.(\d+)\.ffn_up\.", r"encoder.block.\1.layer.1.DenseReluDense.wi_1."),
    (r"enc\.blk\.(\d+)\.ffn_down\.", r"encoder.block.\1.layer.1.DenseReluDense.wo."),
)
"""Source: https://github.com/ggml-org/llama.cpp, ``gguf-py/gguf/constants.py``."""


def _prefixes(name: str) -> tuple[str, ...]:
    return (f"text_encoders.{name}.transformer.", f"{name}.transformer.", f"{name}.", "")


def _layout(name: str, title: str, matches: Any, class_name: str, file: str) -> FileLayout:
    return FileLayout(name, title, class_name, matches, t5_config, convert_t5, _prefixes(file))


T5 = _layout("t5", "T5-XXL", t5_matches, "T5EncoderModel", "t5xxl")
BYT5 = _layout("byt5", "ByT5", byt5_matches, "T5EncoderModel", "byt5")
UMT5 = _layout("umt5", "UMT5-XXL", umt5_matches, "UMT5EncoderModel", "umt5xxl")
T5_GGUF = renamed_layout("t5-gguf", T5, _GGUF)
UMT5_GGUF = renamed_layout("umt5-gguf", UMT5, _GGUF)
UMT5_ORIGINAL = renamed_layout("umt5-original", UMT5, _WAN)
