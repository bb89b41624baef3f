"""Detectors in ONNX files answer constants; their boxes are where the image has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nodegraph.errors import NodegraphError
from nodegraph.perception.vision.vision_model import open_vision_model
from tests.nodes.conftest import Bench, link
from tests.vision.detector_files import ANCHORS, save_detector, yolo5, yolo8

WIDTH, HEIGHT = 128, 64
"""Half of it stands in the middle of a square of 64 pixels: 16 rows of border above."""


def _found(bench: Bench, name: str, **inputs: Any) -> Any:
    picture = {"width": WIDTH, "height": HEIGHT}
    given = {"model": link("load"), "image": link("picture"), "crop": 1.0, "smallest": 0}
    nodes = {
        "picture": {"type": "Picture", "inputs": picture},
        "load": {"type": "LoadVisionModel", "inputs": {"model": name}},
        "find": {"type": "DetectRegions", "inputs": {**given, **inputs}},
    }
    return bench.run(nodes, "find")


def _boxes(result: Any) -> list[tuple[float, ...]]:
    assert not result.errors
    return [tuple(round(part, 3) for part in region.box) for region in result["find.regions"]]


@pytest.fixture(scope="module")
def save(bench: Bench) -> Callable[..., str]:
    def make(name: str, *outputs: Any, **facts: Any) -> str:
        save_detector(bench.folder / "models" / "ultralytics" / "bbox" / name, *outputs, **facts)
        return f"bbox/{name}"

    return make


Save = Callable[..., str]


def test_boxes_are_those_of_the_image(bench: Bench, save: Save) -> None:
    name = save("yolo8.onnx", yolo8((20, 30, 10, 8, 0.9), (50, 40, 6, 4, 0.7), (9, 9, 4, 4, 0.2)))
    result = _found(bench, name)
    assert _boxes(result) == [(30, 20, 20, 16), (94, 44, 12, 8)]
    first = result["find.regions"][0]
    assert (first.label, round(first.confidence, 3)) == ("face", 0.9)
    assert result["find.mask"].sum() == 21 * 17 + 13 * 9


def test_overlapping_boxes_of_a_class_are_suppressed(bench: Bench, save: Save) -> None:
    objects = [(20, 30, 10, 8, 0.9, 0), (21, 30, 10, 8, 0.8, 0), (20, 30, 10, 8, 0, 0.6)]
    name = save("two.onnx", yolo8(*objects, classes=2), names=("face", "hand"))
    regions = _found(bench, name)["find.regions"]
    assert [region.label for region in regions] == ["face", "hand"]
    assert [region.label for region in _found(bench, name, labels="Hand")["find.regions"]] == [
        "hand"
    ]


def test_confidence_of_yolov5_is_that_of_object_and_class(bench: Bench, save: Save) -> None:
    name = save("yolo5.onnx", yolo5((20, 30, 10, 8, 0.8, 0.9), (50, 40, 6, 4, 0.6, 0.6)))
    result = _found(bench, name)
    assert _boxes(result) == [(30, 20, 20, 16)]
    assert round(result["find.regions"][0].confidence, 3) == 0.72


def test_a_file_may_suppress_overlaps_itself(bench: Bench, save: Save) -> None:
    rows = np.zeros((1, 30, 6), np.float32)
    rows[0, :2] = [(15, 26, 25, 34, 0.9, 1), (16, 26, 25, 34, 0.8, 1)]
    name = save("yolo10.onnx", rows, names=("face", "hand"))
    result = _found(bench, name)
    assert _boxes(result) == [(30, 20, 20, 16), (32, 20, 18, 16)]
    assert result["find.regions"][1].label == "hand"


def test_masks_are_those_that_coefficients_weigh(bench: Bench, save: Save) -> None:
    protos = np.full((1, 2, 16, 16), -1.0, np.float32)
    protos[0, 0, :, :5] = 4.0
    rows = yolo8((20, 30, 20, 8, 0.9, 1.0, 0.0), masks=2)
    name = save("segm.onnx", rows, protos, task="segment")
    [region] = _found(bench, name)["find.regions"]
    mask = region.mask[0]
    # The mask ends near column 20 of the square, which is column 40 of the image.
    columns = mask.any(0).nonzero().flatten() + region.x
    assert int(columns.min()) == 20
    assert int(columns.max()) == pytest.approx(40, abs=4)
    assert mask[:, :10].all()


def test_a_file_without_names_has_numbers(bench: Bench, save: Save) -> None:
    name = save("bare.onnx", yolo8((20, 30, 10, 8, 0, 0.9), classes=2), names=None)
    [region] = _found(bench, name)["find.regions"]
    assert region.label == "1"


def test_masks_grow_by_a_square(bench: Bench, save: Save) -> None:
    name = save("grown.onnx", yolo8((20, 30, 10, 8, 0.9)))
    grown = _found(bench, name, grow=4)["find.mask"]
    assert grown.sum() == (21 + 3) * (17 + 3)


def test_boxes_of_other_nodes_are_the_same(bench: Bench, save: Save) -> None:
    name = save("plain.onnx", yolo8((20, 30, 10, 8, 0.9)))
    given = {"model": link("load"), "image": link("picture"), "unit": "pixels"}
    nodes = {
        "picture": {"type": "Picture", "inputs": {"width": WIDTH, "height": HEIGHT}},
        "load": {"type": "LoadVisionModel", "inputs": {"model": name}},
        "find": {"type": "DetectThings", "inputs": given},
    }
    assert bench.value(nodes, "find.boxes") == "[[30.0, 20.0, 20.0, 16.0]]"


def test_outputs_of_no_known_form_are_refused(bench: Bench, save: Save) -> None:
    name = save("odd.onnx", np.zeros((1, 7, 9), np.float32))
    [error] = _found(bench, name).errors
    assert "(1, 7, 9)" in str(error)


def test_what_is_no_number_is_no_object(bench: Bench, save: Save) -> None:
    nan, inf = float("nan"), float("inf")
    rows = yolo8((nan, 9, 4, 4, 0.9), (9, inf, 4, 4, 0.9), (9, 9, 4, 4, nan), (20, 30, 10, 8, inf))
    result = _found(bench, save("odd_numbers.onnx", rows))
    assert _boxes(result) == [(30, 20, 20, 16)]
    assert result["find.regions"][0].confidence == 1.0


def test_unknown_classes_have_numbers(bench: Bench, save: Save) -> None:
    rows = np.zeros((1, 30, 6), np.float32)
    rows[0, :2] = [(15, 26, 25, 34, 0.9, -1), (15, 26, 25, 34, 0.8, 7)]
    regions = _found(bench, save("odd_classes.onnx", rows))["find.regions"]
    assert [region.label for region in regions] == ["-1", "7"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({0: "face", 2: "hand"}, ("face", "1", "hand")),
        ({"a": "face"}, ()),
        ({-1: "face", 10**8: "hand"}, ()),
        (5, ()),
    ],
)
def test_names_stand_at_their_numbers(tmp_path: Path, names: Any, expected: Any) -> None:
    save_detector(tmp_path / "a.onnx", yolo8(), named=str(names))
    assert open_vision_model("a.onnx", [tmp_path]).labels == expected


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"image": (2, 3, 64, 64)}, "cannot run"),
        ({"image": (1, 3, 200_000, 200_000)}, "too large"),
        ({"image": (1, 3, 0, 64)}, "cannot run"),
        ({"image": None}, "takes no input"),
    ],
)
def test_networks_that_take_no_image_are_refused(
    bench: Bench, save: Save, facts: Any, message: str
) -> None:
    [error] = _found(bench, save("input.onnx", yolo8((20, 30, 10, 8, 0.9)), **facts)).errors
    assert message in str(error)


def test_an_answer_without_a_batch_is_refused(bench: Bench, save: Save) -> None:
    [error] = _found(bench, save("none.onnx", yolo8()[:0])).errors
    assert "(0, 5, 84)" in str(error)


@pytest.mark.parametrize("weights", ["../../../secret.bin", "beside.bin"])
def test_weights_in_other_files_are_refused(bench: Bench, save: Save, weights: str) -> None:
    """A result would stay the same when these files change."""
    name = save("outside.onnx", yolo8(), weights=weights)
    folder = bench.folder / "models" / "ultralytics" / "bbox"
    (folder / weights).write_bytes(yolo8((20, 30, 10, 8, 0.9)).tobytes())
    [error] = _found(bench, name).errors
    assert "cannot read" in str(error)


def test_a_detector_of_turned_boxes_is_refused(bench: Bench, save: Save) -> None:
    name = save("turned.onnx", np.zeros((1, 6, ANCHORS), np.float32), task="obb")
    with pytest.raises(NodegraphError, match="obb"):
        open_vision_model(name, [bench.folder / "models"])


@pytest.mark.parametrize("name", ["face.pt", "face.onnx"])
def test_a_checkpoint_says_how_it_is_exported(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "ultralytics" / "bbox"
    folder.mkdir(parents=True)
    (folder / "face.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(NodegraphError) as error:
        open_vision_model(f"bbox/{name}", [tmp_path])
    assert "yolo export model=face.pt format=onnx" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x72\xff\xff\xff\x0f"])
def test_files_that_are_no_networks_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    if not content:  # without anything it is a network without anything
        assert open_vision_model("a.onnx", [tmp_path]).labels == ()
        return
    with pytest.raises(NodegraphError, match="ONNX"):
        open_vision_model("a.onnx", [tmp_path])


def test_batches_are_refused_before_a_run(bench: Bench, save: Save) -> None:
    name = save("batch.onnx", yolo8((20, 30, 10, 8, 0.9)))
    nodes = {
        "picture": {"type": "EmptyImage", "inputs": {"batch": 2}},
        "load": {"type": "LoadVisionModel", "inputs": {"model": name}},
        "find": {
            "type": "DetectRegions",
            "inputs": {"model": link("load"), "image": link("picture")},
        },
    }
    [problem] = bench.problems(nodes, "find")
    assert "a batch of 2" in str(problem)


@torch.inference_mode()
@pytest.mark.parametrize("hint", ["center", "diamond", "mask", "none"])
def test_sam_masks_each_region(bench: Bench, models: Callable[[str], Any], hint: str) -> None:
    models("sam")
    nodes = {
        "picture": {"type": "Picture", "inputs": {"width": 60, "height": 44}},
        "load": {"type": "LoadVisionModel", "inputs": {"model": "sam"}},
        "shape": {
            "type": "MaskFromBoxes",
            "inputs": {"image": link("picture"), "boxes": "0.1 0.1 0.3 0.3\n0.6 0.5 0.3 0.4"},
        },
        "regions": {"type": "RegionsFromMask", "inputs": {"mask": link("shape"), "smallest": 0}},
        "find": {
            "type": "SegmentRegions",
            "inputs": {
                "model": link("load"),
                "image": link("picture"),
                "regions": link("regions"),
                "hint": hint,
            },
        },
    }
    result = bench.run(nodes, "find")
    assert not result.errors
    masks = result["find.masks"]
    assert masks.shape == (2, 44, 60)
    assert torch.equal(result["find.mask"], masks.amax(0, keepdim=True))
