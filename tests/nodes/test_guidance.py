"""Guidance that is put on a guider, in a graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph import HookInputs
from nodegraph.core.events import Event
from nodes._guider_facts import windowed_facts
from nodes._memory import sampling_parts_estimate
from tests.nodes.sampling_graphs import ENVIRONMENT, link, problems, value
from tests.nodes.test_sampling_parts import parts

PLAIN = {"type": "CFGGuider", "inputs": {"positive": link("positive"), "cfg": 4.0}}
SECOND = {"type": "Prompt", "inputs": {"said": 2}}


def around(*chain: tuple[str, dict[str, Any]], **nodes: Any) -> dict[str, Any]:
    """A sampling whose guider is the plain one with nodes around it."""
    made: dict[str, Any] = {"guider_0": PLAIN, "second": SECOND, **nodes}
    for place, (kind, inputs) in enumerate(chain, 1):
        made[f"guider_{place}"] = {
            "type": kind,
            "inputs": {"guider": link(f"guider_{place - 1}"), **inputs},
        }
    return parts(**made, inputs={"guider": link(f"guider_{len(chain)}")})


def led(*chain: tuple[str, dict[str, Any]]) -> Tensor:
    found: Tensor = value(around(*chain), "sample.latent").samples
    return found


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("RescaleGuidance", {"rescale": 0.5}),
        ("RescaleGuidance", {"rescale": 0.5, "of": "velocity"}),
        ("LimitGuidance", {"start": 0.0, "end": 0.5}),
        ("ChangingGuidance", {"cfg": 1.0, "law": "cosine"}),
        ("PerturbedAttentionGuidance", {"layers": "down.0"}),
        ("SmoothedEnergyGuidance", {"layers": "down.0", "blur": 2.0}),
        ("SelfAttentionGuidance", {}),
        ("SkipLayerGuidance", {"layers": "down.0", "end": 1.0}),
        ("AddNegative", {"negative": link("second")}),
        ("AddNegative", {"negative": link("second"), "perpendicular": True}),
        ("SkipLayerGuidance", {"layers": "down.0", "end": 1.0, "prompt": "negative"}),
        ("ChangingGuidance", {"cfg": 2.0, "law": "within", "start": 0.5}),
        ("NormGuidance", {"strength": 0.9}),
        ("RenormalizeGuidance", {"limit": 0.8}),
        ("PositiveBiasedGuidance", {}),
    ],
)
def test_each_guidance_leads_elsewhere(kind: str, inputs: dict[str, Any]) -> None:
    found = led((kind, inputs))
    assert found.isfinite().all()
    assert not torch.allclose(found, led(), atol=1e-3)


def test_what_changes_nothing_is_plain_guidance() -> None:
    plain = led()
    for same in (
        ("RescaleGuidance", {"rescale": 0.0}),
        ("LimitGuidance", {"start": 0.0, "end": 1.0}),
        ("ChangingGuidance", {"cfg": 4.0}),
        ("PerturbedAttentionGuidance", {"scale": 0.0, "layers": "down.0"}),
        ("AutoGuidance", {"weaker": link("model"), "scale": 2.0}),
        ("NegativeModel", {"model": link("model")}),
        ("RenormalizeGuidance", {"limit": 100.0}),
        ("ChangingGuidance", {"cfg": 1.0, "law": "within", "start": 1.0}),
        ("SkipLayerGuidance", {"start": 0.0, "end": 0.0, "prompt": "negative"}),
    ):
        torch.testing.assert_close(led(same), plain, rtol=1e-4, atol=1e-4)


def test_a_scale_of_1_in_a_part_is_the_positive_prompt_alone_there() -> None:
    found = led(("ChangingGuidance", {"cfg": 1.0, "law": "within", "end": 0.5}))
    assert torch.equal(found, led(("LimitGuidance", {"start": 0.5, "end": 1.0})))


def test_a_model_that_is_no_match_can_not_answer_for_the_negative_prompt() -> None:
    nodes = around(("NegativeModel", {"model": link("other")}))
    nodes["other"] = {"type": "Model", "inputs": {"family": "sdxl"}}
    with pytest.raises(AssertionError, match="belongs to another family"):
        value(nodes, "sample.latent")


def test_a_negative_like_the_guiders_own_changes_nothing() -> None:
    negative = {**PLAIN, "inputs": {**PLAIN["inputs"], "negative": link("second")}}
    nodes = around(("AddNegative", {"negative": link("second"), "scale": 2.0}), guider_0=negative)
    found = value(nodes, "sample.latent").samples
    expected = value(parts(guider=negative, second=SECOND), "sample.latent").samples
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_what_leads_is_told() -> None:
    events: list[Event] = []
    value(
        around(("PerturbedAttentionGuidance", {"layers": "down.0"})), "sample.latent", events.append
    )
    told = [event.data["message"] for event in events if event.kind == "log"]
    assert "guider: perturbed attention at 3" in told


def test_guidance_adds_up_whatever_the_order() -> None:
    one = ("PerturbedAttentionGuidance", {"layers": "down.0"})
    other = ("AddNegative", {"negative": link("second")})
    torch.testing.assert_close(led(one, other), led(other, one), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "kind", "inputs"),
    [
        ("flux", "SelfAttentionGuidance", {}),
        ("sd3", "SmoothedEnergyGuidance", {}),
        ("sana", "PerturbedAttentionGuidance", {}),
        ("hidream", "SkipLayerGuidance", {}),
        ("flux", "ClassifierGuidance", {"classifier": link("classifier"), "label": "red apple"}),
    ],
)
def test_what_a_family_can_not_be_led_by_is_found_before_running(
    family: str, kind: str, inputs: dict[str, Any]
) -> None:
    nodes = around((kind, inputs), classifier={"type": "LoadClassifier"})
    nodes["model"] = {"type": "Model", "inputs": {"family": family, "format": family}}
    found = [item for item in problems(nodes, "sample") if item.port == "guider"]
    assert [item.node for item in found] == ["sample"]
    assert not problems(nodes | {"model": {"type": "Model"}}, "sample")


@pytest.mark.parametrize(
    ("kind", "inputs", "port"),
    [
        ("PerturbedAttentionGuidance", {"layers": "left"}, "layers"),
        ("SkipLayerGuidance", {"layers": "7, x"}, "layers"),
        ("LimitGuidance", {"start": 0.9, "end": 0.1}, "start"),
        ("ContextWindows", {"length": 5, "overlap": 5}, "overlap"),
        ("AddNegative", {"negative": link("second"), "start": 0.9, "end": 0.1}, "start"),
        ("ClassifierGuidance", {"classifier": link("classifier"), "label": "red aple"}, "label"),
        ("ClassifierGuidance", {"classifier": link("classifier"), "label": ""}, "label"),
        ("ClassifierGuidance", {"classifier": link("classifier"), "background": "x"}, "background"),
    ],
)
def test_what_can_not_be_is_found_before_running(
    kind: str, inputs: dict[str, Any], port: str
) -> None:
    nodes = around((kind, inputs), classifier={"type": "LoadClassifier"})
    (found,) = problems(nodes, "sample")
    assert (found.node, found.port) == ("guider_1", port)
    if inputs.get("label") == "red aple":
        assert "red apple" in (found.hint or "")


def test_models_without_frames_alone_have_no_context_windows() -> None:
    nodes = around(("ContextWindows", {}))
    for family, format_name, is_refused in (
        ("sd1", "sd", True),
        ("ltx2", "ltx2", True),
        ("wan", "wan", False),
    ):
        nodes["model"] = {"type": "Model", "inputs": {"family": family, "format": format_name}}
        found = [item for item in problems(nodes, "sample") if "window" in item.message]
        assert [item.port for item in found] == ["guider"] * is_refused


def test_windows_bound_the_memory_that_is_foreseen() -> None:
    def memory(frames: int, **window: Any) -> int:
        latent = {"width": 832, "height": 480, "frames": frames}
        model = {"family": "wan", "temporal": 4}
        guider = windowed_facts(HookInputs({"context_frame": "none", **window}, {}, ENVIRONMENT))
        facts = {"latent": latent, "model": model, **guider}
        found = sampling_parts_estimate(HookInputs({}, facts, ENVIRONMENT))
        assert found.memory is not None
        return found.memory

    assert memory(401, length=81, unit="frames") == memory(81)
    assert memory(401, length=21, unit="latent frames") == memory(81)
    before = {"context_frame": "previous frame"}
    assert memory(401, length=21, unit="latent frames", **before) == memory(85)
    assert memory(41, length=81, unit="frames") == memory(41) < memory(81)


def test_further_prompts_are_refused_where_a_model_is_asked_for_one() -> None:
    nodes = around(("AddNegative", {"negative": link("second")}))
    nodes["model"] = {"type": "Model", "inputs": {"guides_itself": True}}
    assert [(item.node, item.port) for item in problems(nodes, "sample")] == [("sample", "guider")]


def test_a_scale_is_told_only_to_those_who_take_one() -> None:
    told = {"type": "DistilledGuider", "inputs": {"positive": link("positive"), "cfg": 3.0}}
    nodes = parts(guider=told)
    assert [(item.node, item.port) for item in problems(nodes, "sample")] == [("sample", "guider")]
    taking = {"takes_scale": True, "guides_itself": True}
    nodes["model"] = {"type": "Model", "inputs": taking}
    assert not problems(nodes, "sample")
