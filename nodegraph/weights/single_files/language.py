"""Language models in files, whose layers image models read: T5, Qwen 2.5-VL, 3 and 3-VL, Gemma 2
and 3, Llama 3, Mistral Small 3 and Ministral 3.

They are laid out as transformers names them. The head that writes is not loaded: it would say for
every token how likely each word is to follow. Widths and depths are read from the shapes; how wide
a head is, and the numbers of rotary positions and norms, are published figures. Of T5 (1.0, 1.1,
UMT5, ByT5) the decoder is not loaded either, and UMT5 may also have the names of Wan's own code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, Tensors, count_of
from nodegraph.weights.single_files.renamed_layouts import Names, renamed_layout

if TYPE_CHECKING:
    from torch import Tensor

_LEVELS = (
    "model.language_model.",
    "language_model.model.",
    "model.model.",
    "language_model.",
    "model.",
)
"""Before the names of the language model, in one version of transformers or another."""
_SIGHT = ("model.visual.", "visual.")
"""Before those of the part of Qwen that sees images."""
_IGNORED_PREFIXES = (
    "lm_head.",
    "language_model.lm_head.",
    "model.vision_tower.",
    "vision_tower.",
    "model.multi_modal_projector.",
    "multi_modal_projector.",
    "vision_model.",
)
"""What isn't asked here: the head, and the eyes of Mistral and Gemma 3, whose prompts show no
images."""
_TOKENIZERS = ("spiece_model", "tekken_model")
"""Tensors of some files: their tokenizer, as SentencePiece or Tekken has it."""

_WORDS, _LAYER = "embed_tokens.weight", "layers.0."
_QUERY, _KEY = _LAYER + "self_attn.q_proj.weight", _LAYER + "self_attn.k_proj.weight"
_QUERY_BIAS, _QUERY_NORM = _LAYER + "self_attn.q_proj.bias", _LAYER + "self_attn.q_norm.weight"
_GATE = _LAYER + "mlp.gate_proj.weight"
_GEMMA = _LAYER + "pre_feedforward_layernorm.weight"
_GEMMA4 = _LAYER + "layer_scalar"
_PATCHES = "visual.patch_embed.proj.weight"
_SEEN_PLACES = "visual.pos_embed.weight"

_HEAD, _GEMMA_HEAD, _SEEING_HEAD = 128, 256, 80
"""Widths of attention heads."""
_SEEING_HEADS = 16
"""Attention heads of Qwen3-VL's vision model."""


_TEKKEN_WORDS = 131072
"""By which Mistral is told from Llama, whose layers have the same names."""
_LLAVA_WORDS = 128320
"""By which the Llama 3 of LLaVA is told from Llama 3.1: it has words for images and for padding."""
_MISTRAL_SMALL, _MINISTRAL = 5120, (3072, 4096)
"""Widths of Mistral Small 3 and of Ministral 3 (3B and 8B), whose layers have the same names."""


def _plain(name: str) -> str:
    """A tensor's name as the model without its head has it."""
    for level in _SIGHT:
        if name.startswith(level):
            return "visual." + name.removeprefix(level)
    for level in _LEVELS:
        if name.startswith(level):
            return name.removeprefix(level)
    return name


def _text(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {
        _plain(name): shape
        for name, shape in shapes.items()
        if not name.startswith(_IGNORED_PREFIXES)
    }


def _own(tensors: Tensors) -> dict[str, Tensor]:
    return {
        _plain(name): item
        for name, item in tensors.items()
        if not name.startswith(_IGNORED_PREFIXES) and name not in _TOKENIZERS
    }


def _convert(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """The weights under the names of the model without its head and eyes."""
    return _own(tensors)


def _convert_seeing(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """The weights under the names of a model with eyes."""
    return {
        name if name.startswith("visual.") else f"language_model.{name}": item
        for name, item in _own(tensors).items()
    }


Matches = Callable[[Shapes], bool]


def _has(*wanted: str, but: tuple[str, ...] = ()) -> Matches:
    def matches(shapes: Shapes) -> bool:
        text = _text(shapes)
        return {_WORDS, _QUERY, _KEY, _GATE, *wanted} <= text.keys() and text.keys().isdisjoint(but)

    return matches


def _is_mistral(shapes: Shapes) -> bool:
    return _text(shapes)[_WORDS][0] == _TEKKEN_WORDS


def _is_llava(shapes: Shapes) -> bool:
    return _text(shapes)[_WORDS][0] == _LLAVA_WORDS


def _is_mistral_small(shapes: Shapes) -> bool:
    return _PLAIN(shapes) and _is_mistral(shapes) and _text(shapes)[_WORDS][1] not in _MINISTRAL


def _is_ministral(shapes: Shapes) -> bool:
    return _PLAIN(shapes) and _is_mistral(shapes) and _text(shapes)[_WORDS][1] != _MISTRAL_SMALL


_PLAIN = _has(but=(_QUERY_BIAS, _QUERY_NORM, _GEMMA, _PATCHES))


def _common(text: Shapes, head: int) -> dict[str, Any]:
    words, width = text[_WORDS]
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": text[_GATE][0],
        "num_hidden_layers": count_of(text, r"layers\.(\d+)\."),
        "num_attention_heads": text[_QUERY][0] // head,
        "num_key_value_heads": text[_KEY][0] // head,
    }


def _rotary(theta: float, **more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **more}}


def _qwen3(shapes: Shapes) -> dict[str, Any]:
    text = _text(shapes)
    (head,) = text[_QUERY_NORM]
    return {
        **_common(text, head),
        "head_dim": head,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 40960,
        **_rotary(1e6),
    }


def _gemma2(shapes: Shapes) -> dict[str, Any]:
    return {
        **_common(_text(shapes), _GEMMA_HEAD),
        "head_dim": _GEMMA_HEAD,
        "query_pre_attn_scalar": _GEMMA_HEAD,
        "attn_logit_softcapping": 50.0,
        "sliding_window": 4096,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 8192,
        **_rotary(1e4),
    }


def _gemma3(shapes: Shapes) -> dict[str, Any]:
    """Of 4B and 12B; source: transformers, ``models/gemma3/convert_gemma3_weights.py``."""
    text = _text(shapes)
    (head,) = text[_QUERY_NORM]
    return {
        **_common(text, head),
        "head_dim": head,
        "query_pre_attn_scalar": 256,
        "sliding_window": 1024,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 131072,
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    }


def _llama3(shapes: Shapes) -> dict[str, Any]:
    reach = {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    return {
        **_common(_text(shapes), _HEAD),
        "head_dim": _HEAD,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 131072,
        **_rotary(5e5, rope_type="llama3", **reach),
    }


def _llava_llama3(shapes: Shapes) -> dict[str, Any]:
    """Source: ComfyUI, ``comfy/text_encoders/llama.py``, ``Llama2Config``."""
    return {
        **_common(_text(shapes), _HEAD),
        "head_dim": _HEAD,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 8192,
        **_rotary(5e5),
    }


def _mistral3(shapes: Shapes) -> dict[str, Any]:
    return {
        **_common(_text(shapes), _HEAD),
        "head_dim": _HEAD,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 131072,
        "sliding_window": None,
        **_rotary(1e9),
    }


def _ministral3(shapes: Shapes) -> dict[str, Any]:
    """Of 3B and 8B; source: the defaults of transformers' ``Ministral3Config``."""
    reach = {
        "factor": 16.0,
        "original_max_position_embeddings": 16384,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "llama_4_scaling_beta": 0.1,
    }
    return {
        **_common(_text(shapes), _HEAD),
        "head_dim": _HEAD,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 262144,
        "sliding_window": None,
        **_rotary(1e6, rope_type="yarn", **reach),
    }


def _qwen25(shapes: Shapes) -> dict[str, Any]:
    return {
        **_common(_text(shapes), _HEAD),
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 128000,
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "pad_token_id": 151643,
        **_rotary(1e6, mrope_section=[16, 24, 24]),
    }


def _qwen25_vl(shapes: Shapes) -> dict[str, Any]:
    text = _text(shapes)
    width, _, frames, patch, _ = text[_PATCHES]
    seeing = {
        "depth": count_of(text, r"visual\.blocks\.(\d+)\."),
        "hidden_size": width,
        "intermediate_size": text["visual.blocks.0.mlp.gate_proj.weight"][0],
        "num_heads": width // _SEEING_HEAD,
        "out_hidden_size": text[_WORDS][1],
        "patch_size": patch,
        "temporal_patch_size": frames,
        "spatial_merge_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
    }
    return {
        "text_config": _qwen25(shapes),
        "vision_config": seeing,
        "image_token_id": 151655,
        "video_token_id": 151656,
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
    }


_SEEN_LAYERS = {24: (5, 11, 17), 27: (8, 16, 24)}
"""By the layers of Qwen3-VL's vision model: those whose output its first text layers get.

Published with Qwen3-VL 4B and 8B.
"""


def _qwen3_vl(shapes: Shapes) -> dict[str, Any]:
    text = _text(shapes)
    width, _, frames, patch, _ = text[_PATCHES]
    depth = count_of(text, r"visual\.blocks\.(\d+)\.")
    seeing = {
        "depth": depth,
        "hidden_size": width,
        "intermediate_size": text["visual.blocks.0.mlp.linear_fc1.weight"][0],
        "num_heads": _SEEING_HEADS,
        "out_hidden_size": text[_WORDS][1],
        "patch_size": patch,
        "temporal_patch_size": frames,
        "spatial_merge_size": 2,
        "num_position_embeddings": text[_SEEN_PLACES][0],
        "deepstack_visual_indexes": _SEEN_LAYERS[depth],
    }
    rotary = _rotary(5e6, mrope_section=[24, 20, 20], mrope_interleaved=True)
    return {
        "text_config": {**_qwen3(shapes), "max_position_embeddings": 262144, **rotary},
        "vision_config": seeing,
        "image_token_id": 151655,
        "video_token_id": 151656,
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
    }


def _prefixes(*names: str) -> tuple[str, ...]:
    """By ComfyUI's names of an encoder, which its whole models have before its tensors."""
    levels = ("text_encoders.{}.transformer.", "{}.transformer.", "{}.")
    return (*(level.format(name) for name in names for level in levels), "")


QWEN3 = FileLayout(
    "qwen3",
    "Qwen3",
    "Qwen3Model",
    _has(_QUERY_NORM, but=(_QUERY_BIAS, _GEMMA, _PATCHES)),
    _qwen3,
    _convert,
    _prefixes("qwen3_4b", "qwen3_8b", "qwen3_2b", "qwen3_06b"),
)
QWEN3_VL = FileLayout(
    "qwen3-vl",
    "Qwen3-VL",
    "Qwen3VLModel",
    _has(_QUERY_NORM, _PATCHES, _SEEN_PLACES, but=(_QUERY_BIAS, _GEMMA)),
    _qwen3_vl,
    _convert_seeing,
    _prefixes("qwen3vl_4b", "qwen3vl_8b"),
)
QWEN25_VL = FileLayout(
    "qwen2.5-vl",
    "Qwen2.5-VL",
    "Qwen2_5_VLModel",
    _has(_QUERY_BIAS, _PATCHES),
    _qwen25_vl,
    _convert_seeing,
    _prefixes("qwen25_7b"),
)
QWEN25 = FileLayout(
    "qwen2.5",
    "Qwen2.5-VL without its vision model",
    "Qwen2_5_VLTextModel",
    _has(_QUERY_BIAS, but=(_PATCHES,)),
    _qwen25,
    _convert,
    _prefixes("qwen25_7b"),
)
GEMMA2 = FileLayout(
    "gemma2",
    "Gemma 2",
    "Gemma2Model",
    _has(_GEMMA, but=(_QUERY_NORM,)),
    _gemma2,
    _convert,
    _prefixes("gemma2_2b"),
)
GEMMA3 = FileLayout(
    "gemma3",
    "Gemma 3",
    "Gemma3TextModel",
    _has(_QUERY_NORM, _GEMMA, but=(_QUERY_BIAS, _PATCHES, _GEMMA4)),
    _gemma3,
    _convert,
    _prefixes("gemma3_12b"),
)
LLAMA3 = FileLayout(
    "llama3",
    "Llama 3.1",
    "LlamaModel",
    lambda shapes: _PLAIN(shapes) and not (_is_mistral(shapes) or _is_llava(shapes)),
    _llama3,
    _convert,
    _prefixes("llama"),
)
LLAVA_LLAMA3 = FileLayout(
    "llava-llama3",
    "the Llama 3 of LLaVA",
    "LlamaModel",
    lambda shapes: _PLAIN(shapes) and _is_llava(shapes),
    _llava_llama3,
    _convert,
    _prefixes("llama"),
)
MISTRAL3 = FileLayout(
    "mistral3",
    "Mistral Small 3",
    "MistralModel",
    _is_mistral_small,
    _mistral3,
    _convert,
    _prefixes("mistral3_24b"),
)
MINISTRAL3 = FileLayout(
    "ministral3",
    "Ministral 3",
    "Ministral3Model",
    _is_ministral,
    _ministral3,
    _convert,
    _prefixes("ministral3_3b"),
)

_GGUF: Names = (
    (r"token_embd\.", "model.embed_tokens."),
    (r"output_norm\.", "model.norm."),
    (r"output\.", "lm_head."),
    (r"blk\.(\d+)\.attn_norm\.", r"model.layers.\1.input_layernorm."),
    (r"blk\.(\d+)\.ffn_norm\.", r"model.layers.\1.post_attention_layernorm."),
    (r"blk\.(\d+)\.attn_([qk])_norm\.", r"model.layers.\1.self_attn.\2_norm."),
    (r"blk\.(\d+)\.attn_([qkv])\.", r"model.layers.\1.self_attn.\2_proj."),
    (r"blk\.(\d+)\.attn_output\.", r"model.layers.\1.self_attn.o_proj."),
    (r"blk\.(\d+)\.ffn_(gate|up|down)\.", r"model.layers.\1.mlp.\2_proj."),
)
"""Of those whose numbers lie there as here: others' are turned or moved besides.

Source: https://github.com/ggml-org/llama.cpp, ``gguf-py/gguf/constants.py``.
"""
QWEN3_GGUF = renamed_layout("qwen3-gguf", QWEN3, _GGUF)
QWEN25_GGUF = renamed_layout("qwen2.5-gguf", QWEN25, _GGUF)


_T5_WORDS, _TIED_WORDS = "shared.weight", "encoder.embed_tokens.weight"
_BLOCK = "encoder.block.{}.layer."
_PLACES = _BLOCK + "0.SelfAttention.relative_attention_bias.weight"
_T5_GATE = _BLOCK + "1.DenseReluDense.wi_0.weight"
_T5_PLAIN = _BLOCK + "1.DenseReluDense.wi.weight"
"""Of T5 1.0, whose layers have no gate."""
_MOST_BYTES = 2048
"""Words of a vocabulary of bytes with some marks; others have tens of thousands."""
_FARTHEST = 128
"""Tokens apart, from where on all are equally far."""

_T5_IGNORED = ("decoder.", "lm_head.")
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
    return _has_t5_words(shapes) and _T5_GATE.format(0) in shapes


def _has_t5_words(shapes: Shapes) -> bool:
    known = len(shapes.get(_T5_WORDS) or shapes.get(_TIED_WORDS) or ()) == 2
    return known and _PLACES.format(0) in shapes


def t5_11b_matches(shapes: Shapes) -> bool:
    """Whether tensors are an encoder of T5 1.0, whose layers have no gate."""
    return _has_t5_words(shapes) and _T5_PLAIN.format(0) in shapes


def _is_umt5(shapes: Shapes) -> bool:
    return _PLACES.format(1) in shapes


def _words(shapes: Shapes) -> tuple[int, ...]:
    return shapes.get(_T5_WORDS) or shapes[_TIED_WORDS]


def t5_config(shapes: Shapes) -> dict[str, Any]:
    """The transformers configuration of an encoder.

    Raises:
        KeyError: A tensor that every such encoder has is missing.
    """
    words, width = _words(shapes)
    buckets, heads = shapes[_PLACES.format(0)]
    is_plain = _T5_PLAIN.format(0) in shapes
    return {
        "vocab_size": words,
        "d_model": width,
        "d_kv": shapes[_BLOCK.format(0) + "0.SelfAttention.q.weight"][0] // heads,
        "d_ff": (shapes[_T5_PLAIN.format(0)] if is_plain else shapes[_T5_GATE.format(0)])[0],
        "num_layers": count_of(shapes, r"encoder\.block\.(\d+)\."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": _FARTHEST,
        "feed_forward_proj": "relu" if is_plain else "gated-gelu",
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
        if not name.startswith(_T5_IGNORED) and name != _TOKENIZER
    }
    tied = kept.pop(_TIED_WORDS, None)
    return {_T5_WORDS: tied, **kept} if _T5_WORDS not in kept and tied is not None else kept


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

_T5_NAMES: Names = (
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


def _layout(name: str, title: str, matches: Any, class_name: str, *files: str) -> FileLayout:
    return FileLayout(name, title, class_name, matches, t5_config, convert_t5, _prefixes(*files))


T5 = _layout("t5", "T5-XXL", t5_matches, "T5EncoderModel", "t5xxl")
T5_11B = _layout("t5-11b", "T5-11B", t5_11b_matches, "T5EncoderModel", "t5xxl")
BYT5 = _layout("byt5", "ByT5", byt5_matches, "T5EncoderModel", "byt5", "byt5_small")
UMT5 = _layout("umt5", "UMT5-XXL", umt5_matches, "UMT5EncoderModel", "umt5xxl")
T5_GGUF = renamed_layout("t5-gguf", T5, _T5_NAMES)
UMT5_GGUF = renamed_layout("umt5-gguf", UMT5, _T5_NAMES)
UMT5_ORIGINAL = renamed_layout("umt5-original", UMT5, _WAN)
