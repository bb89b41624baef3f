"""Denoisers that are sped up, for the tests here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import open_model
from nodegraph.families.components import Denoiser
from nodegraph.families.speed_options import (
    Broadcast,
    FirstBlock,
    Magnitude,
    SpeedOptions,
    StepCaching,
    Taylor,
    with_caching,
    with_speed,
)
from nodegraph.models.derived_components import derive
from nodegraph.sampling.denoise import Denoising
from tests.diffusion.families.equality import NEGATIVE, PROMPT, Model

ALWAYS = (1.0,) * 6
EAGER: Mapping[str, StepCaching] = {
    "first_block": FirstBlock(10),
    "mag": Magnitude(10, 2, 0.2, ALWAYS),
    "taylorseer": Taylor(3, 2),
    "lite": Taylor(3, 2, lite=True),
    "broadcast": Broadcast(2, 3, 1.0, 0.0),
}
"""Caches that use what they can, by what a family must be able to."""
IDLE: Mapping[str, StepCaching] = {
    "first_block": FirstBlock(0),
    "mag": Magnitude(0, 1, 1, ALWAYS),
    "taylorseer": Taylor(3, 100),
    "lite": Taylor(3, 100, lite=True),
    "broadcast": Broadcast(1, 1),
}
"""Those that use nothing."""


def sped_up(model: Model, *asked: StepCaching | SpeedOptions) -> Denoiser:
    """A model's denoiser with speed options, over the same weights."""
    recipe = open_model(str(model.folder), []).model
    for each in asked:
        recipe = (
            with_speed(recipe, each)
            if isinstance(each, SpeedOptions)
            else with_caching(recipe, each)
        )
    found = derive(model.part("model"), recipe)
    assert isinstance(found, Denoiser)
    return found


def sampling(
    model: Model, denoiser: Denoiser, *, negative: str | None = NEGATIVE, **options: Any
) -> Denoising:
    """Six steps by a denoiser, with the prompts of its model."""
    given = {"seed": 7, "steps": 6, "cfg": 3.0, "sampler": "euler", "schedule": "normal"}
    positive, away = model.encode(PROMPT), model.encode(negative)
    assert positive is not None
    side = options.pop("side", 64)
    start = Latent(None, side, side, frames=options.pop("frames", 1))
    return Denoising.named(denoiser, positive, away, start, **{**given, **options})


def walked(denoising: Denoising) -> Tensor:
    """The latent after all steps that are left."""
    for _ in denoising:
        pass
    found = denoising.result().samples
    assert found is not None
    return found


def through_a_file(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state as another process finds it."""
    return load(save({name: item.contiguous() for name, item in state.items()}))
