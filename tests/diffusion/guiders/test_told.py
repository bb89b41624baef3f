"""The scale that models are told which were distilled from guidance, and true guidance on top."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.conditionings import with_guidance
from nodegraph.sampling.composed_schedules import named_schedule
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.sampling_parts import (
    GuiderChoice,
    SamplerChoice,
    SamplingNoise,
    SamplingParts,
)
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import NEGATIVE, PROMPT, SEED, Model, stock
from tests.diffusion.families.test_flux import flux, flux_schnell, unpack
from tests.messages import raises

ModelOf = Callable[[Callable[[], Any]], Pair]
pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")


def walked(
    model: Model, cfg: float, guidance: float | None, said: float | None = None
) -> torch.Tensor:
    positive, negative = model.encode(PROMPT), model.encode(NEGATIVE)
    assert positive is not None
    positive = positive if said is None else with_guidance(positive, said)
    parts = SamplingParts(
        SamplingNoise(SEED),
        GuiderChoice(positive, negative, cfg, embedded=guidance),
        SamplerChoice("euler"),
        named_schedule("normal", 2),
    )
    denoising = Denoising(model.part("model"), Latent(None, 64, 64), parts)
    list(denoising)
    found = denoising.result().samples
    assert found is not None
    return found


@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_flux_is_told_a_scale_as_by_diffusers(model_of: ModelOf, cfg: float) -> None:  # noqa: F811
    pipeline, model = model_of(flux)
    options = {"negative": NEGATIVE, "true_cfg_scale": cfg, "guidance_scale": 2.0}
    expected = stock(pipeline, width=64, height=64, **options)
    found = walked(model, cfg, 2.0)
    assert torch.equal(found, unpack(64, 64)(expected.latents))
    assert not torch.equal(found, walked(model, cfg, None))


def test_a_model_that_takes_no_scale_is_told_none(model_of: ModelOf) -> None:  # noqa: F811
    _, model = model_of(flux_schnell)
    with raises(InvalidValue, port="guider"):
        walked(model, 1.0, 3.5)


def test_a_prompt_says_the_scale_to_any_guider(model_of: ModelOf) -> None:  # noqa: F811
    _, model = model_of(flux)
    expected = walked(model, 1.0, 2.1)
    assert torch.equal(walked(model, 1.0, None, said=2.1), expected)
    assert torch.equal(walked(model, 1.0, 2.1, said=5.0), expected)


def test_a_prompt_s_scale_is_nothing_to_models_that_take_none(
    model_of: ModelOf,  # noqa: F811
) -> None:
    _, model = model_of(flux_schnell)
    assert torch.equal(walked(model, 1.0, None, said=2.1), walked(model, 1.0, None))
