"""Prompts for which another model is mixed in, against samplings of models that are merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from tests.diffusion.adapters import files
from tests.diffusion.conftest import SD1_SCHEDULER, tiny_unet, write_sd1
from tests.diffusion.families.tiny_models import TINY
from tests.diffusion.families.video_models import wan, wan22

from .conftest import Bench, link
from .test_ip_adapters import adapter  # noqa: F401 - a fixture

Nodes = dict[str, Any]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"type": kind, "inputs": inputs}


@pytest.fixture
def models(bench: Bench) -> Bench:
    """A bench with the models `one` and `two`, which are alike but for their weights."""
    for seed, name in enumerate(("one", "two")):
        write_sd1(bench.folder / "models" / name, SD1_SCHEDULER, seed)
    return bench


def prompts(strength: float = 0.4, **inputs: Any) -> Nodes:
    """Two prompts, each alone and with the second model mixed in."""
    encoder = link("one.text_encoder")
    mix = {"model": link("two.model"), "strength": strength, **inputs}
    return {
        "one": node("LoadModel", model="one"),
        "two": node("LoadModel", model="two"),
        "yes": node("EncodePrompt", encoder=encoder, text="a red apple"),
        "no": node("EncodePrompt", encoder=encoder, text="a blue ball"),
        "own": node("ModelConditioning", conditioning=link("yes"), **mix),
        "own_no": node("ModelConditioning", conditioning=link("no"), **mix),
        "merge": node(
            "MergeModels", model=link("one.model"), second=link("two.model"), weight=strength
        ),
        "size": node("EmptyLatent", width=64, height=64),
    }


def sampled(positive: str, negative: str | None = None, **inputs: Any) -> dict[str, Any]:
    usual = {"model": link("one.model"), "seed": 3, "steps": 1, "cfg": 1.0, "sampler": "euler"}
    usual |= {"schedule": "karras", "latent": link("size"), "positive": link(positive)}
    usual |= {} if negative is None else {"negative": link(negative)}
    return node("KSampler", **{**usual, **inputs})


def latent(bench: Bench, nodes: Nodes, name: str = "sample") -> Tensor:
    samples: Tensor = bench.value(nodes, f"{name}.latent").samples
    return samples


def test_on_both_sides_it_is_the_merged_model(models: Bench) -> None:
    whole = {"steps": 3, "cfg": 3.0}
    graph = prompts() | {
        "sample": sampled("own", "own_no", **whole),
        "merged": sampled("yes", "no", model=link("merge.model"), **whole),
        "plain": sampled("yes", "no", **whole),
    }
    made = latent(models, graph)
    assert torch.equal(made, latent(models, graph, "merged"))
    assert not torch.allclose(made, latent(models, graph, "plain"), atol=1e-2)


def test_at_strength_1_it_is_the_other_model(models: Bench) -> None:
    graph = prompts(1.0) | {
        "sample": sampled("own"),
        "other": sampled("yes", model=link("two.model")),
    }
    assert torch.equal(latent(models, graph), latent(models, graph, "other"))


def test_it_changes_one_side_alone(models: Bench) -> None:
    """The latent after one step of Euler is linear in what the model predicts."""
    graph = prompts() | {
        "sample": sampled("own", "no", cfg=3.0),
        "positive": sampled("yes", model=link("merge.model")),
        "negative": sampled("no"),
    }
    towards, away = latent(models, graph, "positive"), latent(models, graph, "negative")
    torch.testing.assert_close(
        latent(models, graph), away + 3 * (towards - away), rtol=1e-4, atol=1e-4
    )


def test_the_loras_of_both_models_count(models: Bench) -> None:
    """Those of the sampling's model stay at their strengths; the other's are part of it."""
    pairs = files.own_pairs(tiny_unet())
    files.saved(files.peft_file(pairs, "unet."), models.folder / "models" / "a.safetensors")
    lora = {"lora": "a", "strength_model": 0.7}
    graph = prompts(model=link("two_styled.model")) | {
        "one_styled": node("LoadLora", model=link("one.model"), **lora),
        "two_styled": node("LoadLora", model=link("two.model"), **lora),
        "merge_styled": node("LoadLora", model=link("merge.model"), **lora),
        "sample": sampled("own", model=link("one_styled.model")),
        "merged": sampled("yes", model=link("merge_styled.model")),
    }
    graph["merge"]["inputs"]["second"] = link("two_styled.model")
    torch.testing.assert_close(
        latent(models, graph), latent(models, graph, "merged"), rtol=1e-4, atol=1e-4
    )


def test_it_follows_a_schedule(models: Bench) -> None:
    usual = dict(sampled("yes")["inputs"]) | {"steps": 4}
    first = usual | {"model": link("two.model"), "end_step": 2, "leave_noise": True}
    second = usual | {"start_step": 2, "add_noise": False, "latent": link("first.latent")}
    graph = prompts(1.0, schedule="0: 1\n0.5: 0") | {
        "sample": sampled("own", steps=4),
        "first": node("KSamplerAdvanced", **first),
        "second": node("KSamplerAdvanced", **second),
    }
    torch.testing.assert_close(
        latent(models, graph), latent(models, graph, "second"), rtol=1e-4, atol=1e-4
    )


def test_too_many_mixes_are_refused(models: Bench) -> None:
    schedule = "\n".join(f"{step / 10}: {1 - step / 20}" for step in range(10))
    graph = prompts(schedule=schedule) | {"sample": sampled("own", steps=10)}
    problem = models.failure(graph, "sample").problem
    assert (problem.port, "too many different mixes" in problem.message) == ("positive", True)


@pytest.mark.parametrize(("mixed", "refused"), [("one", "sample"), ("two", "own")])
def test_weights_in_few_bits_are_refused(models: Bench, mixed: str, refused: str) -> None:
    graph = prompts() | {"sample": sampled("own")}
    graph[mixed]["inputs"]["storage"] = "int8"
    problem = models.failure(graph, "sample").problem
    assert (problem.node, problem.port) == (refused, "model")
    assert "few bits" in problem.message


def test_a_model_with_other_layers_is_refused(models: Bench) -> None:
    UNet2DConditionModel.from_config({**tiny_unet().config, "in_channels": 9}).save_pretrained(
        models.folder / "models" / "two" / "unet"
    )
    problem = models.failure(prompts() | {"sample": sampled("own")}, "sample").problem
    assert (problem.port, "conv_in" in problem.message) == ("positive", True)


def test_a_model_of_another_family_is_found_before_a_run(models: Bench) -> None:
    TINY["sdxl"].build().save_pretrained(models.folder / "models" / "wide")
    graph = prompts() | {"two": node("LoadModel", model="wide")}
    del graph["own_no"], graph["merge"]
    [problem] = models.problems(graph, "own")
    assert (problem.node, problem.port, problem.code) == ("own", "model", "family-conflict")


@pytest.mark.usefixtures("adapter")
def test_a_model_with_an_ip_adapter_is_refused(models: Bench) -> None:
    """A mix would leave it out without a word."""
    lead = {"model": link("two.model"), "positive": link("yes"), "negative": link("no")}
    graph = prompts(model=link("lead.model")) | {
        "ip": node("LoadIPAdapter", ip_adapter="ip.safetensors"),
        "picture": node("Picture", width=16, height=24),
        "lead": node("ApplyIPAdapter", ip_adapter=link("ip"), image=link("picture"), **lead),
    }
    problem = models.failure(graph, "own").problem
    assert (problem.node, problem.port) == ("own", "model")
    assert "IP-Adapter" in problem.message


def test_an_ip_adapter_of_the_sampling_stays(models: Bench, adapter: Path) -> None:  # noqa: F811
    graph = prompts() | {
        "ip": node("LoadIPAdapter", ip_adapter=adapter.name),
        "picture": node("Picture", width=16, height=24),
    }
    for name in ("one", "merge"):
        inputs = {"model": link(f"{name}.model"), "positive": link("yes"), "negative": link("no")}
        inputs |= {"ip_adapter": link("ip"), "image": link("picture")}
        graph[f"lead_{name}"] = node("ApplyIPAdapter", **inputs)
    graph["own"]["inputs"]["conditioning"] = link("lead_one.positive")
    graph["sample"] = sampled("own", model=link("lead_one.model"))
    graph["merged"] = sampled("lead_merge.positive", model=link("lead_merge.model"))
    assert torch.equal(latent(models, graph), latent(models, graph, "merged"))


def test_another_prediction_type_is_a_warning(models: Bench) -> None:
    kind = {**SD1_SCHEDULER, "prediction_type": "v_prediction"}
    write_sd1(models.folder / "models" / "two", kind, 1)
    latent(models, prompts() | {"sample": sampled("own", "own_no")})
    logged = [event.data["message"] for event in models.told("log")]
    assert [line for line in logged if "predicts v_prediction" in line]


@pytest.mark.slow
@pytest.mark.parametrize("pair", [(wan22, wan), (wan, wan22)])
def test_another_number_of_experts_is_refused(bench: Bench, pair: Any) -> None:
    """Which expert of one would go with which of the other cannot be told."""
    for name, build in zip(("one", "two"), pair, strict=True):
        build().save_pretrained(bench.folder / "models" / name)
    graph = prompts() | {
        "size": node("EmptyVideoLatent", width=32, height=32, frames=5),
        "sample": sampled("own", schedule="normal"),
    }
    problem = bench.failure(graph, "sample").problem
    assert (problem.port, "number of experts" in problem.message) == ("positive", True)
    problem = bench.failure(graph, "merge").problem
    assert (problem.port, "different modules" in problem.message) == ("second", True)


def test_a_node_that_cannot_load_it_names_it(models: Bench) -> None:
    begun = sampled("yes", end_step=1, steps=2, leave_noise=True)["inputs"]
    graph = prompts() | {"begun": node("KSamplerAdvanced", **begun)}
    inputs = {"model": link("one.model"), "positive": link("own"), "latent": link("begun.latent")}
    graph["once"] = node("PredictOnce", **inputs)
    problem = models.failure(graph, "once").problem
    assert (problem.port, "LoRA or model of a prompt" in problem.message) == ("positive", True)
