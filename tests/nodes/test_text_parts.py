"""Texts: lengths, parts, choices, files."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from nodegraph_nodes.text_parts import ChooseLine, CutText, TextLength

from nodegraph.errors import InvalidValue
from tests.messages import raises
from tests.nodes.conftest import Bench


def test_lengths() -> None:
    text = "a red fox\n\nin snow"
    lengths = [TextLength(text, unit) for unit in ("letters", "words", "lines")]  # type: ignore[arg-type]
    assert lengths == [18, 5, 3]
    assert TextLength("") == 0


@given(st.text(), st.integers(-9, 9), st.none() | st.integers(-9, 9))
def test_parts_are_slices(text: str, start: int, end: int | None) -> None:
    assert CutText(text, start, end) == text[start:end]


def test_a_line_is_chosen_with_its_number() -> None:
    lines = "red\n\n green \nblue"
    assert ChooseLine(lines, "green") == ("green", 1)
    assert ChooseLine(lines) == ("red", 0)
    with raises(InvalidValue, port="lines"):
        ChooseLine(" \n")


def test_a_line_that_is_not_there_is_told_before_anything_runs(bench: Bench) -> None:
    inputs = {"lines": "red\ngreen", "choice": "gren"}
    [problem] = bench.problems({"choose": {"type": "ChooseLine", "inputs": inputs}}, "choose")
    assert problem.port == "choice"
    assert "green" in str(problem)


def test_texts_are_written_numbered(bench: Bench) -> None:
    def written(text: str, name: str = "notes/fox_%save.format%") -> Path:
        inputs = {"text": text, "name": name, "format": "md"}
        [file] = bench.run({"save": {"type": "SaveText", "inputs": inputs}}).files
        assert file.kind == "text"
        return file.path

    first = written("# ein Füchslein")
    assert first.read_text("utf-8") == "# ein Füchslein"
    assert first.relative_to(bench.folder / "outputs") == Path("notes/fox_md_00001.md")
    assert written("another").name == "fox_md_00002.md"
    assert written("# ein Füchslein") == first


def test_a_name_that_is_none_is_told_before_anything_runs(bench: Bench) -> None:
    for name in ("../fox", "%what%"):
        node = {"type": "SaveText", "inputs": {"text": "", "name": name}}
        [problem] = bench.problems({"save": node})
        assert problem.port == "name"
