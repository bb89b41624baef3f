"""LoadUpscaleModel, UpscaleImage, SplitTiles and JoinTiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nodegraph_nodes.image_upscale import JoinTiles, SplitTiles

from nodegraph import Environment, HookInputs, InvalidValue
from nodegraph.models.upscaling import CompactUpscaler
from nodes._upscale_facts import upscale_estimate
from tests.messages import raises
from tests.nodes.conftest import Bench, link
from tests.properties import examples


def graph(**inputs: Any) -> dict[str, Any]:
    return {
        "load": {"type": "LoadUpscaleModel"},
        "picture": {"type": "Picture", "inputs": {"width": 40, "height": 24, "batch": 2}},
        "larger": {
            "type": "UpscaleImage",
            "inputs": {"model": link("load"), "image": link("picture"), **inputs},
        },
    }


def test_pictures_get_twice_as_large_tile_by_tile(bench: Bench) -> None:
    nodes = graph(tile=32, overlap=16)
    assert bench.value(nodes, "larger.image").shape == (2, 48, 80, 3)
    steps = [(event.data["step"], event.data["total"]) for event in bench.told("node.progress")]
    assert steps[-1] == (4, 4)
    assert bench.value(graph(factor=1.5), "larger.image").shape == (2, 36, 60, 3)


@pytest.mark.slow
def test_where_memory_runs_out_tiles_are_smaller(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = graph(tile=0)
    nodes["picture"]["inputs"] = {"width": 200, "height": 130}
    whole = bench.value(nodes, "larger.image")
    usual = CompactUpscaler.forward

    def scarce(self: CompactUpscaler, picture: torch.Tensor) -> torch.Tensor:
        if max(picture.shape[-2:]) > 128:
            raise MemoryError
        return usual(self, picture)

    monkeypatch.setattr(CompactUpscaler, "forward", scarce)
    nodes["larger"]["inputs"]["overlap"] = 16
    found = bench.value(nodes, "larger.image")
    assert bench.told("node.retried")
    assert (found - whole).abs().mean() < 0.01


def test_sizes_are_known_and_faults_told_before_anything_runs(bench: Bench) -> None:
    nodes = graph(tile=32, overlap=24)
    nodes["crop"] = {
        "type": "VAEEncode",
        "inputs": {"vae": link("vae.vae"), "image": link("larger")},
    }
    nodes["vae"] = {"type": "LoadModel"}
    nodes["load"]["inputs"] = {"model": "tiny"}
    told = {(item.node, item.port) for item in bench.problems(nodes, "crop")}
    assert told == {("larger", "overlap"), ("load", "model")}


def test_a_picture_that_gets_too_large_is_told(bench: Bench) -> None:
    nodes = graph(factor=16.0)
    nodes["image"] = {
        "type": "ResizeImage",
        "inputs": {"image": link("picture"), "width": 16384, "height": 16384},
    }
    nodes["larger"]["inputs"]["image"] = link("image")
    assert ("larger", "image") in {(p.node, p.port) for p in bench.problems(nodes, "larger")}


def test_tiles_bound_the_memory_that_is_foreseen() -> None:
    def memory(width: int, tile: int) -> tuple[int, int]:
        facts = {"image": {"width": width, "height": 1024}, "model": {"scale": 1}}
        here = Path()
        place = Environment((), here, here, here)
        found = upscale_estimate(HookInputs({"tile": tile}, facts, place))
        assert found.memory is not None
        assert found.least is not None
        return found.memory, found.least

    assert memory(1024, 0)[0] > 3 * memory(1024, 512)[0]
    assert memory(1024, 512)[1] < memory(1024, 512)[0]
    assert memory(64, 512) < memory(65, 512)


sides = st.integers(1, 70)


@settings(max_examples=examples(40), deadline=None)
@given(height=sides, width=sides, tile=st.integers(8, 40), data=st.data())
def test_tiles_that_werent_changed_make_the_picture_bit_for_bit(
    height: int, width: int, tile: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, tile // 2))
    batch, channels = data.draw(st.sampled_from([(1, 3), (3, 1), (2, 4)]))
    image = torch.rand(batch, height, width, channels)
    tiles, tiling = SplitTiles(image, tile, tile + 3, overlap)
    assert {item.shape[1:3] for item in tiles} == {(min(tile + 3, height), min(tile, width))}
    assert torch.equal(JoinTiles(tiles, tiling), image)
    larger = [item.repeat_interleave(2, 1).repeat_interleave(2, 2) for item in tiles]
    expected = image.repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert torch.equal(JoinTiles(larger, tiling), expected)


def test_tiles_fade_into_each_other() -> None:
    tiles, tiling = SplitTiles(torch.zeros(1, 8, 24, 3), 16, 16, 8)
    found = JoinTiles([tiles[0], tiles[1] + 1], tiling)[0, 0, :, 0]
    assert found.tolist() == [0.0] * 8 + [(at + 0.5) / 8 for at in range(8)] + [1.0] * 8


def test_tiles_that_dont_fit_are_refused() -> None:
    tiles, tiling = SplitTiles(torch.zeros(1, 20, 20, 3), 16, 16, 8)
    for wrong in (tiles[:-1], [*tiles[:-1], tiles[0][:, :8]], [item[:, :8] for item in tiles]):
        with raises(InvalidValue, port="tiles"):
            JoinTiles(wrong, tiling)
    with raises(InvalidValue, port="overlap", given="9 pixels"):
        SplitTiles(torch.zeros(1, 20, 20, 3), 16, 16, 9)


def test_nodes_run_for_each_tile_and_sizes_are_known(bench: Bench) -> None:
    nodes: dict[str, Any] = graph()
    nodes |= {
        "cut": {
            "type": "SplitTiles",
            "inputs": {"image": link("picture"), "tile_width": 24, "tile_height": 16, "overlap": 8},
        },
        "each": {
            "type": "UpscaleImage",
            "inputs": {"model": link("load"), "image": link("cut.tiles")},
        },
        "whole": {
            "type": "JoinTiles",
            "inputs": {"tiles": link("each"), "tiling": link("cut.tiling")},
        },
        "encode": {
            "type": "VAEEncode",
            "inputs": {"vae": link("vae.vae"), "image": link("whole")},
        },
        "vae": {"type": "LoadModel"},
    }
    result = bench.run(nodes, "whole", "larger")
    found, once = result["whole.image"], result["larger.image"]
    assert found.shape == once.shape
    assert (found - once).abs().mean() < 0.02
    size = {"image": link("picture"), "width": 41, "height": 24}
    nodes["odd"] = {"type": "ResizeImage", "inputs": size}
    nodes["cut"]["inputs"]["image"] = link("odd")
    [problem] = bench.problems(nodes, "encode")
    assert (problem.node, problem.port, problem.given) == ("encode", "image", "82 pixels")
