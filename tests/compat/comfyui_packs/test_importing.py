"""Workflows of ComfyUI with nodes of an installed pack are imported, and exported again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodegraph import Session, Settings
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export_documents
from nodegraph.interop.comfyui.importer import import_document
from tests.compat.comfyui_packs.conftest import Prompts, comfy_pack, node


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


LISTING = """
import os
import folder_paths


class Pick:
    @classmethod
    def INPUT_TYPES(cls):
        files = os.listdir(folder_paths.get_input_directory())
        models = folder_paths.get_filename_list("loras")
        return {"required": {"model": (models,), "file": (sorted(files),)}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "go"

    def go(self, model, file):
        return (model,)


class Wanting:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": (os.listdir(os.path.join(folder_paths.models_dir, "toys")),)}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "go"

    def go(self, name):
        return (name,)


NODE_CLASS_MAPPINGS = {"Pick": Pick, "Wanting": Wanting}
"""


def test_files_that_come_are_listed_although_the_pack_does_not_change(tmp_path: Path) -> None:
    root, home, inputs = tmp_path / "listing", tmp_path / "home", tmp_path / "inputs"
    for folder in (root, inputs, home / "models" / "loras"):
        folder.mkdir(parents=True)
    (root / "__init__.py").write_text(LISTING)
    with Session(Settings(home=home, inputs=inputs), packs=[comfy_pack(root)]) as session:

        def listed(node_type: str) -> dict[str, list[str]]:
            session.refresh()
            spec = session.registry.spec(f"listing:{node_type}")
            assert spec is not None
            return {name: entry[0] for name, entry in spec.foreign["input"]["required"].items()}

        assert listed("Pick") == {"model": [], "file": []}
        assert session.registry.spec("listing:Wanting") is None
        process = session.node_types.isolated.states()[0].number
        session.refresh()  # what Python compiled lies in the pack's folder now
        before = session.registry
        session.refresh()
        assert session.registry is before

        (home / "models" / "loras" / "a.safetensors").touch()
        assert listed("Pick") == {"model": ["a.safetensors"], "file": []}
        (inputs / "b.png").touch()
        assert listed("Pick") == {"model": ["a.safetensors"], "file": ["b.png"]}
        (inputs / "b.png").unlink()
        assert listed("Pick")["file"] == []
        (home / "models" / "toys").mkdir()
        (home / "models" / "toys" / "bear").touch()
        assert listed("Wanting") == {"name": ["bear"]}
        assert not session.registry.problems
        assert session.node_types.isolated.states()[0].number == process
