"""Prompts in the faster of two ways: noted, and part of what a result is known by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from nodegraph.families.speed_options import FASTEST, SEPARATE, TOGETHER
from nodegraph.sampling import prompt_batching
from nodegraph.sampling.prompt_batching import Actions
from tests.accelerator.card import Card
from tests.accelerator.pictures import Painter, Pixels, workflow

OnCpu = Callable[..., Pixels]


def guided(prompts: str, seed: int = 1) -> dict[str, Any]:
    document = workflow(
        model={"from": "fast"}, seed=seed, cfg=5.0, negative={"from": "away"}, steps=2
    )
    away = {"encoder": {"from": "load.text_encoder"}, "text": "blurry"}
    document["nodes"] |= {
        "away": {"type": "EncodePrompt", "inputs": away},
        "fast": {
            "type": "SpeedUp",
            "inputs": {"model": {"from": "load.model"}, "prompts": prompts},
        },
    }
    return document


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices of measurements, each of which says that separate prompts are faster."""
    devices: list[str] = []

    def measure(actions: Actions, device: torch.device) -> Mapping[str, float]:
        devices.append(device.type)
        for action in actions.values():
            action()
        return {TOGETHER: 2.0, SEPARATE: 1.0}

    monkeypatch.setattr(prompt_batching, "measure_seconds", measure)
    return devices


def sampled(painter: Painter) -> bool:
    return any(event.kind == "node.started" and event.node == "sample" for event in painter.events)


def test_a_result_counts_as_long_as_the_note_is_the_same(
    painter: Painter, card: Card, on_cpu: OnCpu, measured: list[str]
) -> None:
    """What the first run measures counts for it, too; a changed note makes the image again."""
    separate, together = on_cpu(guided(SEPARATE)), on_cpu(guided(TOGETHER))
    for is_first in (True, False):
        image = painter.paint(guided(FASTEST))
        assert sampled(painter) is is_first
        assert np.array_equal(image, separate)
    assert measured == ["cuda"]
    [note] = painter.session.settings.measurements_folder.glob("prompts-*.json")
    note.write_text(json.dumps({"choice": TOGETHER}))
    assert np.array_equal(painter.paint(guided(FASTEST)), together)
    assert sampled(painter)
    assert measured == ["cuda"]


def test_the_log_says_what_was_measured(painter: Painter, measured: list[str]) -> None:
    painter.run(guided(FASTEST), targets=["sample"])
    logged = [event.data["message"] for event in painter.events if event.kind == "log"]
    assert [text for text in logged if "evaluated one by one from now on" in text]
    assert [text for text in logged if "sampled with prompts fastest" in text]


def test_nothing_is_measured_on_a_cpu(
    painter_on: Callable[..., Painter], measured: list[str], on_cpu: OnCpu
) -> None:
    """The last bits of a CPU's results depend on no clock."""
    image = painter_on("cpu").paint(guided(FASTEST))
    assert np.array_equal(image, on_cpu(guided(TOGETHER)))
    assert measured == []
