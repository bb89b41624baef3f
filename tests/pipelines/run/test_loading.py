"""LoadPipeline gives recipes at once, shares parts with native nodes, and tells before running what
it can't load."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker

from nodegraph.core.values import PipelineComponent
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError
from nodegraph.interop.pipelines import schedulers
from nodegraph.interop.pipelines.pipeline_recipes import (
    open_pipeline,
    pipeline_stamp,
    pipeline_weights,
)
from nodegraph.interop.pipelines.schedulers import compatible_schedulers
from nodegraph.models.model_recipes import open_model
from nodegraph.residency.component_loading import component_bytes
from tests.diffusion.adapters import files as adapter_files
from tests.messages import raises
from tests.pipelines.run.conftest import SEED, Shelf, link
from tests.pipelines.run.plainly import answer
from tests.pipelines.tiny import tiny
from tests.pipelines.tiny.base import WIDTH
from tests.pipelines.tiny.parts import clip_pixels, clip_vision

PIPELINES = (
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionControlNetPipeline",
    "KandinskyV22Pipeline",
)
"""Whose node types there are here."""

SD, AUDIO = "StableDiffusionPipeline", "StableAudioPipeline"


@pytest.fixture
def folder(shelf: Shelf, tmp_path: Path) -> Path:
    """A copy of Stable Diffusion's folder, to damage."""
    shelf.call(SD)
    return Path(shutil.copytree(shelf.models / SD, tmp_path / "copy"))


def index_of(folder: Path, **changed: Any) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def test_parts_of_a_native_family_are_those_of_load_model(shelf: Shelf) -> None:
    shelf.call(SD)
    model, encoder, vae = open_model(SD, [shelf.models])
    pipeline = shelf.pipeline(SD)
    assert pipeline.parts == {
        "vae": vae,
        "text_encoder": encoder,
        "tokenizer": encoder,
        "unet": model,
    }


def test_other_parts_are_recipes_of_their_own_and_equal_ones_are_held_once(shelf: Shelf) -> None:
    pipeline = shelf.pipeline(AUDIO)
    assert {type(item) for item in pipeline.recipes} == {PipelineComponent}
    assert pipeline.parts["vae"].family == "AutoencoderOobleck"
    again = open_pipeline(str(shelf.models / AUDIO), [])
    for name, recipe in pipeline.parts.items():
        with shelf.weights(recipe) as one, shelf.weights(again.parts[name]) as other:
            assert one is other


def test_what_it_takes_in_memory_is_told_before_it_is_loaded(shelf: Shelf) -> None:
    shelf.call(AUDIO)
    told = sum(part.bytes for part in pipeline_weights(AUDIO, [shelf.models]).values())
    taken = 0
    for recipe in shelf.pipeline(AUDIO).recipes:
        with shelf.weights(recipe) as live:
            taken += component_bytes(live)
    assert told == pytest.approx(taken, rel=0.02)


def test_another_scheduler_may_take_its_place(shelf: Shelf) -> None:
    nodes = shelf.nodes(SD)
    nodes["load"]["inputs"]["scheduler"] = "EulerDiscrete"
    result = shelf.run_nodes(nodes)
    assert not result.errors, result.errors
    with shelf.plain(SD) as made:
        made.scheduler = diffusers.EulerDiscreteScheduler.from_config(made.scheduler.config)
        plain = answer(made, shelf.call(SD), SEED)
    assert torch.equal(result["run.image"], torch.as_tensor(plain["images"]))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("EulerDiskrete", "Did you mean `EulerDiscreteScheduler`"),
        ("FlowMatchEulerDiscrete", "cannot replace DDIMScheduler"),
        # Its configuration knows another noise.
        ("EDMEuler", "cannot replace DDIMScheduler"),
        # Its step has to be told the image and the mask.
        ("RePaint", "cannot replace DDIMScheduler"),
        ("CogVideoXDPM", "cannot replace DDIMScheduler"),
        ("", "cannot replace DDIMScheduler"),
    ],
)
def test_a_scheduler_that_does_not_fit_is_told_before_it_runs(
    shelf: Shelf, name: str, words: str
) -> None:
    nodes = shelf.nodes(SD)
    nodes["load"]["inputs"]["scheduler"] = name
    [problem] = shelf.problems(nodes)
    assert problem.port == "scheduler"
    assert words in str(problem)


def test_a_scheduler_with_a_step_of_its_own_takes_the_place_of_one_for_the_same_model() -> None:
    assert "CogVideoXDPMScheduler" in compatible_schedulers("CogVideoXDDIMScheduler")


def test_a_scheduler_that_needs_a_package_is_told_before_it_runs(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedulers, "find_spec", _finding_no("scipy"))
    nodes = shelf.nodes(SD)
    nodes["load"]["inputs"]["scheduler"] = "LMSDiscrete"
    [problem] = shelf.problems(nodes)
    assert problem.port == "scheduler"
    assert "pip install scipy" in str(problem.hint)


def test_so_is_the_folders_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulers, "find_spec", _finding_no("torchsde"))
    config = folder / "scheduler/scheduler_config.json"
    config.write_text(json.dumps({"_class_name": "DPMSolverSDEScheduler"}))
    with raises(InvalidValue, port="scheduler"):
        open_pipeline(str(folder), [])


def _finding_no(package: str) -> Any:
    return lambda name: None if name == package else find_spec(name)


def test_a_node_of_another_class_takes_the_parts_that_it_needs(shelf: Shelf) -> None:
    again = "StableDiffusionImg2ImgPipeline"
    nodes = shelf.nodes(again)
    shelf.call(SD)
    nodes["load"]["inputs"]["pipeline"] = SD
    result = shelf.run_nodes(nodes)
    assert not result.errors, result.errors
    with shelf.plain(SD) as made:
        plain = answer(
            diffusers.StableDiffusionImg2ImgPipeline(
                **made.components, requires_safety_checker=False
            ),
            shelf.call(again),
            SEED,
        )
    assert torch.equal(result["run.image"], torch.as_tensor(plain["images"]))


def test_parts_that_another_class_lacks_are_named_before_it_runs(shelf: Shelf) -> None:
    nodes = shelf.nodes("StableDiffusionControlNetPipeline")
    shelf.call(SD)
    nodes["load"]["inputs"]["pipeline"] = SD
    [problem] = shelf.problems(nodes)
    assert problem.port == "pipeline"
    assert "controlnet" in str(problem)


def test_a_lora_changes_a_pipeline_as_diffusers_does(shelf: Shelf, tmp_path: Path) -> None:
    shelf.call(SD)
    with shelf.weights(shelf.pipeline(SD).parts["unet"]) as live:
        pairs = adapter_files.own_pairs(live.modules["unet"])
    lora = shelf.models / "some.safetensors"
    adapter_files.saved(adapter_files.peft_file(pairs, "unet."), lora)
    nodes = shelf.nodes(SD)
    nodes["lora"] = {
        "type": "LoadPipelineLora",
        "inputs": {"pipeline": link("load.pipeline"), "lora": lora.name},
    }
    nodes["run"]["inputs"]["pipeline"] = link("lora.pipeline")
    result = shelf.run_nodes(nodes)
    assert not result.errors, result.errors
    theirs = diffusers.StableDiffusionPipeline.from_pretrained(shelf.models / SD)
    theirs.load_lora_weights(str(lora))
    theirs.set_progress_bar_config(disable=True)
    plain = torch.as_tensor(answer(theirs, shelf.call(SD), SEED)["images"])
    # Ours adds the products in another order.
    assert torch.allclose(result["run.image"], plain, atol=1e-5)
    assert not torch.allclose(result["run.image"], shelf.run(SD)["run.image"], atol=1e-3)


@pytest.mark.parametrize("name", [SD, pytest.param("KandinskyV22Pipeline", marks=pytest.mark.slow)])
def test_weights_may_be_held_in_few_bits(shelf: Shelf, name: str) -> None:
    nodes = shelf.nodes(name)
    nodes["load"]["inputs"]["storage"] = "int8"
    result = shelf.run_nodes(nodes)
    assert not result.errors, result.errors
    usual = shelf.run(name)["run.image"]
    assert 0 < (result["run.image"] - usual).abs().mean() < 0.1


def test_a_content_filter_comes_along(shelf: Shelf) -> None:
    """It lies in a package of diffusers' pipelines, and what feeds it has a name of old."""
    shelf.call(SD)
    parts = tiny(SD).pipeline.components
    parts["safety_checker"] = StableDiffusionSafetyChecker(
        transformers.CLIPConfig(vision_config=clip_vision().config.to_dict(), projection_dim=WIDTH)
    )
    made = diffusers.StableDiffusionPipeline(**{**parts, "feature_extractor": clip_pixels()})
    made.save_pretrained(shelf.models / "checked")
    index_of(shelf.models / "checked", feature_extractor=["transformers", "CLIPFeatureExtractor"])
    nodes = shelf.nodes(SD)
    nodes["load"]["inputs"]["pipeline"] = "checked"
    result = shelf.run_nodes(nodes)
    assert not result.errors, result.errors
    with shelf.plain(SD, folder="checked") as plain:
        wanted = answer(plain, shelf.call(SD), SEED)
    assert torch.equal(result["run.image"], torch.as_tensor(wanted["images"]))
    assert result["run.nsfw_content_detected"] == wanted["nsfw_content_detected"]


def test_a_changed_file_is_noticed(folder: Path) -> None:
    before, stamp = open_pipeline(str(folder), []), pipeline_stamp(str(folder), [])
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert pipeline_stamp(str(folder), []) != stamp
    assert open_pipeline(str(folder), []).parts["unet"].digest != before.parts["unet"].digest


def _lacks(*names: str) -> Any:
    def damage(folder: Path) -> None:
        for name in names:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


def _holds(name: str, text: str) -> Any:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_lacks("model_index.json"), "it has no model_index.json"),
        (_lacks("unet", "tokenizer"), "it has no tokenizer/, no unet/"),
        (_lacks("unet/diffusion_pytorch_model.safetensors"), "has no weights"),
        (_lacks("scheduler/scheduler_config.json"), "no scheduler/"),
        (_lacks("tokenizer/tokenizer.json"), "it has no tokenizer/tokenizer.json"),
        (_holds("unet/config.json", "{"), "is not valid JSON"),
        (_holds("model_index.json", "[]"), "instead of a JSON object"),
        (_holds("vae/diffusion_pytorch_model.safetensors", "<html>"), "a web page"),
        (
            lambda folder: index_of(folder, _class_name="StableDifusionPipeline"),
            "Did you mean `StableDiffusionPipeline`?",
        ),
        (
            lambda folder: index_of(folder, _class_name="Of2031", _diffusers_version="0.99.0"),
            "written by diffusers 0.99.0",
        ),
        (lambda folder: index_of(folder, _class_name=["own", "Own"]), "contains its own code"),
        (lambda folder: index_of(folder, _class_name="FluxModularPipeline"), "consists of blocks"),
        (lambda folder: index_of(folder, unet=["evil", "Net"]), "which is not imported"),
        (
            lambda folder: index_of(folder, unet=["diffusers", "UNet2DConditionalModel"]),
            "Did you mean `UNet2DConditionModel`?",
        ),
    ],
)
def test_folders_that_can_not_be_loaded_are_refused_by_name(
    folder: Path, damage: Any, words: str
) -> None:
    damage(folder)
    with pytest.raises(InvalidFile) as caught:
        open_pipeline(str(folder), [])
    assert words in str(caught.value)


def test_names_of_nothing_and_wrong_choices_are_told(shelf: Shelf) -> None:
    shelf.call(SD)
    with raises(NodegraphError, given="StableDiffusionPipelin"):
        open_pipeline("StableDiffusionPipelin", [shelf.models])
    for wrong in ({"dtype": "float12"}, {"storage": "int3"}):
        with pytest.raises(InvalidValue):
            open_pipeline(SD, [shelf.models], **wrong)
