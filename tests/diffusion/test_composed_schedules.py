"""Schedules as values: cut, joined, turned round, and laid over a model's noise levels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.ports import PORT_ATTRIBUTE
from nodegraph.errors import InvalidValue
from nodegraph.families.flow_noise import FlowNoise, ModelNoise, model_noise
from nodegraph.families.flow_shift import parse_numbers
from nodegraph.families.registry import FAMILIES
from nodegraph.families.sampler_names import SAMPLER_NAMES, SCHEDULE_NAMES
from nodegraph.families.schedule_checks import (
    FLOW_LAWS,
    FORMULA_PARAMETERS,
    SCHEDULES,
    check_sampler_follows,
)
from nodegraph.families.sigma_curves import beta_quantiles
from nodegraph.sampling.composed_schedules import (
    Schedule,
    listed_schedule,
    named_schedule,
    numbered_schedule,
)
from nodegraph.sampling.schedules import levels_for, sigmas_for
from nodegraph.sampling.table_schedules import CONTINUOUS, MULTISTEP, TABLE, Grid
from tests.messages import raises

SD1 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
NOISE = model_noise(SD1, FAMILIES["sd1"])
FLOW = FlowNoise(shift=3.0)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """A schedule, or parts of several one after the other."""
    found = None
    for _ in range(draw(st.integers(1, 3))):
        steps = draw(st.integers(1, 9))
        one = named_schedule(draw(st.sampled_from(SCHEDULE_NAMES)), steps)
        if draw(st.booleans()):
            levels = sorted(draw(st.sets(st.floats(0, 14), min_size=2, max_size=6)), reverse=True)
            one = listed_schedule(levels)
        one = one if draw(st.booleans()) else one.flipped()
        one = one.scaled(draw(st.sampled_from([1.0, 0.5])))
        found = one if found is None else found.then(one)
    assert found is not None
    return found


@given(schedule=schedules(), data=st.data())
def test_parts_that_are_joined_again_are_the_schedule(schedule: Schedule, data: Any) -> None:
    if schedule.steps == 1:
        with pytest.raises(InvalidValue, match="longer"):
            schedule.split(1)
        return
    first, second = schedule.split(data.draw(st.integers(1, schedule.steps - 1)))
    assert first.then(second) == schedule
    assert first.steps + second.steps == schedule.steps


@given(schedule=schedules())
def test_turned_round_twice_it_is_as_it_was(schedule: Schedule) -> None:
    assert schedule.flipped().flipped() == schedule
    assert schedule.flipped().steps == schedule.steps


@given(schedule=schedules(), data=st.data())
def test_a_part_turned_round_is_the_part_of_what_was_turned(schedule: Schedule, data: Any) -> None:
    end = data.draw(st.integers(1, schedule.steps))
    start = data.draw(st.integers(0, end - 1))
    steps = schedule.steps
    assert schedule.part(start, end).flipped() == schedule.flipped().part(
        steps - end, steps - start
    )


@given(schedule=schedules())
def test_stored_and_read_again_it_is_equal(schedule: Schedule) -> None:
    serializer = getattr(Schedule, PORT_ATTRIBUTE).serializer
    assert serializer.loads(serializer.dumps(schedule)) == schedule


@pytest.mark.parametrize("name", ["normal", "karras", "trailing"])
@pytest.mark.parametrize("grid", [TABLE, CONTINUOUS, MULTISTEP])
def test_parts_walk_the_levels_of_the_whole(name: str, grid: Grid) -> None:
    whole = sigmas_for(name, NOISE, 7, grid=grid)
    high, low = (levels_for(part, NOISE, grid=grid) for part in named_schedule(name, 7).split(3))
    for part in (high, low):
        assert torch.equal(part.sigmas, whole.sigmas)
        assert torch.equal(part.timesteps, whole.timesteps)
    assert [(part.first, part.end, part.steps) for part in (high, low)] == [(0, 3, 3), (3, 7, 4)]
    assert [low.progress(rung) for rung in (3, 7)] == [3 / 7, 1.0]


def test_a_closed_part_ends_without_noise() -> None:
    whole = sigmas_for("karras", NOISE, 7, grid=CONTINUOUS)
    ladder = levels_for(named_schedule("karras", 7).part(2, 5).closed(), NOISE, grid=CONTINUOUS)
    assert torch.equal(ladder.sigmas, torch.cat([whole.sigmas[:5], torch.zeros(1)]))
    assert (ladder.first, ladder.end, ladder.level_count) == (2, 5, 5)


@pytest.mark.parametrize("noise", [NOISE, FLOW])
def test_levels_that_are_named_are_walked(noise: ModelNoise) -> None:
    levels = [0.9, 0.5, 0.25, 0.125]
    left = levels_for(listed_schedule(levels), noise, grid=CONTINUOUS)
    gone = levels_for(listed_schedule([*levels, 0]), noise, grid=CONTINUOUS)
    assert left.sigmas.tolist()[:-1] == gone.sigmas.tolist()[:-1]
    torch.testing.assert_close(gone.sigmas, torch.tensor([*levels, 0.0]))
    assert (left.steps, left.end, left.level_count) == (3, 3, 4)
    assert (gone.steps, gone.end, gone.level_count) == (4, 4, 4)


# diffusers 0.42 hands tensors to numpy in a way that numpy 2 deprecates
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_levels_that_are_named_are_asked_where_diffusers_asks() -> None:
    levels = [14.0, 6.5, 2.7, 0.9, 0.2]
    reference = EulerDiscreteScheduler.from_config(SD1)
    reference.set_timesteps(sigmas=[*levels, 0.0])
    ladder = levels_for(listed_schedule([*levels, 0]), NOISE, grid=CONTINUOUS)
    assert torch.equal(ladder.sigmas, reference.sigmas)
    torch.testing.assert_close(ladder.timesteps, reference.timesteps.float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("noise", [NOISE, FLOW])
def test_one_that_is_turned_round_rises(noise: ModelNoise) -> None:
    schedule = named_schedule("normal", 6)
    down, up = (levels_for(item, noise, grid=CONTINUOUS) for item in (schedule, schedule.flipped()))
    assert torch.equal(up.sigmas[1:], down.sigmas.flip(0)[1:])
    assert up.sigmas[0] == (0 if noise is FLOW else pytest.approx(1e-4))
    assert (up.sigmas.diff() > 0).all()
    assert torch.equal(up.timesteps[1:], down.timesteps.flip(0)[:-1])
    assert (up.timesteps[0], up.steps) == (0, 6)


def test_schedules_are_joined_where_they_fall_on() -> None:
    high, _ = named_schedule("karras", 8).split(4)
    low = listed_schedule([1.0, 0.5, 0.1, 0])
    ladder = levels_for(high.then(low), NOISE, grid=CONTINUOUS)
    expected = [
        *sigmas_for("karras", NOISE, 8, grid=CONTINUOUS).sigmas[:4].tolist(),
        1,
        0.5,
        0.1,
        0,
    ]
    torch.testing.assert_close(ladder.sigmas, torch.tensor(expected))
    assert ladder.steps == 7
    with raises(InvalidValue, port="schedule"):
        levels_for(low.then(high), NOISE, grid=CONTINUOUS)
    with raises(InvalidValue, port="schedule"):
        levels_for(high.then(low.flipped()), NOISE, grid=CONTINUOUS)


def test_nothing_follows_where_the_noise_is_gone() -> None:
    whole, rest = listed_schedule([10.0, 5.0, 0]), listed_schedule([3.0, 1.0, 0])
    closed = listed_schedule([10.0, 5.0, 4.0]).part(0, 1).closed()
    for first in (whole, closed):
        with raises(InvalidValue, port="schedule"):
            levels_for(first.then(rest), NOISE, grid=CONTINUOUS)
    joined = levels_for(whole.part(0, 1).then(rest), NOISE, grid=CONTINUOUS)
    assert joined.sigmas.tolist() == [10.0, 3.0, 1.0, 0.0]


def test_scaled_levels_are_asked_at_their_own_timesteps() -> None:
    schedule = named_schedule("karras", 6)
    usual, scaled = (
        levels_for(item, NOISE, grid=CONTINUOUS) for item in (schedule, schedule.scaled(0.5))
    )
    torch.testing.assert_close(scaled.sigmas, usual.sigmas / 2)
    assert (scaled.timesteps < usual.timesteps)[:-1].all()
    with raises(InvalidValue, port="schedule"):
        levels_for(named_schedule("normal", 6).scaled(0.5), NOISE, grid=TABLE)


K_DIFFUSION = {
    "polyexponential": lambda x: np.exp((1 - x) ** 2 * math.log(100) + math.log(0.1)),
    "karras": lambda x: (10 ** (1 / 3) + x * (0.1 ** (1 / 3) - 10 ** (1 / 3))) ** 3,
    "exponential": lambda x: 10 * 0.01**x,
}


@pytest.mark.parametrize(
    ("law", "numbers"),
    [("polyexponential", {"rho": 2.0}), ("karras", {"rho": 3.0}), ("exponential", {})],
)
def test_laws_with_numbers_have_k_diffusion_s_levels(law: str, numbers: dict[str, float]) -> None:
    schedule = numbered_schedule(law, 9, {**numbers, "high": 10.0, "low": 0.1})
    expected = torch.from_numpy(K_DIFFUSION[law](np.linspace(0, 1, 9))).float()
    torch.testing.assert_close(levels_for(schedule, NOISE, grid=CONTINUOUS).sigmas[:-1], expected)


@pytest.mark.parametrize("grid", [CONTINUOUS, MULTISTEP])
@pytest.mark.parametrize("noise", [NOISE, FLOW])
def test_laws_without_numbers_are_the_schedules_of_their_names(
    noise: ModelNoise, grid: Grid
) -> None:
    for law in ("karras", "exponential", "beta"):
        found = levels_for(numbered_schedule(law, 9, {}), noise, grid=grid)
        expected = sigmas_for(law, noise, 9, grid=grid)
        assert torch.equal(found.sigmas, expected.sigmas)
        assert torch.equal(found.timesteps, expected.timesteps)
    poly, even = (
        levels_for(numbered_schedule(law, 9, {}), noise, grid=grid)
        for law in ("polyexponential", "exponential")
    )
    torch.testing.assert_close(poly.sigmas, even.sigmas)


def test_vp_runs_from_the_model_s_greatest_level() -> None:
    sigmas = levels_for(numbered_schedule("vp", 9, {}), NOISE, grid=CONTINUOUS).sigmas
    assert sigmas[0] == pytest.approx(14.6146, rel=1e-4)
    # of evenly spaced times, as of evenly spaced timesteps: nearly the model's own levels
    own = sigmas_for("linspace", NOISE, 9, grid=CONTINUOUS).sigmas
    assert (sigmas / own)[1:-1].log().abs().max() < 1.3


def test_laplace_is_dense_around_its_middle() -> None:
    levels = levels_for(
        numbered_schedule("laplace", 21, {"mu": 1.0}), NOISE, grid=CONTINUOUS
    ).sigmas
    logs = levels[:-1].log()
    assert logs[10] == pytest.approx(1.0, abs=1e-4)
    assert -logs.diff()[9:11].mean() < -logs.diff()[[1, -2]].mean() / 3


@pytest.mark.parametrize("steps", [4, 21])
def test_laplace_of_a_flow_is_dense_around_as_much_noise_as_picture(steps: int) -> None:
    levels = levels_for(numbered_schedule("laplace", steps, {}), FLOW, grid=CONTINUOUS).sigmas[:-1]
    over = (levels / (1 - levels)).log()
    torch.testing.assert_close(over, -over.flip(0), rtol=1e-3, atol=1e-3)
    assert over[0] == pytest.approx(5.76, abs=0.01)


def test_turbo_takes_the_first_of_ten_timesteps() -> None:
    ladder = levels_for(numbered_schedule("sd_turbo", 4, {}), NOISE, grid=TABLE)
    assert ladder.timesteps.tolist() == [999, 899, 799, 699]
    assert torch.equal(ladder.sigmas[:-1], NOISE.sigmas[ladder.timesteps])  # type: ignore[union-attr]
    with raises(InvalidValue, port="steps", given="11"):
        levels_for(numbered_schedule("sd_turbo", 11, {}), NOISE, grid=TABLE)


@pytest.mark.parametrize(("alpha", "beta"), [(0.6, 0.6), (0.3, 0.9), (1.0, 0.5), (0.05, 1.0)])
def test_beta_quantiles_are_where_the_distribution_reaches_the_chances(
    alpha: float, beta: float
) -> None:
    places = beta_quantiles(np.linspace(0, 1, 41), alpha, beta)
    assert (np.diff(places) >= 0).all()
    drawn = np.random.default_rng(1).beta(alpha, beta, 40_000)
    for chance, place in zip(np.linspace(0, 1, 41), places, strict=True):
        assert (drawn <= place).mean() == pytest.approx(chance, abs=0.02)


@pytest.mark.parametrize(
    ("law", "numbers", "port"),
    [
        ("karras", {"rho": 0.0}, "rho"),
        ("karras", {"rho": math.nan}, "rho"),
        ("karras", {"high": math.inf}, "sigma_max"),
        ("exponential", {"low": 0.0}, "sigma_min"),
        ("exponential", {"high": 1.0, "low": 1.0}, "sigma_min"),
        ("exponential", {"rho": 2.0}, "rho"),
        ("vp", {"least": 0.9}, "least"),
        ("beta", {"alpha": 2.0}, "alpha"),
    ],
)
def test_numbers_out_of_range_are_refused(law: str, numbers: dict[str, float], port: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        numbered_schedule(law, 9, numbers)
    assert caught.value.problem.port == port


@pytest.mark.parametrize(
    ("noise", "schedule", "port"),
    [
        (NOISE, listed_schedule([80.0, 1.0, 0]), "sigmas"),
        (FLOW, listed_schedule([14.6, 1.0, 0]), "sigmas"),
        (FLOW, numbered_schedule("karras", 5, {"high": 14.6}), "sigma_max"),
        (FLOW, named_schedule("normal", 5).scaled(2.0), "schedule"),
        (NOISE, numbered_schedule("exponential", 5, {"low": 14.7}), "sigma_max"),
        (FLOW, numbered_schedule("vp", 5, {}), "schedule"),
        (FLOW, named_schedule("leading", 5), "schedule"),
        (NOISE, numbered_schedule("laplace", 1000, {}), "steps"),
    ],
)
def test_levels_that_a_model_does_not_know_are_refused(
    noise: ModelNoise, schedule: Schedule, port: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        levels_for(schedule, noise, grid=CONTINUOUS)
    problem = caught.value.problem
    assert problem.port in (port, "sigma_min")
    assert problem.given


@pytest.mark.parametrize(
    "levels", [[], [1.0], [1.0, 1.0], [1.0, 2.0], [math.nan, 0], [math.inf, 0], [1.0, -0.1]]
)
def test_levels_that_do_not_fall_are_refused(levels: list[float]) -> None:
    with raises(InvalidValue, port="sigmas"):
        listed_schedule(levels)


def test_levels_are_read_from_text() -> None:
    assert parse_numbers(" [14.6, 3.5;1\n 0,] ") == [14.6, 3.5, 1.0, 0.0]
    assert parse_numbers("") == parse_numbers(" \n") == []
    with raises(InvalidValue, port="sigmas", given="two"):
        parse_numbers("3, two")


def test_laws_fit_the_samplers_that_names_fit() -> None:
    for law in SCHEDULES:
        check_sampler_follows("euler", [law], "discrete")
    for law in FLOW_LAWS:
        check_sampler_follows("euler", [law], "flow")
    for law in set(SCHEDULES) - set(FLOW_LAWS):
        with pytest.raises(InvalidValue):
            check_sampler_follows("euler", [law], "flow")
    check_sampler_follows("ddim", ["normal", "sd_turbo"], "discrete")
    with raises(InvalidValue, port="schedule", given="levels"):
        check_sampler_follows("ddim", ["levels"], "discrete")


@pytest.mark.parametrize("sampler", sorted(set(SAMPLER_NAMES) - {"euler"}))
def test_only_euler_walks_up(sampler: str) -> None:
    with raises(InvalidValue, port="sampler"):
        check_sampler_follows(sampler, ["normal"], "discrete", rises=True)


def test_every_law_with_numbers_is_one() -> None:
    assert set(FORMULA_PARAMETERS) <= set(SCHEDULES)
    with raises(InvalidValue, port="schedule", given="laplac"):
        numbered_schedule("laplac", 5, {})


@pytest.mark.parametrize(
    ("steps", "denoise", "laid"), [(20, 0.5, 40), (20, 0.3, 66), (7, 1.0, 7), (4, 0.99995, 4)]
)
def test_all_steps_may_be_walked_over_a_share_of_a_longer_schedule(
    steps: int, denoise: float, laid: int
) -> None:
    [stretch] = named_schedule("karras", steps, denoise, "all").segments
    assert (stretch.steps, stretch.last, stretch.length) == (laid, laid, steps)


@pytest.mark.parametrize(("denoise", "counted"), [(0.0, "all"), (0.001, "all"), (0.5, "some")])
def test_steps_that_cannot_be_counted_are_told(denoise: float, counted: str) -> None:
    with raises(InvalidValue):
        named_schedule("karras", 20, denoise, counted)
