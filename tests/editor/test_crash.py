"""The browser itself breaks, and what was never saved is there again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Error, expect

from tests.editor.editing import Editor
from tests.editor.graphs import CHAIN
from tests.editor.serving import Server


def crash(editor: Editor) -> None:
    """End the process that draws the page, without it being told."""
    with editor.watch.allowing("chrome://crash"):
        with editor.page.expect_event("crash"), pytest.raises(Error):
            editor.page.goto("chrome://crash")
        editor.page.close()


@pytest.fixture
def again(editor: Editor, server: Server) -> Editor:
    """A new window after one with two changed workflows has crashed."""
    editor.fill("sample", "Steps", "7")
    editor.fill("positive", "Text", "a duck on a pond")
    editor.open_workflow({**CHAIN})
    editor.fill("save", "Name", "unsaved")
    editor.wait_until_kept("a duck on a pond", '"unsaved"')
    crash(editor)
    other = editor.another_tab().ready()
    # A page whose browser is slow to read is drawn before.
    expect(other.tabs).to_have_text(["Text to image", "Chain"])
    return other


def test_all_tabs_are_there_with_what_was_typed(again: Editor) -> None:
    expect(again.tabs).to_have_text(["Text to image", "Chain"])
    expect(again.field("save", "Name")).to_have_value("unsaved")
    again.tabs.first.click()
    expect(again.field("positive", "Text")).to_have_value("a duck on a pond")


def test_what_was_done_can_still_be_undone(again: Editor) -> None:
    again.tabs.first.click()
    expect(again.show("History").get_by_role("option")).to_have_count(3)
    again.command("Undo")
    expect(again.field("positive", "Text")).to_have_value("a red apple on a white background")
    again.command("Undo")
    expect(again.field("sample", "Steps")).to_have_value("20")
    again.tabs.last.click()
    again.zoom_to_fit()
    again.command("Undo")
    expect(again.field("save", "Name")).to_have_value("grey")


def test_nothing_of_it_comes_twice(again: Editor) -> None:
    third = again.another_tab()
    expect(third.tabs).to_have_count(1)
    expect(third.page.get_by_text("Nothing here yet")).to_be_visible()
    expect(again.tabs).to_have_count(2)
