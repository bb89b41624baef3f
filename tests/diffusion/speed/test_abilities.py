"""What a family can be sped up by is so, and all else is refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph.core.values import Adapter, DiffusionModel, RecipeFile
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import FAMILIES
from nodegraph.families.speed_options import (
    FirstBlock,
    Magnitude,
    SpeedOptions,
    Taylor,
    with_caching,
    with_speed,
)
from nodegraph.models.adapters.adapter_files import FUSED
from nodegraph.models.speed import speed_support as compiling
from nodegraph.models.speed.speed_support import (
    check_recipe,
    check_speed,
    check_step_cache,
    check_supported,
)
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.tiny_models import TINY
from tests.messages import raises

from .speedy import EAGER, IDLE, sampling, sped_up, walked

ModelOf = Callable[[Callable[[], Any]], Pair]
FLUX, SD1 = FAMILIES["flux"], FAMILIES["sd1"]
RECIPE = DiffusionModel("sd1", (RecipeFile("unet", "nowhere", "0" * 64),))


NETWORKS = {
    FAMILIES[name].denoisers[0].classes[0]: name
    for name in reversed(TINY)
    if not FAMILIES[name].needs_image
}
"""A family of each class that a prompt alone is enough for."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")
@pytest.mark.parametrize("family", NETWORKS.values())
def test_a_network_can_what_is_said_of_it(model_of: ModelOf, family: str) -> None:  # noqa: F811
    tiny, able = TINY[family], FAMILIES[family].speedups
    _, model = model_of(tiny.build)
    options = {"sampler": tiny.sampler, "frames": tiny.frames, "steps": 4, "cfg": 1.0}
    exact = walked(sampling(model, model.part("model"), **options))
    for name in sorted(able & IDLE.keys()):
        # With nothing to use again the hooks change no bit; with all they do.
        assert torch.equal(walked(sampling(model, sped_up(model, IDLE[name]), **options)), exact)
        assert not torch.equal(
            walked(sampling(model, sped_up(model, EAGER[name]), **options)), exact
        )
    ways = [SpeedOptions(attention=way) for way in ("math", "sliced")]
    ways += [SpeedOptions(fused=True)] if "fused" in able else []
    ways += [SpeedOptions(channels_last=True)] if "channels_last" in able else []
    for way in ways:
        found = walked(sampling(model, sped_up(model, way), **options))
        torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("family", "ability"),
    [(SD1, "first_block"), (SD1, "mag"), (SD1, "lite"), (FLUX, "channels_last")],
)
def test_what_does_not_fit_says_what_does(family: Any, ability: str) -> None:
    with raises(InvalidValue) as caught:
        check_supported(family, ability)
    assert "attention broadcast" in str(caught.value.problem.expected)


def test_ratios_of_another_model_are_not_taken() -> None:
    check_step_cache(FLUX, Magnitude())
    with raises(InvalidValue, port="ratios"):
        check_step_cache(FAMILIES["wan"], Magnitude())
    check_step_cache(FAMILIES["wan"], Magnitude(ratios=(1.0, 1.1)))


@pytest.mark.parametrize(
    ("speed", "port"),
    [
        (SpeedOptions(attention="flash"), "attention"),
        (SpeedOptions(attention="fast"), "attention"),
        (SpeedOptions(compiled=True, attention="math"), "attention"),
    ],
)
def test_kernels_that_the_device_lacks_are_refused(speed: SpeedOptions, port: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_speed(SD1, speed, "cpu")
    assert caught.value.problem.port == port


def test_cuda_has_its_kernels() -> None:
    check_speed(SD1, SpeedOptions(attention="flash"), "cuda:0")


def test_a_missing_compiler_is_told_before_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compiling.sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with raises(InvalidValue, port="compiled", given="on"):
        check_speed(SD1, SpeedOptions(compiled=True), "cpu")


@pytest.mark.parametrize("speed", [SpeedOptions(fused=True), SpeedOptions(channels_last=True)])
def test_weights_in_few_bits_are_not_widened(speed: SpeedOptions) -> None:
    few = replace(RECIPE, options=(("storage", "int8"),))
    with raises(InvalidValue):
        check_recipe(with_speed(few, speed), "cpu")


def test_a_lora_beside_fused_projections_is_refused() -> None:
    beside = replace(RECIPE, adapters=(Adapter("lora", "style.safetensors", "1" * 64),))
    with raises(InvalidValue, port="model", given="style.safetensors"):
        check_recipe(with_speed(beside, SpeedOptions(fused=True)), "cpu")
    fused = replace(RECIPE, adapters=(Adapter(FUSED, "s.safetensors", "1" * 64),))
    check_recipe(with_speed(fused, SpeedOptions(fused=True)), "cpu")


def test_magcache_is_not_compiled() -> None:
    flux = with_caching(replace(RECIPE, family="flux"), Magnitude())
    check_recipe(flux, "cpu")
    with raises(InvalidValue, port="model"):
        check_recipe(with_speed(flux, SpeedOptions(compiled=True)), "cpu")


def test_a_recipe_is_checked_whole() -> None:
    with raises(InvalidValue, port="model"):
        check_recipe(with_caching(RECIPE, FirstBlock()), "cpu")
    check_recipe(with_caching(RECIPE, Taylor()), "cpu")


def test_a_family_that_nothing_speeds_up_is_not_offered_an_empty_list() -> None:
    with pytest.raises(InvalidValue) as caught:
        check_supported(FAMILIES["longcat-audio"], "fused")
    assert caught.value.problem.expected is None
