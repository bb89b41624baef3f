"""Files of Gemma 4: their shapes tell the published configurations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as tf

from nodegraph.weights.single_files.gemma4 import GEMMA4
from tests.diffusion.language.seeing_models import COMFYUI_NAMES

_SHARED: dict[str, Any] = {"final_logit_softcapping": 30.0}
PUBLISHED: dict[str, dict[str, Any]] = {
    "E2B": {
        "hidden_size": 1536,
        "intermediate_size": 6144,
        "num_hidden_layers": 35,
        "num_key_value_heads": 1,
        "num_kv_shared_layers": 20,
        "use_double_wide_mlp": True,
        "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7,
    },
    "E4B": {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 42,
        "num_key_value_heads": 2,
        "num_kv_shared_layers": 18,
    },
    "31B": {
        "hidden_size": 5376,
        "intermediate_size": 21504,
        "num_hidden_layers": 60,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "num_global_key_value_heads": 4,
        "attention_k_eq_v": True,
        "hidden_size_per_layer_input": 0,
        "sliding_window": 1024,
        "use_bidirectional_attention": "vision",
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("is_comfyui", [True, False])
def test_the_configuration_is_read_from_the_shapes(name: str, *, is_comfyui: bool) -> None:
    """ComfyUI's files hold keys and values of all layers, those of transformers do not."""
    published = _SHARED | PUBLISHED[name]
    is_large = name == "31B"
    config = tf.Gemma4Config(
        text_config=published,
        vision_config={"num_hidden_layers": 2, "use_clipped_linears": True},
        audio_config=None if is_large else {"num_hidden_layers": 2},
    )
    with torch.device("meta"):
        model = tf.Gemma4ForConditionalGeneration(config)
    tensors = {key: item for key, item in model.state_dict().items() if key != "lm_head.weight"}
    lying = with_unused(tensors, config.text_config) if is_comfyui else tensors
    shapes = {key: tuple(item.shape) for key, item in lying.items()}
    assert GEMMA4.prefix(shapes) == ""
    found = GEMMA4.config(shapes)
    assert tf.Gemma4Config(**found).to_dict() == config.to_dict()
    back = GEMMA4.convert(lying, found)
    assert back.keys() == tensors.keys()
    assert all(back[key] is item for key, item in tensors.items())


def with_unused(tensors: dict[str, Any], text: Any) -> dict[str, Any]:
    """Under ComfyUI's names, with keys and values of the layers that share those of others."""
    lying = dict(tensors)
    for at in range(text.num_hidden_layers):
        for part in ("k_proj", "v_proj", "k_norm"):
            name = "model.language_model.layers.{}.self_attn." + part + ".weight"
            like = text.layer_types.index(text.layer_types[at])
            if name.format(like) in tensors:
                lying.setdefault(name.format(at), tensors[name.format(like)].clone())
    for ours, theirs in COMFYUI_NAMES:
        lying = {key.replace(ours, theirs): item for key, item in lying.items()}
    return lying
