"""Nodes of layers: facts, checks, caching, files."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import torch
from PIL import Image

from nodegraph.core.digests import digest_value
from nodegraph.media.images.images import encode_image_file
from nodegraph.media.images.layers import Layers
from tests.nodes.conftest import Bench, link

needs_psd = pytest.mark.skipif(find_spec("psd_tools") is None, reason="needs the extra psd")


def add(image: str, below: str = "", **inputs: Any) -> dict[str, Any]:
    linked = {"image": link(image), **({"layers": link(below)} if below else {})}
    return {"type": "AddLayer", "inputs": {**linked, **inputs}}


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"type": kind, "inputs": inputs}


PICTURES: dict[str, Any] = {
    "low": node("EmptyImage", width=16, height=8, color="#ff8000c0"),
    "high": node("EmptyImage", width=6, height=10, color="teal"),
}
CANVAS: dict[str, Any] = {
    **PICTURES,
    "box": node("BoundingBox", x=-4, y=2, width=20, height=10, sampled_width=40),
    "a": add("low", x=-3, y=5, rotation=30.0),
    "b": add("high", "a", width=12, mode="multiply", opacity=0.5),
    "c": add("high", box=link("box.box"), name="boxed"),
    "all": node("GroupLayers", group=link("c"), layers=link("b"), mode="screen"),
    "part": node("FlattenLayers", layers=link("all"), box=link("box.box"), color="white"),
    "whole": node("FlattenLayers", layers=link("all")),
}


@pytest.mark.parametrize("name", ["part", "whole"])
def test_the_size_of_a_flattened_image_is_known_before_the_run(bench: Bench, name: str) -> None:
    facts = bench.facts(CANVAS, name)
    image, mask = (bench.value(CANVAS, f"{name}.{port}") for port in ("image", "mask"))
    batch, height, width, channels = image.shape
    size = {"batch": batch, "height": height, "width": width}
    assert facts["image"] == {**size, "channels": channels}
    assert facts["mask"] == size
    assert mask.shape == image.shape[:3]


def test_the_edges_of_layers_are_known_before_the_run(bench: Bench) -> None:
    for name in ("a", "b", "c", "all"):
        layers = bench.value(CANVAS, f"{name}.layers")
        known = bench.facts(CANVAS, name)["layers"]
        assert tuple(known[side] for side in ("left", "top", "right", "bottom")) == layers.extent


def test_a_box_says_its_size(bench: Bench) -> None:
    assert bench.value(CANVAS, "box.width") == 40
    assert bench.value(CANVAS, "box.height") == 10


def test_a_change_of_one_layer_runs_only_what_depends_on_it(bench: Bench) -> None:
    bench.value(CANVAS, "whole.image")
    changed = {**CANVAS, "b": add("high", "a", width=12, mode="multiply", opacity=0.4)}
    bench.run(changed, "whole")
    ran = {event.node for event in bench.told("node.finished") if not event.data.get("cached")}
    assert {"b", "all", "whole"} <= ran
    assert not ran & {"low", "high", "a", "c", "box"}


def test_layers_come_back_from_the_cache_on_disk(bench: Bench) -> None:
    first = bench.value(CANVAS, "all.layers")
    again = bench.value(CANVAS, "all.layers")
    assert isinstance(again, Layers)
    assert digest_value(first) == digest_value(again)


@pytest.mark.parametrize(
    ("name", "nodes", "port"),
    [
        ("flat", {"flat": node("FlattenLayers")}, "layers"),
        (
            "flat",
            {**CANVAS, "flat": node("FlattenLayers", layers=link("b"), color="wite")},
            "color",
        ),
        ("far", {**PICTURES, "far": add("low", x=2_000_000)}, "x"),
        ("box", {"box": node("BoundingBox", width=0)}, "width"),
        ("box", {"box": node("BoundingBox", sampled_width=20_000)}, "sampled_width"),
        (
            "flat",
            {
                **PICTURES,
                "a": add("low"),
                "b": add("low", "a", x=100_000),
                "flat": node("FlattenLayers", layers=link("b")),
            },
            "layers",
        ),
        (
            "save",
            {
                **PICTURES,
                "a": add("low"),
                "b": add("low", "a", x=100_000),
                "save": node("SaveLayers", layers=link("b")),
            },
            "layers",
        ),
        ("load", {"load": node("LoadLayers", path="nothing.ora")}, "path"),
        ("load", {"load": node("LoadLayers", path="text.ora")}, "path"),
    ],
)
def test_mistakes_are_found_before_the_run(
    bench: Bench, name: str, nodes: dict[str, Any], port: str
) -> None:
    (bench.folder / "inputs" / "text.ora").write_text("no layers")
    [problem] = bench.problems(nodes, name)
    assert (problem.node, problem.port) == (name, port)
    assert problem.expected or problem.hint or problem.message


def test_a_box_too_large_for_memory_is_found_before_the_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.media.images.memory_checks.total_memory", lambda: 1 << 30)
    [problem] = bench.problems({"box": node("BoundingBox", width=16_000, height=16_000)}, "box")
    assert (problem.code, problem.port) == ("too-large", "width")


def test_a_painted_picture_keeps_its_transparency(bench: Bench) -> None:
    painted = torch.randint(1, 256, (7, 5, 4)) / 255
    (bench.folder / "inputs" / "painted.png").write_bytes(encode_image_file(painted))
    nodes = {
        "load": node("LoadImage", path="painted.png", alpha=True),
        "layer": add("load.image"),
        "flat": node("FlattenLayers", layers=link("layer")),
    }
    assert torch.equal(bench.value(nodes, "flat.image")[0], painted)
    assert bench.facts(nodes, "load")["image"]["channels"] == 4
    opaque = {**nodes, "load": node("LoadImage", path="painted.png")}
    assert (bench.value(opaque, "flat.mask") == 1).all()


@pytest.mark.parametrize("format", ["ora", pytest.param("psd", marks=needs_psd)])
def test_saved_layers_are_loaded_again(bench: Bench, format: str) -> None:
    nodes = {
        **CANVAS,
        "save": node("SaveLayers", layers=link("all"), name="saved", format=format),
    }
    result = bench.run(nodes, "save")
    assert not result.errors
    file, *beside, picture = result.files
    assert (file.path.name, file.kind) == (f"saved_00001.{format}", "layers")
    assert [each.kind for each in beside] == (["manifest"] if format == "psd" else [])
    assert picture.path.suffix == ".png"
    with Image.open(picture.path) as opened:
        assert "workflow" in opened.info
    target = bench.folder / "inputs" / file.path.name
    target.write_bytes(file.path.read_bytes())
    load = {"load": node("LoadLayers", path=target.name)}
    found = bench.value(load, "load.layers")
    saved = bench.value(CANVAS, "all.layers")
    assert [item.name for item in found.walk()] == [item.name for item in saved.walk()]
    if format == "ora":
        assert found.extent == saved.extent
        known = bench.facts(load, "load")["layers"]
        assert tuple(known[side] for side in ("left", "top", "right", "bottom")) == found.extent
        with ZipFile(target) as archive, Image.open(archive.open("mergedimage.png")) as merged:
            assert json.loads(merged.info["workflow"])["nodes"].keys() >= {"all", "save"}


def test_layers_are_shown_without_a_file_in_the_output_folder(bench: Bench) -> None:
    nodes = {**CANVAS, "save": node("SaveLayers", layers=link("all"), preview=True)}
    [file] = bench.run(nodes, "save").files
    assert (file.kind, file.path.suffix) == ("preview", ".ora")
    assert not [*(bench.folder / "outputs").rglob("*.ora")]
    with ZipFile(file.path) as archive:
        assert "stack.xml" in archive.namelist()


@needs_psd
def test_what_loading_leaves_out_is_logged(bench: Bench) -> None:
    from psd_tools import PSDImage
    from psd_tools.constants import BlendMode

    document = PSDImage.new("RGBA", (8, 8))
    image = Image.new("RGBA", (3, 3), "red")
    document.create_pixel_layer(image, name="burnt", blend_mode=BlendMode.LINEAR_BURN)
    path: Path = bench.folder / "inputs" / "burnt.psd"
    document.save(path)
    bench.value({"load": node("LoadLayers", path="burnt.psd")}, "load.layers")
    [event] = bench.told("log")
    assert "linear burn" in event.data["message"]


@needs_psd
def test_photoshop_files_of_16_bits_are_not_written(bench: Bench) -> None:
    nodes = {
        **CANVAS,
        "save": node("SaveLayers", layers=link("all"), format="psd", bits="16"),
    }
    [problem] = bench.problems(nodes, "save")
    assert (problem.port, problem.given, problem.expected) == ("bits", "psd", "ora")


def test_a_batch_becomes_layers(bench: Bench) -> None:
    nodes = {
        "batch": node("EmptyImage", width=16, height=8, batch=3),
        "layers": node("LayersFromImages", images=link("batch"), name="layer"),
    }
    layers = bench.value(nodes, "layers.layers")
    assert [item.name for item in layers.items] == ["layer 1", "layer 2", "layer 3"]
    assert bench.facts(nodes, "layers")["layers"] == {
        "left": 0,
        "top": 0,
        "right": 16,
        "bottom": 8,
    }
