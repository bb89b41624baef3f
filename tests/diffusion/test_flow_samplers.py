"""Each sampler of flow models against its diffusers counterpart, and saved and restored."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    FlowMatchLCMScheduler,
    LTXEulerAncestralRFScheduler,
    UniPCMultistepScheduler,
)
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.families.flow_noise import FlowNoise
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.noise import draw_from, item_generators
from nodegraph.families.sampler_names import allowed_schedules, check_combination
from nodegraph.sampling.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.sampling.schedules import sigmas_for
from tests.diffusion import stand_in
from tests.diffusion.stand_in import ONE_OF_EACH, SHAPE, evaluate, run
from tests.messages import raises

# diffusers 0.42 hands tensors to numpy in a way that numpy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PLAIN = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
SOLVER = {
    "_class_name": "UniPCMultistepScheduler",
    "use_flow_sigmas": True,
    "prediction_type": "flow_prediction",
}
COUNTERPARTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "euler": (FlowMatchEulerDiscreteScheduler, PLAIN),
    "heun": (FlowMatchHeunDiscreteScheduler, PLAIN),
    "lcm": (FlowMatchLCMScheduler, PLAIN),
    "dpmpp_2m": (DPMSolverMultistepScheduler, SOLVER),
    "dpmpp_2s": (DPMSolverSinglestepScheduler, SOLVER),
    "dpmpp_2m_sde": (DPMSolverMultistepScheduler, SOLVER),
    "dpmpp_2m_sde_heun": (DPMSolverMultistepScheduler, SOLVER),
    "dpmpp_3m": (DPMSolverMultistepScheduler, SOLVER),
    "res_multistep": (DPMSolverMultistepScheduler, SOLVER),
    "uni_pc": (UniPCMultistepScheduler, SOLVER),
}
METHODS: dict[str, dict[str, Any]] = {
    "dpmpp_2m_sde": {"algorithm_type": "sde-dpmsolver++"},
    "dpmpp_2m_sde_heun": {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"},
    "dpmpp_3m": {"solver_order": 3},
    "res_multistep": {"solver_type": "heun"},
}
RANDOM = ("lcm", "dpmpp_2m_sde", "dpmpp_2m_sde_heun")
FLOW_SAMPLERS = list(allowed_schedules("flow"))
DYNAMIC = {"use_dynamic_shifting": True}


def make(
    name: str,
    noise: FlowNoise,
    schedule: str = "normal",
    steps: int = 6,
    *,
    tokens: int = 0,
    denoise: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Sampler:
    """A sampler of two items at its start."""
    ladder = sigmas_for(schedule, noise, steps, denoise, grid=SAMPLERS[name].grid, tokens=tokens)
    generators = item_generators(3, [0, 1])
    sampler = make_sampler(name, ladder, noise, generators)
    drawn = draw_from(generators, SHAPE).to(dtype)
    if denoise == 1:
        sampler.start(sampler.pure_noise(drawn))
    else:
        sampler.start(sampler.add_noise(picture(dtype), drawn, ladder.first))
    return sampler


def picture(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.linspace(-1, 1, 2 * 4 * 6 * 6).reshape(2, *SHAPE).to(dtype)


def reference(
    name: str,
    config: dict[str, Any],
    steps: int,
    *,
    dtype: torch.dtype = torch.float32,
    first: int = 0,
    **options: Any,
) -> Tensor:
    """What diffusers' scheduler makes of the same noise and model."""
    scheduler_class, _ = COUNTERPARTS[name]
    scheduler = scheduler_class.from_config(config, **METHODS.get(name, {}))
    scheduler.set_timesteps(steps, **options)
    generators = item_generators(3, [0, 1])
    x = draw_from(generators, SHAPE).to(dtype)
    scheduler.set_begin_index(first)
    if first:
        noise, sigma = x, scheduler.sigmas[first].to(dtype)
        start = scheduler.timesteps[first : first + 1].repeat(2)
        add = getattr(scheduler, "scale_noise", None)
        if add is None:
            x = scheduler.add_noise(picture(dtype), noise, start)
        else:
            x = add(picture(dtype), start, noise)
        assert torch.equal(x, sigma * noise + (1 - sigma) * picture(dtype))
    random = {"generator": generators} if name in RANDOM else {}
    for timestep in scheduler.timesteps[first:]:
        x = scheduler.step(stand_in.model(x, timestep), timestep, x, **random).prev_sample
    return x


def config_of(name: str, shift: float) -> dict[str, Any]:
    config = COUNTERPARTS[name][1]
    return config | {"flow_shift" if config is SOLVER else "shift": shift}


@pytest.mark.parametrize("name", COUNTERPARTS)
@pytest.mark.parametrize(("steps", "shift"), [(1, 3.0), (2, 1.0), (3, 8.0), (7, 3.0), (20, 1.0)])
def test_it_equals_the_counterpart_bit_for_bit(name: str, steps: int, shift: float) -> None:
    config = config_of(name, shift)
    found = run(make(name, FlowNoise.from_config(config), steps=steps))
    assert torch.equal(found, reference(name, config, steps))


@pytest.mark.parametrize("name", ["euler", "lcm", "dpmpp_2m", "dpmpp_2m_sde", "uni_pc"])
@pytest.mark.parametrize("tokens", [16, 1024, 9216])
def test_it_equals_the_counterpart_where_the_size_shifts(name: str, tokens: int) -> None:
    config = COUNTERPARTS[name][1] | DYNAMIC
    noise = FlowNoise.from_config(config, mu=line_mu)
    expected = reference(name, config, 7, mu=line_mu({}, tokens, 7))
    assert torch.equal(run(make(name, noise, steps=7, tokens=tokens)), expected)


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m", "dpmpp_2m_sde", "uni_pc", "lcm"])
@pytest.mark.parametrize("denoise", [0.2, 0.9])
def test_it_equals_the_counterpart_from_a_picture_on(name: str, denoise: float) -> None:
    config = config_of(name, 3.0)
    found = run(make(name, FlowNoise.from_config(config), steps=9, denoise=denoise))
    first = 9 - int(9 * denoise)
    assert torch.equal(found, reference(name, config, 9, first=first))


def test_heun_equals_the_counterpart_from_a_picture_on() -> None:
    # there each level below the highest counts twice, so the first step is found by that
    config = config_of("heun", 3.0)
    scheduler = FlowMatchHeunDiscreteScheduler.from_config(config)
    scheduler.set_timesteps(9)
    sampler = make("heun", FlowNoise.from_config(config), steps=9, denoise=0.55)
    scheduler.set_begin_index(2 * sampler.noise_levels.first)
    x = sampler.x
    for timestep in scheduler.timesteps[2 * sampler.noise_levels.first :]:
        x = scheduler.step(stand_in.model(x, timestep), timestep, x).prev_sample
    assert torch.equal(run(sampler), x)


# Heun's scheduler multiplies a half-precision output with sigma in another order than all others;
# the singlestep one computes in half precision, too.
EXACT_IN_HALF = [name for name in COUNTERPARTS if name not in {"heun", "dpmpp_2s"}]


@pytest.mark.parametrize("name", EXACT_IN_HALF)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_the_counterpart(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(shape: Sequence[int], generator: Any, dtype: torch.dtype, **_: Any) -> Tensor:
        # The noise itself is drawn in float32 here, whatever the precision.
        return draw_from(generator, shape[1:]).to(dtype)

    module = sys.modules[COUNTERPARTS[name][0].__module__]
    monkeypatch.setattr(module, "randn_tensor", drawn, raising=False)
    config = config_of(name, 3.0)
    sampler = make(name, FlowNoise.from_config(config), steps=7, dtype=dtype)
    found = run(sampler)
    assert found.dtype == dtype
    assert torch.equal(found, reference(name, config, 7, dtype=dtype))


@pytest.mark.parametrize("name", EXACT_IN_HALF)
def test_a_wide_latent_and_a_narrow_output_go_together_as_there(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = lambda x, timestep: torch.tanh(x * 0.7 + float(timestep) / 1000).bfloat16()  # noqa: E731
    monkeypatch.setattr(stand_in, "model", narrow)
    config = config_of(name, 3.0)
    found = run(make(name, FlowNoise.from_config(config), steps=5))
    expected = reference(name, config, 5)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", ["heun", "dpmpp_2s"])
def test_half_precision_is_the_counterpart_s_but_for_rounding(name: str) -> None:
    config = config_of(name, 3.0)
    found = run(make(name, FlowNoise.from_config(config), dtype=torch.bfloat16))
    expected = reference(name, config, 6, dtype=torch.bfloat16)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


def test_euler_ancestral_is_the_rectified_flow_one() -> None:
    sampler = make("euler_ancestral", FlowNoise(shift=3.0), steps=7)
    scheduler = LTXEulerAncestralRFScheduler()
    scheduler.set_timesteps(sigmas=sampler.noise_levels.sigmas)
    generators = item_generators(3, [0, 1])
    x = draw_from(generators, SHAPE)
    for timestep, level in zip(
        sampler.noise_levels.timesteps, scheduler.timesteps[:-1], strict=True
    ):
        x = scheduler.step(stand_in.model(x, timestep), level, x, generator=generators).prev_sample
    # it guards its divisions with 1e-12 and steps through the prediction instead of the slope
    torch.testing.assert_close(run(sampler), x, rtol=1e-4, atol=2e-5)


# the multistep solvers begin with pure noise though their first level is a little below it
@pytest.mark.parametrize(
    ("name", "gap"), [("euler", 1e-5), ("heun", 1e-5), ("uni_pc", 1e-4), ("dpmpp_2m", 2e-3)]
)
def test_a_model_that_knows_the_picture_is_led_to_it(name: str, gap: float) -> None:
    sampler = make(name, FlowNoise(shift=3.0), steps=4)
    truth = sampler.x - picture()  # what the model is trained to say: noise - latent
    while not sampler.done:
        sampler.feed(truth)
    torch.testing.assert_close(sampler.x, picture(), rtol=0, atol=gap)


PAIRS = [(name, schedule) for name in FLOW_SAMPLERS for schedule in allowed_schedules("flow")[name]]


@pytest.mark.parametrize("name", [name for name in FLOW_SAMPLERS if name in ONE_OF_EACH])
@pytest.mark.parametrize("spread", ["own", "ramp", "open"])
def test_every_allowed_pair_ends_in_a_finite_latent(name: str, spread: str) -> None:
    for schedule in allowed_schedules("flow")[name]:
        sampler = make(name, FlowNoise(shift=3.0, spread=spread), schedule)
        while not sampler.done:
            evaluate(sampler)
            assert sampler.x.isfinite().all(), schedule
        assert sampler.denoised is not None
        assert sampler.denoised.shape == (2, *SHAPE)


def test_a_first_level_rounded_to_above_one_is_that_of_pure_noise() -> None:
    noise = FlowNoise(shift=0.5709)
    assert make("euler", noise).noise_levels.sigmas[0] > 1
    for name in FLOW_SAMPLERS:
        assert run(make(name, noise, steps=3)).isfinite().all(), name


@given(
    pair=st.sampled_from(PAIRS),
    steps=st.integers(1, 9),
    evaluations=st.integers(0, 8),
    shift=st.floats(0.5, 10),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_a_saved_sampler_goes_on_to_the_same_bits(
    pair: tuple[str, str], steps: int, evaluations: int, shift: float, dtype: torch.dtype
) -> None:
    def begun() -> Sampler:
        return make(pair[0], FlowNoise(shift=shift), pair[1], steps, dtype=dtype)

    whole = run(begun())
    interrupted = begun()
    for _ in range(evaluations):
        if not interrupted.done:
            evaluate(interrupted)
    state = load(save(interrupted.state()))
    run(interrupted)  # what is saved must not follow
    resumed = begun()
    evaluate(resumed)  # what it did before must not matter
    resumed.restore(state)
    assert torch.equal(run(resumed), whole)


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
def test_an_item_does_not_depend_on_the_others(name: str) -> None:
    noise = FlowNoise(shift=3.0)
    ladder = sigmas_for("normal", noise, 6, grid=SAMPLERS[name].grid)
    generators = item_generators(4, [0])
    alone = make_sampler(name, ladder, noise, generators)
    alone.start(alone.pure_noise(draw_from(generators, SHAPE)))
    assert torch.equal(run(alone), run(make(name, noise))[1:])


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
def test_a_step_waits_for_nothing_on_the_latent_s_device(name: str) -> None:
    sampler = make(name, FlowNoise(shift=3.0), steps=3)
    sampler.start(sampler.x.to("meta"))  # whose values nobody can read
    while not sampler.done:
        assert sampler.model_timestep.device.type == "meta"
        sampler.feed(torch.tanh(sampler.model_input()))
    assert sampler.x.device.type == "meta"


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
def test_noised_at_the_last_rung_is_the_latent_itself(name: str) -> None:
    sampler = make(name, FlowNoise())
    latent, noise = torch.randn(2, *SHAPE), torch.randn(2, *SHAPE)
    assert torch.equal(sampler.add_noise(latent, noise, sampler.noise_levels.level_count), latent)


@pytest.mark.parametrize("name", ["ddim", "ddpm", "pndm", "tcd"])
def test_samplers_of_a_table_are_refused(name: str) -> None:
    noise = FlowNoise()
    ladder = sigmas_for("normal", noise, 4, grid=SAMPLERS["euler"].grid)
    refused = (
        lambda: make_sampler(name, ladder, noise),
        lambda: check_combination(name, "normal", "flow"),
    )
    for refuse in refused:
        with raises(InvalidValue, port="sampler") as caught:
            refuse()
        assert caught.value.problem.expected == ", ".join(FLOW_SAMPLERS)


def test_names_and_spaces_agree() -> None:
    for kind in ("discrete", "flow"):
        able = [name for name, sampler in SAMPLERS.items() if kind in sampler.spaces]
        assert able == list(allowed_schedules(kind))
