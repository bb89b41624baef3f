"""Each file in broken/ has one fault, and says itself what it should be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.core.workflow import Workflow
from tests.core.support import check, texts

FILES = sorted((Path(__file__).parent / "broken").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_one_fault_gives_one_message(path: Path) -> None:
    workflow = Workflow.load(path)
    expected = workflow.extra["expected"]
    assert texts(check(workflow)) == expected
    assert len(expected) == 1


def test_files_are_written_as_they_are_saved() -> None:
    for path in FILES:
        assert Workflow.load(path).to_json() == path.read_text(encoding="utf-8"), path.stem


def test_there_are_files() -> None:
    assert len(FILES) > 40
