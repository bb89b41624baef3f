"""LoadIPAdapter and ApplyIPAdapter in a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.nodes.conftest import Bench, link, write_adapter


@pytest.fixture
def adapter(bench: Bench, sd1_folder: Path) -> Path:
    """An adapter for the tiny model, with its eyes beside it."""
    return write_adapter(bench.folder / "models", sd1_folder)


def graph(model: Path, **apply: Any) -> dict[str, Any]:
    return {
        "load": {"type": "LoadModel", "inputs": {"model": str(model)}},
        "ip": {"type": "LoadIPAdapter", "inputs": {"ip_adapter": "ip.safetensors"}},
        "words": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a red apple"},
        },
        "picture": {"type": "Picture", "inputs": {"width": 16, "height": 24}},
        "lead": {
            "type": "ApplyIPAdapter",
            "inputs": {
                "model": link("load.model"),
                "positive": link("words"),
                "negative": link("words"),
                "ip_adapter": link("ip"),
                "image": link("picture"),
                **apply,
            },
        },
        "size": {"type": "EmptyLatent", "inputs": {"width": 32, "height": 32}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link("lead.model"),
                "positive": link("lead.positive"),
                "negative": link("lead.negative"),
                "latent": link("size"),
                "steps": 2,
            },
        },
    }


@pytest.mark.usefixtures("adapter")
def test_what_a_picture_shows_leads(bench: Bench, sd1_folder: Path) -> None:
    nodes = graph(sd1_folder)
    led = bench.value(nodes, "sample.latent").samples
    nodes["picture"]["inputs"]["seed"] = 1
    other = bench.value(nodes, "sample.latent").samples
    nodes["lead"]["inputs"]["weight"] = 0.0
    unled = bench.value(nodes, "sample.latent").samples
    assert not torch.equal(led, other)
    for port in ("positive", "negative"):
        nodes["sample"]["inputs"][port] = link("words")
    nodes["sample"]["inputs"]["model"] = link("load.model")
    torch.testing.assert_close(bench.value(nodes, "sample.latent").samples, unled)


@pytest.mark.usefixtures("adapter")
def test_a_negative_prompt_that_is_left_out_is_the_empty_one(
    bench: Bench, sd1_folder: Path
) -> None:
    nodes = graph(sd1_folder)
    del nodes["lead"]["inputs"]["negative"]
    handed_on = bench.value(nodes, "sample.latent").samples
    del nodes["sample"]["inputs"]["negative"]
    assert torch.equal(bench.value(nodes, "sample.latent").samples, handed_on)


@pytest.mark.usefixtures("adapter")
def test_prompts_that_go_past_it_are_told(bench: Bench, sd1_folder: Path) -> None:
    nodes = graph(sd1_folder)
    nodes["sample"]["inputs"]["negative"] = link("words")
    assert "connect the prompt to applyipadapter" in str(bench.failure(nodes, "sample")).lower()


def test_what_is_no_adapter_is_told_beforehand(
    bench: Bench, adapter: Path, sd1_folder: Path
) -> None:
    nodes = graph(sd1_folder)
    save_file({"a": torch.ones(1)}, adapter.with_name("other.safetensors"))
    nodes["ip"]["inputs"]["ip_adapter"] = "other"
    (problem,) = [item for item in bench.problems(nodes) if item.node == "ip"]
    assert "holds no IP-Adapter" in problem.message
    nodes["ip"]["inputs"] |= {"ip_adapter": "ip", "image_encoder": "other"}
    (problem,) = [item for item in bench.problems(nodes) if item.node == "ip"]
    assert problem.port == "image_encoder"


def test_redux_goes_with_prompts_of_flux(bench: Bench, adapter: Path, sd1_folder: Path) -> None:
    nodes = graph(sd1_folder)
    nodes["redux"] = {"type": "LoadRedux", "inputs": {"redux": adapter.name}}
    nodes["says"] = {
        "type": "ApplyRedux",
        "inputs": {
            "conditioning": link("words"),
            "redux": link("redux"),
            "image": link("picture"),
        },
    }
    found = {item.node: item for item in bench.problems(nodes, "says")}
    assert "holds no Flux.1 Redux" in found["redux"].message
    assert found["says"].code == "wrong-family"
