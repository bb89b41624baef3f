"""ComfyUI's caches of keys and values become one node, and go back as what they were."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export
from nodegraph.interop.comfyui.importer import ImportedWorkflow, import_document, node_table
from tests.compat.comfyui.test_exporting import TABLE, catalog, meaning, there_and_back


def imported(patch: str, **inputs: Any) -> ImportedWorkflow:
    loader = {"class_type": "UNETLoader", "inputs": {"unet_name": "a.safetensors"}}
    patched = {"class_type": patch, "inputs": {"model": ["1", 0], **inputs}}
    return import_document({"1": loader, "2": patched}, node_table([]))


@pytest.mark.parametrize(
    ("patch", "inputs", "memory", "message"),
    [
        ("QwenImage21Cache", {"device": "auto", "dtype": "default"}, "device", None),
        ("QwenImage21Cache", {"device": "cpu", "dtype": "default"}, "host", None),
        ("QwenImage21Cache", {"device": "gpu", "dtype": "int8"}, "device", "not in int8"),
        ("FluxKVCache", {}, None, "attend to themselves only"),
    ],
)
def test_a_cache_is_imported_and_exported(
    patch: str, inputs: dict[str, Any], memory: str | None, message: str | None
) -> None:
    found = imported(patch, **inputs)
    (cache,) = (each for each in found.workflow.nodes.values() if each.type == "KeyValueCache")
    assert cache.inputs.get("memory") == memory
    messages = [text for _, text in found.differences]
    assert [message in text for text in messages] == [True] if message else messages == []
    exported = export(found.workflow, TABLE, catalog())
    (back,) = (each for each in exported.foreign.graph.nodes.values() if each.type == patch)
    assert {name: back.inputs[name] for name in inputs} == inputs


def test_a_cache_that_is_off_becomes_nothing() -> None:
    found = imported("QwenImage21Cache", device="off", dtype="default")
    assert not found.placeholders
    assert "KeyValueCache" not in {each.type for each in found.workflow.nodes.values()}


@pytest.mark.parametrize("memory", ["device", "host"])
def test_a_native_cache_comes_back_as_it_was(memory: str) -> None:
    nodes = {
        "load": NodeEntry(type="LoadModel", inputs={"model": "tiny"}),
        "fast": NodeEntry(
            type="KeyValueCache", inputs={"model": {"from": "load.model"}, "memory": memory}
        ),
    }
    workflow = Workflow(title="kept", nodes=nodes)
    assert meaning(there_and_back(workflow)) == meaning(workflow)
