"""Tiny random language models that see and hear, as folders and files for LoadLanguageModel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from tests.diffusion.families.words import byte_characters, qwen_words

WORDS = 262_144
"""Of Gemma 4, whose marks have numbers of their own."""
_MARKS = {
    **{mark: at for at, mark in enumerate(("<pad>", "<eos>", "<bos>", "<unk>"))},
    **{mark: 98 + at for at, mark in enumerate(("<|think|>", "<|channel>", "<channel|>"))},
    "<|tool_response>": 50,
    "<|turn>": 105,
    "<turn|>": 106,
    "<|image>": 255_999,
    "<|audio>": 256_000,
    "<|image|>": 258_880,
    "<|audio|>": 258_881,
    "<image|>": 258_882,
    "<audio|>": 258_883,
    "<|video|>": 258_884,
}


def gemma4_words() -> Tokenizer:
    words = {word: 1000 + at for at, word in enumerate(byte_characters())}
    core = Tokenizer(BPE(vocab={**words, **_MARKS}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(mark, special=True) for mark in _MARKS])
    return core


def gemma4(layers: int = 6, shared: int = 2, **text: Any) -> Any:
    """As E4B: with inputs of each layer and an audio encoder."""
    torch.manual_seed(0)
    config = tf.Gemma4Config(
        text_config={
            "vocab_size": WORDS,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": layers,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "global_head_dim": 16,
            "hidden_size_per_layer_input": 2,
            "vocab_size_per_layer_input": WORDS,
            "num_kv_shared_layers": shared,
            "layer_types": ["sliding_attention", "full_attention"] * (layers // 2),
            "sliding_window": 512,
            "final_logit_softcapping": 30.0,
            **text,
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "position_embedding_size": 64,
            "use_clipped_linears": True,
        },
        audio_config={
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "output_proj_dims": 12,
        },
    )
    model = tf.Gemma4ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.3)
        # Only words of the tokenizer are likely.
        known = torch.zeros(WORDS, dtype=torch.bool)
        known[1000:1256] = True
        model.model.language_model.embed_tokens.weight[~known] *= 0.01
    return model


COMFYUI_NAMES = (
    ("model.language_model.", "model."),
    ("model.vision_tower.", "vision_model."),
    ("model.audio_tower.", "audio_model."),
    ("model.embed_vision.", "multi_modal_projector."),
    ("model.embed_audio.", "audio_projector."),
)
"""Names of transformers and of ComfyUI."""


def comfyui_tensors(model: Any) -> dict[str, torch.Tensor]:
    """The weights and the tokenizer as ComfyUI's files have them."""
    tensors = {}
    for name, item in model.state_dict().items():
        for ours, theirs in COMFYUI_NAMES:
            if name.startswith(ours):
                tensors[theirs + name.removeprefix(ours)] = item.contiguous()
    words = gemma4_words().to_str().encode()
    tensors["tokenizer_json"] = torch.tensor(list(words), dtype=torch.uint8)
    return tensors


def gemma4_file(path: Path) -> Any:
    """Write a file as ComfyUI has it, and return the model."""
    model = gemma4()
    save_file(comfyui_tensors(model), path)
    return model


QWEN_CHAT = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for item in message.content -%}{%- if item.type == 'image' -%}"
    "<|vision_start|><|image_pad|><|vision_end|>{%- else -%}{{ item.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{ '<|im_end|>\\n' }}{%- endfor -%}"
    "{{ '<|im_start|>assistant\\n' }}"
)


def qwen35_folder(path: Path) -> Any:
    """Write a folder as transformers has it for Qwen3.5, and return the model."""
    torch.manual_seed(0)
    words = qwen_words()
    words.chat_template = QWEN_CHAT
    mark = words.convert_tokens_to_ids
    config = tf.Qwen3_5Config(
        text_config={
            "vocab_size": len(words),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "linear_conv_kernel_dim": 4,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "layer_types": ["linear_attention", "full_attention"],
            "max_position_embeddings": 32768,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e7,
                "mrope_section": [2, 1, 1],
                "mrope_interleaved": True,
                "partial_rotary_factor": 1.0,
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": 32,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "num_position_embeddings": 16,
        },
        image_token_id=mark("<|image_pad|>"),
        video_token_id=mark("<|video_pad|>"),
        vision_start_token_id=mark("<|vision_start|>"),
        vision_end_token_id=mark("<|vision_end|>"),
    )
    model = tf.Qwen3_5ForConditionalGeneration(config).eval()
    model.save_pretrained(path)
    words.save_pretrained(path)
    colors = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (path / "preprocessor_config.json").write_text(json.dumps(colors))
    return model
