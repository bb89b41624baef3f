"""The workflows of the editor's page *Generate* run with a model of each family.

The page's own test writes them, see editor/src/model/generate/generate.test.ts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings, Workflow
from nodegraph.families.registry import FAMILIES
from tests.diffusion.families.tiny_models import TINY

# diffusers warns of its own use of a name
pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed`:FutureWarning")

FILE = Path(__file__).with_name("page_workflows.json")
WORKFLOWS: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
IMAGES = [
    name
    for name in TINY
    if name in WORKFLOWS and TINY[name].frames == 1 and "driving" not in FAMILIES[name].image_inputs
]
"""Families of images; the page says of those of films that a graph is needed."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("page")
    with Session(Settings(home=home, outputs=home / "output", device="cpu")) as session:
        yield session


def test_most_families_are_tried() -> None:
    assert len(IMAGES) >= 14


@pytest.mark.parametrize("family", IMAGES)
def test_an_image_is_made(family: str, session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    TINY[family].build().save_pretrained(folder)
    workflow = Workflow.from_dict(WORKFLOWS[family])
    small = {"size.width": 64, "size.height": 64, "sample.steps": 2}
    workflow = workflow.with_inputs({"load.model": str(folder), **small})

    assert session.check(workflow) == []
    image = session.run(workflow, targets=["decode"]).image("decode")
    assert min(image.size) >= 32
