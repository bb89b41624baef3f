"""Models that lie in a bucket or a shared folder, and are fetched when they are needed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings, Workflow, node
from nodegraph.core.context import report_progress
from nodegraph.core.events import Event
from nodegraph.families.embedded_models import embedded_folder
from nodegraph.models.remote.manifests import ModelManifest, push_model
from nodegraph.session.weights import residency_manager
from nodegraph.store.remote.object_storage import open_storage
from tests.store.remote.conftest import url  # noqa: F401 - a fixture

WORKFLOW = Workflow.from_dict(
    {
        "format": "nodegraph/1",
        "nodes": {
            "load": {"type": "LoadModel", "inputs": {"model": "fox"}},
            "styled": {
                "type": "LoadLora",
                "inputs": {"model": {"from": "load.model"}, "lora": "style"},
            },
            "words": {
                "type": "EncodePrompt",
                "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "a fox face"},
            },
            "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
            "sample": {
                "type": "KSampler",
                "inputs": {
                    "model": {"from": "styled.model"},
                    "positive": {"from": "words"},
                    "latent": {"from": "size"},
                    "seed": 1,
                    "steps": 2,
                },
            },
            "decode": {
                "type": "VAEDecode",
                "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}},
            },
        },
    }
)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder of models with one, and a LoRA for it."""
    folder = tmp_path / "shelf"
    shutil.copytree(embedded_folder(), folder / "fox")
    (folder / "loras").mkdir()
    lora = embedded_folder().parent / "companions/style_lora/pytorch_lora_weights.safetensors"
    shutil.copy(lora, folder / "loras" / "style.safetensors")
    return folder


def push(shelf: Path, url: str) -> list[ModelManifest]:  # noqa: F811
    names = ("fox", "loras/style.safetensors")
    return [push_model(name, shelf / name, open_storage(url)) for name in names]


def session(home: Path, **settings: Any) -> Session:
    return Session(Settings(home=home, device="cpu", leave_out=("diffusers",), **settings))


def fetched(home: Path) -> list[Path]:
    return sorted((home / "cache" / "models" / "files").glob("*"))


def test_a_model_of_a_bucket_gives_what_the_same_gives_from_a_folder(
    shelf: Path,
    url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    push(shelf, url)
    with session(tmp_path / "near", models=(shelf,)) as near:
        expected = near.run(WORKFLOW, targets=["decode"])
        image = expected["decode.image"]
    shutil.rmtree(shelf)
    home = tmp_path / "far"
    with session(home, remote_models=url) as far:
        assert not far.check(WORKFLOW, targets=["decode"])
        far.plan(WORKFLOW, targets=["decode"])
        assert not fetched(home), "checks and plans fetch no weights"
        found = far.run(WORKFLOW, targets=["decode"])
        assert (found["decode.image"] == image).all()
    assert len(fetched(home)) == 4, "unet, text encoder, VAE and LoRA"
    for name in ("load", "styled"):  # what the keys of all that follows are made of
        assert found.nodes[name].outputs == expected.nodes[name].outputs, name


def test_what_would_have_to_be_fetched_is_not_loaded_ahead(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    place, home = (tmp_path / "shared").as_uri(), tmp_path / "far"
    push(shelf, place)
    with session(home, remote_models=place) as far:
        recipe = far.run(WORKFLOW, targets=["styled"])["styled.model"]
        weights = residency_manager(far.settings, "cpu")
        assert not weights.prefetch(recipe, "cpu")
        assert not fetched(home)
        with weights.use(recipe, "cpu"):
            assert len(fetched(home)) == 2, "UNet and LoRA"
        weights.release_all()
        assert weights.prefetch(recipe, "cpu")


@node
def Fetch(text: str) -> str:
    """What fetches without being handed a context."""
    report_progress(1, 2)
    return text


def test_what_is_fetched_shows_as_the_progress_of_the_node_that_runs(tmp_path: Path) -> None:
    told: list[Event] = []
    nodes = {"fetch": {"type": "Fetch", "inputs": {"text": "a"}}}
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    with Session(Settings(home=tmp_path, leave_out=("diffusers",)), nodes=[Fetch]) as running:
        running.run(workflow, targets=["fetch"], listener=told.append)
    (event,) = [event for event in told if event.kind == "node.progress"]
    assert (event.node, event.data) == ("fetch", {"step": 1, "total": 2})


def test_a_place_that_is_away_is_told_where_the_model_is_named(shelf: Path, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    push(shelf, place.as_uri())
    away = place.rename(tmp_path / "gone")
    with session(tmp_path / "far", remote_models=place.as_uri()) as far:
        (problem,) = [
            each for each in far.check(WORKFLOW, targets=["decode"]) if each.node == "load"
        ]
        assert problem.port == "model"
        assert place.as_uri() in problem.message
    away.rename(place)
    with session(tmp_path / "far", remote_models=place.as_uri()) as far:
        assert not far.check(WORKFLOW, targets=["decode"])
    place.rename(away)
    with session(tmp_path / "far", remote_models=place.as_uri()) as far:
        assert not far.check(WORKFLOW, targets=["decode"]), "what was looked at once is known"


def test_a_name_that_neither_has_is_looked_for_in_both(shelf: Path, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    push(shelf, place.as_uri())
    other = {"format": "nodegraph/1", "nodes": {"load": {"type": "LoadModel", "inputs": {}}}}
    other["nodes"]["load"]["inputs"]["model"] = "wolf"  # type: ignore[index]
    with session(tmp_path / "far", remote_models=place.as_uri()) as far:
        (problem,) = far.check(Workflow.from_dict(other), targets=["load"])
        assert "no model `wolf`" in problem.message
        assert place.as_uri() in problem.message
