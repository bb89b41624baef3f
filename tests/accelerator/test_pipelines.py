"""Pipelines of diffusers compute on an accelerator, whole or in parts, to the CPU's bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.accelerator.card import Card
from tests.accelerator.fixtures import MIB
from tests.pipelines.run.conftest import Shelf

pytestmark = pytest.mark.gpu
PIPELINES = (
    "StableDiffusionPipeline",
    "StableDiffusionPAGPipeline",
    "KandinskyV22CombinedPipeline",
    "WanImageToVideoPipeline",
    "StableAudioPipeline",
)
QUICK = ("StableDiffusionPAGPipeline", "WanImageToVideoPipeline")


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    made = Shelf(tmp_path_factory.mktemp("cpu"), PIPELINES)
    yield made
    made.session.close()


def values(shelf: Shelf, name: str) -> dict[str, Any]:
    result = shelf.run(name)
    assert not result.errors, result.errors
    return dict(result.outputs)


def tensor(value: Any) -> torch.Tensor:
    for part in ("frames", "waveform"):
        value = getattr(value, part, value)
    return value


@pytest.mark.parametrize(
    "name",
    [
        *QUICK,
        *(pytest.param(name, marks=pytest.mark.slow) for name in PIPELINES if name not in QUICK),
    ],
)
def test_it_gives_the_numbers_of_the_cpu_and_leaves_nothing(
    card: Card, on_cpu: Shelf, tmp_path: Path, name: str
) -> None:
    shelf = Shelf(tmp_path, PIPELINES, device="cuda:0")
    check_equal(card, shelf, on_cpu, name)
    assert card.used() > 0
    shelf.session.close()
    assert card.is_empty()


@pytest.mark.parametrize("name", [QUICK[0], pytest.param(QUICK[1], marks=pytest.mark.slow)])
def test_parts_that_never_fit_come_bit_by_bit(
    card: Card, on_cpu: Shelf, tmp_path: Path, name: str
) -> None:
    shelf = Shelf(tmp_path, PIPELINES, device="cuda:0", weights_budget=MIB // 16)
    check_equal(card, shelf, on_cpu, name)
    told = [event.data["message"] for event in shelf.events if event.kind == "log"]
    assert any("is loaded on cuda:0 layer by layer" in message for message in told)
    shelf.session.close()
    assert card.is_empty()


@pytest.mark.slow
def test_an_autoencoder_that_overflows_in_half_precision_is_held_in_float32(
    card: Card, tmp_path: Path
) -> None:
    name = "StableDiffusionXLPipeline"
    shelf = Shelf(tmp_path, [name], device="cuda:0")
    nodes = shelf.nodes(name)
    nodes["load"]["inputs"]["dtype"] = "float16"
    result = shelf.run_nodes(nodes)
    assert not result.errors, result.errors
    assert result["run.image"].isfinite().all()
    held = {
        type(item.recipe).__name__: item.recipe.dtype for item in shelf.session._weights.resident()
    }
    assert held == {"DiffusionModel": "float16", "TextEncoder": "float16", "Vae": "float32"}
    shelf.session.close()


def check_equal(card: Card, shelf: Shelf, on_cpu: Shelf, name: str) -> None:
    there, here = values(shelf, name), values(on_cpu, name)
    for port, value in here.items():
        if isinstance(tensor(value), torch.Tensor):
            card.assert_as_on_cpu(tensor(there[port]), tensor(value))
