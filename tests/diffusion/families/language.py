"""Tiny random language models that read prompts."""

from __future__ import annotations

from typing import Any

import transformers as tf

from .words import llama_words


def gemma2_text(words: Any, width: int = 32, layers: int = 3) -> Any:
    config = tf.Gemma2Config(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        query_pre_attn_scalar=8,
        max_position_embeddings=4096,
        sliding_window=4096,
    )
    return tf.Gemma2Model(config)


def qwen3_text(
    words: Any, width: int = 32, layers: int = 3, kind: Any = tf.Qwen3ForCausalLM
) -> Any:
    config = tf.Qwen3Config(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
    )
    return kind(config)


def qwen_vl_text(words: Any, width: int = 32, layers: int = 3) -> Any:
    mark = words.convert_tokens_to_ids
    config = tf.Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(words),
            "hidden_size": width,
            "intermediate_size": 64,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [1, 1, 2],
            },
            "bos_token_id": mark("<|endoftext|>"),
            "eos_token_id": mark("<|im_end|>"),
            "pad_token_id": mark("<|endoftext|>"),
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": width,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [1],
        },
        image_token_id=mark("<|image_pad|>"),
        video_token_id=mark("<|video_pad|>"),
        vision_start_token_id=mark("<|vision_start|>"),
        vision_end_token_id=mark("<|vision_end|>"),
    )
    return tf.Qwen2_5_VLForConditionalGeneration(config)


def qwen3_vl_text(words: Any, width: int = 32, layers: int = 3, kind: Any = None) -> Any:
    """Qwen3-VL; `kind` is its class, with the head that writes if it isn't named.

    The one without a head is the 4B, which writes by the words that it reads by.
    """
    mark = words.convert_tokens_to_ids
    config = tf.Qwen3VLConfig(
        text_config={
            "vocab_size": len(words),
            "hidden_size": width,
            "intermediate_size": 64,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5e6,
                "mrope_section": [2, 1, 1],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": width,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=mark("<|image_pad|>"),
        video_token_id=mark("<|video_pad|>"),
        vision_start_token_id=mark("<|vision_start|>"),
        vision_end_token_id=mark("<|vision_end|>"),
        tie_word_embeddings=kind is not None,
    )
    return (kind or tf.Qwen3VLForConditionalGeneration)(config)


def mistral3_text(words: Any, width: int = 32, layers: int = 4) -> Any:
    config = tf.Mistral3Config(
        text_config={
            "model_type": "mistral",
            "vocab_size": len(words),
            "hidden_size": width,
            "intermediate_size": 64,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "max_position_embeddings": 4096,
            "sliding_window": None,
        },
        vision_config={
            "model_type": "pixtral",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "image_size": 56,
            "patch_size": 14,
            "head_dim": 8,
        },
        image_token_index=5,
        spatial_merge_size=2,
    )
    return tf.Mistral3ForConditionalGeneration(config)


def ministral3_text(words: Any, width: int = 32, layers: int = 3, kind: Any = None) -> Any:
    """Ministral 3 beside its vision model, without the head that writes unless `kind` has one."""
    config = tf.Mistral3Config(
        text_config={
            "model_type": "ministral3",
            "vocab_size": len(words),
            "hidden_size": width,
            "intermediate_size": 64,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 4096,
        },
        vision_config={
            "model_type": "pixtral",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "image_size": 56,
            "patch_size": 14,
            "head_dim": 8,
        },
        image_token_index=5,
        spatial_merge_size=2,
        tie_word_embeddings=True,
    )
    return (kind or tf.Mistral3Model)(config)


_MISTRAL_CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}[SYSTEM_PROMPT]"
    "{% for c in m.content %}{{ c.text }}{% endfor %}[/SYSTEM_PROMPT]{% else %}[INST]"
    "{% for c in m.content %}{{ c.text }}{% endfor %}[/INST]{% endif %}{% endfor %}"
)


def mistral_words() -> Any:
    """The stock pipeline is given a processor of images and text here, which fills the template
    alike and needs a package that nodegraph does without."""
    words = llama_words()
    marks = ["[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[IMG]"]
    words.add_special_tokens({"pad_token": "<pad>", "additional_special_tokens": marks})
    words.padding_side = words.init_kwargs["padding_side"] = "left"  # the second is what is saved
    words.chat_template = _MISTRAL_CHAT
    return words


def llama_text(words: Any, width: int = 32, layers: int = 2) -> Any:
    config = tf.LlamaConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
    )
    return tf.LlamaForCausalLM(config)


def glm_text(words: Any, width: int = 32, layers: int = 3, kind: Any = tf.GlmModel) -> Any:
    config = tf.GlmConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
    )
    return kind(config)
