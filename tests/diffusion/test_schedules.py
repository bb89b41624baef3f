"""Schedules fall to 0, have the right length, and equal diffusers' where it has them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)
from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule
from diffusers.schedulers import AysSchedules
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.errors import InvalidValue
from nodegraph.families.flow_noise import FlowNoise, ModelNoise, model_noise
from nodegraph.families.noise import NoiseSchedule
from nodegraph.families.registry import FAMILIES
from nodegraph.families.sampler_names import (
    ALIGN_YOUR_STEPS,
    ALLOWED_SCHEDULES,
    SCHEDULE_NAMES,
    SPACINGS,
    TABLE_SCHEDULES,
    check_combination,
)
from nodegraph.families.schedule_checks import sampled_steps
from nodegraph.families.sigma_curves import beta_quantiles
from nodegraph.sampling.samplers import SAMPLERS
from nodegraph.sampling.schedules import sigmas_for
from nodegraph.sampling.table_schedules import (
    CONTINUOUS,
    CORRECTED,
    DISTILLED,
    MULTISTEP,
    SCHEDULES,
    TABLE,
    Grid,
)
from tests.messages import raises

# diffusers 0.42 hands tensors to numpy in a way that numpy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SD1: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
}
NOISE = model_noise(SD1, FAMILIES["sd1"])
assert isinstance(NOISE, NoiseSchedule)
GRIDS = {
    "table": TABLE,
    "continuous": CONTINUOUS,
    "multistep": MULTISTEP,
    "corrected": CORRECTED,
    "distilled": DISTILLED,
}
grids = st.sampled_from(list(GRIDS.values()))
names = st.sampled_from(SCHEDULE_NAMES)


@given(name=names, grid=grids, steps=st.integers(1, 50))
def test_every_schedule_falls_strictly_to_zero_in_as_many_steps_as_asked(
    name: str, grid: Grid, steps: int
) -> None:
    ladder = sigmas_for(name, NOISE, steps, grid=grid)
    assert ladder.sigmas.shape == (steps + 1,)
    assert ladder.timesteps.shape == (steps,)
    assert ladder.sigmas.dtype == torch.float32
    assert ladder.sigmas[-1] == 0
    assert (ladder.sigmas.diff() < 0).all()
    assert (ladder.timesteps.diff() <= 0).all()
    assert 0 <= ladder.timesteps.min() <= ladder.timesteps.max() <= 999


@given(name=names, grid=grids, steps=st.integers(1, 50))
def test_timesteps_are_whole_where_the_sampler_wants_them_so(
    name: str, grid: Grid, steps: int
) -> None:
    timesteps = sigmas_for(name, NOISE, steps, grid=grid).timesteps
    assert timesteps.dtype == (torch.int64 if grid.integer_timesteps else torch.float32)


@given(name=st.sampled_from(TABLE_SCHEDULES), steps=st.integers(1, 50))
def test_whole_schedules_take_their_levels_from_the_table(name: str, steps: int) -> None:
    ladder = sigmas_for(name, NOISE, steps, grid=TABLE)
    assert torch.equal(ladder.sigmas[:-1], NOISE.sigmas[ladder.timesteps])


@given(name=names, steps=st.integers(1, 30), denoise=st.floats(0.01, 1))
def test_denoise_walks_the_end_of_the_whole_schedule(name: str, steps: int, denoise: float) -> None:
    walked = int(steps * denoise)
    if walked == 0:
        with pytest.raises(InvalidValue, match="leaves no step"):
            sigmas_for(name, NOISE, steps, denoise)
        return
    part, whole = (sigmas_for(name, NOISE, steps, share) for share in (denoise, 1.0))
    assert torch.equal(part.sigmas, whole.sigmas)
    assert part.steps == walked
    assert part.first == steps - walked


@pytest.mark.parametrize("spacing", [*SPACINGS, None])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 30])
@pytest.mark.parametrize(
    ("grid", "scheduler"),
    [
        (TABLE, DDIMScheduler),
        (CONTINUOUS, EulerDiscreteScheduler),
        (MULTISTEP, DPMSolverMultistepScheduler),
        (CORRECTED, UniPCMultistepScheduler),
        (DISTILLED, LCMScheduler),
    ],
)
def test_normal_is_diffusers_own(
    grid: Grid, scheduler: Any, steps: int, spacing: str | None
) -> None:
    config = SD1 if spacing is None else SD1 | {"timestep_spacing": spacing}
    reference = scheduler.from_config(config)
    reference.set_timesteps(steps)
    ladder = sigmas_for("normal", NoiseSchedule.from_config(config), steps, grid=grid)
    assert torch.equal(ladder.timesteps, reference.timesteps)
    if hasattr(reference, "sigmas"):
        assert torch.equal(ladder.sigmas, reference.sigmas)


@pytest.mark.parametrize("name", ["karras", "exponential"])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(
    ("grid", "scheduler"),
    [
        (CONTINUOUS, EulerDiscreteScheduler),
        (MULTISTEP, DPMSolverMultistepScheduler),
        (CORRECTED, UniPCMultistepScheduler),
    ],
)
def test_karras_and_exponential_are_diffusers_own(
    name: str, grid: Grid, scheduler: Any, spacing: str
) -> None:
    config = SD1 | {"timestep_spacing": spacing}
    reference = scheduler.from_config(config, **{f"use_{name}_sigmas": True})
    reference.set_timesteps(12)
    ladder = sigmas_for(name, NoiseSchedule.from_config(config), 12, grid=grid)
    assert torch.equal(ladder.sigmas, reference.sigmas)
    assert torch.equal(ladder.timesteps, reference.timesteps)


def test_simple_and_sgm_uniform_are_trailing_where_steps_divide_the_timesteps() -> None:
    trailing, simple, sgm = (
        sigmas_for(name, NOISE, 20).timesteps for name in ("trailing", "simple", "sgm_uniform")
    )
    assert torch.equal(trailing, simple)
    assert (trailing - sgm).abs().max() <= 1


@pytest.mark.parametrize("grid", [CONTINUOUS, MULTISTEP])
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 33])
def test_sgm_uniform_has_comfyui_s_levels(steps: int, grid: Grid) -> None:
    table = NOISE.sigmas.log()
    expected = []
    for timestep in torch.linspace(999, 0, steps + 1)[:-1]:
        below, above, share = timestep.floor().long(), timestep.ceil().long(), timestep.frac()
        expected.append(((1 - share) * table[below] + share * table[above]).exp())

    ladder = sigmas_for("sgm_uniform", NOISE, steps, grid=grid)

    torch.testing.assert_close(ladder.sigmas[:-1], torch.stack(expected), rtol=2e-6, atol=0)
    # There the model is asked at the whole timestep whose level is nearest.
    nearest = [int((table - level.log()).abs().argmin()) for level in expected]
    assert (ladder.timesteps - torch.tensor(nearest)).abs().max() <= 0.5


@pytest.mark.parametrize("grid", [CONTINUOUS, MULTISTEP])
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 33])
def test_beta_has_comfyui_s_levels(steps: int, grid: Grid) -> None:
    chances = 1 - np.linspace(0, 1, steps, endpoint=False)
    whole = torch.from_numpy(np.rint(beta_quantiles(chances, 0.6) * 999)).long()

    ladder = sigmas_for("beta", NOISE, steps, grid=grid)

    assert torch.equal(ladder.sigmas[:-1], NOISE.sigmas[whole])
    assert torch.equal(ladder.timesteps.long(), whole)


def test_beta_has_as_many_steps_as_asked_where_whole_timesteps_are_too_few() -> None:
    ladder = sigmas_for("beta", NOISE, 200, grid=CONTINUOUS)
    assert len(ladder.timesteps) == 200
    assert (ladder.sigmas.diff() < 0).all()


def test_beta_is_dense_at_both_ends() -> None:
    falls = -sigmas_for("beta", NOISE, 20, grid=CONTINUOUS).timesteps.diff()
    assert falls[0] < falls[4] < falls[9] > falls[13] > falls[-1]


def test_beta_quantiles_are_those_in_the_tables() -> None:
    # scipy 1.17, scipy.stats.beta.ppf(chances, 0.6, 0.6)
    chances = np.array([0.0, 1e-6, 0.01, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0])
    expected = [
        0.0,
        1.8558824624053043e-10,
        0.0008612388215429059,
        0.03958440558878085,
        0.17568037865269498,
        0.5,
        0.824319621347305,
        0.9999814412614826,
        1.0,
    ]
    np.testing.assert_allclose(beta_quantiles(chances, 0.6), expected, rtol=1e-13)


@given(chance=st.floats(0, 1), shape=st.sampled_from([0.3, 0.6, 1.0]))
def test_beta_quantiles_are_mirrored_at_the_median(chance: float, shape: float) -> None:
    low, high = beta_quantiles(np.array([chance, 1 - chance]), shape)
    assert low + high == pytest.approx(1)
    if shape == 1.0:
        assert low == pytest.approx(chance)


@pytest.mark.parametrize("noise", [NOISE, FlowNoise(shift=3.0)])
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_kl_optimal_is_even_in_the_arc_tangent(noise: ModelNoise, steps: int) -> None:
    found = sigmas_for("kl_optimal", noise, steps, grid=CONTINUOUS).sigmas[:-1]
    ends = sigmas_for("normal", noise, steps, grid=CONTINUOUS).sigmas[[0, -2]].atan()
    torch.testing.assert_close(found.atan(), torch.linspace(*ends.tolist(), steps))


@pytest.mark.parametrize("steps", [2, 3, 20, 64])
def test_linear_quadratic_is_mochi_s(steps: int) -> None:
    expected = torch.tensor(linear_quadratic_schedule(steps, 0.025))
    flow = sigmas_for("linear_quadratic", FlowNoise(shift=3.0), steps, grid=CONTINUOUS)
    assert torch.equal(flow.sigmas[:-1], expected)
    table = sigmas_for("linear_quadratic", NOISE, steps, grid=CONTINUOUS)
    torch.testing.assert_close(table.sigmas[:-1], expected * NOISE.sigmas[-1])


@pytest.mark.parametrize("steps", [4, 20, 50])
def test_ddim_uniform_has_comfyui_s_levels(steps: int) -> None:
    ladder = sigmas_for("ddim_uniform", NOISE, steps)
    assert ladder.timesteps.tolist() == list(range(1, 1000, 1000 // steps))[::-1]
    assert torch.equal(ladder.sigmas[:-1], NOISE.sigmas[ladder.timesteps])


@pytest.mark.parametrize(("family", "published"), [("sd1", ""), ("sdxl", "XL")])
@pytest.mark.parametrize(
    ("grid", "scheduler"),
    [(CONTINUOUS, EulerDiscreteScheduler), (MULTISTEP, DPMSolverMultistepScheduler)],
)
def test_ten_aligned_steps_are_the_published_ones(
    family: str, published: str, grid: Grid, scheduler: Any
) -> None:
    reference = scheduler.from_config(SD1)
    reference.set_timesteps(timesteps=AysSchedules[f"StableDiffusion{published}Timesteps"])
    ladder = sigmas_for(ALIGN_YOUR_STEPS, model_noise(SD1, FAMILIES[family]), 10, grid=grid)
    assert torch.equal(ladder.sigmas[:-1], reference.sigmas[:-1])
    assert torch.equal(ladder.timesteps, reference.timesteps.to(ladder.timesteps.dtype))
    levels = torch.tensor(AysSchedules[f"StableDiffusion{published}Sigmas"])
    torch.testing.assert_close(ladder.sigmas, levels, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_aligned_steps_of_another_number_lie_on_the_same_curve(steps: int) -> None:
    ladder = sigmas_for(ALIGN_YOUR_STEPS, NOISE, steps, grid=CONTINUOUS)
    curve = sigmas_for(ALIGN_YOUR_STEPS, NOISE, 10).sigmas
    curve[-1] = NOISE.sigmas[0]
    places = torch.linspace(0, 10, steps + 1)[:-1].numpy()
    expected = torch.from_numpy(np.interp(places, range(11), curve.log().numpy())).exp()
    torch.testing.assert_close(ladder.sigmas[:-1], expected.float(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("family", ["sd2", "pixart-sigma"])
def test_aligned_steps_are_for_the_families_that_they_were_found_for(family: str) -> None:
    with raises(InvalidValue, port="schedule", given="align_your_steps"):
        sigmas_for(ALIGN_YOUR_STEPS, model_noise(SD1, FAMILIES[family]), 10)


@pytest.mark.parametrize(
    ("steps", "passed_on"),
    [
        (2, [14.61464119, 0.803307, 0]),
        (5, [14.61464119, 2.84484982, 1.24153244, 0.59516323, 0.25053367, 0]),
        (8, [14.61464119, 5.85520077, 2.45070267, 1.36964464, 0.803307, 0.45573691]),
        (20, [14.61464119, 7.49001646, 4.65472794, 3.07277966, 2.19988537, 1.61558151]),
    ],
)
def test_gits_has_the_levels_that_tools_pass_on(steps: int, passed_on: list[float]) -> None:
    sigmas = sigmas_for("gits", NOISE, steps, grid=CONTINUOUS).sigmas
    expected = torch.tensor(passed_on)
    torch.testing.assert_close(sigmas[: len(passed_on)], expected, rtol=1e-5, atol=1e-7)


def test_more_steps_of_gits_than_were_found_lie_on_the_same_curve() -> None:
    found = sigmas_for("gits", NOISE, 20, grid=CONTINUOUS).sigmas
    torch.testing.assert_close(sigmas_for("gits", NOISE, 40, grid=CONTINUOUS).sigmas[::2], found)


@pytest.mark.parametrize("steps", [0, -1, 10_001])
def test_steps_are_bounded(steps: int) -> None:
    with raises(InvalidValue, port="steps"):
        sigmas_for("karras", NOISE, steps)


@pytest.mark.parametrize("denoise", [-0.1, 1.5, float("nan")])
def test_denoise_is_bounded(denoise: float) -> None:
    with raises(InvalidValue, port="denoise"):
        sampled_steps(20, denoise)


@pytest.mark.parametrize("name", ["normal", "simple", "trailing", "sgm_uniform"])
def test_more_steps_than_noise_levels_are_refused(name: str) -> None:
    with raises(InvalidValue, port="steps", given="5000"):
        sigmas_for(name, NOISE, 5000)


def test_continuous_schedules_take_any_number_of_steps() -> None:
    for name in ("karras", "exponential", "beta", "normal"):
        assert sigmas_for(name, NOISE, 10_000, grid=CONTINUOUS).steps == 10_000


def test_lcm_has_no_more_steps_than_it_was_distilled_on() -> None:
    with raises(InvalidValue, port="steps", given="51"):
        sigmas_for("normal", NOISE, 51, grid=DISTILLED)


def test_unknown_schedules_are_named_with_the_nearest() -> None:
    with raises(InvalidValue, port="schedule", given="karas"):
        sigmas_for("karas", NOISE, 5)


def test_names_and_registries_agree() -> None:
    assert tuple(SCHEDULES) == SCHEDULE_NAMES
    assert tuple(SAMPLERS) == tuple(ALLOWED_SCHEDULES)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "lcm", "tcd"])
@pytest.mark.parametrize("schedule", ["karras", "exponential", "beta"])
def test_table_samplers_refuse_levels_between_timesteps(sampler: str, schedule: str) -> None:
    with raises(InvalidValue, port="schedule"):
        check_combination(sampler, schedule)


def test_unknown_names_are_told_with_the_nearest() -> None:
    with raises(InvalidValue, port="sampler", given="dpmp_2m"):
        check_combination("dpmp_2m", "normal")
    with raises(InvalidValue, port="schedule", given="karrass"):
        check_combination("euler", "karrass")


def test_names_and_steps_are_there_without_torch() -> None:
    modules = "nodegraph.families.sampler_names, nodegraph.families.schedule_checks"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
