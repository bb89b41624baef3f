"""`nodegraph import`, and workflows of ComfyUI's wherever one is opened."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from tests.cli.conftest import Cli, saved
from tests.diffusion.test_models import write_safetensors

BRING = '''
"""Nodes of a pack, and how ComfyUI's are translated to them."""
from nodegraph import node

@node
def Shout(text: str = "") -> str:
    """Say it loudly."""
    return text.upper()

@node(output=True)
def Show(text: str) -> None:
    """Show it."""
'''
ENTRIES = """
from nodegraph.interop.comfyui.entries import same

ENTRIES = (
    same("LoudText(words: STRING) -> STRING", "loud:Shout", {"words": "text"}),
    same("LoudShow(words: STRING)", "loud:Show", {"words": "text"}),
)
"""


def api(**nodes: Any) -> dict[str, Any]:
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


LOUD = api(a=("LoudText", {"words": "hello"}), b=("LoudShow", {"words": ["a", 0]}))
LOST = LOUD | api(c=("NobodysNode", {"text": ["a", 0], "kept": 3}))


@pytest.fixture
def loud(tmp_path: Path) -> Path:
    folder = tmp_path / "packs" / "loud"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(BRING)
    (folder / "comfyui.py").write_text(ENTRIES)
    return folder


def test_a_file_is_translated_with_entries_of_a_pack(cli: Cli, loud: Path) -> None:
    saved(LOUD, "theirs.json")
    shown = cli("import", "theirs.json", "--pack", loud, "-o", "ours")
    assert (shown.code, shown.err) == (0, "")
    assert "2 of 2 nodes translated" in shown.out
    written = json.loads(Path("ours/theirs.json").read_text())
    assert written["nodes"] == {
        "shout": {"type": "loud:Shout", "inputs": {"text": "hello"}},
        "show": {"type": "loud:Show", "inputs": {"text": {"from": "shout"}}},
    }
    assert cli("run", "ours/theirs.json", "--pack", loud).code == 0


@pytest.mark.slow
def test_nothing_is_replaced_unless_it_is_said(cli: Cli, loud: Path) -> None:
    saved(LOUD, "theirs.json")
    assert cli("import", "theirs.json", "--pack", loud).code == 0
    assert Path("theirs.nodegraph.json").exists()
    refused = cli("import", "theirs.json", "--pack", loud)
    assert refused.code == 2
    assert "already exists" in refused.err
    assert cli("import", "theirs.json", "--pack", loud, "--force").code == 0


def test_one_that_cannot_be_written_keeps_no_other_from_it(cli: Cli, loud: Path) -> None:
    for name in ("a.json", "b.json"):
        saved(LOUD, name)
    Path("ours/a.json/inside").mkdir(parents=True)
    shown = cli("import", "a.json", "b.json", "--pack", loud, "-o", "ours", "--force")
    assert shown.code == 2
    assert "a.json: not imported: cannot write" in shown.out
    assert "1 not imported" in shown.out
    assert Path("ours/b.json").is_file()


def test_a_placeholder_is_told_and_all_else_runs(cli: Cli, loud: Path) -> None:
    saved(LOST, "theirs.json")
    found = cli("import", "theirs.json", "--pack", loud, "--json").json["files"][0]
    assert [each["type"] for each in found["placeholders"]] == ["NobodysNode"]
    assert (found["translated"], found["valid"]) == (2, False)
    checked = cli("validate", "theirs.json", "--pack", loud)
    assert (checked.code, "comfyui:NobodysNode" in checked.out) == (2, True)
    assert cli("run", "theirs.json", "--pack", loud, "--to", "show").code == 0


def test_a_workflow_in_a_picture_runs_and_that_it_was_translated_is_said(
    cli: Cli, loud: Path
) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", json.dumps(LOUD))
    Image.new("RGB", (2, 2)).save("made.png", pnginfo=info)
    shown = cli("run", "made.png", "--pack", loud)
    assert shown.code == 0
    assert shown.err.count("made.png is a ComfyUI workflow and was translated") == 1


def test_what_differs_is_printed_where_a_workflow_is_opened(cli: Cli, loud: Path) -> None:
    saved(api(a=("NobodysNode", {}), d=("LoudText", {"words": ["c", 0]})), "theirs.json")
    for command in ("run", "validate"):
        shown = cli(command, "theirs.json", "--pack", loud)
        assert "differs: node `d` (LoudText): `words` was connected" in shown.err


def test_values_that_do_not_fit_are_a_problem(cli: Cli) -> None:
    seeded = {"id": 1, "type": "SeedNode", "pos": [0, 0], "inputs": [], "outputs": [], "mode": 0}
    shown = {"id": 2, "type": "PreviewAny", "pos": [0, 0], "outputs": [], "mode": 0}
    link = {"name": "source", "type": "*", "link": 1}
    nodes = [{**seeded, "widgets_values": ["soon"]}, {**shown, "inputs": [link]}]
    saved({"version": 0.4, "links": [[1, 1, 0, 2, 0, "INT"]], "nodes": nodes}, "theirs.json")
    for command in ("run", "validate", "plan"):
        told = cli(command, "theirs.json")
        assert (told.code, "from `seed` on do not match" in told.out + told.err) == (2, True)
    assert cli("run", "theirs.json", "--set", "seed.seed=3").code == 0
    imported = cli("import", "theirs.json", "--json").json["files"][0]
    assert [each["code"] for each in imported["problems"]] == ["values-not-read"]
    assert not imported["valid"]
    # What was imported keeps the problem until the input has a value.
    for command in ("run", "validate", "plan"):
        told = cli(command, "theirs.nodegraph.json")
        assert told.code == 2
        assert "could not be read from the imported file" in told.out + told.err
    assert cli("run", "theirs.nodegraph.json", "--set", "seed.seed=3").code == 0


def test_a_number_that_is_none_is_told_of_at_its_node(cli: Cli) -> None:
    whole = {"class_type": "PrimitiveFloat", "inputs": {"value": 1.5}, "is_changed": [float("nan")]}
    shown = {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}
    Path("theirs.json").write_text(json.dumps({"1": whole, "2": shown}))
    assert cli("validate", "theirs.json").code == 0
    bad = whole | {"inputs": {"value": float("nan")}}
    Path("theirs.json").write_text(json.dumps({"1": bad, "2": shown}))
    (problem,) = cli("validate", "theirs.json", "--json").json["problems"]
    assert (problem["code"], problem["port"]) == ("values-not-read", "value")


@pytest.mark.parametrize("order", [("format", "nodes"), ("nodes", "format")])
def test_of_two_workflows_in_a_picture_our_own_is_opened(cli: Cli, order: tuple[str, str]) -> None:
    own = {"format": "nodegraph/1", "nodes": {"mine": {"type": "GradientImage", "inputs": {}}}}
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", json.dumps({key: own[key] for key in order}))
    info.add_text("prompt", json.dumps(LOUD))
    Image.new("RGB", (2, 2)).save("made.png", pnginfo=info)
    shown = cli("show", "made.png")
    assert (shown.code, "mine (GradientImage)" in shown.out) == (0, True)


@pytest.mark.slow
def test_a_report_counts_what_lacks(cli: Cli, loud: Path) -> None:
    Path("files").mkdir()
    saved(LOUD, "files/a.json")
    saved(LOST | api(d=("FaceDetailer", {"image": ["c", 0]})), "files/b.json")
    Path("files/c.json").write_text('{"nodes": [')
    shown = cli("import", "files", "--pack", loud, "--report", "report", "--json")
    assert shown.code == 2
    totals = json.loads(Path("report/import.json").read_text())["totals"]
    assert totals["files"] == 3
    assert (totals["unreadable"], totals["without_placeholder"], totals["valid"]) == (1, 1, 1)
    assert totals["missing_types"] == {"FaceDetailer": 1, "NobodysNode": 1}
    told = Path("report/import.md").read_text()
    assert "| NobodysNode |  | 1 |  |" in told
    assert "| FaceDetailer | comfyui-impact-pack | 1 |  |" in told
    assert (totals["share_without_placeholder"], "(33.3%)" in told) == (0.3333, True)
    assert totals["packs_of_types"] == {"FaceDetailer": "comfyui-impact-pack"}
    assert totals["missing_packs"] == {"comfyui-impact-pack": 1}
    assert totals["nodes"] - totals["translated"] == 2
    assert f"{totals['translated']} of {totals['nodes']} nodes are translated" in told
    assert not list(Path("files").glob("*.nodegraph.json"))
    assert cli("import", "--report", "files", "--pack", loud, "--json").json["totals"] == totals
    assert Path("files/import.md").exists()
    assert "no file to import" in cli("import").err


def test_a_faulty_pack_is_told_and_hurts_nothing_else(cli: Cli, loud: Path, tmp_path: Path) -> None:
    other = tmp_path / "packs" / "faulty"
    other.mkdir()
    (other / "__init__.py").write_text("")
    (other / "comfyui.py").write_text("ENTRIES = 3")
    saved(LOUD, "theirs.json")
    shown = cli("import", "theirs.json", "--pack", loud, "--pack", other)
    assert shown.code == 0
    assert "warning: pack `faulty`: its entries for ComfyUI cannot be used" in shown.err


def test_an_installed_pack_brings_entries(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / "quiet-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quiet\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nodegraph.comfyui]\nquiet = quiet_entries:BROUGHT\n")
    code = ENTRIES.replace("Loud", "Quiet").replace("ENTRIES", "BROUGHT")
    (info.parent / "quiet_entries.py").write_text(code)
    monkeypatch.syspath_prepend(str(info.parent))
    saved(api(a=("QuietText", {"words": "x"})), "theirs.json")
    found = cli("import", "theirs.json", "--json").json["files"][0]
    assert found["placeholders"] == []
    sys.modules.pop("quiet_entries", None)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"nodes": 3, "links": []}'])
def test_what_is_no_workflow_is_told_and_nothing_is_written(cli: Cli, text: str) -> None:
    Path("theirs.json").write_text(text)
    shown = cli("import", "theirs.json", "-o", "ours.json")
    assert shown.code == 2
    assert "not imported" in shown.out
    assert not Path("ours.json").exists()


@pytest.mark.slow
def test_a_file_in_a_folders_place_is_told(cli: Cli, loud: Path) -> None:
    saved(LOUD, "theirs.json")
    Path("taken").write_text("no folder")
    assert cli("import", "theirs.json", "--pack", loud).code == 0
    for line in (
        ("import", "theirs.json", "-o", "taken"),
        ("import", "theirs.json", "--report", "taken"),
        ("export", "theirs.nodegraph.json", "--comfyui", "-o", "taken"),
    ):
        shown = cli(*line, "--pack", loud)
        assert (shown.code, "cannot make the folder taken" in shown.err) == (2, True)


def test_one_that_is_nested_too_deeply_keeps_no_other_from_being_imported(
    cli: Cli, loud: Path
) -> None:
    Path("files").mkdir()
    saved(LOUD, "files/b.json")
    deep = "[" * 900 + "]" * 900
    Path("files/a.json").write_text('{"1": {"class_type": "A", "inputs": {"x": ' + deep + "}}}")
    shown = cli("import", "files", "--pack", loud, "-o", "ours")
    assert (shown.code, "a.json: not imported: the JSON is nested too deeply" in shown.out) == (
        2,
        True,
    )
    assert [path.name for path in Path("ours").iterdir()] == ["b.json"]


def test_models_that_lack_are_told_with_the_folder_where_they_would_go(cli: Cli) -> None:
    loaders = api(
        a=("CheckpointLoaderSimple", {"ckpt_name": "pears.safetensors"}),
        b=("VAELoader", {"vae_name": "plums.safetensors"}),
        c=("VAEDecode", {"samples": ["d", 0], "vae": ["b", 0]}),
        d=("EmptyLatentImage", {}),
        e=("LoadImage", {"image": "quince.png"}),
        g=("SaveImage", {"images": ["c", 0], "filename_prefix": "x"}),
        f=("LoraLoader", {"lora_name": "figs.safetensors", "model": ["a", 0], "clip": ["a", 1]}),
        h=("PreviewAny", {"source": ["f", 0]}),
        i=("PreviewImage", {"images": ["e", 0]}),
    )
    saved(loaders, "theirs.json")
    found = cli("import", "theirs.json", "--json").json["files"][0]
    assert [(each["name"], each["folder"]) for each in found["missing_models"]] == [
        ("pears.safetensors", "checkpoints"),
        ("plums.safetensors", "vae"),
        ("figs.safetensors", "loras"),
    ]
    assert found["missing_files"] == ["quince.png"]
    assert found["valid"]


def test_remote_models_are_none_that_lack(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, shared = tmp_path / "shelf", tmp_path / "shared"
    shared.mkdir()
    write_safetensors(shelf / "vae" / "plums.safetensors", {"a": (2, 3)})
    monkeypatch.setenv("NODEGRAPH_REMOTE_MODELS", shared.as_uri())
    cli("models", "--models", str(shelf), "--push", "vae/plums.safetensors")
    saved(api(a=("VAELoader", {"vae_name": "plums.safetensors"})), "theirs.json")
    (tmp_path / "empty").mkdir()
    for place, lacking in ((shared, []), (tmp_path / "empty", ["plums.safetensors"])):
        monkeypatch.setenv("NODEGRAPH_REMOTE_MODELS", place.as_uri())
        (found,) = cli("import", "theirs.json", "--json", "--force").json["files"]
        assert [each["name"] for each in found["missing_models"]] == lacking


@pytest.mark.slow
def test_a_report_has_the_commands_that_bring_packs(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "https://example.org/impact.git"
    source = {"kind": "git", "address": address, "commit": "a" * 40}
    version = {"version": "1.0", "source": source, "node_types": ["FaceDetailer", "Nameless"]}
    index = {"format": "nodegraph-pack-index/1", "packs": {"impact": {"versions": [version]}}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    monkeypatch.setenv("NODEGRAPH_PACK_INDEX", str(tmp_path))
    node = {"id": 1, "type": "OursAlone", "pos": [0, 0], "inputs": [], "outputs": [], "mode": 0}
    node["properties"] = {"aux_id": "somebody/ComfyUI-Ours"}
    Path("files").mkdir()
    saved({"version": 0.4, "links": [], "nodes": [node]}, "files/a.json")
    saved(api(b=("FaceDetailer", {}), c=("Nameless", {})), "files/b.json")
    shown = cli("import", "files", "--report", "report")
    totals = json.loads(Path("report/import.json").read_text())["totals"]
    theirs = "nodegraph pack add https://github.com/somebody/ComfyUI-Ours.git"
    impact = "nodegraph pack add impact"
    commands = {"FaceDetailer": impact, "Nameless": impact, "OursAlone": theirs}
    assert totals["commands_of_types"] == commands
    assert (totals["share_without_placeholder"], totals["share_translated"]) == (0.0, 0.0)
    for command in commands.values():
        assert f"`{command}`" in Path("report/import.md").read_text()
        assert f"`{command}`" in shown.out
