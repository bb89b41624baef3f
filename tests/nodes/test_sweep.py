"""Grids of pictures with labels, and sweeps of two inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from nodegraph_nodes.sweep import LabelledGrid

from nodegraph import Session, Settings, Workflow
from nodegraph.errors import InvalidValue, NodeFailed


def picture(value: float, width: int = 20, height: int = 10, channels: int = 3) -> torch.Tensor:
    return torch.full((1, height, width, channels), value)


def test_pictures_stand_where_their_labels_do() -> None:
    values = [0.0, 0.2, 0.4, 0.6, 0.8, 0.9]
    images = [picture(value) for value in values]
    grid = LabelledGrid(images, ["a", "b", "c"], ["x", "y"], gap=4)
    inner = grid[0, -24:, -68:]  # two rows of 10 with a gap of 4, three columns of 20
    cells = [inner[14 * (at // 3), 24 * (at % 3), 0].item() for at in range(6)]
    assert cells == pytest.approx(values, abs=0.01)
    assert grid[0, :-24].min() < 0.5  # labels above
    assert grid[0, -24:, :-68].min() < 0.5  # and before
    assert torch.equal(inner[10:14], torch.ones(4, 68, 3))


def test_titles_take_room_of_their_own() -> None:
    images = [picture(0.5)] * 2
    plain = LabelledGrid(images, ["a", "b"], ["x"])
    titled = LabelledGrid(images, ["a", "b"], ["x"], column_title="cfg", row_title="sampler")
    assert titled.shape[1] > plain.shape[1]
    assert titled.shape[2] > plain.shape[2]


def test_sizes_channels_and_batches_may_differ() -> None:
    batch = torch.zeros(2, 8, 8, 4)
    grid = LabelledGrid([batch, picture(0.5, 30, 5, 1)], ["a" * 600, "", "ü\n2"], [""])
    assert grid.shape[-1] == 3
    with pytest.raises(InvalidValue, match="as many pictures"):
        LabelledGrid([batch], ["a"], ["x"])
    with pytest.raises(InvalidValue, match="as many pictures"):
        LabelledGrid([], [], [])


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
        """A picture."""
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
