"""Plots, timesteps and seeds in a graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from nodegraph_nodes.schedule import PlotBetas
from torch import Tensor

from nodegraph import InvalidValue
from nodegraph.families.sampler_names import ALLOWED_SCHEDULES
from tests.messages import raises
from tests.nodes.sampling_graphs import link, problems, value


def inked(image: Tensor) -> float:
    """Share of pixels that are not paper."""
    return float((image.amin(-1) < 0.9).float().mean())


def plot(kind: str, **inputs: Any) -> Any:
    linked = {} if kind == "PlotBetas" else {"model": link("model")}
    return value({"plot": {"type": kind, "inputs": linked | inputs}}, "plot.image")


@pytest.mark.parametrize("kind", ["PlotBetas", "PlotSchedule"])
def test_plots_are_pictures_of_the_size_asked(kind: str) -> None:
    image = plot(kind, width=320, height=200)
    assert image.shape == (1, 200, 320, 3)
    assert image.dtype == torch.float32
    assert 0 <= image.min() <= image.max() <= 1
    assert 0.01 < inked(image) < 0.3


def test_plot_betas_draws_three_curves() -> None:
    image = plot("PlotBetas")
    colors = torch.tensor([[9, 105, 218], [207, 34, 46], [26, 127, 55]]) / 255
    thirds = image[0].chunk(3, dim=1)
    for third, color in zip(thirds, colors, strict=True):
        assert int(((third - color).abs() < 0.02).all(-1).sum()) > 40


@pytest.mark.parametrize("beta_schedule", ["scaled_linear", "linear", "squaredcos_cap_v2"])
def test_every_beta_schedule_can_be_drawn(beta_schedule: str) -> None:
    assert inked(plot("PlotBetas", beta_schedule=beta_schedule, timesteps=50)) > 0.01


def test_betas_that_leave_nothing_are_refused() -> None:
    with raises(InvalidValue, port="beta_end", given="0.9 over 1000 timesteps"):
        PlotBetas(beta_end=0.9)


def each_once() -> list[tuple[str, str]]:
    """Every sampler, and with it a schedule that none before it had, until all had one."""
    found: list[tuple[str, str]] = []
    for name, allowed in ALLOWED_SCHEDULES.items():
        had = {schedule for _, schedule in found}
        found.append((name, next((item for item in allowed if item not in had), allowed[-1])))
    return found


def test_each_once_has_all() -> None:
    assert {schedule for _, schedule in each_once()} == set().union(*ALLOWED_SCHEDULES.values())


# That all that are allowed end well is told by the tests of samplers.
@pytest.mark.parametrize(("sampler", "schedule"), each_once())
def test_every_schedule_can_be_drawn(sampler: str, schedule: str) -> None:
    assert inked(plot("PlotSchedule", sampler=sampler, schedule=schedule, steps=8)) > 0.01


def test_a_single_step_can_be_drawn() -> None:
    assert inked(plot("PlotSchedule", steps=1)) > 0.01


def test_schedules_look_different() -> None:
    karras, normal = (plot("PlotSchedule", schedule=name) for name in ("karras", "normal"))
    assert not torch.equal(karras, normal)


def test_timesteps_fall_over_the_training_range() -> None:
    nodes = {"times": {"type": "Timesteps", "inputs": {"model": link("model")}}}
    assert value(nodes, "times.numbers") == [999, 749, 500, 250, 0]


def test_timesteps_of_a_part_are_its_end() -> None:
    inputs = {"model": link("model"), "steps": 4, "schedule": "normal", "denoise": 0.5}
    assert value({"times": {"type": "Timesteps", "inputs": inputs}}, "times.numbers") == [251, 1]


def test_a_part_without_steps_is_found_before_running() -> None:
    inputs = {"model": link("model"), "steps": 4, "denoise": 0.1}
    (problem,) = problems({"times": {"type": "Timesteps", "inputs": inputs}}, "times")
    assert problem.port == "denoise"


def test_seeds_count_up() -> None:
    nodes = {"seeds": {"type": "SeedRange", "inputs": {"start": 40, "count": 3}}}
    assert value(nodes, "seeds.numbers") == [40, 41, 42]
    nodes["seeds"]["inputs"]["start"] = 2**64 - 2
    assert value(nodes, "seeds.numbers") == [2**64 - 2, 2**64 - 1, 0]


def test_timesteps_may_begin_with_the_clean_end() -> None:
    inputs = {"model": link("model"), "order": "clean first"}
    nodes = {"times": {"type": "Timesteps", "inputs": inputs}}
    assert value(nodes, "times.numbers") == [0, 250, 500, 749, 999]
