"""Samplings of parts go to ComfyUI, where guiders and schedules know their model, and come back."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export
from tests.compat.comfyui.test_exporting import TABLE, catalog, meaning, there_and_back


def node(node_type: str, **inputs: Any) -> NodeEntry:
    return NodeEntry(type=node_type, inputs=inputs)


def sampled() -> Workflow:
    encoder = {"from": "load.text_encoder"}
    nodes = {
        "load": node("LoadModel", model="tiny"),
        "yes": node("EncodePrompt", encoder=encoder, text="a red house"),
        "no": node("EncodePrompt", encoder=encoder, text=""),
        "guide": node("CFGGuider", positive={"from": "yes"}, negative={"from": "no"}, cfg=3.0),
        "norm": node("NormGuidance", guider={"from": "guide"}, strength=0.5),
        "seed": node("RandomNoise", seed=3),
        "noise": node("ScaleNoise", noise={"from": "seed"}, strength=2.0),
        "method": node("SelectSampler", sampler="dpmpp_2m_sde", eta=0.5),
        "levels": node("BasicSchedule", schedule="karras", steps=9),
        "split": node("SplitSchedule", schedule={"from": "levels"}, step=4),
        "size": node("EmptyLatent", width=64, height=64),
        "sample": node(
            "SampleCustom",
            model={"from": "load.model"},
            noise={"from": "noise"},
            guider={"from": "norm"},
            sampler={"from": "method"},
            schedule={"from": "split.low"},
            latent={"from": "size"},
        ),
    }
    return Workflow(title="parts", nodes=nodes)


def test_what_goes_along_here_is_put_on_the_model_there() -> None:
    exported = export(sampled(), TABLE, catalog())
    nodes = {node.type: node.inputs for node in exported.foreign.graph.nodes.values()}
    assert not exported.unknown
    assert nodes["ModelNoiseScale"]["noise_scale"] == 2.0
    assert nodes["CFGNorm"]["strength"] == 0.5
    assert nodes["CFGGuider"]["model"] == nodes["BasicScheduler"]["model"]
    assert nodes["SplitSigmas"]["step"] == 4


def test_it_comes_back_as_it_was() -> None:
    assert meaning(there_and_back(sampled())) == meaning(sampled())


def test_what_nobody_samples_stays_as_it_is() -> None:
    workflow = Workflow(title="left over", nodes={"levels": node("BasicSchedule", steps=3)})
    assert export(workflow, TABLE, catalog()).unknown == ("levels",)
    assert meaning(there_and_back(workflow)) == meaning(workflow)


@pytest.mark.parametrize("value", [3, 0.5, True, "words"])
def test_values_written_at_a_switch_are_nodes_there(value: Any) -> None:
    switch = node("Switch", condition=True, on_true=value, on_false=value)
    workflow = Workflow(title="switched", nodes={"switch": switch})
    exported = export(workflow, TABLE, catalog())
    nodes = {node.type: node.inputs for node in exported.foreign.graph.nodes.values()}
    assert not exported.unknown
    assert {"on_true", "on_false"} < nodes["ComfySwitchNode"].keys()
    assert [inputs for name, inputs in nodes.items() if name.startswith("Primitive")] == [
        {"value": value}
    ]
    assert meaning(there_and_back(workflow)) == meaning(workflow)


@pytest.mark.parametrize(
    ("says", "method"),
    [
        ({}, None),
        ({"places": "offset"}, "offset"),
        ({"places": "index"}, "index"),
        ({"places": "index", "still": True}, "index_timestep_zero"),
    ],
)
def test_how_pictures_are_told_apart_is_a_node_there(
    says: dict[str, Any], method: str | None
) -> None:
    workflow = sampled()
    workflow.nodes["latent"] = node("EmptyLatent")
    prompt, latent = {"from": "yes"}, {"from": "latent"}
    shown = node("ReferenceLatents", conditioning=prompt, latent=latent, **says)
    workflow.nodes["shown"] = shown
    workflow.nodes["guide"].inputs["positive"] = {"from": "shown"}
    exported = export(workflow, TABLE, catalog())
    found = [
        node.inputs["reference_latents_method"]
        for node in exported.foreign.graph.nodes.values()
        if node.type == "FluxKontextMultiReferenceLatentMethod"
    ]
    assert found == ([] if method is None else [method])
    assert not exported.unknown
    assert meaning(there_and_back(workflow)) == meaning(workflow)


def test_names_that_comfyui_has_not_are_told() -> None:
    """Of samplers and schedules: nodegraph's own, and those of packs."""
    workflow = sampled()
    workflow.nodes["method"] = node("SelectSampler", sampler="ab2")
    workflow.nodes["levels"].inputs["schedule"] = "trailing"
    workflow.nodes["whole"] = node(
        "KSampler",
        model={"from": "load.model"},
        positive={"from": "yes"},
        negative={"from": "no"},
        latent={"from": "size"},
        sampler="euler",
        schedule="linspace",
    )
    messages = export(workflow, TABLE, catalog()).messages
    told = [message for message in messages if "ComfyUI has no" in message]
    assert [message.partition(":")[0] for message in told] == ["method", "levels", "whole"]
    assert "sampler ab2" in told[0]
    assert "scheduler trailing" in told[1]
    assert "scheduler linspace" in told[2]
    assert not [each for each in export(sampled(), TABLE, catalog()).messages if "has no" in each]
