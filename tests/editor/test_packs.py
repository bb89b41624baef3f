"""An administrator gets the pack that a workflow lacks, and removes it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from nodegraph.isolation.sandbox import sandbox_modes
from nodegraph.packs.installation.index import write_index
from tests.editor.conftest import NewBrowser, knowing_home
from tests.editor.editing import Editor
from tests.editor.graphs import CHAIN
from tests.editor.serving import Server

GLOW = """
from nodegraph.api import Image, node

@node
def Glow(image: Image, amount: float = 1.0) -> Image:
    \"\"\"Makes an image glow.\"\"\"
    return image
"""
PROJECT = """
[project]
name = "shiny"
version = "2.1"
description = "Shiny things"

[project.entry-points."nodegraph.packs"]
shiny = "shiny"
"""
GLOWING: dict[str, Any] = {
    **CHAIN,
    "nodes": {
        **CHAIN["nodes"],
        "wait": {"type": "shiny:Glow", "inputs": {"image": {"from": "decode"}}},
    },
    "requires": {"shiny": ">=2"},
}


@pytest.fixture
def own_server(tmp_path: Path, known_specs: Path) -> Iterator[Server]:
    package = tmp_path / "index" / "shiny-project" / "shiny"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(GLOW)
    (package.parent / "pyproject.toml").write_text(PROJECT)
    write_index(tmp_path / "index")
    environment = {"NODEGRAPH_PACK_INDEX": json.dumps([str(tmp_path / "index")])}
    with Server(knowing_home(tmp_path, known_specs), environment=environment) as server:
        yield server


def closed(page: Page, editor: Editor, title: str) -> None:
    page.keyboard.press("Escape")
    expect(editor.dialog(title)).to_have_count(0)


@pytest.mark.skipif(not sandbox_modes(), reason="packs of an index need a sandbox")
def test_a_pack_that_a_workflow_lacks_is_installed_and_removed(
    own_server: Server, new_browser: NewBrowser
) -> None:
    editor = new_browser(own_server).open()
    editor.open_workflow(GLOWING)
    missing = editor.dialog("What is missing")
    expect(missing.get_by_role("button", name="Install shiny")).to_be_visible()
    closed(editor.page, editor, "What is missing")

    editor.command("Problems")
    row = editor.page.get_by_role("row").filter(has_text="shiny:Glow").first
    row.get_by_role("button", name="Install shiny").click()
    expect(editor.page.get_by_text("The pack shiny is installed")).to_be_visible()
    expect(editor.page.get_by_role("row").filter(has_text="shiny:Glow")).to_have_count(0)
    expect(editor.card("wait").get_by_text("Amount")).to_be_visible()

    editor.command("Packs…")
    dialog = editor.dialog("Packs")
    pack = dialog.get_by_role("list", name="Installed packs").get_by_role("listitem")
    expect(pack).to_contain_text("shiny")
    expect(pack).to_contain_text("in a sandbox")
    expect(pack).to_contain_text("1 node type")

    switch = pack.get_by_role("switch", name="Offer the nodes of shiny")
    switch.click()
    expect(switch).not_to_be_checked()
    closed(editor.page, editor, "Packs")
    editor.command("Missing packs and models")
    missing.get_by_role("button", name="Turn on shiny").click()
    expect(missing.get_by_text("Everything that this workflow needs is available")).to_be_visible()
    closed(editor.page, editor, "What is missing")
    editor.command("Packs…")
    pack.get_by_role("button", name="Remove shiny").click()
    editor.page.get_by_role("button", name="Remove", exact=True).click()
    expect(dialog.get_by_text("No packs are installed")).to_be_visible()
