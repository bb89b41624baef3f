"""Texts that language models write, in a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_z_image import z_image
from tests.nodes.conftest import Bench, link


@pytest.fixture
def nodes(bench: Bench) -> dict[str, Any]:
    folder: Path = bench.folder / "models" / "z"
    random_pipeline(z_image).save_pretrained(folder)
    return {
        "load": {"type": "LoadModel", "inputs": {"model": "z"}},
        "ask": {
            "type": "GenerateText",
            "inputs": {
                "encoder": link("load.text_encoder"),
                "prompt": "a red cat",
                "max_tokens": 4,
            },
        },
    }


def test_what_is_written_is_kept_and_another_seed_writes_another(
    bench: Bench, nodes: dict[str, Any]
) -> None:
    first = bench.value(nodes, "ask.text")
    assert bench.run(nodes, "ask").nodes["ask"].status == "cached"
    nodes["ask"]["inputs"]["seed"] = 1
    assert bench.value(nodes, "ask.text") != first


def test_encoders_that_write_nothing_are_found_before_running(bench: Bench) -> None:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "ask": {"type": "GenerateText", "inputs": {"encoder": link("load.text_encoder")}},
    }
    [problem] = bench.problems(nodes, "ask")
    assert (problem.node, problem.port) == ("ask", "encoder")
