"""ComfyUI's context windows become a node around the guider, and go back."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export
from nodegraph.interop.comfyui.foreign_workflow import Source
from tests.compat.comfyui.supplied import imported, used
from tests.compat.comfyui.test_exporting import TABLE, catalog, meaning, there_and_back
from tests.compat.comfyui.test_table_leading import MODEL, chained


def windowed(kind: str, **inputs: Any) -> Any:
    windows = (kind, {"model": MODEL, **inputs})
    return imported(
        chained(windows=windows, sample=("KSampler", {"model": Source("windows", 0), "cfg": 3.0}))
    )


def test_windows_of_latent_frames_are_those_of_the_node() -> None:
    found = windowed(
        "ContextWindowsManual",
        context_length=21,
        context_overlap=8,
        context_schedule="standard_static",
        fuse_method="relative",
        dim=2,
        freenoise=True,
        cond_retain_index_list="0",
    )
    assert not found.placeholders
    (made,) = used(found.workflow, "ContextWindows")
    assert (made["length"], made["overlap"], made["unit"]) == (21, 8, "latent frames")
    assert (made["fuse_method"], made["free_noise"]) == ("relative", True)
    assert made["context_frame"] == "first frame"
    (sample,) = used(found.workflow, "SampleCustom")
    assert sample["guider"]["from"].startswith("context_windows")


@pytest.mark.parametrize("kind", ["WanContextWindowsManual", "LTXVContextWindows"])
def test_windows_of_frames_are_counted_in_frames(kind: str) -> None:
    found = windowed(kind, context_length=81, context_overlap=24, split_conds_to_windows=True)
    (made,) = used(found.workflow, "ContextWindows")
    exported = export(found.workflow, TABLE, catalog()).foreign.graph.nodes.values()
    assert kind in {node.type for node in exported}
    assert (made["length"], made["overlap"]) == (81, 24)
    assert made.get("unit", "frames") == "frames"
    assert (made["split_prompts"], made["schedule"]) == (True, "standard_uniform")


@pytest.mark.parametrize(
    ("inputs", "context_frame", "words"),
    [
        ({}, "previous frame", ""),
        ({"causal_window_fix": False}, "none", ""),
        ({"cond_retain_index_list": "0, 3"}, "first frame", "first frame only"),
        ({"cond_retain_index_list": "0", "causal_window_fix": False}, "first frame", "in place of"),
        ({"context_schedule": "looped_uniform", "context_stride": 2}, "previous frame", "stride"),
    ],
)
def test_what_differs_is_told(inputs: dict[str, Any], context_frame: str, words: str) -> None:
    found = windowed("ContextWindowsManual", dim=2, **inputs)
    (made,) = used(found.workflow, "ContextWindows")
    assert made.get("context_frame", "previous frame") == context_frame
    (outcome,) = (item for item in found.outcomes if item.type == "ContextWindowsManual")
    assert words in " ".join(outcome.messages)
    assert bool(words) == bool(outcome.messages)


def test_windows_over_a_batch_are_left_out() -> None:
    found = windowed("ContextWindowsManual", dim=0)
    assert not used(found.workflow, "ContextWindows")
    assert used(found.workflow, "KSampler")


def test_windows_along_another_axis_have_a_placeholder() -> None:
    (outcome,) = windowed("ContextWindowsManual", dim=3).placeholders
    assert "axis 3" in outcome.untranslated_reason


def sampled(**windows: Any) -> Workflow:
    def node(node_type: str, **inputs: Any) -> NodeEntry:
        return NodeEntry(type=node_type, inputs=inputs)

    encoder = {"from": "load.text_encoder"}
    nodes = {
        "load": node("LoadModel", model="tiny"),
        "yes": node("EncodePrompt", encoder=encoder, text="a red house"),
        "no": node("EncodePrompt", encoder=encoder, text=""),
        "guide": node("CFGGuider", positive={"from": "yes"}, negative={"from": "no"}, cfg=3.0),
        "windows": node("ContextWindows", guider={"from": "guide"}, **windows),
        "sample": node(
            "SampleCustom",
            model={"from": "load.model"},
            noise={"from": "noise"},
            guider={"from": "windows"},
            sampler={"from": "method"},
            schedule={"from": "levels"},
            latent={"from": "size"},
        ),
        "noise": node("RandomNoise", seed=3),
        "method": node("SelectSampler", sampler="euler"),
        "levels": node("BasicSchedule", schedule="karras", steps=9),
        "size": node("EmptyVideoLatent", width=64, height=64, frames=81),
    }
    return Workflow(title="windows", nodes=nodes)


@pytest.mark.parametrize(
    ("windows", "kind"),
    [
        ({"length": 21, "overlap": 5, "unit": "latent frames"}, "ContextWindowsManual"),
        ({"unit": "latent frames", "context_frame": "none"}, "ContextWindowsManual"),
        ({"unit": "latent frames", "context_frame": "first frame"}, "ContextWindowsManual"),
        ({"length": 49, "schedule": "batched"}, "WanContextWindowsManual"),
        ({"context_frame": "first frame", "split_prompts": True}, "WanContextWindowsManual"),
    ],
)
def test_they_go_to_comfyui_and_come_back(windows: dict[str, Any], kind: str) -> None:
    workflow = sampled(**windows)
    exported = export(workflow, TABLE, catalog())
    assert not exported.unknown
    assert kind in {node.type for node in exported.foreign.graph.nodes.values()}
    assert meaning(there_and_back(workflow)) == meaning(workflow)
