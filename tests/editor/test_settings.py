"""Settings show at once, and are there again when the page is loaded anew."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor
from tests.editor.graphs import drag, middle, written

pytestmark = pytest.mark.only_edits

BACKGROUNDS = {
    "Light": "rgb(246, 246, 248)",
    "Dark": "rgb(21, 22, 26)",
    "High contrast": "rgb(0, 0, 0)",
}


def see_theme(editor: Editor, name: str) -> None:
    expect(editor.page.locator("body")).to_have_css("background-color", BACKGROUNDS[name])


def settings(editor: Editor, page: str = "Appearance") -> Locator:
    """The dialog, at one of its pages."""
    editor.page.keyboard.press("ControlOrMeta+,")
    dialog = editor.dialog("Settings")
    dialog.get_by_role("tab", name=page).click()
    return dialog


def done(editor: Editor) -> None:
    editor.page.get_by_role("button", name="Done").click()
    expect(editor.page.get_by_role("dialog")).to_have_count(0)


def shape(editor: Editor) -> Locator:
    """What draws a link."""
    return editor.link("decode", "save").locator("path").first


def expect_chosen(editor: Editor) -> None:
    see_theme(editor, "Dark")
    expect(shape(editor)).to_have_attribute("d", re.compile("^[^CQ]+$"))
    x, y = middle(editor.card("save").get_by_text("Save image"))
    drag(editor, (x, y), (x - 37, y - 53))
    place = written(editor)["ui"]["positions"]["save"]
    assert [value % 20 for value in place] == [0, 0]
    editor.page.keyboard.press("F9")
    expect(editor.dialog("Write a prompt")).to_be_focused()
    editor.page.keyboard.press("Escape")


def test_what_is_chosen_counts_from_now_on_in_all_windows(editor: Editor) -> None:
    other = editor.another_tab()
    dialog = settings(editor)
    for name in ("Light", "High contrast", "Dark"):
        dialog.get_by_role("radio", name=name).check(force=True)
        see_theme(editor, name)
        see_theme(other, name)
    dialog.get_by_role("tab", name="Canvas").click()
    for style, path in (("Curves", "C"), ("Straight", "^[^CQ]+$")):
        dialog.get_by_label("Link shape").select_option(style)
        expect(shape(editor)).to_have_attribute("d", re.compile(path))
    dialog.get_by_label("Snap to grid").check(force=True)
    dialog.get_by_role("tab", name="Keys").click()
    dialog.get_by_role("button", name="Change the key of Show tour").press("Enter")
    expect(dialog.locator("[data-captures-keys] button")).to_be_focused()
    editor.page.keyboard.press("F9")
    done(editor)
    expect_chosen(editor)
    editor.reload()
    expect_chosen(editor)


def load(editor: Editor, words: Mapping[str, object]) -> None:
    """Load a file of words."""
    dialog = editor.page.get_by_role("dialog").last
    dialog.locator("input[type=file]").set_input_files(
        {
            "name": "de.json",
            "mimeType": "application/json",
            "buffer": json.dumps(words).encode(),
        }
    )


def behind(editor: Editor, name: str) -> Locator:
    """A button that may lie behind a dialog, which hides it from screen readers."""
    return editor.page.get_by_role("button", name=name, exact=True, include_hidden=True)


def test_a_file_gives_words_of_ones_own_and_the_rest_stays_english(editor: Editor) -> None:
    settings(editor, "Language")
    load(editor, {"shell.run": "Start"})
    expect(behind(editor, "Start")).to_be_visible()
    # One that was mended is seen at once.
    editor.dialog("Settings").get_by_role("tab", name="Language").click()
    load(editor, {"shell.run": "Los"})
    run = behind(editor, "Los")
    expect(run).to_be_visible()
    editor.reload()
    expect(run).to_be_visible()
    expect(editor.top.get_by_role("button", name="File", exact=True)).to_be_visible()
    dialog = settings(editor, "Language")
    dialog.get_by_role("combobox", name="Language").select_option("English")
    expect(run).to_have_count(0)

    # One without words is refused, and all English ones are there to start from.
    dialog.get_by_role("tab", name="Language").click()
    load(editor, {"none": 1})
    expect(dialog.get_by_role("alert")).to_contain_text("contains no texts of the editor")
    with editor.page.expect_download() as download:
        dialog.get_by_role("button", name="Download English texts").click()
    words = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert words["shell.run"] == "Run"
    assert len(words) > 500
