"""`nodegraph version`."""

from __future__ import annotations

from nodegraph.core.version import VERSION
from tests.cli.conftest import Cli


def test_the_version_is_a_line_or_a_document(cli: Cli) -> None:
    assert cli("version").out == f"nodegraph {VERSION}\n"
    assert cli("version", "--json").json["nodegraph"] == VERSION
