"""What a model is sampled on is chosen anew, over the same weights."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nodegraph import DiffusionModel
from nodegraph.core.values import RecipeFile
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.flow_noise import FlowNoise, model_noise, recipe_noise
from nodegraph.families.noise import NoiseSchedule
from nodegraph.families.registry import get_family
from nodegraph.families.scheduler_file import (
    scheduler_option,
    with_flow_shift,
    with_prediction,
    with_shift_by_size,
)
from nodegraph.models.derived_components import derive
from nodegraph.sampling.schedules import sigmas_for
from nodegraph.sampling.table_schedules import COMMON, CONTINUOUS
from tests.diffusion.conftest import SD1_SCHEDULER, tiny_unet
from tests.messages import raises
from tests.nodes.conftest import Bench, link

DYNAMIC = {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True}


def recipe(config: dict[str, Any], family: str) -> DiffusionModel:
    file = RecipeFile("denoiser", "nowhere", "0" * 64)
    return DiffusionModel(family, (file,), options=(scheduler_option(config),))


FLUX = recipe(DYNAMIC, "flux")
SD1 = recipe(SD1_SCHEDULER, "sd1")


def noise_of(model: DiffusionModel) -> FlowNoise:
    found = recipe_noise(model)
    assert isinstance(found, FlowNoise)
    return found


@pytest.mark.parametrize("tokens", [256, 4096])
def test_a_shift_is_one_for_all_sizes(tokens: int) -> None:
    noise = noise_of(with_flow_shift(FLUX, 3.0))
    for grid in (CONTINUOUS, COMMON):
        found = sigmas_for("simple", noise, 4, grid=grid, tokens=tokens).sigmas.tolist()
        assert found == pytest.approx([1, 9 / 10, 3 / 4, 1 / 2, 0], rel=1e-6)


@pytest.mark.parametrize(
    ("width", "height", "mu"),
    [(256, 256, 0.5), (1024, 1024, 1.15), (512, 1024, 0.5 + 0.65 * 1792 / 3840)],
)
def test_a_shift_by_size_lies_on_a_line_over_its_pixels(width: int, height: int, mu: float) -> None:
    noise = noise_of(with_shift_by_size(FLUX, width, height, 0.5, 1.15))
    assert noise.shift == pytest.approx(math.exp(mu))
    assert (noise.common.shift, noise.common.entries) == (pytest.approx(noise.shift), 10_000)
    assert noise.mu is None


def test_by_comfyui_s_convention_a_model_has_the_shift_that_it_has_there() -> None:
    assert noise_of(FLUX).common.shift == pytest.approx(math.exp(1.15))
    fixed = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 2.5}
    schnell = model_noise(fixed, get_family("flux"))
    assert isinstance(schnell, FlowNoise)
    assert (schnell.common.shift, schnell.common.entries) == (2.5, 1000)


def test_a_prediction_is_chosen_over_the_same_weights() -> None:
    chosen = with_prediction(SD1, "v_prediction", "on")
    assert chosen.base == SD1
    base = Denoiser({"unet": tiny_unet()}, "sd1", SD1_SCHEDULER)
    made = derive(base, chosen)
    assert isinstance(made, Denoiser)
    assert made.modules["unet"] is base.modules["unet"]
    noise = model_noise(made.scheduler_config, get_family("sd1"))
    assert isinstance(noise, NoiseSchedule)
    assert noise.prediction_type == "v_prediction"
    assert float(noise.sigmas[-1]) > 1000


def test_what_does_not_fit_the_model_is_told() -> None:
    with raises(InvalidValue, port="shift", given="3"):
        with_flow_shift(SD1, 3.0)
    with raises(InvalidValue, port="prediction_type", given="v_prediction"):
        with_prediction(FLUX, "v_prediction")
    with raises(InvalidValue, port="shift", given="0"):
        with_flow_shift(FLUX, 0.0)


def test_it_is_told_before_anything_runs(bench: Bench) -> None:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "shift": {"type": "SetFlowShift", "inputs": {"model": link("load.model")}},
        "told": {
            "type": "SetPrediction",
            "inputs": {"model": link("load.model"), "prediction_type": "sample"},
        },
    }
    [problem] = bench.problems(nodes, "shift")
    assert "flow matching" in problem.message
    assert bench.facts(nodes, "told")["model"]["prediction_type"] == "sample"
