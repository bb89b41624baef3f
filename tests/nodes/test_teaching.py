"""Nodes that teach: through the engine, from dataset to image, and after a restart."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nodegraph import Dataset, Example, node
from nodegraph.models.model_library import read_facts
from nodegraph.session.session import Session

from .conftest import Bench, link


@node
def Foxes(count: int = 2, side: int = 64, said: str = "a red fox") -> Dataset:
    """Images at random, all called the same."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.rand((side, side, 3), generator=generator) for _ in range(count)]
    return Dataset(tuple(Example(item, f"fox {at}", said) for at, item in enumerate(drawn)))


@pytest.fixture
def desk(tmp_path: Path, sd1_folder: Path) -> Any:
    copytree(sd1_folder, tmp_path / "models" / "sd1")
    made = Bench(tmp_path, nodes=[Foxes])
    yield made
    made.session.close()


def training(**inputs: Any) -> dict[str, Any]:
    """A LoRA in two steps, and what it is sampled by."""
    parts = {name: link(f"load.{name}") for name in ("model", "text_encoder", "vae")}
    given = {"dataset": link("foxes"), "steps": 2, "batch": 1, "rank": 2, "learning_rate": 0.01}
    return {
        "load": {"type": "LoadModel", "inputs": {"model": "sd1"}},
        "foxes": {"type": "Foxes"},
        "train": {"type": "TrainLoRA", "inputs": {**parts, **given, **inputs}},
    }


def sampled(model: str) -> dict[str, Any]:
    return {
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a red fox"},
        },
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link(model),
                "positive": link("prompt"),
                "latent": link("size"),
                "steps": 2,
            },
        },
    }


@pytest.mark.slow
def test_what_was_taught_is_sampled_saved_and_there_after_a_restart(desk: Bench) -> None:
    nodes = training() | sampled("train.model")
    nodes["save"] = {"type": "SaveWeights", "inputs": {"weights": link("train.weights")}}
    nodes["apply"] = {
        "type": "ApplyWeights",
        "inputs": {
            "model": link("load.model"),
            "text_encoder": link("load.text_encoder"),
            "weights": link("train.weights"),
        },
    }
    result = desk.run(nodes, "train", "sample", "save", "apply")
    assert not result.errors
    taught = result["train.weights"]
    assert result["apply.model"] == result["train.model"]
    saved = load_file(desk.folder / "outputs" / "lora_00001.safetensors")
    assert all(name.startswith("lora_unet_") for name in saved)
    plainly = {"type": "SaveWeights", "inputs": nodes["save"]["inputs"] | {"naming": "diffusers"}}
    desk.run(nodes | {"save": plainly}, "save")
    record = read_facts(desk.folder / "outputs" / "lora_00001.safetensors")
    assert record.trigger_words == ("a red fox",)
    assert json.loads(dict(taught.settings)["tags"]) == {"a red fox": 2}
    saved = load_file(desk.folder / "outputs" / "lora_00002.safetensors")
    assert saved.keys() == load_file(taught.files[0].path).keys()
    plain = desk.value(training() | sampled("load.model"), "sample.latent")
    assert not torch.equal(plain.samples, result["sample.latent"].samples)

    settings = desk.session.settings
    desk.session.close()
    desk.session = Session(settings, nodes=[Foxes])
    sample = nodes["sample"]["inputs"] | {"seed": 1}
    again = desk.run({**nodes, "sample": {"type": "KSampler", "inputs": sample}}, "sample")
    assert not again.errors
    assert "train" not in {event.node for event in desk.told("node.started")}

    Path(taught.files[0].path).unlink()
    desk.session.close()
    desk.session = Session(settings, nodes=[Foxes])
    sample = nodes["sample"]["inputs"] | {"seed": 2}
    healed = desk.run({**nodes, "sample": {"type": "KSampler", "inputs": sample}}, "sample")
    assert not healed.errors
    assert Path(taught.files[0].path).is_file()


def test_settings_and_pictures_to_watch_reach_the_training(desk: Bench) -> None:
    nodes = training(options=link("settings"), samples=link("watch"))
    nodes["settings"] = {"type": "TrainingSettings", "inputs": {"optimizer": "sgd", "warmup": 1}}
    nodes["watch"] = {
        "type": "WatchTraining",
        "inputs": {"prompts": "a fox\n\n", "every": 2, "steps": 1, "width": 64, "height": 64},
    }
    taught = desk.value(nodes, "train.weights")
    assert ("optimizer", "sgd") in taught.settings
    assert taught.losses is not None


def test_what_is_watched_teaches_nothing_anew(desk: Bench) -> None:
    nodes = training(samples=link("watch"))
    size = {"every": 9, "steps": 1, "width": 64, "height": 64}
    nodes["watch"] = {"type": "WatchTraining", "inputs": {"prompts": "a fox", **size}}
    first = desk.value(nodes, "train.weights")
    nodes["watch"] = {"type": "WatchTraining", "inputs": {"prompts": "an apple", **size}}
    assert desk.value(nodes, "train.weights") == first
    assert "train" not in {event.node for event in desk.told("node.started")}


def test_a_control_network_is_taught_saved_and_loaded(desk: Bench) -> None:
    parts = {name: link(f"load.{name}") for name in ("model", "text_encoder", "vae")}
    nodes = training()
    nodes["edges"] = {"type": "SelectPreprocessor"}
    nodes["train"] = {
        "type": "TrainControlNet",
        "inputs": {
            **parts,
            "dataset": link("foxes"),
            "preprocessor": link("edges"),
            "steps": 1,
            "batch": 1,
        },
    }
    nodes["save"] = {"type": "SaveWeights", "inputs": {"weights": link("train.weights")}}
    result = desk.run(nodes, "train", "save")
    assert not result.errors
    written = {file.path.name for file in result.files}
    assert written == {"config.json", "diffusion_pytorch_model.safetensors"}
    folder = str(result.files[0].path.parent)
    loaded = desk.value(
        {"net": {"type": "LoadControlNet", "inputs": {"control_net": folder}}}, "net.control_net"
    )
    assert loaded.family == result["train.control_net"].family == "sd1"


def test_the_model_that_comes_out_is_known_as_the_one_that_went_in(desk: Bench) -> None:
    assert desk.facts(training(), "train")["model"]["family"] == "sd1"


def test_an_empty_dataset_is_told(desk: Bench) -> None:
    nodes = training(dataset=link("none"))
    nodes["none"] = {"type": "Foxes", "inputs": {"count": 0}}
    error = desk.failure(nodes, "train")
    assert "no training examples" in str(error)
