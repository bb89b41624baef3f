"""The table of docs/pipelines.md."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

from nodegraph.interop.pipelines.classes import PipelineClass

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    import generate_pipelines

    yield generate_pipelines
    sys.modules.pop("generate_pipelines")


def test_it_is_that_of_the_diffusers_that_it_names(
    generator: ModuleType, classes: Mapping[str, PipelineClass]
) -> None:
    page = generator.TARGET.read_text(encoding="utf-8")
    described = generator.described_version(page)
    if version("diffusers") != described:
        pytest.skip(f"the table is of diffusers {described}, and another one is installed")
    assert generator.with_table(page, classes) == page, "run python docs/generate_pipelines.py"


def test_what_people_wrote_around_it_stays(generator: ModuleType) -> None:
    page = f"# Before\n\n{generator.BEGIN}\nold\n{generator.END}\n\nAfter\n"
    found = PipelineClass("FoxPipeline", "m", "image", "progress", needs=("ears",))
    new = generator.with_table(page, {"FoxPipeline": found})
    assert new.startswith("# Before\n\n")
    assert new.endswith("\n\nAfter\n")
    assert "| `FoxPipeline` | image | 0 / 0 |  | progress bar | ears |" in new
    assert "old" not in new
    assert generator.described_version(new) == version("diffusers")
