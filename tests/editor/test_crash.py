"""The browser itself breaks, and what was never saved is there again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Error, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor
from tests.editor.gates import text_to_image
from tests.editor.graphs import CHAIN
from tests.editor.serving import Server


def crash(editor: Editor) -> None:
    """End the process that draws the page, without it being told."""
    with editor.watch.allowing("chrome://crash"):
        with editor.page.expect_event("crash"), pytest.raises(Error):
            editor.page.goto("chrome://crash")
        editor.page.close()


def test_a_new_window_has_all_that_was_there_and_nothing_twice(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server).open_link(text_to_image())
    editor.fill("sample", "Steps", "7")
    editor.fill("positive", "Text", "a duck on a pond")
    editor.open_workflow({**CHAIN})
    editor.fill("save", "Name", "unsaved")
    editor.wait_until_kept("a duck on a pond", '"unsaved"')
    crash(editor)
    again = editor.another_tab().ready()
    # A page whose browser is slow to read is drawn before. What was typed is there.
    expect(again.tabs).to_have_text(["Text to image", "Chain"])
    expect(again.field("save", "Name")).to_have_value("unsaved")
    again.tabs.first.click()
    expect(again.field("positive", "Text")).to_have_value("a duck on a pond")
    # What was done can still be undone.
    expect(again.show("History").get_by_role("option")).to_have_count(3)
    again.command("Undo")
    expect(again.field("positive", "Text")).to_have_value("a red apple on a white background")
    again.command("Undo")
    expect(again.field("sample", "Steps")).to_have_value("20")
    again.tabs.last.click()
    again.zoom_to_fit()
    again.command("Undo")
    expect(again.field("save", "Name")).to_have_value("grey")
    # Nothing of it comes twice.
    third = again.another_tab()
    expect(third.tabs).to_have_count(1)
    expect(third.page.get_by_text("Nothing here yet")).to_be_visible()
    expect(again.tabs).to_have_count(2)
