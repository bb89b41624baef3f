"""Nodes of masks in a graph: files in and out, sizes known beforehand, faults told beforehand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from tests.nodes.conftest import Bench, link

PICTURE = {"type": "Picture", "inputs": {"width": 24, "height": 16, "batch": 3}}
ELLIPSE = {"type": "ShapeMask", "inputs": {"image": link("picture"), "shape": "ellipse"}}
SAMPLED = {"picture": PICTURE, "mask": ELLIPSE}


def behind(kind: str, **inputs: Any) -> dict[str, Any]:
    """An image, an ellipse in it, and one node behind both."""
    return {**SAMPLED, "next": {"type": kind, "inputs": inputs}}


def test_a_part_is_cut_out_changed_and_put_back(bench: Bench) -> None:
    nodes = {
        **behind("CropToMask", image=link("picture"), mask=link("mask"), width=32, height=32),
        "redone": {"type": "ResizeImage",
                   "inputs": {"image": link("next.image"), "width": 8, "height": 8}},
        "stitch": {"type": "StitchCrop", "inputs": {
            "image": link("picture"), "part": link("redone"), "region": link("next.region")}},
    }  # fmt: skip
    result = bench.run(nodes, "stitch", "next", "mask", "picture")
    assert not result.errors
    assert result["next.image"].shape == (3, 32, 32, 3)
    outside = result["mask.mask"][0] == 0
    assert torch.equal(result["stitch.image"][:, outside], result["picture.image"][:, outside])
    assert not torch.equal(result["stitch.image"], result["picture.image"])
    assert bench.run(nodes, "stitch").nodes["stitch"].status == "cached"


def test_a_mask_that_is_saved_is_loaded_as_it_was(bench: Bench) -> None:
    result = bench.run({**SAMPLED, "save": {"type": "SaveMask", "inputs": {"mask": link("mask")}}})
    (written,) = result.files
    with Image.open(written.path) as opened:
        assert opened.mode == "L"
    load = {"load": {"type": "LoadMask", "inputs": {"path": str(written.path)}}}
    found = bench.value(load, "load.mask")
    assert (found - bench.value(SAMPLED, "mask.mask")).abs().max() < 0.003
    [problem] = bench.problems(
        {"load": {"type": "LoadMask", "inputs": {"path": "none.png"}}}, "load"
    )
    assert problem.port == "path"


BOXES = {"boxes": "0.1 0.1 0.5 0.5; 0 0 1 1; .5 .5 .2 .2", "each": "a mask each"}
CHAIN: dict[str, Any] = {
    "mask": {"type": "MaskFromBoxes", "inputs": {**BOXES, "width": 24, "height": 16}},
    "picture": {"type": "MaskToImage", "inputs": {"mask": link("mask")}},
}
MASK, IMAGE = {"mask": link("mask")}, {"image": link("picture")}
BOTH = {**MASK, **IMAGE}


SIZED: list[tuple[str, dict[str, Any]]] = [
    ("InvertMask", MASK),
    ("GrowMask", {**MASK, "pixels": -2}),
    ("FeatherMask", MASK),
    ("ThresholdMask", MASK),
    ("FillMaskHoles", MASK),
    ("KeepMaskParts", MASK),
    ("CombineMasks", {"first": link("mask"), "second": link("mask")}),
    ("ResizeMask", {**MASK, "width": 8, "height": 16}),
    ("ResizeMask", BOTH),
    ("MaskToImage", MASK),
    ("MaskOverlay", BOTH),
    ("SetAlpha", BOTH),
    ("CompositeMasked", {"base": link("picture"), "overlay": link("picture"), **MASK}),
    ("CropToMask", {**BOTH, "width": 32, "height": 24}),
    ("PadForOutpaint", {**IMAGE, "left": 8, "bottom": 16}),
    ("SolidMask", IMAGE),
    ("ShapeMask", {"width": 40, "height": 8}),
    ("MaskFromBoxes", {**IMAGE, **BOXES}),
    ("GradientMask", IMAGE),
    ("MaskFromColor", IMAGE),
    ("MaskFromChannel", IMAGE),
]


def test_the_size_that_is_known_beforehand_is_the_size_that_comes(bench: Bench) -> None:
    nodes = {f"n{at}": {"type": kind, "inputs": given} for at, (kind, given) in enumerate(SIZED)}
    result = bench.run({**CHAIN, **nodes}, *nodes)
    assert not result.errors
    for name in nodes:
        told = bench.facts({**CHAIN, **nodes}, name)
        assert told, nodes[name]
        for port, facts in told.items():
            shape = result[f"{name}.{port}"].shape
            size = [facts[fact] for fact in ("batch", "height", "width")]
            assert size == list(shape[:3]), nodes[name]
            assert len(shape) == 3 or facts.get("channels", shape[3]) == shape[3]


def test_the_box_of_a_mask_is_told_in_numbers(bench: Bench) -> None:
    boxes = {"type": "MaskFromBoxes", "inputs": {
        "boxes": "[[2, 4, 6, 5]]", "unit": "pixels", "width": 24, "height": 16}}  # fmt: skip
    bounds = {"type": "MaskBounds", "inputs": {"mask": link("mask"), "margin": 3}}
    nodes = {"mask": boxes, "next": bounds}
    result = bench.run(nodes, "next")
    assert [result[f"next.{name}"] for name in ("x", "y", "width", "height")] == [0, 1, 11, 11]
    assert result["next.share"] == pytest.approx(30 / 384)
    nodes["mask"] = {"type": "SolidMask", "inputs": {"value": 0.0}}
    assert bench.run(nodes, "next")["next.width"] == 0


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("MaskFromBoxes", {"boxes": "1 2 3"}, "boxes"),
    ("MaskFromBoxes", {"boxes": "0 0 10 10"}, "boxes"),
    ("SolidMask", {"width": 0}, "width"),
    ("MaskFromColor", {**IMAGE, "color": "octarine"}, "color"),
    ("MaskOverlay", {**BOTH, "color": ""}, "color"),
]


def test_faults_are_told_before_anything_runs(bench: Bench) -> None:
    for kind, inputs, port in FAULTS:
        [problem] = bench.problems({**SAMPLED, "next": {"type": kind, "inputs": inputs}}, "next")
        assert problem.port == port


def test_an_empty_mask_is_told_where_something_is_to_be_cut_out(bench: Bench) -> None:
    nodes = behind("CropToMask", image=link("picture"), mask=link("mask"))
    nodes["mask"] = {"type": "SolidMask", "inputs": {"image": link("picture"), "value": 0.0}}
    error = bench.failure(nodes, "next")
    assert "empty" in str(error)
