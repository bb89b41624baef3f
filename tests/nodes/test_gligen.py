"""LoadGLIGEN and TextBoxConditioning in a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.core.context import Environment
from nodegraph.core.hooks import HookInputs
from nodegraph.diffusion import load_component, open_model
from nodes._gligen_facts import boxed_estimate, gligen_weights
from tests.diffusion.families.gligen_files import write_gligen
from tests.nodes.conftest import Bench, link

Nodes = dict[str, Any]
FILE = "gligen_tiny.safetensors"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GLIGEN for the model that ships with nodegraph."""
    network = load_component(open_model("tiny", []).model, "cpu").module
    return write_gligen(network, tmp_path_factory.mktemp("gligen") / FILE)


@pytest.fixture
def folder(bench: Bench, written: Path) -> Path:
    """The models folder, with a GLIGEN in the folder that ComfyUI has for them."""
    folder = bench.folder / "models" / "gligen"
    folder.mkdir(parents=True)
    (folder / FILE).symlink_to(written)
    return folder


def node(kind: str, **inputs: Any) -> Nodes:
    return {"type": kind, "inputs": inputs}


def box(before: str, text: str, **inputs: Any) -> Nodes:
    usual = {"encoder": link("load.text_encoder"), "gligen": link("layers"), "text": text}
    return node("TextBoxConditioning", conditioning=link(before), **{**usual, **inputs})


def graph(**sample: Any) -> Nodes:
    usual = {"model": link("load.model"), "positive": link("ball"), "negative": link("no")}
    usual |= {"latent": link("size"), "steps": 2, "cfg": 4.0}
    return {
        "load": node("LoadModel", model="tiny"),
        "layers": node("LoadGLIGEN", gligen=FILE),
        "yes": node("EncodePrompt", encoder=link("load.text_encoder"), text="a red apple"),
        "no": node("EncodePrompt", encoder=link("load.text_encoder"), text="blurry"),
        "apple": box("yes", "a red apple", x=0, y=0, width=32, height=64),
        "ball": box("apple", "a blue ball", x=32, y=16, width=32, height=32),
        "size": node("EmptyLatent", width=64, height=64),
        "sample": node("KSampler", **{**usual, **sample}),
    }


def latent(bench: Bench, nodes: Nodes) -> Tensor:
    samples: Tensor = bench.value(nodes, "sample.latent").samples
    return samples


@pytest.mark.usefixtures("folder")
def test_a_box_changes_the_image_until_its_part_ends(bench: Bench) -> None:
    nodes = graph()
    boxed = latent(bench, nodes)
    plain = latent(bench, graph(positive=link("yes")))
    assert not torch.allclose(boxed, plain, atol=1e-3)
    nodes["ball"]["inputs"]["x"] = 0
    assert not torch.equal(latent(bench, nodes), boxed)
    nodes["layers"]["inputs"]["end"] = 0.0
    assert torch.equal(latent(bench, nodes), plain)


@pytest.mark.usefixtures("folder")
def test_shares_are_pixels_of_the_image(bench: Bench) -> None:
    nodes = graph()
    boxed = latent(bench, nodes)
    nodes["apple"]["inputs"] |= {"width": 0.5, "height": 1.0, "unit": "shares"}
    assert torch.equal(latent(bench, nodes), boxed)


@pytest.mark.usefixtures("folder")
def test_boxes_go_with_loras_control_images_and_stored_weights(bench: Bench) -> None:
    nodes = graph()
    nodes["load"]["inputs"]["storage"] = "float8"
    nodes["lora"] = node("LoraConditioning", conditioning=link("ball"), lora="tiny/style_lora")
    nodes["net"] = node("LoadControlNet")
    nodes["picture"] = node("Picture", width=64, height=64)
    nodes["lead"] = node(
        "ApplyControlNet",
        positive=link("lora"),
        negative=link("no"),
        control_net=link("net"),
        image=link("picture"),
    )
    sides = {"positive": link("lead.positive"), "negative": link("lead.negative")}
    nodes["sample"]["inputs"] |= sides
    together = latent(bench, nodes)
    nodes["lora"]["inputs"]["conditioning"] = link("yes")
    assert not torch.allclose(latent(bench, nodes), together, atol=1e-3)


@pytest.mark.usefixtures("folder")
def test_a_batch_is_its_images_one_by_one(bench: Bench) -> None:
    nodes = graph()
    nodes["size"]["inputs"]["batch_size"] = 3
    batch = latent(bench, nodes)
    assert len(batch) == 3
    nodes["size"]["inputs"]["batch_size"] = 1
    torch.testing.assert_close(batch[:1], latent(bench, nodes), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("kind", ["DualCFGGuider", "ProjectedGuider", "PerturbedAttentionGuidance"])
def test_guiders_evaluate_prompts_with_boxes(bench: Bench, kind: str) -> None:
    nodes = graph()
    own = {"second": link("no")} if kind == "DualCFGGuider" else {}
    base = "CFGGuider" if kind == "PerturbedAttentionGuidance" else kind
    nodes["base"] = node(base, positive=link("ball"), negative=link("no"), **own)
    nodes["guide"] = node(kind, guider=link("base")) if base != kind else nodes["base"]
    nodes["levels"] = node("BasicSchedule", steps=2)
    nodes["noise"], nodes["method"] = node("RandomNoise", seed=1), node("SelectSampler")
    nodes["sample"] = node(
        "SampleCustom",
        model=link("load.model"),
        noise=link("noise"),
        guider=link("guide"),
        sampler=link("method"),
        schedule=link("levels"),
        latent=link("size"),
    )
    boxed = latent(bench, nodes)
    nodes["base"]["inputs"]["positive"] = link("yes")
    assert not torch.allclose(latent(bench, nodes), boxed, atol=1e-3)


@pytest.mark.usefixtures("folder")
def test_a_box_outside_the_image_fails_the_sampling(bench: Bench) -> None:
    nodes = graph()
    nodes["ball"]["inputs"]["y"] = 64
    error = bench.failure(nodes, "sample")
    assert error.problem.port == "positive"
    assert "outside the image" in str(error)


def test_what_is_no_gligen_is_told_beforehand(bench: Bench, folder: Path) -> None:
    nodes = graph()
    save_file({"a": torch.ones(1)}, folder / "other.safetensors")
    nodes["layers"]["inputs"]["gligen"] = "other.safetensors"
    nodes["apple"]["inputs"] |= {"width": 0, "unit": "shares"}
    found = {(item.node, item.port) for item in bench.problems(nodes)}
    assert {("layers", "gligen"), ("apple", "width"), ("apple", "height")} <= found


def test_layers_are_for_models_of_their_family(bench: Bench, folder: Path) -> None:
    nodes = graph()
    wide = {
        "position_net.null_positive_feature": torch.zeros(1024),
        "middle_block.1.transformer_blocks.0.fuser.linear.weight": torch.zeros(8, 1024),
    }
    save_file(wide, folder / "sd2.safetensors")
    nodes["layers"]["inputs"]["gligen"] = "sd2.safetensors"
    problems = [item for item in bench.problems(nodes) if item.code == "wrong-family"]
    assert {(item.node, item.port) for item in problems} == {
        ("apple", "gligen"),
        ("ball", "gligen"),
    }


def test_the_layers_count_as_weights_of_the_prompt(written: Path) -> None:
    place = Environment((), written.parent, written.parent, written.parent)
    loaded = gligen_weights(HookInputs({"gligen": str(written)}, {}, place))
    numbers = sum(item.numel() for item in load_file(written).values())
    assert loaded.weights == {"gligen": 4 * numbers}
    assert "gligen" in boxed_estimate(HookInputs({}, {}, place)).carries["conditioning"]
