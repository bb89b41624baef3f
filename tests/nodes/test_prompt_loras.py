"""Prompts with LoRAs of their own, and prompts for what others leave, as sums of plain samplings.

One step of Euler is linear in what the model predicts. So the latent of a guided step is the same
sum of the latents of steps with one prompt and one model each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph import Session, Workflow
from nodegraph.core.events import Event
from nodegraph.engine.options import CancelToken
from tests.nodes.conftest import Bench, link

Nodes = dict[str, Any]
LORA = "tiny/style_lora"


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"type": kind, "inputs": inputs}


def prompts() -> Nodes:
    """The model, with and without the LoRA, and two prompts."""
    encoder = link("load.text_encoder")
    return {
        "load": node("LoadModel", model="tiny"),
        "styled": node("LoadLora", model=link("load.model"), lora=LORA, strength_model=0.8),
        "yes": node("EncodePrompt", encoder=encoder, text="a red apple"),
        "no": node("EncodePrompt", encoder=encoder, text="a blue ball"),
        "own": node("LoraConditioning", conditioning=link("yes"), lora=LORA, strength=0.8),
        "own_no": node("LoraConditioning", conditioning=link("no"), lora=LORA, strength=0.8),
        "size": node("EmptyLatent", width=64, height=64),
    }


def sampled(positive: str, negative: str | None = None, **inputs: Any) -> dict[str, Any]:
    usual = {"model": link("load.model"), "seed": 3, "steps": 1, "cfg": 1.0, "sampler": "euler"}
    usual |= {"schedule": "karras", "latent": link("size"), "positive": link(positive)}
    usual |= {} if negative is None else {"negative": link(negative)}
    return node("KSampler", **{**usual, **inputs})


def latent(bench: Bench, nodes: Nodes, name: str = "sample") -> Tensor:
    samples: Tensor = bench.value(nodes, f"{name}.latent").samples
    return samples


def test_a_lora_changes_one_side_alone(bench: Bench) -> None:
    graph = prompts() | {
        "sample": sampled("own", "no", cfg=3.0),
        "positive": sampled("yes", model=link("styled.model")),
        "negative": sampled("no"),
        "plain": sampled("yes", "no", cfg=3.0),
    }
    towards, away = latent(bench, graph, "positive"), latent(bench, graph, "negative")
    expected = away + 3 * (towards - away)
    torch.testing.assert_close(latent(bench, graph), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(latent(bench, graph, "plain"), expected, atol=1e-2)


def test_on_both_sides_it_is_a_lora_of_the_model(bench: Bench) -> None:
    whole = {"steps": 3, "cfg": 3.0}
    graph = prompts() | {
        "sample": sampled("own", "own_no", **whole),
        "plain": sampled("yes", "no", model=link("styled.model"), **whole),
    }
    assert torch.equal(latent(bench, graph), latent(bench, graph, "plain"))


def test_it_is_put_on_top_of_the_loras_of_the_model(bench: Bench) -> None:
    twice = node("LoadLora", model=link("styled.model"), lora="tiny/lcm_lora")
    own = node("LoraConditioning", conditioning=link("yes"), lora="tiny/lcm_lora")
    graph = prompts() | {
        "twice": twice,
        "lcm": own,
        "sample": sampled("lcm", model=link("styled.model")),
        "plain": sampled("yes", model=link("twice.model")),
    }
    assert torch.equal(latent(bench, graph), latent(bench, graph, "plain"))


def test_regions_have_loras_of_their_own(bench: Bench) -> None:
    half = {"width": 0.5, "height": 1.0}
    graph = prompts() | {
        "left": node("AreaConditioning", conditioning=link("own"), **half),
        "right": node("AreaConditioning", conditioning=link("no"), x=0.5, **half),
        "both": node("CombineConditioning", first=link("left"), second=link("right")),
        "sample": sampled("both"),
        "styled_yes": sampled("yes", model=link("styled.model")),
        "plain_no": sampled("no"),
    }
    made = latent(bench, graph)
    left, right = latent(bench, graph, "styled_yes"), latent(bench, graph, "plain_no")
    middle = made.shape[-1] // 2
    torch.testing.assert_close(made[..., :middle], left[..., :middle], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(made[..., middle:], right[..., middle:], rtol=1e-4, atol=1e-4)


def test_a_strength_follows_its_schedule(bench: Bench) -> None:
    schedule = "0: 1\n0.5: 0"
    scheduled = node(
        "LoraConditioning", conditioning=link("yes"), lora=LORA, strength=0.8, schedule=schedule
    )
    usual = dict(sampled("yes")["inputs"]) | {"steps": 4}
    first = usual | {"model": link("styled.model"), "end_step": 2, "leave_noise": True}
    second = usual | {"start_step": 2, "add_noise": False, "latent": link("first.latent")}
    graph = prompts() | {
        "own": scheduled,
        "sample": sampled("own", steps=4),
        "first": node("KSamplerAdvanced", **first),
        "second": node("KSamplerAdvanced", **second),
    }
    torch.testing.assert_close(
        latent(bench, graph), latent(bench, graph, "second"), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("guider", ["PerturbedAttentionGuidance", "SelfAttentionGuidance"])
def test_weakened_networks_have_the_loras_too(bench: Bench, guider: str) -> None:
    graph = prompts()
    for name, positive, negative in (("own", "own", "own_no"), ("plain", "yes", "no")):
        cfg = node("CFGGuider", positive=link(positive), negative=link(negative), cfg=3.0)
        graph[f"cfg_{name}"] = cfg
        graph[f"guide_{name}"] = node(guider, guider=link(f"cfg_{name}"), scale=2.0)
        graph[f"sample_{name}"] = node(
            "SampleCustom",
            model=link("load.model" if name == "own" else "styled.model"),
            noise=link("noise"),
            guider=link(f"guide_{name}"),
            sampler=link("method"),
            schedule=link("levels"),
            latent=link("size"),
        )
    graph["noise"] = node("RandomNoise", seed=3)
    graph["method"] = node("SelectSampler", sampler="euler")
    graph["levels"] = node("BasicSchedule", schedule="karras", steps=2)
    own, plain = latent(bench, graph, "sample_own"), latent(bench, graph, "sample_plain")
    torch.testing.assert_close(own, plain, rtol=1e-4, atol=1e-4)


def test_a_prompt_for_the_rest_has_what_weight_others_leave(bench: Bench) -> None:
    graph = prompts() | {
        "gray": node("SolidMask", value=0.25, width=64, height=64),
        "part": node("MaskConditioning", conditioning=link("yes"), mask=link("gray")),
        "rest": node("FallbackConditioning", conditioning=link("no")),
        "both": node("CombineConditioning", first=link("part"), second=link("rest")),
        "sample": sampled("both"),
        "first": sampled("yes"),
        "second": sampled("no"),
        "whole": node("CombineConditioning", first=link("yes"), second=link("rest")),
        "full": sampled("whole"),
    }
    first, second = latent(bench, graph, "first"), latent(bench, graph, "second")
    expected = 0.25 * first + 0.75 * second
    torch.testing.assert_close(latent(bench, graph), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(latent(bench, graph, "full"), first)


def test_a_prompt_for_the_rest_of_the_steps(bench: Bench) -> None:
    graph = prompts() | {
        "early": node("SpanConditioning", conditioning=link("yes"), end=0.5),
        "late": node("SpanConditioning", conditioning=link("no"), start=0.5),
        "rest": node("FallbackConditioning", conditioning=link("no")),
        "both": node("CombineConditioning", first=link("early"), second=link("rest")),
        "spans": node("CombineConditioning", first=link("early"), second=link("late")),
        "sample": sampled("both", steps=4),
        "expected": sampled("spans", steps=4),
    }
    assert torch.equal(latent(bench, graph), latent(bench, graph, "expected"))


def test_too_many_strengths_are_refused(bench: Bench) -> None:
    schedule = "\n".join(f"{index / 40:g}: {(index + 1) / 40:g}" for index in range(40))
    own = node("LoraConditioning", conditioning=link("yes"), lora=LORA, schedule=schedule)
    graph = prompts() | {"own": own, "sample": sampled("own", steps=40)}
    assert "too many different strengths" in str(bench.failure(graph, "sample"))


def test_other_models_do_not_evaluate_such_prompts(bench: Bench) -> None:
    graph = prompts() | {
        "cfg": node("CFGGuider", positive=link("own"), negative=link("no"), cfg=3.0),
        "guide": node("AutoGuidance", guider=link("cfg"), weaker=link("styled.model")),
        "noise": node("RandomNoise", seed=3),
        "method": node("SelectSampler", sampler="euler"),
        "levels": node("BasicSchedule", schedule="karras", steps=2),
        "sample": node(
            "SampleCustom",
            model=link("load.model"),
            noise=link("noise"),
            guider=link("guide"),
            sampler=link("method"),
            schedule=link("levels"),
            latent=link("size"),
        ),
    }
    assert "another model of the guider" in str(bench.failure(graph, "sample"))


@pytest.mark.parametrize("schedule", ["0.5", "2: 1", "a: b", "0: 1, 0: 2", "0: 21"])
def test_schedules_that_are_none_are_found_before_a_run(bench: Bench, schedule: str) -> None:
    own = node("LoraConditioning", conditioning=link("yes"), lora=LORA, schedule=schedule)
    [problem] = bench.problems(prompts() | {"own": own}, "own")
    assert problem.port == "schedule"


def test_a_step_cache_is_for_prompts_without_loras(bench: Bench) -> None:
    cache = {"own": 2, "cross": 3, "noisiest": 1.0, "cleanest": 0.0}
    steps = {"steps": 3, "cfg": 3.0}
    graph = prompts() | {
        "cached": node("AttentionBroadcast", model=link("load.model"), **cache),
        "sample": sampled("own", "own_no", model=link("cached.model"), **steps),
        "plain": sampled("own", "own_no", **steps),
        "cached_yes": sampled("yes", "no", model=link("cached.model"), **steps),
        "plain_yes": sampled("yes", "no", **steps),
    }
    torch.testing.assert_close(latent(bench, graph), latent(bench, graph, "plain"))
    cached, plain = latent(bench, graph, "cached_yes"), latent(bench, graph, "plain_yes")
    assert not torch.allclose(cached, plain)


def test_a_prompt_with_a_lora_stays_after_a_restart(bench: Bench) -> None:
    graph = prompts()
    adapters = bench.value(graph, "own.conditioning").entries[0].adapters
    with bench.session.__class__(bench.session.settings) as again:
        result = again.run({"format": "nodegraph/1", "nodes": graph}, targets=["own"])
    assert result.nodes["own"].status == "cached"
    assert result["own.conditioning"].entries[0].adapters == adapters
    assert [adapter.adapter.strength for adapter in adapters] == [0.8]


def test_a_cancelled_sampling_goes_on_to_the_same_bits(bench: Bench) -> None:
    """Its checkpoint lies between two strengths of the LoRA."""
    schedule = "0: 1\n0.3: 0.5\n0.7: 0"
    own = {"conditioning": link("yes"), "lora": LORA, "strength": 0.8, "schedule": schedule}
    ways = {"steps": 6, "cfg": 3.0, "sampler": "euler_ancestral"}
    graph = prompts() | {
        "own": node("LoraConditioning", **own),
        "sample": sampled("own", "no", **ways),
    }
    expected = latent(bench, graph)
    token = CancelToken()
    steps: list[int] = []

    def stop(event: Event) -> None:
        if event.kind == "node.progress" and event.data["step"] == 3:
            token.cancel()

    def note(event: Event) -> None:
        if event.kind == "node.progress":
            steps.append(event.data["step"])

    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": graph})
    home = bench.folder / "resumed"
    settings = replace(bench.session.settings, home=home, checkpoint_seconds=0.0)
    with Session(settings) as session:
        first = session.run(workflow, targets=["sample"], cancel=token, listener=stop)
        second = session.run(workflow, targets=["sample"], listener=note)
    assert (first.status, second.status) == ("cancelled", "ok")
    assert min(steps) > 1
    assert torch.equal(second["sample.latent"].samples, expected)


def test_areas_of_a_batch_with_a_control_image_are_those_of_a_lora_of_the_model(
    bench: Bench,
) -> None:
    """One prompt has an area and a ControlNet, and one is for the rest of the image."""

    def graph(positive: str, negative: str, model: str) -> Nodes:
        half = {"width": 0.5, "height": 1.0}
        led = {"control_net": link("net"), "image": link("picture")}
        return prompts() | {
            "size": node("EmptyLatent", width=64, height=64, batch_size=2),
            "net": node("LoadControlNet", control_net="tiny/controlnet"),
            "picture": node("Picture", width=64, height=64),
            "left": node("AreaConditioning", conditioning=link(positive), **half),
            "led": node("ApplyControlNet", positive=link("left"), **led),
            "rest": node("FallbackConditioning", conditioning=link(negative)),
            "both": node("CombineConditioning", first=link("led.positive"), second=link("rest")),
            "sample": sampled("both", negative, model=link(f"{model}.model"), steps=2, cfg=3.0),
        }

    own = latent(bench, graph("own", "own_no", "load"))
    assert torch.equal(own, latent(bench, graph("yes", "no", "styled")))
    assert not torch.equal(own, latent(bench, graph("yes", "no", "load")))
