"""Prompts are drawn by seeds, and anew when a file of theirs changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.nodes.conftest import Bench, link


@pytest.fixture
def colors(bench: Bench) -> Path:
    folder = bench.folder / "inputs" / "wildcards"
    folder.mkdir()
    (folder / "color.txt").write_text("red\n")
    (folder / "shade.txt").write_text("dark __color__\n")
    return folder / "color.txt"


def graph(kind: str, text: str, **more: Any) -> dict[str, Any]:
    return {"prompt": {"type": kind, "inputs": {"text": text, **more}}}


def made(bench: Bench, nodes: dict[str, Any]) -> Any:
    [port] = bench.run(nodes, "prompt").nodes["prompt"].outputs
    return bench.value(nodes, f"prompt.{port}")


def test_a_seed_range_draws_many(bench: Bench) -> None:
    nodes = graph("RandomPrompt", "a {red|green} {1|2|3}", seed=link("seeds"))
    nodes["seeds"] = {"type": "SeedRange", "inputs": {"start": 0, "count": 20}}
    found = made(bench, nodes)
    assert len(found) == 20
    assert len(set(found)) == 6


def test_a_changed_file_is_drawn_from_anew(bench: Bench, colors: Path) -> None:
    nodes = graph("RandomPrompt", "a __shade__ apple")
    assert made(bench, nodes) == "a dark red apple"
    assert bench.run(nodes, "prompt").nodes["prompt"].status == "cached"
    colors.write_text("blue\n")
    assert made(bench, nodes) == "a dark blue apple"


def test_prompts_of_comfyui_are_read_as_its_page_does(bench: Bench) -> None:
    text = "a {2::red|__b__ // or\n"
    assert not bench.problems(graph("RandomPrompt", text, syntax="comfyui"), "prompt")
    assert list(made(bench, graph("AllPrompts", text, syntax="comfyui"))) == [
        "a 2::red",
        "a __b__ \n",
    ]
    nodes = graph("RandomPrompt", text, syntax="comfyui", seed=link("seeds"))
    nodes["seeds"] = {"type": "SeedRange", "inputs": {"start": 0, "count": 20}}
    assert set(made(bench, nodes)) == {"a 2::red", "a __b__ \n"}


def test_all_prompts_are_a_list(bench: Bench, colors: Path) -> None:
    nodes = graph("AllPrompts", "a {__color__|green} {cat|fox}")
    found = made(bench, nodes)
    assert list(found) == ["a red cat", "a red fox", "a green cat", "a green fox"]


@pytest.mark.parametrize("kind", ["RandomPrompt", "AllPrompts"])
@pytest.mark.parametrize(
    ("text", "message"), [("a {red", "no closing brace, at character 3"), ("__colour__", "color")]
)
def test_faults_are_told_before_running(
    bench: Bench, colors: Path, kind: str, text: str, message: str
) -> None:
    [problem] = bench.problems(graph(kind, text), "prompt")
    assert problem.port == "text"
    assert message in str(problem)
