"""LoadControlNet and ApplyControlNet in a graph, with the networks that come along."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from nodegraph import Workflow
from nodegraph.core.values import ControlNet
from nodegraph.diffusion import load_component
from nodegraph.errors import NumericalError
from nodegraph.families.embedded_models import control_folder
from nodegraph.models.model_recipes import open_model
from nodegraph.sampling.controls.control_conditioning import control_of
from tests.messages import raises
from tests.nodes.conftest import Bench, link
from tests.nodes.sampling_graphs import workflow

WEIGHTS = "diffusion_pytorch_model.safetensors"


def graph(batch: int = 1, steps: int = 2, **apply: Any) -> dict[str, Any]:
    """The embedded model, led by an image of dots."""
    return {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "net": {"type": "LoadControlNet", "inputs": {}},
        "words": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a red apple"},
        },
        "picture": {"type": "Picture", "inputs": {"width": 64, "height": 64}},
        "lead": {
            "type": "ApplyControlNet",
            "inputs": {
                "positive": link("words"),
                "control_net": link("net"),
                "image": link("picture"),
                **apply,
            },
        },
        "size": {
            "type": "EmptyLatent",
            "inputs": {"width": 64, "height": 64, "batch_size": batch},
        },
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link("load.model"),
                "positive": link("lead.positive"),
                "latent": link("size"),
                "steps": steps,
                "sampler": "ddim",
                "schedule": "normal",
            },
        },
    }


def samples(bench: Bench, nodes: dict[str, Any]) -> torch.Tensor:
    found: torch.Tensor = bench.value(nodes, "sample.latent").samples
    return found


def test_a_picture_leads(bench: Bench) -> None:
    led = samples(bench, graph())
    unled = graph()
    unled["sample"]["inputs"]["positive"] = link("words")
    assert not torch.equal(led, samples(bench, unled))
    assert torch.equal(samples(bench, graph(strength=0.0)), samples(bench, unled))


@pytest.mark.slow
@pytest.mark.parametrize("dtypes", [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_network_and_its_model_may_compute_in_two_precisions(
    bench: Bench, tmp_path: Path, dtypes: tuple[str, str]
) -> None:
    unet = load_component(open_model("tiny", [])[0], "cpu").module
    diffusers.ControlNetModel.from_unet(unet).save_pretrained(tmp_path / "net")
    nodes = graph()
    nodes["net"]["inputs"]["control_net"] = str(tmp_path / "net")
    exact = samples(bench, nodes)
    nodes["load"]["inputs"]["dtype"], nodes["net"]["inputs"]["dtype"] = dtypes
    torch.testing.assert_close(samples(bench, nodes).float(), exact, rtol=0.1, atol=0.3)


@pytest.mark.parametrize(
    ("part", "is_told"),
    [((0.3, 0.4), True), ((0.1, 0.6), True), ((0.0, 0.5), False), ((0.5, 1.0), False)],
)
def test_a_part_of_the_sampling_without_a_step_is_told(
    bench: Bench, part: tuple[float, float], is_told: bool
) -> None:
    """Of two steps, each is half of it."""
    start, end = part
    samples(bench, graph(start=start, end=end))
    said = [event.data["message"] for event in bench.told("log")]
    warned = [line for line in said if "changes nothing" in line]
    assert bool(warned) == is_told
    assert all(f"{start:g} and its end {end:g}" in line for line in warned)


def test_a_part_of_another_part_of_the_sampling_is_not_told(bench: Bench) -> None:
    """The first half is sampled alone, and the image leads the second."""
    nodes = graph(start=0.5, steps=4)
    given = {name: nodes["sample"]["inputs"][name] for name in ("model", "positive", "latent")}
    more = {"steps": 4, "end_step": 2, "sampler": "ddim", "schedule": "normal"}
    nodes["sample"] = {"type": "KSamplerAdvanced", "inputs": {**given, **more}}
    samples(bench, nodes)
    assert not any("changes nothing" in event.data["message"] for event in bench.told("log"))


def test_a_plan_counts_the_network_where_its_picture_leads(bench: Bench) -> None:
    nodes = graph()
    nodes["span"] = {"type": "SpanConditioning", "inputs": {"conditioning": link("lead.positive")}}
    nodes["sample"]["inputs"]["positive"] = link("span")
    led = bench.session.plan(workflow(nodes)).nodes
    nodes["sample"]["inputs"]["positive"] = link("words")
    unled = bench.session.plan(workflow(nodes), targets=["sample"]).nodes
    [file] = control_folder().glob("*.safetensors")
    # The file is in half precision, which this CPU computes with in twice the room, about.
    added = (led["sample"].weights or 0) - (unled["sample"].weights or 0)
    assert file.stat().st_size < added < 3 * file.stat().st_size
    assert not led["span"].weights
    assert not led["lead"].weights


@pytest.mark.slow
def test_batches_are_led_as_single_pictures(bench: Bench) -> None:
    nodes = graph(batch=3)
    batch = samples(bench, nodes)
    nodes["size"]["inputs"]["batch_size"] = 1
    for place in range(3):
        nodes["sample"]["inputs"]["seed"] = place
        torch.testing.assert_close(samples(bench, nodes)[0], batch[place], rtol=0, atol=1e-4)


def test_each_of_a_batch_has_its_own_picture(bench: Bench) -> None:
    nodes = graph(batch=2)
    nodes["picture"]["inputs"]["batch"] = 2
    two = samples(bench, nodes)
    assert not torch.equal(two, samples(bench, graph(batch=2)))
    nodes["size"]["inputs"]["batch_size"] = 3
    assert "2 control images for a batch of 3" in str(bench.failure(nodes, "sample"))


def test_a_picture_of_another_size_covers_the_latent(bench: Bench) -> None:
    nodes = graph()
    nodes["picture"]["inputs"] |= {"width": 50, "height": 24}
    found = samples(bench, nodes)
    told = [event.data["message"] for event in bench.told("log") if event.node == "sample"]
    assert "50 x 24 pixels is scaled to cover 64 x 64" in told[0]
    assert found.shape[-2:] == samples(bench, graph()).shape[-2:]


@pytest.mark.slow
def test_a_picture_leads_for_a_part_of_the_sampling(bench: Bench) -> None:
    whole, none = samples(bench, graph(end=1.0)), samples(bench, graph(start=0.6, end=0.9))
    unled = samples(bench, graph(strength=0.0))
    assert torch.equal(none, unled)
    assert not torch.equal(samples(bench, graph(end=0.5)), whole)


@pytest.mark.slow
def test_two_pictures_lead_together(bench: Bench) -> None:
    nodes = graph()
    nodes["other"] = {"type": "Picture", "inputs": {"width": 64, "height": 64, "seed": 1}}
    inputs = {**nodes["lead"]["inputs"], "positive": link("lead.positive"), "image": link("other")}
    nodes["again"] = {"type": "ApplyControlNet", "inputs": inputs}
    nodes["sample"]["inputs"]["positive"] = link("again.positive")
    assert not torch.equal(samples(bench, nodes), samples(bench, graph()))


def test_what_was_sampled_is_known_again(bench: Bench) -> None:
    bench.run(graph(), "sample")
    bench.run(graph(), "sample")
    assert not [event for event in bench.told("node_started") if event.node == "sample"]


def other_net(bench: Bench, name: str, config: dict[str, Any]) -> None:
    """A network that says something else of itself."""
    folder = bench.folder / "models" / name
    shutil.copytree(control_folder(), folder)
    known = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**known, **config}))


def test_what_does_not_fit_is_told_beforehand(bench: Bench) -> None:
    other_net(bench, "xl", {"addition_embed_type": "text_time"})
    nodes = graph(start=0.5, end=0.5, mode="depth")
    nodes["net"]["inputs"]["control_net"] = "xl"
    found = {problem.port: problem for problem in bench.problems(nodes)}
    assert found["control_net"].code == "wrong-family"
    assert "Stable Diffusion XL" in found["control_net"].message
    assert "more than 0.5" in str(found["end"])
    assert "one kind of images" in found["mode"].message


def test_a_picture_with_nan_is_told_before_it_spoils_a_sampling() -> None:
    image = torch.full((1, 8, 8, 3), float("nan"))
    with raises(NumericalError, port="image"):
        control_of(ControlNet("sd1", ()), image)


def test_a_network_of_another_width_is_told_when_sampling_begins(bench: Bench) -> None:
    other_net(bench, "wide", {"cross_attention_dim": 768})
    nodes = graph()
    nodes["net"]["inputs"]["control_net"] = "wide"
    assert "cross_attention_dim 768" in str(bench.failure(nodes, "sample"))


def test_what_is_no_control_network_is_told(bench: Bench, sd1_folder: Path) -> None:
    nodes = graph()
    for name, said in {
        str(sd1_folder): "StableDiffusionPipeline",
        "nothing": "there is no model `nothing`",
    }.items():
        nodes["net"]["inputs"]["control_net"] = name
        (problem,) = [item for item in bench.problems(nodes) if item.port == "control_net"]
        assert said in problem.message or "not the folder of a control network" in problem.message


def test_missing_tensors_are_told_by_name(bench: Bench) -> None:
    other_net(bench, "lacking", {})
    file = bench.folder / "models" / "lacking" / WEIGHTS
    tensors = load_file(file)
    del tensors["controlnet_mid_block.weight"]
    save_file(tensors, file)
    nodes = graph()
    nodes["net"]["inputs"]["control_net"] = "lacking"
    assert "controlnet_mid_block.weight" in str(bench.failure(nodes, "sample"))


@pytest.mark.slow
def test_a_sampling_that_is_led_goes_on_to_the_same_bits(bench: Bench, tmp_path: Path) -> None:
    nodes = graph(steps=4)
    nodes["sample"]["inputs"]["end_step"] = 2
    samples(bench, nodes)
    del nodes["sample"]["inputs"]["end_step"]
    gone_on = samples(bench, nodes)
    assert bench.told("node.restored")
    (tmp_path / "other").mkdir()
    with Bench(tmp_path / "other").session as session:
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
        whole = session.run(workflow, targets=["sample"])
    assert torch.equal(whole["sample.latent"].samples, gone_on)


@pytest.mark.slow
def test_a_lora_and_a_picture_lead_together(bench: Bench) -> None:
    nodes = graph()
    led = samples(bench, nodes)
    nodes["style"] = {
        "type": "LoadLora",
        "inputs": {"model": link("load.model"), "lora": "tiny/style_lora"},
    }
    nodes["sample"]["inputs"]["model"] = link("style.model")
    both = samples(bench, nodes)
    nodes["sample"]["inputs"]["positive"] = link("words")
    assert not torch.equal(both, led)
    assert not torch.equal(both, samples(bench, nodes))


def test_a_picture_that_is_applied_twice_leads_twice(bench: Bench) -> None:
    nodes = graph(strength=0.5)
    again = {**nodes["lead"]["inputs"], "positive": link("lead.positive")}
    nodes["again"] = {"type": "ApplyControlNet", "inputs": again}
    nodes["sample"]["inputs"]["positive"] = link("again.positive")
    whole = samples(bench, graph(strength=1.0))
    torch.testing.assert_close(samples(bench, nodes), whole, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_negative_prompt_that_is_left_out_is_handed_on_as_the_empty_one(bench: Bench) -> None:
    for apply in ({}, {"guess": True}, {"strength": 0.0}):
        nodes = graph(**apply)
        led = samples(bench, nodes)
        nodes["sample"]["inputs"]["negative"] = link("lead.negative")
        assert torch.equal(samples(bench, nodes), led)
