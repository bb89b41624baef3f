"""What a workflow needs and the server doesn't have is named, and the rest can be worked on."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor
from tests.editor.graphs import CHAIN, written
from tests.editor.serving import Server

PACK = """
from nodegraph import Image, node

@node
def Glow(image: Image, amount: float = 1.0) -> Image:
    \"\"\"Makes an image glow.\"\"\"
    return image
"""


def chain_with(**nodes: Any) -> dict[str, Any]:
    """A chain of nodes, some of which are other ones."""
    return {**CHAIN, "nodes": {**CHAIN["nodes"], **nodes}}


GLOWING = {
    **chain_with(wait={"type": "shiny:Glow", "inputs": {"image": {"from": "decode"}}}),
    "requires": {"shiny": ">=2"},
}
LARGE = chain_with(load={"type": "LoadModel", "inputs": {"model": "portraits-xl.safetensors"}})


def opened(editor: Editor, workflow: dict[str, Any]) -> Locator:
    """The dialog that comes with a workflow."""
    editor.open_workflow(workflow)
    dialog = editor.dialog("What is missing")
    expect(dialog).to_be_visible()
    # The foot of a dialog isn't the page's: what the line at the bottom tells is found beside it.
    editor.ready()
    return dialog


def close(editor: Editor, dialog: Locator) -> None:
    editor.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_pack_is_named_its_node_marked_and_found_once_it_is_there(
    editor: Editor, server: Server
) -> None:
    dialog = opened(editor, GLOWING)
    row = dialog.get_by_role("listitem").filter(has_text="shiny:Glow")
    expect(row).to_contain_text("shiny")
    expect(row).to_contain_text(">=2")
    expect(dialog).to_contain_text("On the server, add its folder, git address or wheel")
    row.get_by_role("button", name="Show “wait”").click()
    expect(dialog).to_have_count(0)
    expect(editor.card("wait")).to_be_focused()
    mark = re.compile("there is no node type `shiny:Glow`", re.IGNORECASE)
    expect(editor.card("wait").get_by_role("button", name=mark)).to_be_visible()
    editor.fill("save", "Name", "still-typed")
    editor.page.keyboard.press("ControlOrMeta+z")
    expect(editor.field("save", "Name")).to_have_value("grey")
    assert written(editor)["nodes"] == GLOWING["nodes"]
    editor.reload()
    expect(dialog).to_have_count(0)

    editor.command("Missing packs and models")
    expect(dialog).to_be_visible()
    file = server.home / "packs" / "shiny.py"
    file.write_text(PACK)
    try:
        dialog.get_by_role("button", name="Scan again").click()
        expect(
            dialog.get_by_text("Everything that this workflow needs is available")
        ).to_be_visible()
        close(editor, dialog)
        expect(editor.field("wait", "Amount")).to_be_visible()
    finally:
        file.unlink()
        server.client.post("system/refresh").raise_for_status()


def test_a_model_is_named_and_can_be_replaced_by_one_that_is_there(editor: Editor) -> None:
    dialog = opened(editor, LARGE)
    row = dialog.get_by_role("listitem").filter(has_text="portraits-xl.safetensors")
    expect(row.get_by_role("button", name="Search")).to_be_visible()
    expect(dialog).to_contain_text(str(editor.server.home / "models"))
    close(editor, dialog)
    expect(editor.card("load").get_by_text("There is no model")).to_be_visible()
    editor.field("load", "Model").click()
    editor.page.get_by_role("option", name=re.compile("^tiny sd1")).click()
    expect(editor.status.get_by_text(re.compile("^[0-9] nodes will run"))).to_be_visible()

    # Nothing is said of a workflow that has all.
    editor.open_workflow({**CHAIN})
    expect(editor.dialog("What is missing")).to_have_count(0)
    editor.command("Missing packs and models")
    expect(
        editor.dialog("What is missing").get_by_text(
            "Everything that this workflow needs is available"
        )
    ).to_be_visible()
