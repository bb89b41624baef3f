"""Modules of transformers are built in a precision that no other thread computes by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from nodegraph.families.building import transformers_module

_TEXT: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
_KINDS: dict[str, dict[str, Any]] = {
    "CLIPTextModel": _TEXT,
    "CLIPTextModelWithProjection": _TEXT | {"projection_dim": 16},
    "CLIPVisionModelWithProjection": _TEXT | {"image_size": 16, "patch_size": 8},
    "SiglipVisionModel": _TEXT | {"image_size": 16, "patch_size": 8},
    "T5EncoderModel": {"vocab_size": 60, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2},
    "UMT5EncoderModel": {"vocab_size": 60, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2},
    "LlamaModel": _TEXT | {"num_key_value_heads": 1},
    "Gemma2Model": _TEXT | {"num_key_value_heads": 1, "head_dim": 16},
    "Qwen2Model": _TEXT | {"num_key_value_heads": 1},
    "Dinov2Model": _TEXT | {"image_size": 28, "patch_size": 14},
}


def made(name: str) -> tuple[Any, Any, dict[str, torch.Tensor]]:
    """A class, a small configuration, and weights in half precision."""
    kind = getattr(transformers, name)
    config = kind.config_class(**_KINDS[name])
    state = kind(config).half().state_dict()
    return kind, config, {key: weight.clone() for key, weight in state.items()}


@pytest.mark.parametrize("name", _KINDS)
def test_a_module_is_what_its_class_makes_in_that_precision(name: str) -> None:
    kind, config, tensors = made(name)
    usual = kind.from_pretrained(
        None, config=config, state_dict=dict(tensors), torch_dtype=torch.float16
    )
    found = transformers_module(kind, config, dict(tensors), Path("folder"))
    assert type(found) is kind
    ours, theirs = everything(found), everything(usual)
    assert ours.keys() == theirs.keys()
    for key, tensor in ours.items():
        assert tensor.dtype == theirs[key].dtype, key
        assert torch.equal(tensor, theirs[key]), key


def everything(module: nn.Module) -> dict[str, torch.Tensor]:
    """Weights, and what a module computed of its configuration."""
    return dict(module.named_parameters()) | dict(module.named_buffers())


def test_the_precision_of_the_process_stays_while_one_is_built() -> None:
    kind, config, tensors = made("CLIPTextModel")
    seen = []

    class Watched(kind):  # type: ignore[misc]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            seen.append((torch.get_default_dtype(), torch.ones(1).dtype))

    found = transformers_module(Watched, config, tensors, Path("folder"))
    # Of the process, and what this thread makes.
    assert seen == [(torch.float32, torch.float16)]
    assert {weight.dtype for weight in found.parameters()} == {torch.float16}
