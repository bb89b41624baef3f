"""DetailRegions: prompts and control images of single regions, cancelling in the middle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from nodegraph import Session, Workflow
from nodegraph.core.events import Event
from nodegraph.engine.options import CancelToken
from nodegraph.errors import InvalidValue, InvalidWorkflow
from nodegraph.media.images.regions import Region
from nodes._region_prompts import RegionPrompt, assign_prompts
from tests.messages import raises
from tests.nodes.conftest import Bench, Picture, link


def _region(x: int, y: int, side: int, label: str = "") -> Region:
    return Region(x, y, side, side, 64, 64, torch.ones(1, side, side), label)


REGIONS = [_region(20, 0, 8, "hand"), _region(0, 5, 4, "face"), _region(40, 9, 6, "face")]


def _texts(text: str, seed: int = 0) -> list[tuple[int, str]]:
    return [(one.index, one.text) for one in assign_prompts(text, REGIONS, seed)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(0, ""), (1, ""), (2, "")]),
        ("a fox", [(0, "a fox"), (1, "a fox"), (2, "a fox")]),
        ("a [SEP] b", [(0, "a"), (1, "b"), (2, "a")]),
        ("a [SEP] b [SEP]", [(0, "a"), (1, "b"), (2, "a")]),
        ("a [SEP] [SEP] c", [(0, "a"), (1, ""), (2, "c")]),
        ("[ASC] a [SEP] b [SEP] c", [(1, "a"), (0, "b"), (2, "c")]),
        ("[DSC] a [SEP] b [SEP] c", [(2, "a"), (0, "b"), (1, "c")]),
        ("[ASC-SIZE]\na [SEP]\nb [SEP]\nc", [(1, "a"), (2, "b"), (0, "c")]),
        ("[DSC-SIZE] a", [(0, "a"), (2, "a"), (1, "a")]),
        (
            "[LAB] [ALL] red, [face] smiling",
            [(0, "red,"), (1, "red, smiling"), (2, "red, smiling")],
        ),
        ("[LAB] [face] smiling", [(0, ""), (1, "smiling"), (2, "smiling")]),
    ],
)
def test_regions_have_their_prompts(text: str, expected: list[tuple[int, str]]) -> None:
    assert _texts(text) == expected


def test_a_random_order_is_that_of_the_seed() -> None:
    orders = {tuple(index for index, _ in _texts("[RND] a", seed)) for seed in range(20)}
    assert len(orders) > 2
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    assert _texts("[RND] a", 5) == _texts("[RND] a", 5)


def test_regions_are_left_out_and_prompts_are_added() -> None:
    skipped = assign_prompts("a [SEP] [SKIP] [SEP] [CONCAT] c", REGIONS, 0)
    assert skipped == [
        RegionPrompt(0, "a"),
        RegionPrompt(1, is_painted=False),
        RegionPrompt(2, "c", is_joined=True),
    ]
    stopped = assign_prompts("[CONCAT] a [SEP] [STOP]", REGIONS, 0)
    assert stopped == [
        RegionPrompt(0, "a", is_joined=True),
        RegionPrompt(1, is_painted=False),
        RegionPrompt(2, is_painted=False),
    ]


@pytest.mark.parametrize("text", ["a <lora:style:1>", "a [SEP:5] b"])
def test_loras_and_seeds_of_prompts_are_refused(text: str) -> None:
    with raises(InvalidValue, port="prompts"):
        assign_prompts(text, REGIONS, 0)


PICTURE = {"width": 128, "height": 64}


def graph(boxes: str = "8 8 40 40\n80 10 30 40", **detail: Any) -> dict[str, Any]:
    """Boxes of an image, painted in two steps."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "picture": ("Picture", PICTURE),
        "load": ("LoadModel", {"model": "tiny"}),
        "words": ("EncodePrompt", {"encoder": link("load.text_encoder"), "text": "a red apple"}),
        "boxes": ("MaskFromBoxes", {**PICTURE, "boxes": boxes, "unit": "pixels"}),
        "regions": ("RegionsFromMask", {"mask": link("boxes"), "crop": 1.0, "smallest": 2}),
        "net": ("LoadControlNet", {}),
        "led": (
            "ApplyControlNet",
            {"positive": link("words"), "control_net": link("net"), "image": link("picture")},
        ),
        "detail": (
            "DetailRegions",
            {
                "model": link("load.model"),
                "vae": link("load.vae"),
                "encoder": link("load.text_encoder"),
                "image": link("picture"),
                "regions": link("regions"),
                "positive": link("words"),
                "size": 64,
                "largest": 64,
                "steps": 2,
                "sampler": "euler",
                "feather": 0,
                **detail,
            },
        ),
    }
    return {name: {"type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


def _painted(bench: Bench, nodes: dict[str, Any]) -> torch.Tensor:
    image: torch.Tensor = bench.value(nodes, "detail.image")
    return image


def test_each_region_is_painted_by_its_prompt(bench: Bench) -> None:
    found = _painted(bench, graph(prompts="a [SEP] a blue fish", feather=0))
    left = _painted(bench, graph("8 8 40 40", prompts="a"))
    right = graph("80 10 30 40", seed=1)
    right["words"]["inputs"]["text"] = "a blue fish"
    assert torch.equal(found[:, :, :64], left[:, :, :64])
    assert torch.equal(found[:, :, 64:], _painted(bench, right)[:, :, 64:])


def test_skipped_regions_stay_and_shared_prompts_count(bench: Bench) -> None:
    before = bench.value(graph(), "picture.image")
    found = _painted(bench, graph(prompts="[DSC] [SKIP] [SEP] [CONCAT] a fish"))
    assert torch.equal(found[:, :, 64:], before[:, :, 64:])
    assert not torch.equal(found[:, :, :64], before[:, :, :64])
    alone = _painted(bench, graph(prompts="[DSC] [SKIP] [SEP] a fish"))
    assert not torch.equal(found, alone)


def test_choices_are_drawn(bench: Bench) -> None:
    drawn = _painted(bench, graph("8 8 40 40", prompts="{a fish}"))
    assert torch.equal(drawn, _painted(bench, graph("8 8 40 40", prompts="a fish")))


def test_prompts_of_regions_need_an_encoder_and_are_checked(bench: Bench) -> None:
    nodes = graph(prompts="a")
    del nodes["detail"]["inputs"]["encoder"]
    assert bench.failure(nodes, "detail").problem.port == "encoder"
    with raises(InvalidWorkflow, node="detail", port="prompts"):
        bench.run(graph(prompts="a <lora:b:1>"), "detail")


def test_control_images_are_cropped_to_the_region(bench: Bench) -> None:
    found = _painted(bench, graph("0 0 64 64", positive=link("led.positive")))
    nodes = graph("0 0 64 64", positive=link("led.positive"))
    nodes["left"] = {
        "type": "CropImage",
        "inputs": {"image": link("picture"), "width": 64, "height": 64, "anchor": "top left"},
    }
    nodes["alone"] = {
        "type": "KSampler",
        "inputs": {
            "model": link("load.model"),
            "positive": link("led.positive"),
            "latent": link("latent"),
            "steps": 2,
            "sampler": "euler",
            "cfg": 7.0,
            "denoise": 0.5,
        },
    }
    nodes["latent"] = {
        "type": "VAEEncode",
        "inputs": {"vae": link("load.vae"), "image": link("left")},
    }
    nodes["led"]["inputs"]["image"] = link("left")
    nodes["decoded"] = {
        "type": "VAEDecode",
        "inputs": {"vae": link("load.vae"), "latent": link("alone")},
    }
    expected = bench.value(nodes, "decoded.image")
    torch.testing.assert_close(found[:, :, :64], expected, atol=1e-5, rtol=1e-5)
    whole = _painted(bench, graph("0 0 64 64"))
    assert not torch.allclose(found, whole, atol=1e-3)


def test_an_area_is_that_of_the_whole_image(bench: Bench) -> None:
    nodes = graph("0 0 64 64", positive=link("both"))
    half = {"x": 0.5, "y": 0.0, "width": 0.5, "height": 1.0}
    nodes["other"] = {
        "type": "EncodePrompt",
        "inputs": {"encoder": link("load.text_encoder"), "text": "a fish"},
    }
    nodes["area"] = {
        "type": "AreaConditioning",
        "inputs": {"conditioning": link("other"), **half},
    }
    nodes["both"] = {
        "type": "CombineConditioning",
        "inputs": {"first": link("words"), "second": link("area")},
    }
    assert torch.equal(_painted(bench, nodes), _painted(bench, graph("0 0 64 64")))


@pytest.mark.parametrize("painted", [1, 2])
def test_cancelled_in_the_middle_and_run_again_it_gives_the_same_bits(
    bench: Bench, painted: int
) -> None:
    nodes = graph("8 8 20 20\n40 10 20 20\n80 10 30 40", steps=3)
    expected = _painted(bench, nodes)
    token, samplings = CancelToken(), set[str]()

    def stop(event: Event) -> None:
        if event.kind == "node.progress" and event.node and "sample" in event.node:
            samplings.add(event.node)
            if len(samplings) > painted:
                token.cancel()

    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    settings = replace(bench.session.settings, home=bench.folder / "again", checkpoint_seconds=0.0)
    ran: list[str] = []

    def note(event: Event) -> None:
        if event.kind == "node.started" and event.node:
            ran.append(event.node)

    with Session(settings, nodes=[Picture]) as session:
        first = session.run(workflow, targets=["detail"], cancel=token, listener=stop)
        second = session.run(workflow, targets=["detail"], listener=note)
    assert (first.status, second.status) == ("cancelled", "ok")
    assert torch.equal(second["detail.image"], expected)
    # what was painted is not painted again
    assert len([node for node in ran if "sample_" in node]) == 3 - painted
    assert not list((bench.folder / "outputs").rglob("*"))
