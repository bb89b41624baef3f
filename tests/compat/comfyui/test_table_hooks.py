"""Hooks of ComfyUI become LoRAs of prompts, and pairs of prompts two prompts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export
from nodegraph.interop.comfyui.foreign_workflow import ForeignGraph, Source
from tests.compat.comfyui.supplied import TABLE as BY_TYPE
from tests.compat.comfyui.supplied import imported, used
from tests.compat.comfyui.test_exporting import TABLE, catalog, meaning, there_and_back
from tests.compat.comfyui.test_table_leading import chained, origin

HOOK = {"hooks": Source("hook", 0)}
LORA = {"lora_name": "a.safetensors", "strength_model": 0.8}


def linked(**nodes: tuple[str, dict[str, Any]]) -> ForeignGraph:
    """As `chained`, without links to optional inputs that the nodes do not name."""
    graph = chained(**nodes)
    made = dict(graph.nodes)
    for name, (kind, given) in nodes.items():
        optional = {each.name for each in BY_TYPE[kind].signature.inputs if each.is_optional}
        inputs = {
            port: value
            for port, value in made[name].inputs.items()
            if port in given or port not in optional
        }
        made[name] = replace(made[name], inputs=inputs)
    return ForeignGraph(made)


def sampled(**inputs: Source) -> tuple[str, dict[str, Any]]:
    return ("KSampler", inputs)


def test_a_hook_is_a_lora_of_both_prompts_of_a_pair() -> None:
    workflow = imported(
        linked(
            hook=("CreateHookLoraModelOnly", LORA),
            pair=("PairConditioningSetProperties", {"hooks": Source("hook", 0)}),
            sample=sampled(positive=Source("pair", 0), negative=Source("pair", 1)),
        )
    ).workflow
    loras = used(workflow, "LoraConditioning")
    assert [(lora["lora"], lora["strength"]) for lora in loras] == [("a.safetensors", 0.8)] * 2
    [sample] = used(workflow, "KSampler")
    sources = [workflow.nodes[origin(sample, side)] for side in ("positive", "negative")]
    assert [source.type for source in sources] == ["LoraConditioning"] * 2


def test_keyframes_are_a_schedule() -> None:
    workflow = imported(
        linked(
            hook=("CreateHookLoraModelOnly", LORA),
            late=("CreateHookKeyframe", {"strength_mult": 0.25, "start_percent": 0.5}),
            more=(
                "CreateHookKeyframesInterpolated",
                {"prev_hook_kf": Source("late", 0), "keyframes_count": 3, "end_percent": 0.4}
                | {"strength_start": 0.0, "strength_end": 1.0, "interpolation": "ease_in"},
            ),
            timed=("SetHookKeyframes", {**HOOK, "hook_kf": Source("more", 0)}),
            cond=("ConditioningSetProperties", {"hooks": Source("timed", 0)}),
            sample=sampled(positive=Source("cond", 0)),
        )
    ).workflow
    [lora] = used(workflow, "LoraConditioning")
    assert lora["schedule"] == "0: 0\n0.2: 0.25\n0.4: 1\n0.5: 0.25"


@pytest.mark.parametrize(
    ("curve", "middle"),
    [("linear", 0.25), ("ease_in", 0.0625), ("ease_out", 0.4375), ("ease_in_out", 0.146447)],
)
def test_strengths_go_along_curves(curve: str, middle: float) -> None:
    """A quarter of the way; the formulas are t, t², 1 - (1 - t)² and (1 - cos(πt)) / 2."""
    workflow = imported(
        linked(
            hook=("CreateHookLoraModelOnly", LORA),
            frames=(
                "CreateHookKeyframesInterpolated",
                {"keyframes_count": 5, "strength_start": 0.0, "interpolation": curve},
            ),
            timed=(
                "SetHookKeyframes",
                {"hooks": Source("hook", 0), "hook_kf": Source("frames", 0)},
            ),
            cond=("ConditioningSetProperties", {"hooks": Source("timed", 0)}),
            sample=sampled(positive=Source("cond", 0)),
        )
    ).workflow
    [lora] = used(workflow, "LoraConditioning")
    assert lora["schedule"].splitlines()[1] == f"0.25: {middle:g}"


def test_combined_hooks_are_put_on_in_their_order() -> None:
    workflow = imported(
        linked(
            first=("CreateHookLoraModelOnly", LORA),
            second=("CreateHookLoraModelOnly", {**LORA, "lora_name": "b"}),
            both=("CombineHooks2", {"hooks_A": Source("second", 0), "hooks_B": Source("first", 0)}),
            cond=("ConditioningSetProperties", {"hooks": Source("both", 0)}),
            sample=sampled(positive=Source("cond", 0)),
        )
    ).workflow
    assert [lora["lora"] for lora in used(workflow, "LoraConditioning")] == ["b", "a.safetensors"]


def test_hooks_of_a_text_encoder_are_on_it_and_on_its_prompts() -> None:
    workflow = imported(
        linked(
            hook=("CreateHookLora", {**LORA, "strength_clip": 0.5}),
            clip=("SetClipHooks", {"hooks": Source("hook", 0)}),
            text=("CLIPTextEncode", {"clip": Source("clip", 0), "text": "a"}),
            sample=sampled(positive=Source("text", 0)),
        )
    ).workflow
    [encoder] = used(workflow, "LoadEncoderLora")
    assert (encoder["lora"], encoder["strength"]) == ("a.safetensors", 0.5)
    [lora] = used(workflow, "LoraConditioning")
    assert origin(lora, "conditioning").startswith("encode_prompt")
    [sample] = used(workflow, "KSampler")
    assert origin(sample, "positive") == "lora_conditioning"


def test_a_model_as_a_lora_is_mixed_in_for_its_prompts() -> None:
    workflow = imported(
        linked(
            hook=(
                "CreateHookModelAsLora",
                {"ckpt_name": "b.safetensors", "strength_model": 0.8, "strength_clip": 0.5},
            ),
            frame=("CreateHookKeyframe", {"strength_mult": 1.0, "start_percent": 0.5}),
            timed=("SetHookKeyframes", {**HOOK, "hook_kf": Source("frame", 0)}),
            clip=("SetClipHooks", {"hooks": Source("timed", 0)}),
            text=("CLIPTextEncode", {"clip": Source("clip", 0), "text": "a"}),
            sample=sampled(positive=Source("text", 0)),
        )
    ).workflow
    [encoder] = used(workflow, "MergeTextEncoders")
    assert encoder["weight"] == 0.5
    [prompt] = used(workflow, "ModelConditioning")
    assert (prompt["strength"], prompt["schedule"]) == (0.8, "0.5: 1")
    loaders = {origin(prompt, "model"), origin(encoder, "second")}
    assert [workflow.nodes[name].inputs["model"] for name in loaders] == ["b.safetensors"]
    [sample] = used(workflow, "KSampler")
    assert origin(sample, "positive") == "model_conditioning"


def test_a_schedule_of_a_text_encoder_is_refused() -> None:
    result = imported(
        linked(
            hook=("CreateHookLora", {**LORA, "strength_clip": 0.5}),
            frames=("CreateHookKeyframesInterpolated", {"strength_end": 0.0}),
            timed=(
                "SetHookKeyframes",
                {"hooks": Source("hook", 0), "hook_kf": Source("frames", 0)},
            ),
            clip=("SetClipHooks", {"hooks": Source("timed", 0), "schedule_clip": True}),
            text=("CLIPTextEncode", {"clip": Source("clip", 0), "text": "a"}),
        )
    )
    assert [each.type for each in result.placeholders] == ["SetClipHooks"]


def test_a_default_prompt_applies_to_the_rest() -> None:
    workflow = imported(
        linked(
            pair=("PairConditioningSetDefaultCombine", {}),
            sample=sampled(positive=Source("pair", 0), negative=Source("pair", 1)),
        )
    ).workflow
    assert len(used(workflow, "FallbackConditioning")) == 2
    for combined in used(workflow, "CombineConditioning"):
        assert origin(combined, "second").startswith("fallback_conditioning")


def test_timesteps_before_and_after_a_range() -> None:
    workflow = imported(
        linked(
            when=("ConditioningTimestepsRange", {"start_percent": 0.2, "end_percent": 0.7}),
            early=("ConditioningSetProperties", {"timesteps": Source("when", 1)}),
            late=(
                "ConditioningSetPropertiesAndCombine",
                {"timesteps": Source("when", 2), "cond": Source("early", 0)},
            ),
            sample=sampled(positive=Source("late", 0)),
        )
    ).workflow
    spans = used(workflow, "SpanConditioning")
    assert [(span["start"], span["end"]) for span in spans] == [(0.0, 0.2), (0.7, 1.0)]


def test_a_lora_of_a_prompt_goes_there_and_comes_back() -> None:
    nodes = {
        "load": NodeEntry(type="LoadModel", inputs={"model": "tiny"}),
        "encoder": NodeEntry(
            type="LoadEncoderLora",
            inputs={"text_encoder": {"from": "load.text_encoder"}, "lora": "a", "strength": 0.5},
        ),
        "text": NodeEntry(
            type="EncodePrompt",
            inputs={"encoder": {"from": "encoder"}, "text": "a", "syntax": "comfyui"},
        ),
        "lora": NodeEntry(
            type="LoraConditioning",
            inputs={"conditioning": {"from": "text"}, "lora": "b", "strength": 0.8}
            | {"schedule": "0: 1\n0.5: 0.25"},
        ),
    }
    workflow = Workflow(title="hooks", nodes=nodes)
    exported = export(workflow, TABLE, catalog())
    assert not exported.unknown
    types = [node.type for node in exported.foreign.graph.nodes.values()]
    assert {"SetClipHooks", "SetHookKeyframes", "ConditioningSetProperties"} < set(types)
    assert meaning(there_and_back(workflow)) == meaning(workflow)


def with_model_of_prompt(**lora: NodeEntry) -> Workflow:
    """A prompt with a model of its own, which passes a LoRA first if one is given."""
    model = {"model": {"from": "lora.model" if lora else "other.model"}}
    schedule = {"strength": 0.8, "schedule": "0: 1\n0.5: 0.25"}
    nodes = {
        "load": NodeEntry(type="LoadModel", inputs={"model": "tiny"}),
        "other": NodeEntry(type="LoadModel", inputs={"model": "b.safetensors"}),
        **lora,
        "text": NodeEntry(
            type="EncodePrompt",
            inputs={"encoder": {"from": "load.text_encoder"}, "text": "a", "syntax": "comfyui"},
        ),
        "mix": NodeEntry(
            type="ModelConditioning",
            inputs={"conditioning": {"from": "text"}, **model, **schedule},
        ),
    }
    return Workflow(title="hooks", nodes=nodes)


def test_a_checkpoint_of_a_prompt_is_a_hook_there() -> None:
    workflow = with_model_of_prompt()
    exported = export(workflow, TABLE, catalog())
    assert not exported.unknown
    nodes = exported.foreign.graph.nodes.values()
    [hook] = [node for node in nodes if node.type == "CreateHookModelAsLoraModelOnly"]
    assert hook.inputs == {"ckpt_name": "b.safetensors", "strength_model": 0.8}
    [again] = used(there_and_back(workflow), "ModelConditioning")
    assert (again["strength"], again["schedule"]) == (0.8, "0: 1\n0.5: 0.25")


def test_another_model_of_a_prompt_stays_what_it_is() -> None:
    inputs = {"model": {"from": "other.model"}, "lora": "a.safetensors"}
    workflow = with_model_of_prompt(lora=NodeEntry(type="LoadLora", inputs=inputs))
    exported = export(workflow, TABLE, catalog())
    assert exported.unknown == ("mix",)
    assert meaning(there_and_back(workflow)) == meaning(workflow)
