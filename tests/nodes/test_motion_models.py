"""Nodes of images in motion: what is wrong is told before running, and videos come of latents."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Conditioning, Latent, node
from nodegraph.families.item_family import CLASSES, NUMBERS
from nodegraph.families.items.motions import FEATURES, PICTURE, TOKENS
from tests.nodes.conftest import Bench, link


@node
def SampledMotions(count: int, format: str = "motions") -> Latent:
    """Latents as a sampler gives them."""
    samples = torch.randn(count, 1, TOKENS, FEATURES)
    return Latent(samples, FEATURES, TOKENS, count, format=format)


@pytest.fixture
def bench(tmp_path: Path, sd1_folder: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, [SampledMotions], models=(sd1_folder.parent,))
    yield made
    made.session.close()


def asking(model: str = "tiny", picture: dict[str, Any] | None = None, **inputs: Any) -> Any:
    return {
        "load": {"type": "LoadModel", "inputs": {"model": model}},
        "picture": {"type": "EmptyImage", "inputs": {"width": 96, "height": 64, **(picture or {})}},
        "ask": {
            "type": "MotionConditioning",
            "inputs": {"image": link("picture"), "vae": link("load.vae"), **inputs},
        },
    }


def decoding(*counts: int, **latent: Any) -> dict[str, Any]:
    """Several batches of latents, decoded together."""
    nodes: dict[str, Any] = {
        f"latent_{place}": {"type": "SampledMotions", "inputs": {"count": count, **latent}}
        for place, count in enumerate(counts, 1)
    }
    items = {f"item_{place}": link(f"latent_{place}") for place in range(1, len(counts) + 1)}
    nodes["all"] = {"type": "List", "inputs": items}
    nodes["load"] = {"type": "LoadModel", "inputs": {"model": "tiny"}}
    inputs = {"latent": link("all"), "vae": link("load.vae")}
    return nodes | {"decode": {"type": "DecodeMotion", "inputs": inputs}}


def test_a_motion_its_amount_and_the_picture_are_asked_for(bench: Bench) -> None:
    asked = bench.value(asking(motion="turn", amount=0.5), "ask.conditioning")
    assert isinstance(asked, Conditioning)
    (entry,), empty = asked.entries, asked.unconditional
    assert empty is not None
    assert (entry.tensors[CLASSES].item(), entry.tensors[NUMBERS].item()) == (5, 0.5)
    assert empty.tensors[CLASSES].item() == -1
    assert empty.tensors[NUMBERS].isnan().all()
    assert torch.equal(entry.tensors[PICTURE], empty.tensors[PICTURE])


@pytest.mark.parametrize(
    ("given", "port", "message"),
    [
        ({"motion": "leftwards"}, "motion", "left"),
        ({"amount": 0.2}, "amount", "0.4"),
        ({"model": "sd1-random"}, "vae", "8 channels"),
        ({"picture": {"batch": 3}}, "image", "ImageList"),
    ],
)
def test_what_is_wrong_is_told_before_running(
    bench: Bench, given: dict[str, Any], port: str, message: str
) -> None:
    (problem,) = bench.problems(asking(**given), "ask")
    assert problem.port == port
    assert message in str(problem)


def test_an_amount_that_is_linked_is_refused_too(bench: Bench) -> None:
    half = {"type": "Calculate", "inputs": {"a": 0.1, "operation": "+", "b": 0.1}}
    error = bench.failure({"half": half, **asking(amount=link("half"))}, "ask")
    assert "0.4" in str(error)


@pytest.mark.slow
def test_all_batches_become_one_list_of_videos(bench: Bench) -> None:
    videos = bench.value(decoding(1, 2), "decode.videos")
    assert [each.frames.shape for each in videos] == [(16, 64, 64, 3)] * 3
    assert {each.rate for each in videos} == {Fraction(8)}
    assert bench.facts(decoding(1), "decode")["videos"]["frames"] == 16


def test_latents_of_pictures_are_refused(bench: Bench) -> None:
    error = bench.failure(decoding(1, format="sd"), "decode")
    assert "does not belong to Images in motion" in str(error)
