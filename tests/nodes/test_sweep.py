"""Grids of images with labels, and sweeps of two inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Session, Settings, Workflow
from nodegraph.errors import NodeFailed

BODY = {
    "inputs": {
        "x": {"to": ["resize.width"]},
        "y": {"to": ["resize.method"]},
        "image": {"to": ["resize.image"]},
    },
    "outputs": {"image": "resize"},
    "nodes": {"resize": {"type": "ResizeImage", "inputs": {"height": 8}}},
}


def sweep(x: Any, y: Any, body: Any = BODY) -> Workflow:
    inputs = {"x": x, "y": y, "body": "b", "image": {"from": "image"}, "x_title": "width"}
    nodes = {
        "image": {"type": "Grey"},
        "methods": {"type": "Lines", "inputs": {"text": "nearest\narea"}},
        "sweep": {"type": "GridSweep", "inputs": inputs},
        "save": {"type": "PreviewImage", "inputs": {"image": {"from": "sweep.image"}}},
    }
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes, "subgraphs": {"b": body}})


@pytest.fixture
def session(tmp_path: Path) -> Any:
    from nodegraph import Image, node

    @node
    def Grey() -> Image:
        """An image."""
        return torch.full((1, 8, 8, 3), 0.5)

    settings = Settings(home=tmp_path, outputs=tmp_path / "output", device="cpu")
    with Session(settings, nodes=[Grey]) as made:
        yield made


def test_every_pair_is_run_and_what_is_known_is_taken_from_the_cache(session: Session) -> None:
    result = session.run(sweep([8, 12], {"from": "methods"}))
    assert not result.errors, result.errors
    images = session.run(sweep([8, 12], {"from": "methods"}), targets=["sweep"])["sweep.images"]
    assert [tuple(image.shape[1:3]) for image in images] == [(8, 8), (8, 12)] * 2
    again = session.run(sweep([8, 12, 16], {"from": "methods"}))
    turns = [name for name in again.nodes if name.endswith("/resize")]
    ran = [name for name in turns if again.nodes[name].status == "ran"]
    assert (len(turns), len(ran)) == (6, 2)


def test_a_faulty_sweep_is_told(session: Session) -> None:
    assert session.check(sweep([8], {"from": "methods"}, {**BODY, "outputs": {"other": "resize"}}))
    [error] = session.run(sweep([], {"from": "methods"})).errors
    assert isinstance(error, NodeFailed)
    assert error.problem.port == "x"
