"""Nodes of datasets in a graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from nodegraph import Dataset, Plot
from nodegraph.core.digests import digest_value
from tests.datasets.making import write_picture
from tests.nodes.conftest import Bench, link

MADE: dict[str, Any] = {
    "images": {"type": "Picture", "inputs": {"batch": 4}},
    "labels": {"type": "Lines", "inputs": {"text": "cat\ncat\ncat\ndog"}},
    "made": {
        "type": "DatasetFromImages",
        "inputs": {"images": link("images"), "labels": link("labels"), "captions": ["a thing"]},
    },
}


def then(type: str, **inputs: Any) -> dict[str, Any]:
    """A dataset that is made, and one node behind it."""
    return {**MADE, "next": {"type": type, "inputs": {"dataset": link("made"), **inputs}}}


@pytest.fixture
def folder(bench: Bench) -> Path:
    found = bench.folder / "inputs" / "fruit"
    for at, name in enumerate(("apple/a", "apple/b", "pear/c")):
        write_picture(found / f"{name}.png", at)
    (found / "apple" / "a.txt").write_text("an apple")
    return found


LOAD = {"load": {"type": "LoadDataset", "inputs": {"path": "fruit"}}}


def test_a_folder_is_loaded_until_something_in_it_changes(bench: Bench, folder: Path) -> None:
    found = bench.value(LOAD, "load.dataset")
    assert isinstance(found, Dataset)
    assert [(each.label, each.caption) for each in found.examples] == [
        ("apple", "an apple"), ("apple", ""), ("pear", ""),
    ]  # fmt: skip
    assert bench.run(LOAD, "load").nodes["load"].status == "cached"
    (folder / "apple" / "b.txt").write_text("another")
    assert bench.value(LOAD, "load.dataset").examples[1].caption == "another"
    write_picture(folder / "pear" / "c.png", 9)
    assert bench.run(LOAD, "load").nodes["load"].status != "cached"


def test_what_depends_on_a_folder_that_moved_is_known(bench: Bench, folder: Path) -> None:
    nodes = {**LOAD, "sheet": {"type": "DatasetSheet", "inputs": {"dataset": link("load.dataset")}}}
    bench.run(nodes, "sheet")
    (folder.parent / "moved").mkdir()
    folder.rename(folder.parent / "moved" / "fruit")
    nodes["load"] = {"type": "LoadDataset", "inputs": {"path": "moved/fruit"}}
    result = bench.run(nodes, "sheet")
    assert {name: found.status for name, found in result.nodes.items()} == {
        "load": "ran", "sheet": "cached",
    }  # fmt: skip


def test_faults_of_a_folder_are_told(bench: Bench, folder: Path) -> None:
    (folder / "pear" / "bad.png").write_bytes(b"nothing")
    error = bench.failure(LOAD, "load")
    assert "pear/bad.png" in error.problem.message
    nodes = {"load": {"type": "LoadDataset", "inputs": {"path": "fruit", "on_error": "skip"}}}
    assert "bad.png" in bench.value(nodes, "load.skipped")
    assert any("bad.png" in str(event) for event in bench.told("log"))


@pytest.mark.usefixtures("folder")
def test_paths_are_checked_before_anything_runs(bench: Bench) -> None:
    (bench.folder / "inputs" / "empty").mkdir()
    for path, said in (("fruits", "there is no file"), ("empty", "contains no image")):
        nodes = {"load": {"type": "LoadDataset", "inputs": {"path": path}}}
        [problem] = bench.problems(nodes, "load")
        assert said in problem.message
        assert problem.port == "path"
    shares = then("SplitDataset", validation=0.5, test=0.5)
    assert [found.port for found in bench.problems(shares, "next")] == ["validation"]
    words = then("EditCaptions", template="{colour}")
    assert [found.port for found in bench.problems(words, "next")] == ["template"]


@pytest.mark.parametrize(
    ("type", "inputs", "output"),
    [
        ("EditCaptions", {"template": "sks, {caption}", "tags": "from captions"}, "dataset"),
        ("SetCaptions", {"captions": ["x"]}, "dataset"),
        ("SplitDataset", {}, "dataset"),
        ("ResizeDataset", {"width": 64, "multiple": 8}, "dataset"),
        ("ResizeDataset", {"mode": "one size", "width": 8, "height": 0}, "dataset"),
        ("AugmentDataset", {"rotate": 10, "hue": 20}, "dataset"),
        ("FilterDataset", {"labels": "cat"}, "matching"),
        ("TakeExamples", {"count": 1, "per_label": True}, "dataset"),
        ("RepeatExamples", {"balance": True}, "dataset"),
        ("RemoveDuplicates", {}, "dataset"),
    ],
)
def test_each_node_gives_a_dataset(
    bench: Bench, type: str, inputs: dict[str, Any], output: str
) -> None:
    found = bench.value(then(type, **inputs), f"next.{output}")
    before = bench.value(MADE, "made.dataset")
    assert isinstance(found, Dataset)
    assert found.examples
    is_changed = digest_value(found) != digest_value(before)
    assert is_changed == (type != "RemoveDuplicates")


def test_pictures_are_compared_by_what_an_encoder_sees(bench: Bench) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 32, "projection_dim": 8, "patch_size": 8}
    small = CLIPVisionConfig(**sizes, num_hidden_layers=1, num_attention_heads=4, image_size=16)
    CLIPVisionModelWithProjection(small).save_pretrained(bench.folder / "models" / "eyes")
    nodes = {
        **MADE,
        "eyes": {"type": "LoadImageEncoder", "inputs": {"image_encoder": "eyes"}},
        "twice": {
            "type": "JoinDatasets",
            "inputs": {"first": link("made"), "second": link("made")},
        },
        "next": {
            "type": "RemoveDuplicates",
            "inputs": {"dataset": link("twice"), "by": "meaning", "distance": 0.0},
        },
    }
    [problem] = bench.problems(nodes, "next")
    assert "no image encoder is linked" in problem.message
    nodes["next"]["inputs"]["encoder"] = link("eyes")
    assert len(bench.value(nodes, "next.dataset").examples) == 4


def test_changes_at_random_are_those_that_were_asked_for(bench: Bench) -> None:
    nodes = then("AugmentDataset", flip=0.2, hue=5, seed=7, drop_caption=0.1)
    changes = bench.value(nodes, "next.dataset").augmentation
    assert (changes.flip, changes.hue, changes.seed, changes.drop_caption) == (0.2, 5, 7, 0.1)


def test_datasets_are_counted_and_shown(bench: Bench) -> None:
    assert bench.value(then("DatasetReport"), "next.counts") == {"cat": 3, "dog": 1}
    assert isinstance(bench.value(then("DatasetReport"), "next.plot"), Plot)
    assert bench.value(then("DatasetSheet", size=16), "next.image").shape[-1] == 3


def test_datasets_are_taken_apart_and_joined(bench: Bench) -> None:
    images = bench.value(MADE, "images.image")
    found = bench.value(then("DatasetImages"), "next.images")
    assert torch.equal(torch.cat(found), images)
    nodes = {
        **MADE,
        "next": {"type": "JoinDatasets", "inputs": {"first": link("made"), "second": link("made")}},
    }
    assert len(bench.value(nodes, "next.dataset").examples) == 8


def test_a_dataset_is_saved_and_comes_back(bench: Bench) -> None:
    nodes = then("SaveDataset", name="sets/pets", format="coco")
    result = bench.run(nodes)
    assert not result.errors
    names = [file.path.name for file in result.files]
    assert names == ["annotations.json", "dataset.json", "pets_00001.png"]
    folder = bench.folder / "outputs" / "sets" / "pets_00001"
    assert (
        json.loads((folder / "dataset.json").read_text())["workflow"]["nodes"].keys()
        == nodes.keys()
    )
    back = {"load": {"type": "LoadDataset", "inputs": {"path": str(folder)}}}
    found = bench.value(back, "load.dataset")
    assert [each.label for each in found.examples] == ["cat", "cat", "cat", "dog"]
