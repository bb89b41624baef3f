"""Nodes that need a model's noise schedule alone don't load its weights."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.residency import ResidencyManager
from tests.nodes.conftest import Bench, link

NODES: dict[str, Any] = {
    "load": {"type": "LoadModel"},
    "times": {"type": "Timesteps", "inputs": {"model": link("load.model")}},
    "plot": {"type": "PlotSchedule", "inputs": {"model": link("load.model")}},
}


def test_schedules_and_noise_need_no_weights(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(ResidencyManager, "use", lambda *given: asked.append(given))

    result = bench.run(NODES, "times", "plot")

    assert not result.errors
    assert asked == []
    assert result["times.numbers"][0] == 999


def test_noise_for_a_picture_needs_only_the_vae(cold_bench: Bench) -> None:
    nodes = NODES | {
        "picture": {"type": "Picture", "inputs": {"width": 64, "height": 64}},
        "encode": {
            "type": "VAEEncode",
            "inputs": {"vae": link("load.vae"), "image": link("picture")},
        },
    }
    nodes["noise"] = {
        "type": "AddNoise",
        "inputs": {"model": link("load.model"), "latent": link("encode")},
    }
    result = cold_bench.run(nodes, "noise")

    assert not result.errors
    kinds = {type(item.recipe).__name__ for item in cold_bench.session._weights.resident()}
    assert kinds <= {"Vae"}
