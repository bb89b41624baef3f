"""A classifier learns labels, is read by transformers, and goes on to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nodegraph import Cancelled, Dataset, Example, InvalidValue
from nodegraph.core.events import Event
from nodegraph.engine.options import CancelToken
from nodegraph.training.classifiers import classify_pictures, to_network_input, train_classifier
from nodegraph.training.options import TrainingPlan
from tests.diffusion.conftest import one_thread, sd1_folder  # noqa: F401 - fixtures
from tests.messages import raises

from .desk import Desk

Watch = Callable[[CancelToken, Event], object]
PLAN = TrainingPlan(12, 4, 3e-3, 1)


@pytest.fixture
def desk(tmp_path: Path, sd1_folder: Path) -> Desk:  # noqa: F811
    return Desk(tmp_path, sd1_folder)


def colours(count: int = 8) -> Dataset:
    """Red and blue squares with noise; the last two are to be judged by."""
    generator = torch.Generator().manual_seed(0)
    examples = []
    for at in range(count):
        picture = torch.rand((40, 48, 3), generator=generator) * 0.4
        picture[..., 0 if at % 2 else 2] += 0.6
        split = "validation" if at >= count - 2 else "train"
        label = "red" if at % 2 else "blue"
        examples.append(Example(picture, f"p{at}", label=label, split=split))
    return Dataset(tuple(examples))


def test_labels_are_learned_and_told(desk: Desk) -> None:
    judged = train_classifier(desk.context(), colours(), PLAN, "tiny", 32)
    assert judged.accuracy == 1.0
    assert judged.weights.words == ("blue", "red")
    red, blue = (torch.zeros(1, 16, 16, 3) for _ in range(2))
    red[..., 0], blue[..., 2] = 0.8, 0.8
    answers = classify_pictures(judged.weights, torch.cat([red, blue]), "cpu")
    assert [item.label for item in answers] == ["red", "blue"]
    assert sum(answers[0].shares.values()) == pytest.approx(1)
    with raises(InvalidValue, port="classifier", given="lora"):
        classify_pictures(replace(judged.weights, kind="lora"), red, "cpu")


def test_transformers_reads_it(desk: Desk) -> None:
    from transformers import AutoModelForImageClassification, ViTImageProcessorPil

    weights = train_classifier(desk.context(), colours(), PLAN, "tiny", 32).weights
    folder = Path(weights.files[0].path).parent
    model = AutoModelForImageClassification.from_pretrained(folder)
    assert model.config.id2label == {0: "blue", 1: "red"}
    picture = colours().examples[0].picture
    assert isinstance(picture, torch.Tensor)
    levels = (picture * 255).round().byte()
    seen = ViTImageProcessorPil.from_pretrained(folder)(levels.numpy(), return_tensors="pt")
    ours = to_network_input([levels.movedim(-1, 0) / 255], 32)
    assert torch.allclose(seen.pixel_values, ours, atol=0.02)
    with torch.no_grad():
        shares = model(ours).logits.softmax(1)[0]
    [answer] = classify_pictures(weights, levels[None] / 255, "cpu")
    assert list(answer.shares.values()) == pytest.approx(shares.tolist(), abs=1e-5)


def test_it_goes_on_to_the_same_bits(desk: Desk) -> None:
    whole = train_classifier(desk.context(), colours(), PLAN, "tiny", 32)
    desk.forget()

    def watch(token: CancelToken, event: Event) -> None:
        if event.kind == "node.progress" and event.data["step"] == 5:
            token.cancel()

    with pytest.raises(Cancelled):
        train_classifier(desk.context(watch), colours(), PLAN, "tiny", 32)
    assert train_classifier(desk.context(), colours(), PLAN, "tiny", 32) == whole
    assert all(
        torch.isfinite(item).all() for item in load_file(whole.weights.files[0].path).values()
    )


@pytest.mark.parametrize("labels", [("", "red"), ("red", "red")])
def test_labels_that_tell_nothing_are_named(desk: Desk, labels: tuple[str, str]) -> None:
    given = colours(4)
    relabelled = tuple(
        replace(item, label=labels[at % 2]) for at, item in enumerate(given.examples)
    )
    with raises(InvalidValue, port="dataset"):
        train_classifier(desk.context(), Dataset(relabelled), PLAN, "tiny", 32)
