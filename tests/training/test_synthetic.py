"""The measure of synthetic data: its sets, its prompts, and that its classifier learns."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from nodegraph import Dataset, Example
from training import synthetic
from training.fonts import find_font

OBJECTS = Path(__file__).parents[2] / "training" / "objects.json"


def colored(split: str) -> Dataset:
    """Classes that differ in their color alone."""
    examples = []
    for number, label in enumerate(synthetic.LABELS):
        generator = torch.Generator().manual_seed(number)
        color = torch.rand(3, generator=generator)
        for at in range(2):
            picture = (color + 0.02 * torch.rand(16, 16, 3, generator=generator)).clamp(0, 1)
            examples.append(Example(picture, f"{label} {at}", label=label, split=split))  # type: ignore[arg-type]
    return Dataset(tuple(examples))


def test_the_classifier_learns_what_can_be_learned() -> None:
    model = synthetic.taught(colored("train"), 60, seed=0)
    assert synthetic.accuracy(model, colored("test")) > 0.7


def test_the_same_seed_teaches_the_same() -> None:
    first, again = (synthetic.taught(colored("train"), 3, seed=1) for _ in range(2))
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_prompts_are_captions_of_each_class_alike() -> None:
    maker = synthetic.scene_maker(OBJECTS, None)
    found = synthetic.prompts(maker, 3, seed=2)
    assert Counter(label for _, label in found) == dict.fromkeys(synthetic.LABELS, 3)
    assert found == synthetic.prompts(maker, 3, seed=2)
    assert len({text for text, _ in found}) > 20


def test_real_pictures_are_as_many_of_each_class() -> None:
    if find_font("") is None:
        pytest.skip("needs Noto Color Emoji")
    maker = synthetic.scene_maker(OBJECTS, find_font(""))
    data = synthetic.real_pictures(maker, 2, seed=3, split="test")
    assert Counter(each.label for each in data.examples) == dict.fromkeys(synthetic.LABELS, 2)
    assert data.size == (synthetic.SIDE, synthetic.SIDE)
    assert {each.split for each in data.examples} == {"test"}
