"""Poses are those of a plain call of transformers, drawn as control networks know them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image as Pillow

from nodegraph.perception.vision.detection import COCO, Joint, draw_skeletons
from tests.nodes.conftest import Bench, link

pytest.importorskip("scipy")
WIDTH, HEIGHT = 60, 44


def posed(batch: int = 1, **inputs: Any) -> dict[str, Any]:
    picture = {"width": WIDTH, "height": HEIGHT, "batch": batch}
    given = {"model": link("load"), "image": link("picture"), "threshold": 0.0, **inputs}
    return {
        "picture": {"type": "Picture", "inputs": picture},
        "load": {"type": "LoadVisionModel", "inputs": {"model": "vitpose"}},
        "pose": {"type": "EstimatePose", "inputs": given},
    }


@torch.inference_mode()
def test_it_draws_what_a_plain_call_finds(bench: Bench, models: Callable[[str], Any]) -> None:
    model = models("vitpose")
    boxes = [[6.0, 4.4, 30.0, 35.2], [24.0, 8.8, 30.0, 26.4]]
    nodes = posed(2, boxes="0.1 0.1 0.5 0.8; 0.4 0.2 0.5 0.6")
    found = bench.value(nodes, "pose.image")
    processor = tf.VitPoseImageProcessorPil(size={"height": 64, "width": 48})
    for at, levels in enumerate((bench.value(nodes, "picture.image") * 255).round().byte()):
        given = processor(Pillow.fromarray(levels.numpy()), boxes=[boxes], return_tensors="pt")
        [people] = processor.post_process_pose_estimation(model(**given), boxes=[boxes])
        joints = [[(float(x), float(y)) for x, y in item["keypoints"]] for item in people]
        assert torch.equal(found[at], draw_skeletons(joints, WIDTH, HEIGHT)[0])
        assert found[at].any()


def test_the_whole_picture_is_one_person_s(bench: Bench, models: Callable[[str], Any]) -> None:
    models("vitpose")
    whole = bench.value(posed(), "pose.image")
    assert torch.equal(whole, bench.value(posed(boxes="0 0 1 1"), "pose.image"))
    sure = bench.value(posed(threshold=1.0), "pose.image")
    assert sure.any(-1).sum() < whole.any(-1).sum()
    [problem] = bench.problems(posed(boxes="0 0 1"), "pose")
    assert problem.code


def person(**joints: Joint) -> list[Joint]:
    found: list[Joint] = [None] * COCO
    for at, place in joints.items():
        found[int(at[1:])] = place
    return found


def color_at(picture: torch.Tensor, x: int, y: int) -> list[int]:
    pixel: list[int] = (picture[0, y, x] * 255).round().int().tolist()
    return pixel


def test_joints_and_limbs_have_their_colors() -> None:
    # Nose, both shoulders, right elbow.
    joints = person(_0=(256, 60), _5=(356, 160), _6=(156, 160), _8=(156, 300))
    picture = draw_skeletons([joints], 512, 512)
    assert picture.shape == (1, 512, 512, 3)
    assert color_at(picture, 256, 60) == [255, 0, 0]
    assert color_at(picture, 256, 160) == [255, 85, 0]  # the neck
    assert color_at(picture, 156, 300) == [255, 255, 0]
    assert color_at(picture, 156, 230) == [153, 102, 0]  # from shoulder to elbow
    assert color_at(picture, 256, 110) == [0, 0, 153]  # from neck to nose
    assert not picture[0, :50].any()


def test_what_can_not_be_seen_is_not_drawn() -> None:
    assert not draw_skeletons([person()], 40, 30).any()
    alone = draw_skeletons([person(_0=(20, 15))], 40, 30)
    assert 0 < int(np.count_nonzero(alone.numpy().any(-1))) <= 9
    far = draw_skeletons([person(_0=(-100, 15), _1=(1e4, 2))], 40, 30)
    assert far.shape == (1, 30, 40, 3)
