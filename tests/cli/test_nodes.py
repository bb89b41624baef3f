"""`nodegraph nodes`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_node_types_are_listed_by_category(cli: Cli, pack: Path) -> None:
    shown = cli("nodes", "--pack", pack)
    lines = shown.out.splitlines()
    at = lines.index("text/basic")
    assert lines[at + 1].split(maxsplit=1) == ["toys:Join", "Put two texts together."]
    assert lines[at + 2].split(maxsplit=1) == ["toys:Write", "Write a text file."]
    assert "node types. `nodegraph nodes NAME` tells more of one." in shown.err


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


def test_every_built_in_node_has_a_card(cli: Cli) -> None:
    for node in cli("nodes", "--json").json["nodes"]:
        shown = cli("nodes", node["type"])
        assert shown.code == 0
        assert all(port["name"] in shown.out for port in [*node["inputs"], *node["outputs"]])
