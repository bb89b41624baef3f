"""`nodegraph nodes`."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.cli.nodes import print_card
from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from tests.cli.conftest import Cli


def test_node_types_are_listed_by_category(cli: Cli, pack: Path) -> None:
    shown = cli("nodes", "--pack", pack)
    lines = shown.out.splitlines()
    at = lines.index("text/basic")
    assert lines[at + 1].split(maxsplit=1) == ["toys:Join", "Put two texts together."]
    assert lines[at + 2].split(maxsplit=1) == ["toys:Write", "Write a text file."]
    assert "node types. `nodegraph nodes NAME` shows more about one." in shown.err


def test_a_category_includes_those_below_it(cli: Cli, pack: Path) -> None:
    shown = cli("nodes", "--category", "Text", "--json", "--pack", pack)
    types = {node["type"] for node in shown.json["nodes"]}
    assert {"toys:Join", "toys:Write"} <= types
    assert "toys:Draw" not in types


def test_an_unknown_category_is_answered_with_the_nearest(cli: Cli, pack: Path) -> None:
    shown = cli("nodes", "--category", "numbr", "--pack", pack)
    assert shown.code == 2
    assert "Did you mean `number`?" in shown.err


def test_a_search_looks_at_names_summaries_and_tags(cli: Cli, pack: Path) -> None:
    def found(text: str) -> set[str]:
        shown = cli("nodes", "--search", text, "--json", "--pack", pack)
        return {node["type"] for node in shown.json["nodes"]} & {"toys:Join", "toys:Draw"}

    assert found("toys:jo") == {"toys:Join"}
    assert found("put two") == {"toys:Join"}
    assert found("GLUE") == {"toys:Join"}
    assert found("two glue") == {"toys:Join"}
    assert found("GlueJoin") == {"toys:Join"}
    assert found("no such text") == set()


def test_a_card_tells_everything(cli: Cli, pack: Path) -> None:
    shown = cli("nodes", "toys:join", "--pack", pack)
    lines = [line.split(maxsplit=3) for line in shown.out.splitlines()]
    assert ["toys:Join", "Join,", "text/basic"] in lines
    assert ["first", "str", "required", "What comes first."] in lines
    assert any(line[:3] == ["times", "int", "default"] for line in lines)
    assert "How often. A whole number from 1 to 5." in shown.out
    assert ["second", "str", "default", '"!"'] in lines
    assert ["text", "str"] in lines
    assert ["pack", "toys"] in lines
    assert ["tags", "glue"] in lines
    assert "Args:" not in shown.out


def test_a_card_tells_choices_and_deprecation(cli: Cli, pack: Path) -> None:
    assert 'One of "even", "odd".' in cli("nodes", "toys:Draw", "--pack", pack).out
    assert "deprecated  Use Draw." in cli("nodes", "toys:Fail", "--pack", pack).out
    assert "Deprecated: Use Draw." in cli("nodes", "--pack", pack).out


def test_a_card_is_a_document_too(cli: Cli, pack: Path) -> None:
    card = cli("nodes", "toys:Join", "--json", "--pack", pack).json
    assert card["type"] == "toys:Join"
    assert [port["name"] for port in card["inputs"]] == ["first", "second", "times"]
    assert "module" not in card


def test_an_unknown_node_type_is_answered_with_the_nearest(cli: Cli, pack: Path) -> None:
    shown = cli("nodes", "toys:Joim", "--pack", pack)
    assert shown.code == 2
    assert "error: there is no node type `toys:Joim`\n  Did you mean `toys:Join`?" in shown.err


def test_every_built_in_node_has_a_card(
    known_specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packs = [pack for pack in installed_packs() if not pack.name]
    registry = Registry(packs, manifests=ManifestCache(known_specs))
    for name in registry.node_types():
        spec = registry.spec(name)
        assert spec is not None
        print_card(spec, has_example=True)
        shown = capsys.readouterr().out
        assert all(port.name in shown for port in (*spec.inputs, *spec.outputs))


MADE = """
from nodegraph import node

def __dir__():
    return ["First", "Second"]

def __getattr__(name):
    if name not in __dir__():
        raise AttributeError(name)
    def make() -> int:
        \"\"\"Make one.\"\"\"
        return 1
    make.__name__ = make.__qualname__ = name
    return node(category="number/made")(make)
"""


@pytest.fixture
def organ(tmp_path: Path) -> Path:
    """A pack that is made of another package."""
    folder = tmp_path / "cli_organ"
    folder.mkdir()
    (folder / "made.py").write_text(MADE)
    (folder / "made_of.txt").write_text("json")
    return folder


def test_a_pack_that_is_made_of_another_package_is_shown_by_categories(
    cli: Cli, organ: Path
) -> None:
    shown = cli("nodes", "--pack", organ)
    lines = shown.out.splitlines()
    assert lines[lines.index("number/made") + 1] == "  2 node types of the pack `cli_organ`"
    assert "cli_organ:First" not in shown.out
    assert "--all" in shown.err


def test_a_search_finds_what_comfyui_calls_by_another_name(cli: Cli) -> None:
    shown = cli("nodes", "--search", "checkpointloadersimple", "--json")
    assert [node["type"] for node in shown.json["nodes"]] == ["LoadModel"]


def test_a_search_begins_with_what_is_used_most(cli: Cli) -> None:
    shown = cli("nodes", "--search", "sampl", "--json")
    names = [found["type"] for found in shown.json["nodes"]]
    assert names[0] == "KSampler"
    assert names != sorted(names)


@pytest.mark.parametrize(
    "command",
    [["nodes", "Foo"], ["schema", "--node", "Foo"], ["new", "--example", "Foo"]],
    ids=" ".join,
)
def test_an_unknown_node_type_is_answered_with_why_packs_brought_nothing(
    cli: Cli, tmp_path: Path, command: list[str]
) -> None:
    maps = tmp_path / "maps.py"
    maps.write_text('NODE_CLASS_MAPPINGS = {"Foo": object}\n')
    shown = cli(*command, "--pack", maps)
    assert shown.code == 2
    assert "there is no node type `Foo`" in shown.err
    assert "its NODE_CLASS_MAPPINGS are ComfyUI nodes" in shown.err


@pytest.mark.parametrize("option", [("--all",), ("--category", "number"), ("--search", "make o")])
def test_each_of_its_node_types_is_listed_where_that_is_asked(
    cli: Cli, organ: Path, option: tuple[str, ...]
) -> None:
    shown = cli("nodes", *option, "--pack", organ)
    assert ["cli_organ:First", "Make", "one."] in [line.split() for line in shown.out.splitlines()]
    types = {node["type"] for node in cli("nodes", "--json", "--pack", organ).json["nodes"]}
    assert {"cli_organ:First", "cli_organ:Second"} <= types
    assert "number/made" in cli("nodes", "cli_organ:second", "--pack", organ).out


def test_pipelines_of_diffusers_are_shown_by_what_they_make(
    cli: Cli, known_pipelines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODEGRAPH_LEAVE_OUT")
    monkeypatch.setenv("NODEGRAPH_HOME", str(known_pipelines))
    shown = cli("nodes")
    assert "pipelines/audio\n" in shown.out
    assert "node types of the pack `diffusers`" in shown.out
    assert "diffusers:" not in shown.out
    listed = cli("nodes", "--category", "pipelines/audio").out
    assert "diffusers:StableAudioPipeline" in listed
