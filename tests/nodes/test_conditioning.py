"""Prompts put together by nodes: what doesn't fit is found before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Conditioning, TextEncoder, node
from tests.nodes.conftest import Bench, link


def prompts(model: Path, **nodes: Any) -> dict[str, Any]:
    encoder = {"encoder": link("load.text_encoder")}
    return {
        "load": {"type": "LoadModel", "inputs": {"model": str(model)}},
        "one": {"type": "EncodePrompt", "inputs": {**encoder, "text": "a red apple"}},
        "two": {"type": "EncodePrompt", "inputs": {**encoder, "text": "a fox"}},
        **nodes,
    }


def of(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"type": kind, "inputs": inputs}


BOTH = {"first": link("one"), "second": link("two")}


def test_prompts_are_combined_with_what_was_said_of_each(bench: Bench, sd1_folder: Path) -> None:
    graph = prompts(
        sd1_folder,
        area=of("AreaConditioning", conditioning=link("one"), x=0.5),
        span=of("SpanConditioning", conditioning=link("two"), end=0.5),
        strong=of("StrengthConditioning", conditioning=link("span"), strength=2.0),
        both=of("CombineConditioning", first=link("area"), second=link("strong")),
    )
    found = bench.value(graph, "both.conditioning")

    one, two = found.entries
    assert [(item.x, item.width, item.unit) for item in one.areas] == [(0.5, 0.5, "shares")]
    assert (two.end, two.strength, two.areas) == (0.5, 2.0, ())
    assert found.family == "sd1"
    assert found.unconditional is not None


def test_prompts_are_joined_and_blended(bench: Bench, sd1_folder: Path) -> None:
    graph = prompts(
        sd1_folder,
        joined=of("ConcatenateConditioning", **BOTH),
        blended=of("AverageConditioning", **BOTH, share=0.25),
        zero=of("ZeroOutConditioning", conditioning=link("one")),
    )
    one, two, joined, blended, zero = (
        bench.value(graph, f"{name}.conditioning").entries[0].embeddings
        for name in ("one", "two", "joined", "blended", "zero")
    )
    assert torch.equal(joined, torch.cat([one, two], 1))
    torch.testing.assert_close(blended, 0.75 * one + 0.25 * two)
    assert not zero.any()


def test_pictures_are_sampled_by_areas_and_steps(bench: Bench, sd1_folder: Path) -> None:
    """With another prompt on the right half, a step of the left half alone is as without."""
    sampled = {"model": link("load.model"), "latent": link("size"), "cfg": 1.0}
    few = {"steps": 1, "sampler": "euler", "schedule": "normal"}
    graph = prompts(
        sd1_folder,
        left=of("AreaConditioning", conditioning=link("one")),
        right=of("AreaConditioning", conditioning=link("two"), x=0.5),
        both=of("CombineConditioning", first=link("left"), second=link("right")),
        size=of("EmptyLatent", width=64, height=64),
        halves=of("KSampler", positive=link("both"), **sampled, **few),
        whole=of("KSampler", positive=link("one"), **sampled, **few),
    )
    halves, whole = (bench.value(graph, f"{name}.latent").samples for name in ("halves", "whole"))
    torch.testing.assert_close(halves[..., :4], whole[..., :4])
    assert not torch.allclose(halves[..., 4:], whole[..., 4:])


@pytest.mark.parametrize(
    ("kind", "inputs", "port", "message"),
    [
        ("SpanConditioning", {"start": 0.5, "end": 0.5}, "start", "start is not before its end"),
        ("AreaConditioning", {"width": 300.0}, "width", "the share of the image is larger than 1"),
        ("AreaConditioning", {"height": 0.0}, "height", "area is empty"),
    ],
)
def test_parts_that_are_none_are_found_before_running(
    bench: Bench, sd1_folder: Path, kind: str, inputs: dict[str, Any], port: str, message: str
) -> None:
    graph = prompts(sd1_folder, part=of(kind, conditioning=link("one"), **inputs))
    [problem] = bench.problems(graph, "part")
    assert problem.port == port
    assert message in str(problem)


@node(facts={"conditioning": {"family": "family"}})
def PromptOf(family: str) -> Conditioning:
    return Conditioning((), family)


@node(facts={"text_encoder": {"family": "family"}})
def EncoderOf(family: str) -> TextEncoder:
    raise NotImplementedError


@pytest.fixture
def knowing(tmp_path: Path) -> Any:
    made = Bench(tmp_path, nodes=[PromptOf, EncoderOf])
    yield made
    made.session.close()


@pytest.mark.parametrize(
    "kind", ["CombineConditioning", "ConcatenateConditioning", "AverageConditioning"]
)
def test_a_mix_of_families_is_found_before_running(knowing: Bench, kind: str) -> None:
    graph = {"one": of("PromptOf", family="sd1"), "two": of("PromptOf", family="sdxl")}
    [problem] = knowing.problems({**graph, "both": of(kind, **BOTH)}, "both")
    assert problem.code == "family-conflict"


def test_what_takes_no_longer_prompts_is_found_before_running(knowing: Bench) -> None:
    graph = {name: of("PromptOf", family="qwen-image") for name in ("one", "two")}
    both = of("ConcatenateConditioning", **BOTH)
    [problem] = knowing.problems({**graph, "both": both}, "both")
    assert "does not accept concatenated prompts" in str(problem)
