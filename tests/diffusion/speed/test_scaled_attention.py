"""Scaled attention is that of a network whose attention weights are scaled."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from nodegraph import DiffusionModel, InvalidValue, TextEncoder
from nodegraph.core.values import RecipeFile
from nodegraph.families.components import TextModel
from nodegraph.families.speed_options import SpeedOptions, with_speed
from nodegraph.models.derived_components import derive, scale_attention
from nodegraph.models.speed.speed_support import attention_factors, with_attention_factors
from tests.diffusion.speed.test_freeu import answer, unet  # noqa: F401 - a fixture
from tests.messages import raises

FACTORS = (1.5, 0.5, 2.0, 0.75)
UNET = DiffusionModel("sd1", (RecipeFile("unet", "unet.safetensors", "0"),))
ENCODER = TextEncoder("sd1", (RecipeFile("text_encoder", "clip.safetensors", "0"),))


def scaled_weights(module: Any, ends: tuple[str, ...]) -> Any:
    """The network with the parameters of its projections multiplied."""
    twin = deepcopy(module)
    for name, parameter in twin.named_parameters():
        for end, factor in zip(ends, FACTORS, strict=True):
            if name.endswith((f"{end}.weight", f"{end}.bias")):
                parameter.data.mul_(factor)
    return twin


@pytest.mark.parametrize(("layers", "number"), [("self", 1), ("cross", 2)])
def test_a_unet_computes_as_with_scaled_weights(unet: Any, layers: str, number: int) -> None:  # noqa: F811
    ends = tuple(f"attn{number}.{end}" for end in ("to_q", "to_k", "to_v", "to_out.0"))
    twin = deepcopy(unet)
    scale_attention(twin, {layers: FACTORS})
    expected = answer(scaled_weights(unet, ends))
    torch.testing.assert_close(answer(twin), expected, rtol=1e-4, atol=1e-5)
    assert (expected - answer(unet)).abs().max() > 1e-3


def clip() -> CLIPTextModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "projection_dim": 16}
    sizes |= {"num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 50}
    return CLIPTextModel(CLIPTextConfig(**sizes, eos_token_id=49, bos_token_id=0)).eval()


@torch.inference_mode()
def encoded(module: Any) -> Tensor:
    hidden: Tensor = module(torch.tensor([[0, 7, 3, 49]])).last_hidden_state
    return hidden


def test_an_encoder_computes_as_with_scaled_weights() -> None:
    module = clip()
    ends = tuple(f"self_attn.{end}_proj" for end in ("q", "k", "v", "out"))
    model = TextModel({"text_encoder": module}, "sd1", empty={"cpu": None})
    derived = derive(model, with_attention_factors(ENCODER, FACTORS))
    assert isinstance(derived, TextModel)
    assert not derived.empty
    expected = encoded(scaled_weights(module, ends))
    torch.testing.assert_close(encoded(derived.modules["text_encoder"]), expected)
    torch.testing.assert_close(encoded(module), encoded(clip()))


def test_factors_of_one_layer_multiply() -> None:
    recipe = with_attention_factors(UNET, (2.0, 1.0, 1.0, 0.5), "cross")
    recipe = with_attention_factors(recipe, (1.5, 1.0, 3.0, 1.0), "cross")
    assert attention_factors(recipe) == {"cross": (3.0, 1.0, 3.0, 0.5)}
    assert recipe.base == UNET


def test_what_has_no_such_attention_is_refused() -> None:
    with raises(InvalidValue, port="model"):
        with_attention_factors(DiffusionModel("flux", UNET.files), FACTORS)
    with raises(InvalidValue, port="encoder"):
        with_attention_factors(TextEncoder("wan", ENCODER.files), FACTORS)
    with raises(InvalidValue, port="model"):
        with_attention_factors(with_speed(UNET, SpeedOptions(fused=True)), FACTORS)
