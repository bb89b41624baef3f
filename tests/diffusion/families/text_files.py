"""Text encoders of few numbers that know as many words as published ones, and files of them in the
layouts that are in circulation. Made once in a process: nobody writes into them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.families.building import clip_tokenizer
from nodegraph.families.vocabulary import MERGES, WORDS

T5_WORDS, UMT5_WORDS, BYT5_WORDS = 32128, 256384, 1510


def clip_words(padding: str = "<|endoftext|>") -> Any:
    return clip_tokenizer(MERGES, padding)


def drawn(module: Any) -> Any:
    """The module with numbers everywhere, asking for no gradients."""
    for weight in module.eval().requires_grad_(False).parameters():
        if not bool(weight.any()):
            weight.normal_(0, 0.02)
    return module


@cache
def clip(layers: int = 2, *, projects: bool = False, length: int = 77) -> Any:
    """CLIP-L, or bigG where it has more than 16 layers."""
    torch.manual_seed(layers)
    config = tf.CLIPTextConfig(
        vocab_size=WORDS,
        hidden_size=64,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=1,
        max_position_embeddings=length,
        hidden_act="quick_gelu" if layers < 17 else "gelu",
        projection_dim=64,
        bos_token_id=WORDS - 2,
        eos_token_id=WORDS - 1,
        pad_token_id=WORDS - 1,
    )
    return drawn((tf.CLIPTextModelWithProjection if projects else tf.CLIPTextModel)(config))


@cache
def t5(words: int = T5_WORDS, kind: Any = tf.T5EncoderModel) -> Any:
    torch.manual_seed(words)
    config = (tf.UMT5Config if kind is tf.UMT5EncoderModel else tf.T5Config)(
        vocab_size=words,
        d_model=24 if kind is tf.UMT5EncoderModel else 128,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    return drawn(kind(config))


def named(module: nn.Module, level: str = "") -> dict[str, Tensor]:
    """The weights as files have them: what is there twice once, and all behind a level."""
    return {
        f"{level}{name}": tensor.contiguous()
        for name, tensor in module.state_dict().items()
        if name != "encoder.embed_tokens.weight"
    }


def clip_file(module: Any, prefix: str = "") -> dict[str, Tensor]:
    """As transformers named it once, with position ids."""
    places = torch.arange(module.config.max_position_embeddings)[None]
    found = {
        name if name.startswith("text_projection.") else f"text_model.{name}": tensor
        for name, tensor in (
            (name.removeprefix("text_model."), tensor) for name, tensor in named(module).items()
        )
    }
    found["text_model.embeddings.position_ids"] = places
    return {f"{prefix}{name}": tensor for name, tensor in found.items()}


_WAN = {
    "shared": "token_embedding",
    "encoder.final_layer_norm": "norm",
    "encoder.block": "blocks",
    "layer.0.layer_norm": "norm1",
    "layer.1.layer_norm": "norm2",
    "layer.0.SelfAttention.relative_attention_bias": "pos_embedding.embedding",
    "layer.0.SelfAttention": "attn",
    "layer.1.DenseReluDense.wi_0": "ffn.gate.0",
    "layer.1.DenseReluDense.wi_1": "ffn.fc1",
    "layer.1.DenseReluDense.wo": "ffn.fc2",
}


_GGUF_T5 = {
    "shared": "token_embd",
    "encoder.final_layer_norm": "enc.output_norm",
    "encoder.block": "enc.blk",
    "layer.0.layer_norm": "attn_norm",
    "layer.1.layer_norm": "ffn_norm",
    "layer.0.SelfAttention.relative_attention_bias": "attn_rel_b",
    "layer.0.SelfAttention.": "attn_",
    "layer.1.DenseReluDense.wi_0": "ffn_gate",
    "layer.1.DenseReluDense.wi_1": "ffn_up",
    "layer.1.DenseReluDense.wo": "ffn_down",
}


def wan_file(module: Any) -> dict[str, Tensor]:
    """UMT5 as Wan's own code names it."""
    return renamed(named(module), _WAN)


def gguf_t5(module: Any) -> dict[str, Tensor]:
    """T5 as llama.cpp names it."""
    return renamed(named(module), _GGUF_T5)


def renamed(tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """With parts of names replaced, one after the other."""
    found = {}
    for name, tensor in tensors.items():
        for old, new in names.items():
            name = name.replace(old, new)
        found[name] = tensor
    return found


def write(file: Path, tensors: Mapping[str, Tensor]) -> Path:
    save_file(dict(tensors), file)
    return file


def assert_loaded(found: nn.Module, given: nn.Module) -> None:
    """Each tensor of one is in the other; what projects alone may be more."""
    there = found.state_dict()
    for name, tensor in given.state_dict().items():
        assert torch.equal(there[name], tensor), name
    assert there.keys() == given.state_dict().keys()
