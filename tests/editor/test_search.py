"""One box finds everything: nodes, values, commands, node types, workflows and results."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.editor.editing import Editor, expect_picture
from tests.editor.gates import prompted
from tests.editor.serving import Server


def choose(editor: Editor, words: str, kind: str, said: str) -> None:
    """Search for some words, and choose what is found first, which is of a kind."""
    editor.search().fill(words)
    first = editor.found().first
    expect(first).to_contain_text(kind)
    expect(first).to_contain_text(said)
    editor.page.keyboard.press("Enter")
    expect(editor.dialog("Search everything")).to_have_count(0)


def test_everything_is_found_in_one_box(editor: Editor, server: Server) -> None:
    editor.fill("positive", "Text", "a heron among reeds")
    choose(editor, "among reeds", "In this workflow", "positive.text")
    expect(editor.card("positive")).to_have_class(re.compile("selected"))
    choose(editor, "image grid", "Add a node", "Image grid")
    expect(editor.card("image_grid")).to_be_focused()
    choose(editor, "prompt grid", "Workflows", "Prompt grid")
    expect(editor.tab).to_have_text("Prompt grid")
    choose(editor, "previous tab", "Commands", "Previous tab")
    expect(editor.card("image_grid")).to_be_visible()
    server.outputs(server.submit(prompted("a brass kettle", name="kettle")))
    editor.search().fill("brass")
    row = editor.found().filter(has_text="kettle")
    expect_picture(row.locator("img"))
    row.click()
    viewer = editor.dialog(re.compile("^kettle"))
    expect_picture(viewer.get_by_role("img", name=re.compile("^kettle")))
