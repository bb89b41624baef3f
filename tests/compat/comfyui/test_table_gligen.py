"""Text boxes of ComfyUI's workflows become native nodes, and go back."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export
from nodegraph.interop.comfyui.foreign_workflow import Source
from tests.compat.comfyui.supplied import imported, used
from tests.compat.comfyui.test_exporting import TABLE, catalog, meaning, there_and_back
from tests.compat.comfyui.test_table_hooks import linked, sampled
from tests.compat.comfyui.test_table_leading import origin

BOX = {"x": 64, "y": 32, "width": 128, "height": 256}
FILE = "gligen_sd14_textbox_pruned.safetensors"


def test_boxes_are_chained_on_one_prompt() -> None:
    translated = imported(
        linked(
            layers=("GLIGENLoader", {"gligen_name": FILE}),
            cat=(
                "GLIGENTextBoxApply",
                {"gligen_textbox_model": Source("layers", 0), "text": "a cat", **BOX},
            ),
            dog=(
                "GLIGENTextBoxApply",
                {
                    "conditioning_to": Source("cat", 0),
                    "gligen_textbox_model": Source("layers", 0),
                    "text": "a dog",
                },
            ),
            sample=sampled(positive=Source("dog", 0)),
        )
    )
    workflow = translated.workflow
    assert not translated.placeholders
    assert {"gligen": FILE} in used(workflow, "LoadGLIGEN")
    [sample] = used(workflow, "KSampler")
    last = workflow.nodes[origin(sample, "positive")]
    first = workflow.nodes[origin(last.inputs, "conditioning")]
    assert (last.type, last.inputs["text"]) == ("TextBoxConditioning", "a dog")
    assert {name: first.inputs[name] for name in BOX} == BOX
    assert (first.inputs["text"], first.inputs["negative"]) == ("a cat", "same")


def boxed(**inputs: Any) -> Workflow:
    layers: dict[str, Any] = {"gligen": FILE}
    if "end" in inputs:
        layers["end"] = inputs.pop("end")
    nodes = {
        "load": NodeEntry(type="LoadModel", inputs={"model": "tiny"}),
        "text": NodeEntry(
            type="EncodePrompt",
            inputs={"encoder": {"from": "load.text_encoder"}, "text": "a", "syntax": "comfyui"},
        ),
        "layers": NodeEntry(type="LoadGLIGEN", inputs=layers),
        "box": NodeEntry(
            type="TextBoxConditioning",
            inputs={
                "conditioning": {"from": "text"},
                "encoder": {"from": "load.text_encoder"},
                "gligen": {"from": "layers"},
                "text": "a cat",
                "negative": "same",
                **BOX,
                **inputs,
            },
        ),
    }
    return Workflow(title="boxes", nodes=nodes)


def test_a_box_goes_there_and_comes_back() -> None:
    exported = export(boxed(), TABLE, catalog())
    nodes = {node.type: node.inputs for node in exported.foreign.graph.nodes.values()}
    assert not exported.unknown
    assert nodes["GLIGENLoader"] == {"gligen_name": FILE}
    assert BOX.items() <= nodes["GLIGENTextBoxApply"].items()
    assert meaning(there_and_back(boxed())) == meaning(boxed())


@pytest.mark.parametrize(
    ("inputs", "unknown"), [({"unit": "shares"}, "box"), ({"end": 0.5}, "layers")]
)
def test_what_comfyui_does_not_have_stays_native(inputs: dict[str, Any], unknown: str) -> None:
    assert unknown in export(boxed(**inputs), TABLE, catalog()).unknown
