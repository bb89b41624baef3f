"""Every built-in node has an example that shows it, with an image of what it makes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from shutil import copytree
from types import ModuleType
from typing import Any

import pytest
from PIL import Image as Pillow

from nodegraph import Session, Settings, Workflow
from nodegraph.errors import Problem

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "nodes" / "examples"
FILES = sorted(EXAMPLES.glob("*.json"))


@cache
def generator() -> ModuleType:
    """The script that makes the images."""
    spec = importlib.util.spec_from_file_location(
        "generate_examples", ROOT / "docs" / "generate_examples.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def needs_models(file: Path) -> bool:
    return file.stem in generator().NEED_MODELS


def about_models(problem: Problem) -> bool:
    """Whether a problem is that a model isn't there, or of what can't be told without it."""
    loaders = ("load", "lora", "layers", "word", "eyes", "call", "tag", "upscaler")
    return problem.node in (*loaders, "film", "stage_b", "stage_c")


def types_in(workflow: Workflow) -> set[str]:
    parts: list[dict[str, Any]] = [dict(workflow.nodes)]
    parts += [dict(block.nodes) for block in workflow.subgraphs.values()]
    return {node.type for nodes in parts for node in nodes.values()}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, known_specs: Path) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("examples")
    copytree(known_specs, home / "cache" / "specs")
    settings = Settings(home=home, outputs=home / "output", device="cpu")
    with Session(settings, inputs=ROOT / "workflows") as session:
        yield session


def test_every_built_in_node_has_an_example(session: Session) -> None:
    known = session.registry.types_of("")
    shown = {file.stem for file in FILES}
    assert set(known) - shown == set(), "write nodes/examples/TYPE.json"
    assert shown - set(known) == set()


def test_every_example_is_in_order(session: Session) -> None:
    found = {file.stem: faults(session, file) for file in FILES}
    assert {name: told for name, told in found.items() if told} == {}


def faults(session: Session, file: Path) -> list[object]:
    """What is wrong with an example."""
    workflow = Workflow.load(file)
    known = needs_models(file)
    found: list[object] = [
        problem for problem in session.check(workflow) if not (known and about_models(problem))
    ]
    if file.stem not in types_in(workflow):
        found.append("it doesn't use its node")
    if not workflow.description.endswith("."):
        found.append("its description isn't a sentence")
    if workflow.to_json() != file.read_text(encoding="utf-8"):
        found.append("it isn't as it is saved: run docs/generate_examples.py")
    sinks = [node for node in workflow.nodes.values() if node.type in ("SaveImage", "PreviewImage")]
    if len(sinks) > 1:
        found.append("it saves more than one image")
    return found


def test_every_picture_is_of_its_example_and_small() -> None:
    is_current = generator().is_current
    stale = [file.stem for file in FILES if not is_current(file)]
    assert stale == [], "run docs/generate_examples.py"
    pictures = sorted(EXAMPLES.glob("*.webp"))
    assert {picture.stem for picture in pictures} <= {file.stem for file in FILES}
    for picture in pictures:
        with Pillow.open(picture) as opened:
            assert max(opened.size) <= 512
    sizes = [path.stat().st_size for path in EXAMPLES.iterdir()]
    assert max(sizes) <= 40_000
    assert sum(sizes) <= 4_000_000


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_runs(session: Session, file: Path) -> None:
    if needs_models(file):
        pytest.skip("needs a model that doesn't come with nodegraph")
    result = session.run(Workflow.load(file))
    assert not result.errors, result.errors
    assert result.status == "ok"
