"""Each sampler against its diffusers counterpart, on a stand-in model, and saved and restored.

Whole pipelines are compared in test_equality; here a cheap function takes the model's place.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
    KDPM2DiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    SASolverScheduler,
    TCDScheduler,
    UniPCMultistepScheduler,
)
from safetensors.torch import load, save
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.families.noise import NoiseSchedule, draw_from, item_generators
from nodegraph.families.registry import FAMILIES
from nodegraph.families.sampler_names import ALLOWED_SCHEDULES, evaluations
from nodegraph.families.scheduler_file import PREDICTION_TYPES
from nodegraph.sampling.sampler_options import SamplerOptions
from nodegraph.sampling.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.sampling.schedules import sigmas_for
from tests.diffusion.stand_in import ONE_OF_EACH, SHAPE, evaluate, model, run
from tests.messages import raises

# diffusers 0.42 hands tensors to numpy in a way that numpy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SD1: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
}
COUNTERPARTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "euler": (EulerDiscreteScheduler, {}),
    "euler_ancestral": (EulerAncestralDiscreteScheduler, {}),
    "heun": (HeunDiscreteScheduler, {}),
    "dpmpp_2m": (DPMSolverMultistepScheduler, {}),
    "dpmpp_2m_sde": (DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp_2m_sde_heun": (
        DPMSolverMultistepScheduler,
        {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"},
    ),
    "dpmpp_3m": (DPMSolverMultistepScheduler, {"solver_order": 3}),
    "res_multistep": (DPMSolverMultistepScheduler, {"solver_type": "heun"}),
    "uni_pc": (UniPCMultistepScheduler, {}),
    "ddim": (DDIMScheduler, {}),
    "ddpm": (DDPMScheduler, {}),
    "pndm": (PNDMScheduler, {"skip_prk_steps": True}),
    "lcm": (LCMScheduler, {}),
    "tcd": (TCDScheduler, {}),
}
# diffusers' EulerAncestral and PNDM take no models that predict the sample
PREDICTIONS = [
    (name, prediction)
    for name in COUNTERPARTS
    for prediction in PREDICTION_TYPES
    if (name, prediction) not in {("euler_ancestral", "sample"), ("pndm", "sample")}
]
RANDOM = ("euler_ancestral", "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "ddpm", "lcm", "tcd")


def make(
    name: str,
    schedule: str,
    config: dict[str, Any],
    steps: int = 6,
    options: SamplerOptions = SamplerOptions(),  # noqa: B008  (frozen)
    **kind: Any,
) -> Sampler:
    """A sampler of two items at its start."""
    aligned = FAMILIES["sd1"].aligned
    noise = replace(NoiseSchedule.from_config(config), aligned=aligned)
    ladder = sigmas_for(schedule, noise, steps, grid=SAMPLERS[name].grid, **kind)
    generators = item_generators(3, [0, 1])
    sampler = make_sampler(name, ladder, noise, generators, options)
    sampler.start(sampler.pure_noise(draw_from(generators, SHAPE)))
    return sampler


def reference(
    name: str,
    config: dict[str, Any],
    steps: int,
    *,
    dtype: torch.dtype = torch.float32,
    **extra: Any,
) -> Tensor:
    """What diffusers' scheduler makes of the same noise and model."""
    scheduler_class, options = COUNTERPARTS[name]
    scheduler = scheduler_class.from_config({**config, **options, **extra})
    scheduler.set_timesteps(steps)
    generators = item_generators(3, [0, 1])
    x = draw_from(generators, SHAPE).to(dtype) * scheduler.init_noise_sigma
    random = {"generator": generators} if name in RANDOM else {}
    for timestep in scheduler.timesteps:
        output = model(scheduler.scale_model_input(x, timestep), timestep)
        x = scheduler.step(output, timestep, x, **random).prev_sample
    return x


@pytest.mark.parametrize(
    ("name", "prediction", "spacing", "steps"),
    [
        *((name, prediction, "leading", 7) for name, prediction in PREDICTIONS),
        *((name, "epsilon", "trailing", steps) for name in COUNTERPARTS for steps in (1, 2, 16)),
    ],
)
def test_normal_equals_the_counterpart_bit_for_bit(
    name: str, prediction: str, spacing: str, steps: int
) -> None:
    config = SD1 | {
        "prediction_type": prediction,
        "timestep_spacing": spacing,
        "clip_sample": False,
    }
    found = run(make(name, "normal", config, steps))
    assert torch.equal(found, reference(name, config, steps))


@pytest.mark.parametrize(
    "name",
    [
        *("euler", "heun", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m"),
        *("res_multistep", "uni_pc"),
    ],
)
@pytest.mark.parametrize(
    ("schedule", "spacing"), [("karras", "leading"), ("exponential", "linspace")]
)
def test_other_schedules_equal_the_counterpart_bit_for_bit(
    name: str, schedule: str, spacing: str
) -> None:
    config = SD1 | {"timestep_spacing": spacing}
    found = run(make(name, schedule, config, 6))
    assert torch.equal(found, reference(name, config, 6, **{f"use_{schedule}_sigmas": True}))


@pytest.mark.parametrize("name", ["ddim", "ddpm", "heun", "lcm"])
@pytest.mark.parametrize("clip", [True, False, None])
def test_clipping_is_as_the_scheduler_file_says(name: str, clip: bool | None) -> None:
    config = SD1 if clip is None else SD1 | {"clip_sample": clip, "clip_sample_range": 0.5}
    config = config | {"timestep_spacing": "leading"}
    assert torch.equal(run(make(name, "normal", config)), reference(name, config, 6))


def test_a_thousand_steps_leave_no_room_for_an_offset() -> None:
    """There diffusers asks for the timestep after the last, which there isn't.

    They are every timestep that the model knows, as with any spacing.
    """
    config = SD1 | {"timestep_spacing": "leading"}
    sampler = make("ddpm", "normal", config, 1000)
    assert sampler.noise_levels.timesteps.tolist() == list(range(999, -1, -1))
    assert torch.equal(run(sampler), reference("ddpm", config | {"steps_offset": 0}, 1000))


@pytest.mark.parametrize(
    "variance", ["fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range"]
)
@pytest.mark.parametrize("steps", [1, 7])
def test_ddpm_draws_with_the_variance_of_the_scheduler_file(variance: str, steps: int) -> None:
    config = SD1 | {"variance_type": variance, "timestep_spacing": "leading"}
    scheduler = DDPMScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    generators = item_generators(3, [0, 1])
    x, sampler = draw_from(generators, SHAPE), make("ddpm", "normal", config, steps)

    def answer(x: Tensor, timestep: Tensor) -> Tensor:
        output = model(x, timestep)
        if not variance.startswith("learned"):
            return output
        return torch.cat([output, output.abs() + 0.1], dim=1)

    for timestep in scheduler.timesteps:
        output = answer(x, timestep)
        x = scheduler.step(output, timestep, x, generator=generators).prev_sample
        sampler.feed(answer(sampler.model_input(), sampler.timestep))
        assert torch.equal(sampler.x, x)


def test_a_learned_variance_that_the_model_does_not_tell_is_the_smaller() -> None:
    plain = run(make("ddpm", "normal", SD1))
    assert torch.equal(run(make("ddpm", "normal", SD1 | {"variance_type": "learned_range"})), plain)


@pytest.mark.parametrize("name", ["ddim", "euler", "dpmpp_2m"])
def test_zero_terminal_snr_equals_the_counterpart(name: str) -> None:
    config = SD1 | {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
        "clip_sample": False,
    }
    assert torch.equal(run(make(name, "normal", config)), reference(name, config, 6))


@pytest.mark.parametrize("steps", [1, 2, 3, 6])
def test_pndm_begins_at_nothing_but_noise(steps: int) -> None:
    """diffusers' divides by the alpha bar of 0: one that is all but 0, in float64, is its limit."""
    config = SD1 | {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    }
    found = run(make("pndm", "normal", config, steps))
    scheduler = PNDMScheduler.from_config(config, skip_prk_steps=True)
    table = NoiseSchedule.from_config(config).alphas_cumprod.double()
    assert table[-1] == 0
    table[-1] = 1e-12
    scheduler.alphas_cumprod, scheduler.final_alpha_cumprod = table, table[0]
    scheduler.set_timesteps(steps)
    x = draw_from(item_generators(3, [0, 1]), SHAPE).double()
    for timestep in scheduler.timesteps:
        x = scheduler.step(model(x, timestep), timestep, x).prev_sample
    torch.testing.assert_close(found.double(), x, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
@pytest.mark.parametrize(
    ("prediction", "steps"),
    [("epsilon", 2), ("epsilon", 3), ("epsilon", 20), ("v_prediction", 7), ("sample", 7)],
)
def test_deis_is_the_counterpart_s_up_to_the_last_step(prediction: str, steps: int) -> None:
    """There the last step ends at the noise of timestep 0, here without any."""
    config = SD1 | {"timestep_spacing": "leading", "prediction_type": prediction}
    scheduler = DEISMultistepScheduler.from_config(config, solver_order=3)
    scheduler.set_timesteps(steps)
    sampler = make("deis", "normal", config, steps)
    assert torch.equal(sampler.noise_levels.timesteps, scheduler.timesteps)
    x = draw_from(item_generators(3, [0, 1]), SHAPE)
    for timestep in scheduler.timesteps[:-1]:
        x = scheduler.step(model(x, timestep), timestep, x).prev_sample
        evaluate(sampler)
    scaled = sampler.model_input()  # to a variance of 1, as x is there all along
    torch.testing.assert_close(scaled, x, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
@pytest.mark.parametrize("name", ["dpm_2", "dpm_2_ancestral"])
@pytest.mark.parametrize(
    ("prediction", "schedule", "steps"),
    [
        ("epsilon", "exponential", 2),
        pytest.param("v_prediction", "normal", 7, marks=pytest.mark.slow),
    ],
)
def test_dpm_2_is_the_counterpart_s_but_for_rounding(
    name: str, prediction: str, schedule: str, steps: int
) -> None:
    config = SD1 | {"timestep_spacing": "leading", "prediction_type": prediction}
    scheduler: Any = {
        "dpm_2": KDPM2DiscreteScheduler,
        "dpm_2_ancestral": KDPM2AncestralDiscreteScheduler,
    }[name].from_config(config, use_exponential_sigmas=schedule == "exponential")
    scheduler.set_timesteps(steps)
    generators = item_generators(3, [0, 1])
    random = {"generator": generators} if name == "dpm_2_ancestral" else {}
    x = draw_from(generators, SHAPE) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        output = model(scheduler.scale_model_input(x, timestep), timestep)
        x = scheduler.step(output, timestep, x, **random).prev_sample
    found = run(make(name, schedule, config, steps))
    torch.testing.assert_close(found, x.to(torch.float32), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("prediction", "schedule", "steps"),
    [
        ("epsilon", "linspace", 1),
        ("v_prediction", "karras", 2),
        ("sample", "exponential", 3),
        ("epsilon", "karras", 7),
        ("v_prediction", "exponential", 16),
        ("sample", "linspace", 7),
    ],
)
def test_dpmpp_2s_equals_the_counterpart_bit_for_bit(
    prediction: str, schedule: str, steps: int
) -> None:
    """It knows no other spacing of its own."""
    config = SD1 | {"prediction_type": prediction}
    kind = {} if schedule == "linspace" else {f"use_{schedule}_sigmas": True}
    scheduler = DPMSolverSinglestepScheduler.from_config(config, **kind)
    scheduler.set_timesteps(steps)
    sampler = make("dpmpp_2s", schedule, config, steps)
    assert torch.equal(sampler.noise_levels.timesteps, scheduler.timesteps)
    x = draw_from(item_generators(3, [0, 1]), SHAPE)
    for timestep in scheduler.timesteps:
        x = scheduler.step(model(x, timestep), timestep, x).prev_sample
    assert torch.equal(run(sampler), x)


class HalvesOfAStep:
    """Noise in place of the counterpart's tree: drawn for each half of a step, added for both."""

    def __init__(self) -> None:
        self._generators = item_generators(3, [0, 1])
        draw_from(self._generators, SHAPE)  # what sampling starts from
        self._first: tuple[Tensor, Tensor] | None = None

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        fresh = draw_from(self._generators, SHAPE)
        if self._first is None:
            self._first = following, fresh
            return fresh
        (middle, first), self._first = self._first, None
        moved = (sigma - middle) ** 0.5 * first + (middle - following) ** 0.5 * fresh
        return moved / (sigma - following) ** 0.5


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
@pytest.mark.parametrize(
    ("prediction", "schedule", "steps"),
    [("epsilon", "normal", 1), ("v_prediction", "karras", 2), ("epsilon", "normal", 7)],
)
def test_dpmpp_sde_is_the_counterpart_s_but_for_rounding(
    prediction: str, schedule: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # its tree of noise, which nothing here asks for, is another package's
    monkeypatch.setitem(sys.modules, "torchsde", ModuleType("torchsde"))
    module = importlib.import_module("diffusers.schedulers.scheduling_dpmsolver_sde")
    config = SD1 | {"timestep_spacing": "leading", "prediction_type": prediction}
    scheduler = module.DPMSolverSDEScheduler.from_config(
        config, use_karras_sigmas=schedule == "karras"
    )
    scheduler.set_timesteps(steps)
    scheduler.noise_sampler = HalvesOfAStep()
    x = draw_from(item_generators(3, [0, 1]), SHAPE) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        output = model(scheduler.scale_model_input(x, timestep), timestep)
        x = scheduler.step(output, timestep, x).prev_sample
    # it lays levels in float64, and steps through the logarithm of sigma
    found = run(make("dpmpp_sde", schedule, config, steps))
    torch.testing.assert_close(found, x.to(torch.float32), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("prediction", "order", "spacing"),
    [
        ("epsilon", 1, "leading"),
        ("v_prediction", 1, "linspace"),
        ("epsilon", 2, "trailing"),
        ("sample", 2, "leading"),
        ("v_prediction", 3, "trailing"),
        ("sample", 3, "linspace"),
    ],
)
def test_sa_solver_is_the_counterpart_s_up_to_the_last_step(
    prediction: str, order: int, spacing: str
) -> None:
    """There the last step ends at the noise of timestep 0; its weights are of float32."""
    config = SD1 | {"timestep_spacing": spacing, "prediction_type": prediction}
    orders = {"predictor_order": order, "corrector_order": order}
    scheduler = SASolverScheduler.from_config(config, **orders)
    scheduler.set_timesteps(9)
    sampler = make("sa_solver", "normal", config, 9, options=SamplerOptions(order=order))
    assert torch.equal(sampler.noise_levels.timesteps, scheduler.timesteps)
    generators = item_generators(3, [0, 1])
    x = draw_from(generators, SHAPE)
    for timestep in scheduler.timesteps[:-1]:
        x = scheduler.step(model(x, timestep), timestep, x, generator=generators).prev_sample
        evaluate(sampler)
        torch.testing.assert_close(sampler.x, x, rtol=1e-4, atol=1e-4)


def test_dpmpp_3m_sde_is_the_counterpart_s_while_its_order_is_lower() -> None:
    config = SD1 | {"timestep_spacing": "leading"}
    scheduler = DPMSolverMultistepScheduler.from_config(
        config, algorithm_type="sde-dpmsolver++", solver_order=3
    )
    scheduler.set_timesteps(6)
    sampler, generators = make("dpmpp_3m_sde", "normal", config), item_generators(3, [0, 1])
    x = draw_from(generators, SHAPE)
    for timestep in scheduler.timesteps[:2]:
        output = model(x, timestep)
        x = scheduler.step(output, timestep, x, generator=generators).prev_sample
        evaluate(sampler)
        assert torch.equal(sampler.x, x)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_allowed_pair_ends_in_a_finite_latent(name: str) -> None:
    for schedule in ALLOWED_SCHEDULES[name]:
        sampler = make(name, schedule, SD1)
        assert run(sampler).isfinite().all(), schedule
        assert sampler.denoised is not None
        assert sampler.denoised.shape == (2, *SHAPE)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_saved_sampler_goes_on_to_the_same_bits(name: str) -> None:
    """Its state survives a safetensors file, too."""
    interrupted, states = make(name, "normal", SD1), []
    for asked in range(6):
        if asked != 4:
            states.append((asked, interrupted.state()))
        evaluate(interrupted)
    run(interrupted)  # what is saved must not follow
    whole, resumed = run(make(name, "normal", SD1)), make(name, "normal", SD1)
    for asked, state in states:
        if not resumed.done:
            evaluate(resumed)  # what it did before must not matter
        resumed.restore(load(save(state)))
        assert torch.equal(run(resumed), whole), asked


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_a_step_draws_is_known_before(name: str) -> None:
    """Also without walking it: a part of a sampling goes on with what comes after."""
    sampler = make(name, "normal", SD1, 4)
    counted = [item.clone_state() for item in sampler.generators]
    before = [item.get_state() for item in sampler.generators]
    while not sampler.done:
        rung = sampler.step_index
        while sampler.step_index == rung:
            evaluate(sampler)
        draw_from(counted, (sampler.draws(rung), *SHAPE))
        now = [item.get_state() for item in sampler.generators]
        if all(map(torch.equal, now, before)) or sampler.done:
            break  # it draws nothing
        assert all(torch.equal(a, b.get_state()) for a, b in zip(now, counted, strict=True))


def test_a_state_of_another_sampling_is_refused() -> None:
    state = make("euler", "normal", SD1).state()
    with raises(ValueError):
        make("euler", "normal", SD1).restore(state | {"x": torch.zeros(1, *SHAPE)})
    with raises(ValueError):
        make("euler", "normal", SD1, denoise=0.5).restore(state)


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_item_does_not_depend_on_the_others(name: str) -> None:
    batch = run(make(name, "normal", SD1))
    noise = NoiseSchedule.from_config(SD1)
    generators = item_generators(4, [0])
    ladder = sigmas_for("normal", noise, 6, grid=SAMPLERS[name].grid)
    alone = make_sampler(name, ladder, noise, generators)
    alone.start(alone.pure_noise(draw_from(generators, SHAPE)))
    assert torch.equal(run(alone), batch[1:])


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_step_waits_for_nothing_on_the_latent_s_device(name: str) -> None:
    sampler = make(name, "normal", SD1, 3)
    sampler.start(sampler.x.to("meta"))  # whose values nobody can read
    while not sampler.done:
        assert sampler.model_timestep.device.type == "meta"
        sampler.feed(torch.tanh(sampler.model_input()))
    assert sampler.x.device.type == "meta"


@pytest.mark.parametrize("name", SAMPLERS)
def test_noised_at_the_last_rung_is_the_latent_itself(name: str) -> None:
    sampler = make(name, "normal", SD1)
    latent, noise = torch.randn(2, *SHAPE), torch.randn(2, *SHAPE)
    assert torch.equal(sampler.add_noise(latent, noise, sampler.noise_levels.level_count), latent)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_model_s_timesteps_are_those_of_the_ladder(name: str) -> None:
    sampler = make(name, "normal", SD1, 3)
    while not sampler.done:
        assert torch.equal(sampler.model_timestep, sampler.timestep)
        assert sampler.model_timestep.dtype == sampler.timestep.dtype
        evaluate(sampler)


def test_an_unknown_sampler_is_told_with_the_nearest() -> None:
    noise = NoiseSchedule.from_config(SD1)
    with raises(InvalidValue, port="sampler", given="eular"):
        make_sampler("eular", sigmas_for("normal", noise, 2), noise)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "restart"])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_how_often_the_model_is_asked(name: str, steps: int) -> None:
    sampler, asked = make(name, "normal", SD1, steps), 0
    while not sampler.done:
        evaluate(sampler)
        asked += 1
    assert asked == evaluations(name, steps)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_latent_stays_in_the_models_precision(name: str, dtype: torch.dtype) -> None:
    sampler = make(name, "normal", SD1)
    sampler.start(sampler.x.to(dtype))
    while not sampler.done:
        output = model(sampler.model_input(), sampler.timestep)
        assert output.dtype == dtype
        sampler.feed(output)
        assert sampler.x.dtype == dtype


@pytest.mark.parametrize("name", COUNTERPARTS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("steps", [4, 8])
def test_half_precision_equals_the_counterpart_bit_for_bit(
    name: str, dtype: torch.dtype, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(shape: Sequence[int], generator: Any, dtype: torch.dtype, **_: Any) -> Tensor:
        # The noise itself is drawn in float32 here, whatever the precision.
        return draw_from(generator, shape[1:]).to(dtype)

    module = sys.modules[COUNTERPARTS[name][0].__module__]
    monkeypatch.setattr(module, "randn_tensor", drawn, raising=False)
    sampler = make(name, "normal", SD1, steps)
    generators = item_generators(3, [0, 1])
    sampler.start(sampler.pure_noise(draw_from(generators, SHAPE).to(dtype)))

    assert torch.equal(run(sampler), reference(name, SD1, steps, dtype=dtype))
