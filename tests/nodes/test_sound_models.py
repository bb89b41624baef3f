"""Nodes of sounds by diffusion: what is wrong is told before running, and words are understood."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nodegraph import Conditioning
from nodegraph.diffusion.families.items import CLASSES, NUMBERS
from tests.nodes.conftest import Bench


def asking(**inputs: Any) -> dict[str, Any]:
    return {"ask": {"type": "SoundConditioning", "inputs": inputs}}


def asked(bench: Bench, **inputs: Any) -> list[Any]:
    found = bench.value(asking(**inputs), "ask.conditioning")
    assert isinstance(found, Conditioning)
    (entry,) = found.entries
    return [*entry.tensors[CLASSES][0].tolist(), *entry.tensors[NUMBERS][0].tolist()]


def test_inputs_count_for_more_than_words(bench: Bench) -> None:
    words = {"text": "a drum at 128 Hz, 0.5 s"}
    assert asked(bench, **words) == [1, 7, 0.5]
    assert asked(bench, **words, kind="bell", pitch="512 Hz", seconds=0.75) == [0, 9, 0.75]


def test_nothing_is_asked_by_default(bench: Bench) -> None:
    kind, *numbers = asked(bench)
    assert kind == -1
    assert torch.tensor(numbers).isnan().all()


@pytest.mark.parametrize(
    ("given", "port", "message"),
    [
        ({"text": "a tromboon"}, "text", "name no sound"),
        ({"pitch": "H7"}, "pitch", "no pitch"),
        ({"kind": "gong"}, "kind", "bell"),
    ],
)
def test_what_is_wrong_is_told_before_running(
    bench: Bench, given: dict[str, Any], port: str, message: str
) -> None:
    (problem,) = bench.problems(asking(**given), "ask")
    assert problem.port == port
    assert message in str(problem)
