"""Prompts of boxes and curves, and values that newer files have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nodegraph.interop.comfyui.importer import ImportedWorkflow, import_document, node_table

BOX = {"x": 0, "y": 64, "width": 128, "height": 64}
SAID = {"type": "text", "text": "{Hi}", "desc": "letters", "palette": ["#ffffff"]}


def _read(nodes: dict[str, tuple[str, dict[str, Any]]]) -> ImportedWorkflow:
    document = {
        name: {"class_type": kind, "inputs": given} for name, (kind, given) in nodes.items()
    }
    return import_document(document, node_table(), name="it")


def _made(found: ImportedWorkflow, kind: str) -> list[dict[str, Any]]:
    return [dict(node.inputs) for node in found.workflow.nodes.values() if node.type == kind]


def test_boxes_become_the_elements_of_a_prompt() -> None:
    drawn = {"width": 128, "height": 256, "editor_state": [{**BOX, "metadata": SAID}]}
    style = {"style": "photo", "style.photo": "35mm", "lighting": "soft {light}"}
    found = _read(
        {
            "1": ("CreateBoundingBoxes", drawn),
            "2": ("BuildJsonPromptIdeogram", {"element": ["1", 2], "background": "sky", **style}),
            "3": ("ConvertDictionaryToString", {"dictionary": ["2", 0], "indent": 0}),
            "4": ("PreviewAny", {"source": ["3", 0]}),
        }
    )
    assert not found.placeholders
    texts = [text["text"] for text in _made(found, "Text")]
    (prompt,) = _made(found, "FormatText")
    elements = next(text for text in texts if "type" in text)
    assert json.loads(prompt["template"].format(a=elements)) == {
        "style_description": {
            "aesthetics": "",
            "lighting": "soft {light}",
            "photo": "35mm",
            "medium": "",
        },
        "compositional_deconstruction": {
            "background": "sky",
            "elements": [
                {
                    "type": "text",
                    "bbox": [250, 0, 500, 1000],
                    "text": "{Hi}",
                    "desc": "letters",
                    "color_palette": ["#ffffff"],
                }
            ],
        },
    }


def test_a_curve_is_a_text_of_its_points() -> None:
    curve = {"points": [[0, 0], [0.5, 0.25], [1, 1]], "interpolation": "monotone_cubic"}
    found = _read(
        {"1": ("CurveEditor", {"curve": curve}), "2": ("PreviewAny", {"source": ["1", 0]})}
    )
    assert _made(found, "Text") == [{"text": "0,0 0.5,0.25 1,1"}]


@pytest.mark.parametrize(("sampling", "is_here"), [("flow", True), ("img_to_img_noise", False)])
def test_a_flow_that_is_sampled_otherwise_stays(sampling: str, is_here: bool) -> None:
    found = _read(
        {
            "1": ("UNETLoader", {"unet_name": "a.safetensors", "weight_dtype": "default"}),
            "2": ("ModelSamplingAuraFlow", {"model": ["1", 0], "shift": 2, "sampling": sampling}),
            "3": ("ModelSave", {"model": ["2", 0]}),
        }
    )
    kinds = {fate.type for fate in found.placeholders}
    assert ("ModelSamplingAuraFlow" not in kinds) == is_here
