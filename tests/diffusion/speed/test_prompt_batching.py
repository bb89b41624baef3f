"""Prompts of a step together or one by one: by the recipe, or by a measurement that is noted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph.diffusion import open_model
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.speed_options import (
    FASTEST,
    SEPARATE,
    TOGETHER,
    SpeedOptions,
    read_speed_options,
    with_caching,
    with_speed,
)
from nodegraph.models.speed.speed_support import check_recipe
from nodegraph.sampling.prompt_batching import Actions, MeasuredBatching, measure_seconds
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import Model
from tests.diffusion.families.test_stable_diffusion import sd1 as build_sd1

from .speedy import EAGER, sampling, sped_up, through_a_file, walked

CPU = torch.device("cpu")


@pytest.fixture
def sd1(model_of: Callable[[Callable[[], Any]], Pair]) -> Model:  # noqa: F811
    return model_of(build_sd1)[1]


class FakeMeasure:
    """Tells the same seconds each time, after it evaluated each way once."""

    def __init__(self, together: float, separate: float) -> None:
        self.seconds = {TOGETHER: together, SEPARATE: separate}
        self.calls = 0

    def __call__(self, actions: Actions, device: torch.device) -> Mapping[str, float]:
        self.calls += 1
        for action in actions.values():
            action()
        return self.seconds


class CountingPredictions:
    """The rows of each call of a denoiser's network."""

    def __init__(self, model: Denoiser) -> None:
        self.rows: list[int] = []
        self._handle = model.module.register_forward_pre_hook(self._note, with_kwargs=True)

    def _note(self, module: object, args: tuple[torch.Tensor, ...], kwargs: object) -> None:
        self.rows.append(len(args[0]))

    def __enter__(self) -> list[int]:
        return self.rows

    def __exit__(self, *_: object) -> None:
        self._handle.remove()


def batching(
    folder: Path, measure: FakeMeasure, read: list[Path], said: list[str] | None = None
) -> MeasuredBatching:
    said = [] if said is None else said
    return MeasuredBatching(
        folder,
        read=read.append,
        label="a model",
        profile="p",
        measure=measure,
        tell=said.append,
    )


def measured(model: Model, folder: Path, measure: FakeMeasure, read: list[Path]) -> Denoiser:
    denoiser = sped_up(model, SpeedOptions(prompts=FASTEST))
    return replace(denoiser, batching=batching(folder, measure, read))


def test_a_recipe_says_how_prompts_are_evaluated(sd1: Model) -> None:
    for prompts, rows in ((TOGETHER, [2, 2]), (SEPARATE, [1, 1, 1, 1])):
        denoiser = sped_up(sd1, SpeedOptions(prompts=prompts))
        with CountingPredictions(denoiser) as seen:
            walked(sampling(sd1, denoiser, steps=2))
        assert seen == rows


def test_separate_prompts_give_what_a_batch_gives_but_for_rounding(sd1: Model) -> None:
    together, separate = (
        walked(sampling(sd1, sped_up(sd1, SpeedOptions(prompts=prompts)), steps=3))
        for prompts in (TOGETHER, SEPARATE)
    )
    assert torch.allclose(together, separate, atol=1e-4)


def test_without_a_measurement_fastest_is_together(sd1: Model) -> None:
    plain, fastest = (sped_up(sd1, SpeedOptions(prompts=way)) for way in (TOGETHER, FASTEST))
    expected = walked(sampling(sd1, plain, steps=2))
    assert torch.equal(walked(sampling(sd1, fastest, steps=2)), expected)


@pytest.mark.parametrize("chosen", [TOGETHER, SEPARATE])
def test_the_faster_way_counts_from_the_first_step(sd1: Model, tmp_path: Path, chosen: str) -> None:
    """The bits of the sampling that measures are those of each later one."""
    measure = FakeMeasure(*((1.0, 2.0) if chosen == TOGETHER else (2.0, 1.0)))
    expected = walked(sampling(sd1, sped_up(sd1, SpeedOptions(prompts=chosen)), steps=3))
    read: list[Path] = []
    for _ in range(2):
        denoiser = measured(sd1, tmp_path, measure, read)
        assert torch.equal(walked(sampling(sd1, denoiser, steps=3)), expected)
    assert measure.calls == 1
    assert {path.parent for path in read} == {tmp_path}
    assert [json.loads(path.read_text())["choice"] for path in read] == [chosen, chosen]


def test_another_size_is_measured_anew(sd1: Model, tmp_path: Path) -> None:
    measure, read = FakeMeasure(2.0, 1.0), []  # type: FakeMeasure, list[Path]
    for side in (64, 32, 64):
        walked(sampling(sd1, measured(sd1, tmp_path, measure, read), steps=1, side=side))
    assert measure.calls == 2
    assert read[0] == read[2] != read[1]


def test_a_little_less_time_is_no_reason_to_separate_prompts(tmp_path: Path) -> None:
    measure = FakeMeasure(1.0, 0.99)
    actions = {TOGETHER: bool, SEPARATE: bool}
    assert not batching(tmp_path, measure, []).is_separate(["a kind"], actions, CPU)


@pytest.mark.parametrize("content", ["{", "[]", '{"choice": []}', "[" * 100_000])
def test_a_damaged_note_is_measured_anew(tmp_path: Path, content: str) -> None:
    measure, actions = FakeMeasure(2.0, 1.0), {TOGETHER: bool, SEPARATE: bool}
    assert batching(tmp_path, measure, []).is_separate(["a kind"], actions, CPU)
    [note] = tmp_path.iterdir()
    note.write_text(content)
    assert batching(tmp_path, measure, []).is_separate(["a kind"], actions, CPU)
    assert measure.calls == 2


def test_where_nothing_can_be_noted_prompts_stay_together(tmp_path: Path) -> None:
    """Else the bits would depend on each process's clock."""
    file = tmp_path / "file"
    file.write_text("")
    read: list[Path] = []
    said: list[str] = []
    decided = batching(file / "folder", FakeMeasure(2.0, 1.0), read, said)
    assert not decided.is_separate(["a kind"], {TOGETHER: bool, SEPARATE: bool}, CPU)
    assert len(read) == 1
    assert said == []


def test_a_resumed_sampling_continues_as_it_began(sd1: Model, tmp_path: Path) -> None:
    """Also where the note is gone meanwhile, and another measurement would say otherwise."""
    read: list[Path] = []
    begun = sampling(sd1, measured(sd1, tmp_path, FakeMeasure(2.0, 1.0), read))
    steps = iter(begun)
    next(steps)
    state = begun.state()
    expected = walked(begun)
    [note] = tmp_path.iterdir()
    note.unlink()
    other = FakeMeasure(1.0, 2.0)
    resumed = sampling(sd1, measured(sd1, tmp_path, other, read))
    resumed.restore(through_a_file(state))
    assert torch.equal(walked(resumed), expected)
    assert other.calls == 0
    assert note.exists()


def test_a_sampling_starts_anew_if_the_note_changed(sd1: Model, tmp_path: Path) -> None:
    begun = sampling(sd1, measured(sd1, tmp_path, FakeMeasure(2.0, 1.0), []))
    next(iter(begun))
    state = begun.state()
    [note] = tmp_path.iterdir()
    note.write_text(json.dumps({"choice": TOGETHER}))
    with pytest.raises(ValueError, match="measured anew"):
        sampling(sd1, measured(sd1, tmp_path, FakeMeasure(1.0, 2.0), [])).restore(state)


def test_a_measurement_calls_each_way_in_turns() -> None:
    calls: list[str] = []
    actions = {name: (lambda name=name: calls.append(name)) for name in (TOGETHER, SEPARATE)}
    seconds = measure_seconds(actions, CPU)
    assert calls == [TOGETHER, SEPARATE] * 4
    assert seconds.keys() == actions.keys()


def test_a_recipe_keeps_how_prompts_are_evaluated(sd1: Model) -> None:
    plain = open_model(str(sd1.folder), []).model
    recipe = with_speed(plain, SpeedOptions(prompts=SEPARATE))
    assert read_speed_options(recipe).prompts == SEPARATE
    assert with_speed(recipe, SpeedOptions()) == plain


def test_a_measurement_beside_a_step_cache_is_refused(sd1: Model) -> None:
    plain = open_model(str(sd1.folder), []).model
    recipe = with_caching(with_speed(plain, SpeedOptions(prompts=FASTEST)), EAGER["taylorseer"])
    with pytest.raises(InvalidValue, match="step cache"):
        check_recipe(recipe, "cuda:0")
