"""`nodegraph schema`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_the_schema_knows_the_node_types_of_packs(cli: Cli, pack: Path) -> None:
    document = cli("schema", "--pack", pack).json
    assert document["$schema"].endswith("2020-12/schema")
    assert "inputs of toys:Join" in document["$defs"]


def test_the_schema_of_one_node_stands_alone(cli: Cli, pack: Path) -> None:
    document = cli("schema", "--node", "toys:Join", "--pack", pack).json
    assert document["title"] == "toys:Join"
    assert list(document["properties"]) == ["first", "second", "times"]
    assert "link" in document["$defs"]


def test_an_unknown_node_type_is_bad_input(cli: Cli) -> None:
    assert cli("schema", "--node", "Nonsense").code == 2
