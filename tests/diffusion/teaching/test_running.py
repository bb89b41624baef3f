"""A training stops within a step, goes on to the same bits, and says what it can't do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nodegraph import Cancelled, Dataset, Example, InvalidFile, InvalidValue, TrainedWeights
from nodegraph.core.events import Event
from nodegraph.core.plots import Plot
from nodegraph.core.training_values import Augmentation
from nodegraph.diffusion import open_model
from nodegraph.engine.options import CancelToken
from nodegraph.errors import NumericalError
from nodegraph.training.loop import Training
from nodegraph.training.lora_training import LoraShape, train_lora
from nodegraph.training.options import TrainingOptions, TrainingPlan, TrainingSamples
from nodegraph.training.training_run import MOST, TrainingSetup, loss_plot
from tests.diffusion.conftest import one_thread, sd1_folder  # noqa: F401 - fixtures
from tests.messages import raises

from .desk import Desk, dataset, pictures, told, with_model

SHAPE = LoraShape(2, layers="attention")
Watch = Callable[[CancelToken, Event], object]


@pytest.fixture
def desk(tmp_path: Path, sd1_folder: Path) -> Desk:  # noqa: F811
    return Desk(tmp_path, sd1_folder)


def same(first: TrainedWeights, second: TrainedWeights) -> bool:
    one, other = (load_file(item.files[0].path) for item in (first, second))
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def stopping_after(step: int) -> Watch:
    def watch(token: CancelToken, event: Event) -> None:
        if event.kind == "node.progress" and event.data["step"] == step:
            token.cancel()

    return watch


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"optimizer": "adafactor", "average": 0.9, "accumulate": 2, "schedule": "cosine"},
        pytest.param(
            {
                "optimizer": "sgd",
                "min_snr": 5.0,
                "noise_offset": 0.1,
                "warmup": 2,
                "levels": "uniform",
            },
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(
    desk: Desk, options: dict[str, Any]
) -> None:
    changing = Augmentation(flip=0.5, drop_caption=0.3)
    given, kept = dataset(augmentation=changing), dataset(2, said="an image")
    whole = train_lora(desk.room(given, kept, steps=5, **options), SHAPE)
    desk.forget()
    with pytest.raises(Cancelled):
        train_lora(desk.room(given, kept, steps=5, watch=stopping_after(3), **options), SHAPE)
    desk.events.clear()
    resumed = train_lora(desk.room(given, kept, steps=5, **options), SHAPE)
    [event] = told(desk, "node.restored")
    assert event.data["step"] == 3
    assert same(whole, resumed)
    assert whole == resumed


def test_it_is_stopped_within_a_step(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    room = desk.room(dataset(), steps=1, accumulate=50)
    calls = []

    def breathe() -> None:
        calls.append(1)
        if len(calls) == 12:
            raise Cancelled("stop")

    monkeypatch.setattr(room.ctx, "check_cancelled", breathe)
    with pytest.raises(Cancelled):
        train_lora(room, SHAPE)
    assert told(desk, "node.progress") == []


@pytest.mark.slow
def test_pictures_to_look_at_change_nothing_of_what_is_learned(desk: Desk) -> None:
    alone = train_lora(desk.room(dataset(), average=0.9), SHAPE)
    desk.forget()
    samples = TrainingSamples(("a fox", "an apple"), every=2, steps=2, width=64, height=64)
    room = desk.room(dataset(), average=0.9, samples=samples)
    assert same(train_lora(room, SHAPE), alone)
    images = {event.data.get("image") for event in told(desk, "node.preview")}
    assert len(images - {None}) == 1


@pytest.mark.slow
def test_equal_trainings_give_equal_files(desk: Desk) -> None:
    first = train_lora(desk.room(dataset()), SHAPE)
    desk.forget()
    assert train_lora(desk.room(dataset()), SHAPE).files == first.files
    desk.forget()
    assert train_lora(desk.room(dataset(), seed=6), SHAPE).files != first.files
    assert Path(first.files[0].path).parent.name == first.files[0].digest


def silent() -> Dataset:
    return Dataset(tuple(Example(item, f"p{at}") for at, item in enumerate(pictures(4, 64))))


BAD: list[tuple[str, Callable[[TrainingSetup], TrainingSetup], str, str]] = [
    (
        "empty",
        lambda room: with_model(room, dataset=Dataset(())),
        "dataset",
        "no training examples",
    ),
    ("silent", lambda room: with_model(room, dataset=silent()), "dataset", "have no caption"),
    ("silent kept", lambda room: with_model(room, kept=silent()), "kept", "p0, p1, p2, …"),
    (
        "quantised",
        lambda room: with_model(
            room, model=replace(room.model, options=(*room.model.options, ("storage", "int8")))
        ),
        "model",
        "quantized weights",
    ),
    (
        "another encoder",
        lambda room: with_model(room, text_encoder=replace(room.text_encoder, family="flux")),
        "text_encoder",
        "another family",
    ),
    (
        "another VAE",
        lambda room: with_model(room, vae=replace(room.vae, family="flux")),
        "vae",
        "another latent format",
    ),
    (
        "odd size",
        lambda room: with_model(room, dataset=dataset(1, 61)),
        "dataset",
        "p0 has a size",
    ),
]


@pytest.mark.parametrize(
    ("change", "port", "said"), [item[1:] for item in BAD], ids=[i[0] for i in BAD]
)
def test_what_can_not_be_taught_is_named(
    desk: Desk, change: Callable[[TrainingSetup], TrainingSetup], port: str, said: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        train_lora(change(desk.room(dataset())), SHAPE)
    assert caught.value.problem.port == port
    assert said in str(caught.value)


def test_a_broken_picture_is_named(desk: Desk, tmp_path: Path) -> None:
    from PIL import Image

    from nodegraph.media.datasets.reading import example_file

    path = tmp_path / "broken.png"
    Image.new("RGB", (64, 64)).save(path)
    given = Dataset((Example(example_file(path), caption="a fox"),))
    path.write_bytes(path.read_bytes()[:60])
    with raises(InvalidFile):
        train_lora(desk.room(given), SHAPE)


class Diverging:
    """Gives a loss that is no number at its third batch."""

    def __init__(self) -> None:
        self.parameters = {"weight": torch.nn.Parameter(torch.ones(2))}
        self.device = torch.device("cpu")

    def loss(self, number: int) -> torch.Tensor:
        factor = torch.nan if number == 2 else 1.0
        return self.parameters["weight"].sum() * factor

    def after_step(self) -> None:
        pass


def test_a_loss_that_is_no_number_stops_it() -> None:
    lesson = Diverging()
    training = Training(lesson, TrainingPlan(9))
    with raises(NumericalError) as caught:
        list(training)
    assert "learning_rate" in (caught.value.problem.hint or "")
    assert torch.isfinite(lesson.parameters["weight"]).all()


def test_the_eight_bit_optimiser_is_asked_for_by_name(desk: Desk) -> None:
    with raises(InvalidValue, port="options", given="adamw8bit"):
        train_lora(desk.room(dataset(), optimizer="adamw8bit"), SHAPE)


@pytest.mark.parametrize("wrong", [{"clip": -1.0}, {"average": 1.0}, {"accumulate": 0}])
def test_options_out_of_range_are_told(wrong: dict[str, Any]) -> None:
    with raises(InvalidValue):
        TrainingOptions(**wrong)


def test_a_long_curve_is_told_by_means() -> None:
    losses = [1.0 / (at + 1) for at in range(3 * MOST + 1)]
    plot = loss_plot(losses)
    each, running = plot.series
    assert len(each.x) <= MOST
    assert each.x[-1] == len(losses)
    assert each.y[0] == pytest.approx(sum(losses[:4]) / 4)
    assert running.y[0] > running.y[-1]
    assert loss_plot([]) == Plot("Loss", "step", "loss", loss_plot([]).series)


@pytest.mark.parametrize("dtype", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_models_in_half_precision_learn_in_mixed(desk: Desk, dtype: str) -> None:
    desk.recipes = open_model(str(desk.models), [], dtype=dtype)
    weights = train_lora(desk.room(dataset()), SHAPE)
    tensors = load_file(weights.files[0].path)
    assert all(item.dtype == torch.float32 for item in tensors.values())
    assert any(item.any() for name, item in tensors.items() if "lora_B" in name)
