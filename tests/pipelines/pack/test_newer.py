"""What tomorrow's diffusers brings is a node type the moment it is there."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from tests.pipelines.pack.support import PAINT, install, listed

NAME = "diffusers:PaintTomorrowPipeline"


@pytest.fixture
def home(tmp_path: Path, known_specs: Path) -> Path:
    """A home folder in which it is known what the built-in pack declares."""
    copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    return tmp_path / "home"


def test_a_new_class_is_a_node_type(home: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site)
    assert NAME not in listed(home, site)["specs"]
    install(site, paint=PAINT)
    found = listed(home, site)
    assert (found["problems"], found["heavy"]) == ([], [])
    spec = found["specs"][NAME]
    assert (spec["label"], spec["category"]) == ("Paint Tomorrow", "pipelines/image")
    assert spec["summary"] == "Pipeline that paints what tomorrow brings."
    assert "inherits" not in spec["help"]
    inputs = {port["name"]: port for port in spec["inputs"]}
    assert {name: port["type"] for name, port in inputs.items()} == {
        "pipeline": "Pipeline",
        "prompt": "str",
        "image": "Image",
        "num_inference_steps": "int",
        "seed": "int",
    }
    assert (inputs["prompt"]["widget"], inputs["prompt"]["help"]) == ("multiline", "What to paint.")
    assert inputs["num_inference_steps"]["default"] == 7
    assert inputs["seed"]["widget"] == "seed"
    assert [(port["name"], port["type"]) for port in spec["outputs"]] == [("image", "Image")]
    assert listed(home, site) == found


@pytest.mark.slow
def test_a_file_that_is_no_python_hurts_no_other(home: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, paint=PAINT, torn="def __call__(self, prompt DiffusionPipeline(")
    found = listed(home, site)
    assert NAME in found["specs"]
    assert any("torn" in problem for problem in found["problems"])


@pytest.mark.slow
def test_a_class_that_is_taken_away_is_none_any_more(home: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, paint=PAINT)
    assert NAME in listed(home, site)["specs"]
    install(site, paint="")
    assert NAME not in listed(home, site)["specs"]
