"""Images of other tools: their settings, and the workflows that are made of them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings, Workflow
from nodegraph.interop.image_metadata import Generation, find_generation
from nodegraph.interop.image_metadata.generation_workflow import import_generation
from nodegraph.interop.image_metadata.model_finder import ModelFinder
from nodegraph.session.results.files import result_texts
from tests.compat.image_metadata.samples import SAMPLES, Sample

APPLE = Path(__file__).parents[3] / "workflows" / "apple.png"


def generation_of(sample: Sample, folder: Path) -> Generation:
    path = folder / f"image{sample.suffix}"
    sample.write(path)
    generation = find_generation(result_texts(path) or {})
    assert generation is not None
    return generation


def read_back(generation: Generation, name: str) -> Any:
    value = getattr(generation, name)
    if name in ("model", "vae"):
        return value.name
    if name == "loras":
        return {lora.model.name: lora.weight for lora in value}
    return value


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("images")
    with Session(Settings(home=home, outputs=home / "output", device="cpu")) as session:
        yield session


def test_there_are_ten_of_each() -> None:
    assert all(
        count >= 10
        for count in Counter(
            sample.tool for sample in SAMPLES if sample.tool not in ("Forge",)
        ).values()
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_settings_are_read(sample: Sample, tmp_path: Path) -> None:
    generation = generation_of(sample, tmp_path)

    assert generation.tool == sample.tool
    for name, expected in sample.expected.items():
        if name == "hires" and expected is not None:
            assert generation.hires is not None
            assert {each: getattr(generation.hires, each) for each in expected} == expected
        else:
            assert read_back(generation, name) == expected, name
    import_generation(generation, ModelFinder((), None))  # reports what the nodes cannot do
    for words in sample.reports:
        assert any(words in finding for finding in generation.findings), generation.findings


def workflow_of(generation: Generation) -> Workflow:
    """The workflow, with models that ship with nodegraph in place of missing ones."""
    workflow = import_generation(generation, ModelFinder((), None)).workflow
    stand_ins = {
        "LoadModel": {"model": "tiny"},
        "LoadLora": {"lora": "tiny/style_lora"},
        "LoadUpscaleModel": {"model": "tiny/upscaler"},
        "LoadControlNet": {"control_net": "tiny/controlnet"},
        "LoadImage": {"path": str(APPLE)},
    }
    nodes = {
        name: replace(entry, inputs={**entry.inputs, **stand_ins.get(entry.type, {})})
        for name, entry in workflow.nodes.items()
        if entry.type not in ("LoadVae", "LoadTextualInversion")
    }
    links = {"vae": "load.vae"}
    encoder = next((name for name in ("lora",) if name in nodes), "load")
    for name, entry in nodes.items():
        inputs = dict(entry.inputs)
        for port, value in inputs.items():
            source = value.get("from", "") if isinstance(value, dict) else ""
            if source in links:
                inputs[port] = {"from": links[source]}
            elif source.startswith("embedding"):
                inputs[port] = {"from": f"{encoder}.text_encoder"}
        nodes[name] = replace(entry, inputs=inputs)
    return replace(workflow, nodes=nodes)


def small(workflow: Workflow) -> Workflow:
    """The same with a size and steps that take no time."""
    changes: dict[str, Any] = {}
    for name, entry in workflow.nodes.items():
        if name in ("size", "fitted", "mask_image"):
            changes |= {f"{name}.width": 64, f"{name}.height": 64}
        if "steps" in entry.inputs:
            changes[f"{name}.steps"] = 3
        if entry.type == "KSamplerAdvanced":
            changes |= {
                f"{name}.{port}": 1 for port in ("start_step", "end_step") if port in entry.inputs
            }
        if name == "redraw":
            changes["redraw.steps"] = 3
        changes |= {
            f"{name}.{port}": 128
            for port in ("width", "height")
            if name in ("larger_latent", "larger_fitted") and port in entry.inputs
        }
    return workflow.with_inputs(changes)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_workflow_says_the_same(sample: Sample, tmp_path: Path) -> None:
    generation = generation_of(sample, tmp_path)
    workflow = import_generation(generation, ModelFinder((), None)).workflow

    inputs = {
        f"{name}.{port}": value
        for name, entry in workflow.nodes.items()
        for port, value in entry.inputs.items()
    }
    assert inputs["positive.text"] == (generation.encoded_prompt or generation.prompt)
    assert inputs["negative.text"] == (generation.encoded_negative or generation.negative)
    assert inputs.get("load.model", "") == generation.model.name.rpartition("/")[2]
    parts = {"seed": "noise", "cfg": "guider", "sampler": "sampler"}
    is_custom = "noise" in workflow.nodes
    for port in ("seed", "steps", "cfg", "sampler", "schedule"):
        node = parts.get(port, "schedule") if is_custom else "sample"
        if getattr(generation, port) not in (None, ""):
            assert inputs[f"{node}.{port}"] == getattr(generation, port)
    size = "size" if generation.source is None else "fitted"
    assert (inputs[f"{size}.width"], inputs[f"{size}.height"]) == (
        generation.width,
        generation.height,
    )
    assert inputs.get("skip.skip") == generation.clip_skip
    assert ("redraw.seed" in inputs) == (generation.hires is not None)
    loras = [(name, inputs[f"{name}.lora"]) for name in workflow.nodes if name.startswith("lora")]
    assert len(loras) == len(generation.loras)


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_workflow_runs(sample: Sample, tmp_path: Path, session: Session) -> None:
    workflow = small(workflow_of(generation_of(sample, tmp_path)))

    assert session.check(workflow) == []
    image = session.run(workflow, targets=["decode"]).image("decode")
    assert image.size[0] >= 64


def nodes_of(name: str, folder: Path) -> dict[str, Any]:
    sample = next(each for each in SAMPLES if each.name == name)
    workflow = import_generation(generation_of(sample, folder), ModelFinder((), None)).workflow
    nodes: dict[str, Any] = workflow.to_dict()["nodes"]
    return nodes


def test_a_refiner_takes_over_after_its_share_of_the_steps(tmp_path: Path) -> None:
    nodes = nodes_of("a1111-refiner", tmp_path)

    first, second = nodes["sample"]["inputs"], nodes["refine"]["inputs"]
    assert (first["end_step"], first["leave_noise"]) == (16, True)
    assert (second["start_step"], second["add_noise"]) == (16, False)
    assert second["model"] == {"from": "load_refiner.model"}
    assert nodes["refiner_positive"]["inputs"]["encoder"] == {"from": "load_refiner.text_encoder"}


def test_a_variation_turns_the_noise_as_the_tool_does(tmp_path: Path) -> None:
    nodes = nodes_of("a1111-variation", tmp_path)

    share = nodes["variation"]["inputs"]["share"]
    first, second = 1 - share, share
    angle = math.atan2(second, first)
    assert angle == pytest.approx(0.25 * math.pi / 2)
    assert nodes["sampler"]["inputs"] == {"sampler": "euler_ancestral", "eta": 0.5}


def test_images_that_the_metadata_lack_are_waited_for(tmp_path: Path, session: Session) -> None:
    sample = next(each for each in SAMPLES if each.name == "a1111-from-image")
    imported = import_generation(generation_of(sample, tmp_path), ModelFinder((), None))
    workflow = imported.workflow.with_inputs({"load.model": "tiny"})

    problems = session.check(workflow)
    assert [(each.node, each.port) for each in problems] == [("picture", "path")]
    chosen = workflow.with_inputs({"picture.path": str(APPLE)})
    assert session.check(chosen) == []


def test_detected_parts_run_once_a_model_is_chosen(tmp_path: Path) -> None:
    nodes = nodes_of("a1111-units", tmp_path)

    muted = {name for name, node in nodes.items() if node.get("mode") == "mute"}
    assert {"detector", "found", "crop", "detail", "detail_positive_2"} <= muted
    assert [nodes[name]["mode"] for name in ("detailed", "detailed_2")] == ["bypass"] * 2
    assert nodes["control"]["inputs"]["image"] == {"from": "hint"}
    assert nodes["save"]["inputs"]["image"] == {"from": "detailed_2"}


def test_resources_of_civitai_do_not_repeat_the_tags() -> None:
    resources = [{"type": "lora", "weight": 0.5, "modelVersionId": 3, "modelName": "Ink"}]
    line = f"Steps: 2, Sampler: LMS, Seed: 1, Size: 8x8, Civitai resources: {json.dumps(resources)}"

    tagged = find_generation({"parameters": f"a <lora:ink:0.5>\n{line}"})
    plain = find_generation({"parameters": f"a\n{line}"})

    assert tagged is not None
    assert plain is not None
    assert [lora.model.name for lora in tagged.loras] == ["ink"]
    assert [lora.model.url for lora in plain.loras] == ["https://civitai.com/api/download/models/3"]
