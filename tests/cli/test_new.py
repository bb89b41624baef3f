"""`nodegraph new`."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from tests.cli.conftest import Cli


def test_a_workflow_is_started_from_the_gallery(cli: Cli) -> None:
    shown = cli("new")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == "Wrote text_to_image.json.\nRun it: nodegraph run text_to_image.json\n"
    original = (files("nodegraph.gallery") / "text_to_image.json").read_bytes()
    assert Path("text_to_image.json").read_bytes() == original


def test_what_the_workflow_needs_comes_with_it(cli: Cli) -> None:
    shown = cli("new", "mine.json", "--template", "custom_node")
    assert Path("custom_node.py").is_file()
    assert "Run it: nodegraph run mine.json --pack custom_node.py" in shown.out


def test_another_file_is_not_overwritten(cli: Cli) -> None:
    Path("mine.json").write_text("precious")
    shown = cli("new", "mine.json")
    assert shown.code == 2
    assert "mine.json already exists\n  Choose another name, or use --force" in shown.err
    assert Path("mine.json").read_text() == "precious"
    assert cli("new", "mine.json", "--force").code == 0
    assert json.loads(Path("mine.json").read_text())["format"] == "nodegraph/1"


def test_the_same_file_may_be_there_already(cli: Cli) -> None:
    assert [cli("new").code, cli("new").code] == [0, 0]


def test_a_workflow_can_be_printed(cli: Cli) -> None:
    assert cli("new", "-").json["title"]
    assert list(Path().iterdir()) == []


def test_the_gallery_is_listed(cli: Cli) -> None:
    listed = {item["name"]: item for item in cli("new", "--list", "--json").json["templates"]}
    assert listed["text_to_image"]["title"]
    assert all(name in cli("new", "--list").out for name in listed)


def test_an_unknown_template_is_answered_with_the_nearest(cli: Cli) -> None:
    shown = cli("new", "--template", "text2image")
    assert shown.code == 2
    assert "the gallery has no `text2image`\n  Did you mean `text_to_image`?" in shown.err


def test_a_folder_that_is_missing_is_told(cli: Cli) -> None:
    shown = cli("new", "nowhere/wf.json")
    assert shown.code == 2
    assert "Make the folder" in shown.err


def test_the_example_of_a_node_is_written_with_what_it_reads(cli: Cli) -> None:
    shown = cli("new", "--example", "resizeimage")
    assert shown.code == 0
    assert "Run it: nodegraph run ResizeImage.json" in shown.out
    assert Path("apple.png").is_file()
    nodes = json.loads(Path("ResizeImage.json").read_text())["nodes"]
    assert "ResizeImage" in {node["type"] for node in nodes.values()}
    assert "nodegraph new --example ResizeImage" in cli("nodes", "ResizeImage").out


def test_folders_that_an_example_reads_are_written_too(cli: Cli) -> None:
    Path("fruit").write_text("in the way")
    refused = cli("new", "mine.json", "--example", "LoadDataset")
    assert (refused.code, "cannot make the folder fruit" in refused.err) == (2, True)
    assert not Path("mine.json").exists()
    Path("fruit").unlink()
    assert cli("new", "mine.json", "--example", "LoadDataset").code == 0
    assert Path("fruit/apple/1.txt").is_file()
    assert cli("validate", "mine.json").code == 0


def test_so_is_the_whole_folder_of_which_an_example_reads_a_part(cli: Cli) -> None:
    assert cli("new", "mine.json", "--example", "JoinDatasets").code == 0
    assert cli("validate", "mine.json").code == 0


def test_examples_of_packs_are_their_own(cli: Cli) -> None:
    Path("shapes/examples").mkdir(parents=True)
    node = "@node\ndef {}(side: int = 1) -> int:\n    return side\n"
    code = ["from nodegraph import node\n", node.format("Square"), node.format("Cube")]
    Path("shapes/__init__.py").write_text("\n".join(code))
    Path("shapes/examples/Square.json").write_text('{"format": "nodegraph/1", "nodes": {}}')
    assert cli("new", "-", "--example", "shapes:Square", "--pack", "shapes").json["nodes"] == {}
    assert "--example" not in cli("nodes", "shapes:Cube", "--pack", "shapes").out
    missing = cli("new", "--example", "shapes:Cube", "--pack", "shapes")
    assert (missing.code, "no example of `shapes:Cube`" in missing.err) == (2, True)
