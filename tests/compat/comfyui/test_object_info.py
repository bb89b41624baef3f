"""ComfyUI's description of node types: complete, sound, and of values that are imported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from nodegraph import Session
from nodegraph.interop.comfyui.foreign_workflow import ForeignGraph, Source
from nodegraph.interop.comfyui.object_info import (
    INPUT_FILES,
    MODEL_LISTS,
    display_name,
    listed_entries,
    object_info,
)
from tests.cases import case
from tests.compat.comfyui.supplied import TABLE, imported, supplied, with_sampler

LISTS = {folder: [f"{folder}.safetensors"] for folder in MODEL_LISTS.values()}
LISTS[INPUT_FILES] = ["example.png", "clip.mp4"]
LINKS: Mapping[str, Mapping[str, Any]] = {
    "ConvertArrayToString": {"array": Source("AnImage", 0)},
    "ConvertDictionaryToString": {"dictionary": Source("AnImage", 0)},
    "CreateHookKeyframesFromFloats": {"floats_strength": [1.0, 0.5]},
    "Flux3LayoutPrompt": {"element": Source("boxes", 2)},
    "LoraSave": {"model_diff": Source("less", 0), "text_encoder_diff": None},
    "ImpactSwitch": {"input1": Source("AnImage", 0)},
    "TextGenerate": {"video": None},
}
"""What else has to be linked, or must not be."""
BOXES = supplied(TABLE["CreateBoundingBoxes"]).nodes["node"]
"""Drawn boxes, which `LINKS` names."""
LESS = supplied(TABLE["ModelMergeSubtract"]).nodes["node"]
"""A difference of two models, which `LINKS` names."""


@pytest.fixture(scope="module")
def described() -> dict[str, dict[str, Any]]:
    registry = Session().registry
    specs = {name: spec for name in registry.node_types() if (spec := registry.spec(name))}
    return object_info(specs, LISTS)


def configs(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The names of inputs, and their types and options."""
    for kind in ("required", "optional"):
        yield from inputs.get(kind, {}).items()


def widgets(inputs: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Full names, configurations and default values of all widgets that are shown at first."""
    for name, config in configs(inputs):
        kind, options = config
        full = f"{before}{name}"
        if kind == "COMFY_DYNAMICCOMBO_V3":
            first = options["options"][0]
            yield full, config, first["key"]
            yield from widgets(first["inputs"], f"{full}.")
        elif isinstance(kind, list):
            if kind:
                yield full, config, options.get("default", kind[0])
        elif "default" in options:
            yield full, config, options["default"]


def values_of(info: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, _, value in widgets(info["input"])}


def options_of(inputs: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Sequence[Any]]]:
    for name, (kind, options) in configs(inputs):
        if kind == "COMFY_DYNAMICCOMBO_V3":
            yield f"{before}{name}", [each["key"] for each in options["options"]]
        elif isinstance(kind, list):
            yield f"{before}{name}", kind


def refused(node_type: str, values: Mapping[str, Any]) -> str:
    """Why a node with these values is not imported; empty if it is."""
    graph = with_sampler(supplied(TABLE[node_type], **values, **LINKS.get(node_type, {})))
    node = graph.nodes["node"]
    inputs = {name: value for name, value in node.inputs.items() if value is not None}
    linked = {"LoraSave": {"less": LESS}, "Flux3LayoutPrompt": {"boxes": BOXES}}
    more = {name: replace(each, id=name) for name, each in linked.get(node_type, {}).items()}
    graph = ForeignGraph({**graph.nodes, **more, "node": replace(node, inputs=inputs)})
    outcomes = (each for each in imported(graph).placeholders if each.type == node_type)
    return next((each.untranslated_reason for each in outcomes), "")


def test_every_type_that_is_imported_is_described(described: dict[str, dict[str, Any]]) -> None:
    assert set(described) == {entry.type for entry, _ in listed_entries()}
    assert len(described) > 330
    assert not [name for name in described if name.startswith("@")]
    assert not {"PrimitiveNode", "Reroute", "Note"} & set(described)


def test_it_is_sound_json_as_clients_read_it(described: dict[str, dict[str, Any]]) -> None:
    document = json.loads(json.dumps(described, allow_nan=False))
    for name, info in document.items():
        with case(name):
            assert info["name"] == name
            assert info["display_name"]
            assert info["category"]
            outputs = len(info["output"])
            for key in ("output_is_list", "output_name", "output_tooltips"):
                assert len(info[key]) == outputs, key
            for kind, inputs in info["input"].items():
                assert list(inputs) == info["input_order"][kind]
            for _, config in configs(info["input"]):
                assert isinstance(config[0], (str, list))
                assert isinstance(config[1], dict)
                assert not (isinstance(config[0], list) and None in config[0])


def test_defaults_are_within_the_limits(described: dict[str, dict[str, Any]]) -> None:
    for name, info in described.items():
        with case(name):
            for full, (kind, options), value in widgets(info["input"]):
                if isinstance(kind, list):
                    assert value in kind, full
                elif kind in ("INT", "FLOAT"):
                    assert options["min"] <= value <= options["max"], full
                    assert options["min"] < options["max"], full
                    if kind == "INT":
                        numbers = (value, options["min"], options["max"])
                        assert all(isinstance(number, int) for number in numbers), full


def test_the_default_of_every_input_is_imported(described: dict[str, dict[str, Any]]) -> None:
    for name, info in described.items():
        with case(name):
            assert refused(name, values_of(info)) == ""


def test_each_choice_that_is_offered_is_imported(described: dict[str, dict[str, Any]]) -> None:
    for name, info in described.items():
        usual = values_of(info)
        for full, choices in options_of(info["input"]):
            for choice in choices:
                with case(f"{name}.{full} = {choice}"):
                    assert refused(name, {**usual, full: choice}) == ""


def test_lists_of_models_and_files_are_the_servers(described: dict[str, dict[str, Any]]) -> None:
    def choices(node_type: str, name: str) -> Any:
        return described[node_type]["input"]["required"][name][0]

    assert choices("CheckpointLoaderSimple", "ckpt_name") == ["checkpoints.safetensors"]
    assert choices("LoraLoader", "lora_name") == ["loras.safetensors"]
    assert choices("CLIPVisionLoader", "clip_name") == ["clip_vision.safetensors"]
    assert choices("LoadImage", "image") == LISTS[INPUT_FILES]
    upload = described["LoadImage"]["input"]["required"]["image"][1]
    assert upload["image_upload"] is True


def test_the_sampler_has_what_clients_rely_on(described: dict[str, dict[str, Any]]) -> None:
    info = described["KSampler"]
    required = info["input"]["required"]
    assert list(required) == [
        *("model", "seed", "steps", "cfg", "sampler_name", "scheduler"),
        *("positive", "negative", "latent_image", "denoise"),
    ]
    assert required["seed"][1]["control_after_generate"] is True
    assert required["seed"][1]["max"] == (1 << 64) - 1
    assert required["sampler_name"][0][0] == "euler"
    assert "karras" in required["scheduler"][0]
    limits = {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01}
    assert limits.items() <= required["denoise"][1].items()
    assert described["SaveImage"]["output_node"] is True
    assert described["KSampler"]["output_node"] is False
    assert described["CLIPTextEncode"]["input"]["required"]["text"][1]["multiline"] is True


def test_inputs_that_depend_on_a_choice_stand_below_it(
    described: dict[str, dict[str, Any]],
) -> None:
    kind, options = described["ResizeImageMaskNode"]["input"]["required"]["resize_type"]
    branches = {each["key"]: each["inputs"] for each in options["options"]}
    assert kind == "COMFY_DYNAMICCOMBO_V3"
    assert options["options"][0]["key"] == "scale dimensions"
    assert list(branches["scale dimensions"]["required"]) == ["width", "height", "crop"]
    assert list(branches["scale by multiplier"]["required"]) == ["multiplier"]


def test_inputs_that_grow_have_a_template(described: dict[str, dict[str, Any]]) -> None:
    images = described["BatchImagesNode"]["input"]["required"]["images"]
    assert images[0] == "COMFY_AUTOGROW_V3"
    assert images[1]["template"]["prefix"] == "image"
    values = described["StringFormat"]["input"]["required"]["values"]
    assert values[1]["template"]["names"][:2] == ["a", "b"]


@pytest.mark.parametrize(
    ("node_type", "shown"),
    [
        ("EmptyLatentImage", "Empty Latent Image"),
        ("VAEDecode", "VAE Decode"),
        ("EmptySD3LatentImage", "Empty SD3 Latent Image"),
        ("Flux2Scheduler", "Flux2 Scheduler"),
        ("KSamplerSelect", "KSampler Select"),
        ("Power Lora Loader (rgthree)", "Power Lora Loader (rgthree)"),
    ],
)
def test_names_of_types_are_shown_in_words(node_type: str, shown: str) -> None:
    assert display_name(node_type) == shown
