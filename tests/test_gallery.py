"""Every workflow of the gallery runs, and gives images that aren't blank."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from PIL import Image as Pillow

from nodegraph import Session, Settings, Workflow

GALLERY = Path(__file__).parents[1] / "workflows"
FILES = sorted(GALLERY.glob("*.json"))
FEWER = {
    "thousand_steps": 100,
    "prompt_grid": 4,
    "seed_grid": 4,
    "synthetic_data": 6,
    "history": 2,
    "a_dozen_variations": 4,
    "prompt_travel": 5,
    "motions": 4,
}
"""Steps of those that take long; a thousand of them are taken in the sampler's own tests."""
TAUGHT = {"train_style_lora": 2, "distill": 2}
"""Steps of what learns for minutes, and of what is sampled for it and by it."""
LESS: Mapping[str, Mapping[str, Any]] = {
    "history": {
        "gan.count": 16,
        "vae.count": 16,
        "reference.stop": 16,
        "others.stop": 144,
        "captions.text": "\n".join(["a ball", "a taxi", "a snail", "an apple"] * 2),
    },
    "two_models": {"draw.steps": 4, "redraw.steps": 4},
    "pipeline_node": {"film.num_inference_steps": 4},
}
"""Inputs of those that make or compare much; images are counted alike on both sides."""
PACKS = [path for path in sorted(GALLERY.glob("*.py")) if path.stem != "__init__"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("gallery")
    settings = Settings(home=home, outputs=home / "output", device="cpu", leave_out=())
    with Session(settings, packs=PACKS, inputs=GALLERY) as session:
        yield session


def shortened(file: Path) -> dict[str, Any]:
    """A workflow of the gallery, with fewer steps where it takes long."""
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if file.stem in FEWER:
        document["nodes"]["sample"]["inputs"]["steps"] = FEWER[file.stem]
    for place, value in LESS.get(file.stem, {}).items():
        node, _, port = place.partition(".")
        document["nodes"][node]["inputs"][port] = value
    if file.stem in TAUGHT:
        for item in document["nodes"].values():
            given = item.get("inputs", {})
            given |= {name: TAUGHT[file.stem] for name in given if name.endswith("steps")}
            given |= {name: 1 for name in given if name == "pictures"}  # painted to learn by
    return document


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_workflow_runs(session: Session, file: Path) -> None:
    assert session.check(Workflow.load(file)) == []
    result = session.run(Workflow.from_dict(shortened(file)))
    assert not result.errors, result.errors
    pictures = [written for written in result.files if written.kind == "image"]
    assert pictures
    for written in pictures:
        with Pillow.open(written.path) as picture:
            assert any(low < high - 32 for low, high in picture.convert("RGB").getextrema())


def test_every_workflow_is_saved_canonically() -> None:
    for file in FILES:
        assert Workflow.load(file).to_json() == file.read_text(encoding="utf-8"), file.stem


def test_every_workflow_says_what_it_is_for() -> None:
    for file in FILES:
        workflow = Workflow.load(file)
        assert workflow.title, file.stem
        assert workflow.description.endswith("."), file.stem
        assert workflow.parameters, file.stem


def test_a_picture_carries_the_workflow_that_makes_it_again(
    tmp_path: Path, known_specs: Path
) -> None:
    from nodegraph.diffusion import read_metadata

    copytree(known_specs, tmp_path / "cache" / "specs")
    document = json.loads((GALLERY / "text_to_image.json").read_text(encoding="utf-8"))
    document["nodes"]["sample"]["inputs"]["steps"] = 2
    with Session(Settings(home=tmp_path, outputs=tmp_path / "output", device="cpu")) as session:
        first = session.run(Workflow.from_dict(document))
        (written,) = first.files
        again = session.run(Workflow.from_json(read_metadata(written.path)["workflow"]))
    assert [(item.path, item.existed) for item in again.files] == [(written.path, True)]
