"""Boxes are those of a plain call of transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as tf
from PIL import Image as Pillow

from nodegraph.media.images.masks import boxes_mask
from nodegraph.perception.vision.detection import boxes_text
from tests.nodes.conftest import Bench, link

Models = Callable[[str], Any]
WIDTH, HEIGHT, SIDE = 60, 44, 64
PROCESSORS = {
    "yolos": "YolosImageProcessorPil",
    "rtdetr": "RTDetrImageProcessorPil",
    "detr": "DetrImageProcessorPil",
}


def detected(model: str, batch: int = 1, **inputs: Any) -> dict[str, Any]:
    picture = {"width": WIDTH, "height": HEIGHT, "batch": batch}
    given = {"model": link("load"), "image": link("picture"), "threshold": 0.0, **inputs}
    return {
        "picture": {"type": "Picture", "inputs": picture},
        "load": {"type": "LoadVisionModel", "inputs": {"model": model}},
        "find": {"type": "DetectThings", "inputs": given},
    }


@torch.inference_mode()
@pytest.mark.parametrize("name", list(PROCESSORS))
def test_boxes_are_those_of_a_plain_call(bench: Bench, models: Models, name: str) -> None:
    model = models(name)
    nodes = detected(name, 2)
    found = bench.run(nodes, "find")
    assert not found.errors
    processor = getattr(tf, PROCESSORS[name])(size={"height": SIDE, "width": SIDE})
    levels = (bench.value(nodes, "picture.image") * 255).round().byte().numpy()
    for at, picture in enumerate(map(Pillow.fromarray, levels)):
        answer = model(**processor(picture, return_tensors="pt"))
        [things] = processor.post_process_object_detection(
            answer, threshold=0.0, target_sizes=[(HEIGHT, WIDTH)]
        )
        corners = things["boxes"].clamp(min=0).minimum(torch.tensor([WIDTH, HEIGHT] * 2)).tolist()
        boxes = [(x, y, right - x, bottom - y) for x, y, right, bottom in corners]
        mask = boxes_mask((WIDTH, HEIGHT), boxes, each=False)[0]
        torch.testing.assert_close(found["find.mask"][at], mask, atol=0.02, rtol=0)
        if at == 0:
            best = things["boxes"][things["scores"].argmax()]
            sides = torch.tensor([WIDTH, HEIGHT] * 2)
            left, top, right, bottom = (best.clamp(min=0).minimum(sides) / sides).tolist()
            first = json.loads(found["find.boxes"])[0]
            assert first == pytest.approx([left, top, right - left, bottom - top], abs=1e-4)
            assert found["find.number"] == len(json.loads(found["find.boxes"]))


def test_only_what_is_asked_for_is_found(bench: Bench, models: Models) -> None:
    models("yolos")
    every = bench.value(detected("yolos"), "find.number")
    each = [
        bench.value(detected("yolos", labels=label), "find.number")
        for label in ("person", "Dog", "hat")
    ]
    assert sum(each) == every > 1
    assert bench.value(detected("yolos", most=1), "find.number") == 1
    none = bench.run(detected("yolos", threshold=1.0), "find")
    assert (none["find.boxes"], none["find.number"]) == ("[]", 0)
    assert not none["find.mask"].any()


def test_the_boxes_are_for_nodes_that_take_some(bench: Bench, models: Models) -> None:
    models("yolos")
    nodes = detected("yolos")
    taken = {"boxes": link("find.boxes"), "image": link("picture")}
    nodes["mask"] = {"type": "MaskFromBoxes", "inputs": taken}
    found = bench.value(nodes, "mask.mask")
    torch.testing.assert_close(found, bench.value(nodes, "find.mask"), atol=0.02, rtol=0)


def test_unknown_classes_and_other_models_are_told(bench: Bench, models: Models) -> None:
    models("yolos")
    models("segformer")
    [unknown] = bench.problems(detected("yolos", labels="person, sea"), "find")
    assert "sea" in str(unknown)
    [other] = bench.problems(detected("segformer"), "find")
    assert "SegmentClass" in str(other)


def test_boxes_are_written_in_shares() -> None:
    assert boxes_text([(10, 5, 20, 10)], 100, 50) == "[[0.1, 0.1, 0.2, 0.2]]"
