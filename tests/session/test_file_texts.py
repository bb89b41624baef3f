"""What files of results carry, by the settings of a session and the options of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nodegraph import Session, Settings
from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_digests import hash_file
from nodegraph.core.manifest import Manifest, manifest_from_texts
from nodegraph.engine.result import RunResult
from nodegraph.session.results.files import result_texts

SECRET = "a secret fox"
SIZE = {"width": 64, "height": 64}


def workflow(**save: Any) -> dict[str, Any]:
    encode = {"encoder": {"from": "load.text_encoder"}, "text": {"from": "words"}}
    return {
        "format": "nodegraph/1",
        "nodes": {
            "words": {"type": "Text", "inputs": {"text": SECRET}},
            "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
            "encode": {"type": "EncodePrompt", "inputs": encode},
            "make": {"type": "EmptyImage", "inputs": SIZE},
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "make"}, **save}},
        },
        "metadata": {"prompt": SECRET},
    }


def sampled(**save: Any) -> dict[str, Any]:
    document = workflow(**save)
    sample = {
        "model": {"from": "load.model"},
        "positive": {"from": "encode"},
        "latent": {"from": "size"},
        "steps": 1,
        "seed": 7,
    }
    decode = {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}}
    document["nodes"]["encode"]["inputs"]["text"] = SECRET
    document["nodes"] |= {
        "size": {"type": "EmptyLatent", "inputs": SIZE},
        "sample": {"type": "KSampler", "inputs": sample},
        "make": {"type": "VAEDecode", "inputs": decode},
    }
    return document


class Place:
    """A folder with all data of the sessions that are opened here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outputs, self.inputs = folder / "outputs", folder / "inputs"
        self.inputs.mkdir()

    def run(
        self, document: dict[str, Any], options: dict[str, Any] | None = None, **settings: Any
    ) -> RunResult:
        given = Settings(
            home=self.folder / "home",
            outputs=self.outputs,
            inputs=self.inputs,
            device="cpu",
            **settings,
        )
        with Session(given) as session:
            result = session.run(document, **(options or {}))
            assert result.status == "ok", result.errors
            return result

    def texts(
        self, document: dict[str, Any], options: dict[str, Any] | None = None, **settings: Any
    ) -> dict[str, str]:
        """The texts of the only file that a run writes."""
        [file] = self.run(document, options, **settings).files
        return dict(result_texts(file.path) or {})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def manifest_of(texts: dict[str, str]) -> Manifest:
    manifest = manifest_from_texts(texts)
    assert manifest is not None
    return manifest


def test_a_file_carries_workflow_and_manifest(place: Place) -> None:
    texts = place.texts(workflow())
    manifest = manifest_of(texts)
    assert json.loads(texts["workflow"])["nodes"]["words"]["inputs"] == {"text": SECRET}
    assert (manifest.node, manifest.index, list(manifest.nodes)) == ("save", 0, ["make", "save"])
    assert texts["prompt"] == SECRET


def test_without_metadata_a_file_carries_nothing(place: Place) -> None:
    assert place.texts(workflow(), metadata="none") == {}


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_minimal_metadata_has_digests_and_neither_workflow_nor_prompt(
    place: Place, format: str
) -> None:
    texts = place.texts(workflow(format=format), metadata="minimal")
    manifest = manifest_of(texts)
    assert texts.keys() == {"manifest", "nodegraph"}
    assert len(manifest.workflow_digest) == 64
    assert manifest.nodes["make"].outputs["image"] == manifest.content
    assert SECRET not in str(texts)


def test_without_prompts_the_workflow_is_there_and_its_digest_is_that_of_the_whole(
    place: Place,
) -> None:
    whole = manifest_of(place.texts(workflow()))
    texts = place.texts(workflow(), metadata_prompts=False)
    manifest = manifest_of(texts)
    assert SECRET not in str(texts)
    assert json.loads(texts["workflow"])["nodes"].keys() == workflow()["nodes"].keys()
    assert manifest.workflow_digest == whole.workflow_digest


def test_without_prompts_the_text_of_other_tools_has_none(place: Place) -> None:
    document = sampled(infotext="on")
    assert place.texts(document)["parameters"].startswith(SECRET)
    parameters = place.texts(document, metadata_prompts=False)["parameters"]
    assert "Seed: 7" in parameters
    assert SECRET not in parameters
    assert "parameters" not in place.texts(document, metadata="minimal")


def test_options_of_a_run_win_over_the_settings(place: Place) -> None:
    assert place.texts(workflow(), {"metadata": "none"}) == {}
    assert "workflow" in place.texts(workflow(), {"metadata": "full"}, metadata="none")
    assert SECRET not in str(place.texts(workflow(), {"metadata_prompts": False}))


def test_a_changed_setting_writes_the_file_again(place: Place) -> None:
    [first] = place.run(workflow()).files
    [same] = place.run(workflow()).files
    [bare] = place.run(workflow(), metadata="none").files
    [again] = place.run(workflow(), metadata="none").files
    assert (same.path, same.existed) == (first.path, True)
    assert (bare.path != first.path, bare.existed) == (True, False)
    assert (again.path, again.existed) == (bare.path, True)


def test_a_sidecar_has_the_whole_manifest_and_runs(place: Place) -> None:
    result = place.run(workflow(), sidecar=True, metadata="none")
    image, sidecar = result.files
    texts = dict(result_texts(sidecar.path) or {})
    assert sidecar.path.name == f"{image.path.name}.json"
    assert (sidecar.kind, result_texts(image.path)) == ("manifest", {})
    assert manifest_of(texts).workflow == json.loads(texts["workflow"])
    again = place.run(json.loads(texts["workflow"]), sidecar=True, metadata="none")
    assert [(file.path, file.existed) for file in again.files] == [
        (image.path, True),
        (sidecar.path, True),
    ]


def test_a_deleted_sidecar_is_written_again(place: Place) -> None:
    _, sidecar = place.run(workflow(), sidecar=True).files
    content = sidecar.path.read_bytes()
    sidecar.path.unlink()
    place.run(workflow(), sidecar=True)
    assert sidecar.path.read_bytes() == content


def test_a_format_without_room_for_texts_gets_a_sidecar(place: Place) -> None:
    document = {
        "format": "nodegraph/1",
        "nodes": {
            "make": {"type": "PlotValues", "inputs": {"values": [1, 2]}},
            "save": {
                "type": "SavePlot",
                "inputs": {"plot": {"from": "make"}, "format": "csv", "picture": False},
            },
        },
    }
    table, sidecar = place.run(document).files
    assert sidecar.path.name == f"{table.path.name}.json"
    assert manifest_of(dict(result_texts(sidecar.path) or {})).node == "save"
    assert len(place.run(document, metadata="none").files) == 1


def test_no_text_names_the_folders_of_the_machine(place: Place) -> None:
    photo = place.inputs / "pets" / "fox.png"
    photo.parent.mkdir()
    Image.new("RGB", (8, 8)).save(photo)
    document = {
        "format": "nodegraph/1",
        "description": f"from {photo}",
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {"path": str(photo)}},
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "load.image"}}},
        },
    }
    image, sidecar = place.run(document, sidecar=True).files
    assert str(place.folder).encode() not in image.path.read_bytes() + sidecar.path.read_bytes()
    texts = dict(result_texts(image.path) or {})
    [file] = manifest_of(texts).inputs
    assert (file.name, file.digest) == ("pets/fox.png", hash_file(photo))
    again = place.run(json.loads(texts["workflow"]))
    assert dict(result_texts(again.files[0].path) or {}) == texts
    assert [each.existed for each in again.files] == [True]


def test_a_file_made_of_a_result_names_the_manifest_of_that(place: Place) -> None:
    [first] = place.run(workflow()).files
    carried = dict(result_texts(first.path) or {})["manifest"]
    (place.inputs / "first.png").write_bytes(first.path.read_bytes())
    document = {
        "format": "nodegraph/1",
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {"path": "first.png"}},
            "save": {
                "type": "SaveImage",
                "inputs": {"image": {"from": "load.image"}, "format": "webp"},
            },
        },
    }
    [ingredient] = manifest_of(place.texts(document)).inputs
    assert ingredient.digest == hash_file(first.path)
    assert ingredient.manifest == digest_bytes(carried.encode())


def test_a_run_is_found_by_the_digest_of_its_file_and_of_the_value_in_it(place: Place) -> None:
    result = place.run(workflow())
    [file] = result.files
    content = manifest_of(dict(result_texts(file.path) or {})).content
    given = Settings(home=place.folder / "home", outputs=place.outputs, device="cpu")
    with Session(given) as session:
        assert session.persistence is not None
        runs = session.persistence.runs
        assert runs is not None
        [run] = runs.find_by_file(hash_file(file.path))
        assert [each.id for each in runs.find_by_file(content)] == [run.id]
        assert runs.get(run.id).record["files"][0]["digest"] == hash_file(file.path)
        assert not runs.find_by_file("00" * 32)


def test_a_workflow_that_is_too_long_is_left_out(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.core.manifest.MOST_WORKFLOW", 100)
    result = place.run(workflow())
    texts = dict(result_texts(result.files[0].path) or {})
    assert "workflow" not in texts
    assert manifest_of(texts).workflow_digest
    assert any("too long" in each for each in result.nodes["save"].warnings)
