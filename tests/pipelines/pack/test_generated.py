"""Each pipeline class of the installed diffusers is a node type, typed and documented."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.interop.pipelines.classes import PipelineClass, PipelineDataclass
from nodegraph.interop.pipelines.rates import with_audio_rate_input
from nodegraph.packs.registry import Registry

Read = tuple[Mapping[str, PipelineClass], Mapping[str, PipelineDataclass]]


@pytest.fixture(scope="module")
def read(known_pipelines: Path) -> Read:
    """What the pack is made of."""
    found: Read = pickle.loads((known_pipelines / "pipelines.pickle").read_bytes())[:2]
    return found


def spec_of(registry: Registry, name: str) -> NodeSpec:
    found = registry.spec(f"diffusers:{name}")
    assert found is not None
    return found


def input_of(spec: NodeSpec, name: str) -> InputSpec:
    return spec.inputs_by_name[name]


def test_every_class_and_every_dataclass_is_there(registry: Registry, read: Read) -> None:
    classes, dataclasses = read
    assert registry.problems == []
    there = {name for name in registry.node_types() if name.startswith("diffusers:")}
    assert len(classes) > 250
    assert {f"diffusers:{name}" for name in (*classes, *dataclasses)} <= there


def test_each_is_typed_and_documented(registry: Registry, read: Read) -> None:
    for name, found in read[0].items():
        check_typed_and_documented(registry, name, found)


def check_typed_and_documented(registry: Registry, name: str, found: PipelineClass) -> None:
    spec = spec_of(registry, name)
    assert spec.inputs[0].name == "pipeline"
    assert (spec.inputs[0].type, spec.inputs[0].required) == ("Pipeline", True)
    assert len(spec.inputs) == 1 + len(with_audio_rate_input(found).inputs)
    assert spec.outputs
    assert len(spec.outputs) == len(found.outputs)
    assert spec.category == f"pipelines/{found.makes}"
    assert spec.summary
    assert (spec.lane, spec.numerics, spec.deterministic) == ("gpu", True, True)
    assert set(spec.hooks) == {"validate", "infer", "estimate"}
    # What must be given comes first, what is seldom changed last.
    order = [(not port.required, port.advanced) for port in spec.inputs]
    assert order == sorted(order)
    named = {name for port in (*spec.inputs, *spec.outputs) for name in port.expr.type_names()}
    assert named <= {*registry.types.names(), "Any"}


def test_inputs_are_what_people_fill_in(registry: Registry) -> None:
    spec = spec_of(registry, "StableDiffusionImg2ImgPipeline")
    assert spec.label == "Stable Diffusion Img2Img"
    assert input_of(spec, "prompt").widget == "multiline"
    assert input_of(spec, "image").type == "Image"
    assert input_of(spec, "seed").widget == "seed"
    steps = input_of(spec, "num_inference_steps")
    assert (steps.type, steps.default) == ("int", 50)
    assert (steps.json_schema or {})["minimum"] == 1
    assert input_of(spec, "prompt_embeds").type == "Tensor"
    assert input_of(spec, "prompt_embeds").advanced
    assert input_of(spec, "cross_attention_kwargs").type == "dict"
    shown = set(spec.inputs_by_name)
    assert shown.isdisjoint({"return_dict", "output_type", "callback_on_step_end", "generator"})
    assert [(port.name, port.type) for port in spec.outputs] == [
        ("image", "Image"),
        ("nsfw_content_detected", "list[bool]"),
    ]


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("StableAudioPipeline", ("audio", "Audio")),
        ("WanPipeline", ("video", "Video")),
        ("ShapEPipeline", ("mesh", "Mesh")),
        ("KandinskyV22PriorPipeline", ("image_embeds", "Tensor")),
    ],
)
def test_outputs_are_of_what_is_made(
    registry: Registry, name: str, output: tuple[str, str]
) -> None:
    assert output in [(port.name, port.type) for port in spec_of(registry, name).outputs]


def test_a_dataclass_is_made_by_a_node_of_its_own(registry: Registry) -> None:
    spec = spec_of(registry, "LTXVideoCondition")
    (output,) = spec.outputs
    assert output.type == "LTXVideoCondition"
    assert input_of(spec, "image").type == "Image"
    taken = input_of(spec_of(registry, "LTXConditionPipeline"), "conditions")
    assert taken.type == "list[LTXVideoCondition]"
    assert "LTXVideoCondition" in registry.types.names()
    made = registry.definition(spec.type).function(image=None, video=None, strength=0.5)
    assert (made.strength, made.frame_index) == (0.5, None)
    # Another node type's code makes the same class of it.
    assert type(made) in registry.serializers


_ONE = """
import sys
import nodegraph_pipelines.generated as pack
pack.StableAudioPipeline
from nodegraph_pipelines._catalog import is_catalog_loaded
print(is_catalog_loaded(), sorted({"torch", "diffusers", "numpy"} & set(sys.modules)))
"""


def test_one_is_made_without_the_others_and_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ONE], capture_output=True, text=True, check=True
    ).stdout
    assert done.split(maxsplit=1) == ["False", "[]\n"]


def test_what_a_node_is_given_reaches_the_call_by_diffusers_names(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def run(ctx: Any, found: Any, pipeline: Any, inputs: dict[str, Any]) -> tuple[Any, ...]:
        asked.update(inputs, found=found, pipeline=pipeline)
        return (None, "latents")

    calling: Any = ModuleType("nodegraph.interop.pipelines.pipeline_call")
    calling.run_pipeline = run
    monkeypatch.setitem(sys.modules, calling.__name__, calling)
    condition = registry.definition("diffusers:LTXVideoCondition").function(strength=0.5)
    node = registry.definition("diffusers:LTXConditionPipeline").function
    given = {"prompt": "a fox", "seed": 3, "conditions": [condition], "output_type": "pil"}
    video, latents = node(ctx=None, pipeline="its parts", **given)
    assert (asked["generator"], asked["prompt"]) == (3, "a fox")
    assert asked["conditions"] == [{"strength": 0.5}]
    assert "output_type" not in asked
    assert asked["found"].name == "LTXConditionPipeline"
    # Where latents were asked for there is no video, and what needs it is skipped.
    assert (repr(video), latents) == ("BLOCKED", "latents")


def test_what_diffusers_means_to_drop_says_so(registry: Registry) -> None:
    old, new = (spec_of(registry, f"{name}Pipeline") for name in ("DanceDiffusion", "Flux"))
    assert (old.deprecated, new.deprecated) == ("Diffusers means to drop it.", "")
    assert old.tags == ("dance diffusion", "diffusers", "pipeline")
    assert new.tags == ("flux", "diffusers", "pipeline")
