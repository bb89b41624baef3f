"""Workflows of ComfyUI with nodes of an installed pack are imported, and exported again."""

from __future__ import annotations

from typing import Any

from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export_documents
from nodegraph.interop.comfyui.importer import import_document
from tests.compat.comfyui_packs.conftest import Prompts, node


def ui_node(
    number: int, kind: str, values: list[Any], inputs: Any = (), outputs: Any = ()
) -> dict[str, Any]:
    return {
        "id": number,
        "type": kind,
        "pos": [number * 300, 0],
        "size": [200, 100],
        "mode": 0,
        "inputs": list(inputs),
        "outputs": list(outputs),
        "widgets_values": values,
    }


def document(nodes: list[dict[str, Any]], links: list[list[Any]]) -> dict[str, Any]:
    return {"version": 0.4, "nodes": nodes, "links": links, "last_node_id": 9, "last_link_id": 9}


def test_widgets_are_read_in_the_order_of_the_class(prompts: Prompts) -> None:
    widgets = ["green", 3, ["a", "b"], "some text", False, 77, "randomize", 1.5]
    output = {"name": "all of them", "type": "STRING", "links": [1]}
    shown = {"name": "value", "type": "*", "link": 1}
    imported = import_document(
        document(
            [
                ui_node(1, "Options", widgets, [], [output]),
                ui_node(2, "Show", [], [shown]),
            ],
            [[1, 1, 0, 2, 0, "STRING"]],
        ),
        prompts.table,
    )

    options = imported.workflow.nodes["options"]
    assert options.type == "pack:Options"
    assert options.inputs == {
        "old_combo": "green",
        "new_combo": 3,
        "many": ["a", "b"],
        "text": "some text",
        "flag": False,
        "seed": 77,
        "input_class": 1.5,
    }
    assert imported.workflow.nodes["show"].inputs == {"value": {"from": "options.all_of_them"}}


def test_a_choice_decides_which_widgets_follow(prompts: Prompts) -> None:
    imported = import_document(
        document([ui_node(1, "Choose", ["large", 0.25, "because"])], []), prompts.table
    )

    assert imported.workflow.nodes["choose"].inputs == {
        "kind": "large",
        "kind_share": 0.25,
        "kind_why": "because",
    }


def test_an_imported_prompt_is_exported_as_it_was(prompts: Prompts) -> None:
    prompt = {
        "1": node("Picture", brightness=0.25, size=4),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("Scale", image=["2", 0], factor=0.5, mode="twice"),
        "4": node("Join", **{"texts.text0": "a", "texts.text1": "b"}),
        "5": node("Show", value=["3", 0]),
        "6": node("Show", value=["4", 0]),
    }
    registry = prompts.session.registry
    workflow = import_document(prompt, prompts.table).workflow
    workflow = Workflow.from_dict({**workflow.to_dict(), "ui": {}})

    _, written = export_documents(workflow, prompts.table.entries.values(), registry)

    kinds = {each["class_type"]: each["inputs"] for each in written["api"].values()}
    assert kinds["Picture"] == {"brightness": 0.25, "size": 4}
    assert kinds["Join"] == {"texts.text0": "a", "texts.text1": "b"}
    scale = dict(kinds["Scale"])
    assert written["api"][scale.pop("image")[0]]["class_type"] == "ImageInvert"
    assert scale == {"factor": 0.5, "mode": "twice"}


def test_a_native_workflow_with_a_pack_s_nodes_runs(prompts: Prompts) -> None:
    workflow = {
        "format": "nodegraph/1",
        "nodes": {
            "image": {"type": "pack:Picture", "inputs": {"brightness": 0.5, "size": 8}},
            "blur": {"type": "BlurImage", "inputs": {"image": {"from": "image"}}},
            "scaled": {
                "type": "pack:Scale",
                "inputs": {"image": {"from": "blur"}, "factor": 0.5},
            },
        },
    }

    result = prompts.session.run(workflow, targets=["scaled"])

    assert abs(float(result["scaled.scaled"].mean()) - 0.25) < 1e-3


def test_object_info_is_that_of_the_class(prompts: Prompts) -> None:
    spec = prompts.session.registry.spec("pack:Scale")
    assert spec is not None
    info = spec.foreign

    assert info["input"]["required"]["mode"] == [
        "COMBO",
        {"default": "plain", "options": ["plain", "twice"]},
    ]
    assert info["output"] == ["IMAGE", "INT"]
    assert info["python_module"] == "custom_nodes.pack"
    assert info["display_name"] == "Scale values"
