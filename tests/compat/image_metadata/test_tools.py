"""Images of other tools: their settings, and the workflows that are made of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings, Workflow
from nodegraph.interop.image_metadata import Generation, find_generation
from nodegraph.interop.image_metadata.workflow_building import ModelFinder, import_generation
from nodegraph.session.results.texts import result_texts
from tests.compat.image_metadata.samples import SAMPLES, Sample


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
    for words in sample.reports:
        assert any(words in finding for finding in generation.findings), generation.findings


def workflow_of(generation: Generation) -> Workflow:
    """The workflow, with models that ship with nodegraph in place of missing ones."""
    workflow = import_generation(generation, ModelFinder((), None)).workflow
    stand_ins = {
        "LoadModel": {"model": "tiny"},
        "LoadLora": {"lora": "tiny/style_lora"},
        "LoadUpscaleModel": {"model": "tiny/upscaler"},
    }
    nodes = {
        name: replace(entry, inputs={**entry.inputs, **stand_ins.get(entry.type, {})})
        for name, entry in workflow.nodes.items()
        if entry.type not in ("LoadVae", "LoadTextualInversion")
    }
    links = {"load_vae.vae": "load.vae", "load_vae": "load.vae"}
    encoder = next((name for name in ("lora_1",) if name in nodes), "load")
    for name, entry in nodes.items():
        inputs = dict(entry.inputs)
        for port, value in inputs.items():
            source = value.get("from", "") if isinstance(value, dict) else ""
            if source in links:
                inputs[port] = {"from": links[source]}
            elif source.startswith("embedding_"):
                inputs[port] = {"from": f"{encoder}.text_encoder"}
        nodes[name] = replace(entry, inputs=inputs)
    return replace(workflow, nodes=nodes)


def small(workflow: Workflow) -> Workflow:
    """The same with a size and steps that take no time."""
    changes = {"size.width": 64, "size.height": 64, "sample.steps": 2}
    for name, entry in workflow.nodes.items():
        if name == "sample_again":
            changes["sample_again.steps"] = 3
        changes |= {
            f"{name}.{port}": 128
            for port in ("width", "height")
            if name in ("enlarge", "resize") and port in entry.inputs
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
    for port in ("seed", "steps", "cfg", "sampler", "schedule"):
        if getattr(generation, port) not in (None, ""):
            assert inputs[f"sample.{port}"] == getattr(generation, port)
    assert (inputs["size.width"], inputs["size.height"]) == (generation.width, generation.height)
    assert inputs.get("skip.skip") == generation.clip_skip
    assert ("sample_again.seed" in inputs) == (generation.hires is not None)
    loras = [(name, inputs[f"{name}.lora"]) for name in workflow.nodes if name.startswith("lora_")]
    assert len(loras) == len(generation.loras)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_workflow_runs(sample: Sample, tmp_path: Path, session: Session) -> None:
    workflow = small(workflow_of(generation_of(sample, tmp_path)))

    assert session.check(workflow) == []
    image = session.run(workflow, targets=["decode"]).image("decode")
    assert image.size[0] >= 64


def test_resources_of_civitai_do_not_repeat_the_tags() -> None:
    resources = [{"type": "lora", "weight": 0.5, "modelVersionId": 3, "modelName": "Ink"}]
    line = f"Steps: 2, Sampler: LMS, Seed: 1, Size: 8x8, Civitai resources: {json.dumps(resources)}"

    tagged = find_generation({"parameters": f"a <lora:ink:0.5>\n{line}"})
    plain = find_generation({"parameters": f"a\n{line}"})

    assert tagged is not None
    assert plain is not None
    assert [lora.model.name for lora in tagged.loras] == ["ink"]
    assert [lora.model.url for lora in plain.loras] == ["https://civitai.com/api/download/models/3"]
