"""Settings show at once, and are there again when the page is loaded anew."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor
from tests.editor.graphs import drag, middle, written
from tests.editor.serving import Server

pytestmark = pytest.mark.only_edits

BACKGROUNDS = {
    "Light": "rgb(246, 246, 248)",
    "Dark": "rgb(21, 22, 26)",
    "High contrast": "rgb(0, 0, 0)",
}


def see_theme(editor: Editor, name: str) -> None:
    expect(editor.page.locator("body")).to_have_css("background-color", BACKGROUNDS[name])


def settings(editor: Editor, page: str = "Look") -> Locator:
    """The dialog, at one of its pages."""
    editor.page.keyboard.press("ControlOrMeta+,")
    dialog = editor.dialog("Settings")
    dialog.get_by_role("tab", name=page).click()
    return dialog


def done(editor: Editor) -> None:
    editor.page.get_by_role("button", name="Done").click()
    expect(editor.page.get_by_role("dialog")).to_have_count(0)


class TestTheme:
    def test_is_seen_at_once_and_kept(self, editor: Editor) -> None:
        for name in BACKGROUNDS:
            settings(editor).get_by_role("radio", name=name).check(force=True)
            see_theme(editor, name)
            editor.reload()
            see_theme(editor, name)

    def test_follows_the_system(self, new_browser: NewBrowser, server: Server) -> None:
        editor = new_browser(server, color_scheme="dark").open()
        see_theme(editor, "Dark")
        editor.page.emulate_media(color_scheme="light")
        see_theme(editor, "Light")
        editor.page.emulate_media(contrast="more")
        see_theme(editor, "High contrast")

    def test_is_the_same_in_all_windows(self, editor: Editor) -> None:
        other = editor.another_tab()
        settings(editor).get_by_role("radio", name="Dark").check(force=True)
        see_theme(other, "Dark")


class TestCanvas:
    def test_links_have_the_shape_chosen(self, editor: Editor) -> None:
        line = editor.link("decode", "save").locator("path").first
        for style, path in (("Straight", "^[^CQ]+$"), ("Curves", "C")):
            settings(editor, "Canvas").get_by_label("Shape of links").select_option(style)
            done(editor)
            expect(line).to_have_attribute("d", re.compile(path))
            editor.reload()
            expect(line).to_have_attribute("d", re.compile(path))

    def test_nodes_stay_on_the_grid(self, editor: Editor) -> None:
        settings(editor, "Canvas").get_by_label("Snap to the grid").check(force=True)
        done(editor)
        for _ in range(2):
            x, y = middle(editor.card("save").get_by_text("Save image"))
            drag(editor, (x, y), (x - 37, y - 53))
            place = written(editor)["ui"]["positions"]["save"]
            assert [value % 20 for value in place] == [0, 0]
            editor.reload()


class TestKeys:
    def test_a_new_one_counts_from_now_on(self, editor: Editor) -> None:
        dialog = settings(editor, "Keys")
        dialog.get_by_role("button", name="Change the key of Show the tour").press("Enter")
        expect(dialog.locator("[data-captures-keys] button")).to_be_focused()
        editor.page.keyboard.press("F9")
        done(editor)
        for _ in range(2):
            editor.page.keyboard.press("F9")
            expect(editor.dialog("Welcome to nodegraph")).to_be_focused()
            editor.page.keyboard.press("Escape")
            editor.reload()

    def test_one_that_is_taken_is_asked_about(self, editor: Editor) -> None:
        dialog = settings(editor, "Keys")
        change = dialog.get_by_role("button", name="Change the key of Show the tour")
        change.click()
        expect(dialog.locator("[data-captures-keys] button")).to_be_focused()
        editor.page.keyboard.press("Alt+/")
        expect(dialog.get_by_text(re.compile("is “Explain the selected node”"))).to_be_visible()
        dialog.get_by_role("button", name="Use it here").click()
        other = dialog.get_by_role("button", name="Change the key of Explain the selected node")
        expect(other).to_have_text("No key")
        dialog.get_by_role("button", name="Back to the usual key of Show the tour").click()
        expect(change).to_have_text("No key")


class TestLanguage:
    def load(self, editor: Editor, words: Mapping[str, object]) -> None:
        """Load a file of words."""
        dialog = editor.page.get_by_role("dialog").last
        dialog.locator("input[type=file]").set_input_files(
            {
                "name": "de.json",
                "mimeType": "application/json",
                "buffer": json.dumps(words).encode(),
            }
        )

    def test_a_file_gives_its_words_and_the_rest_stays_english(self, editor: Editor) -> None:
        settings(editor, "Language")
        self.load(editor, {"shell.run": "Los"})
        run = editor.top.get_by_role("button", name="Los", exact=True)
        expect(run).to_be_visible()
        editor.reload()
        expect(run).to_be_visible()
        expect(editor.top.get_by_role("button", name="File", exact=True)).to_be_visible()
        dialog = settings(editor, "Language")
        dialog.get_by_role("combobox", name="Language").select_option("English")
        expect(run).to_have_count(0)

    def test_a_mended_file_is_seen_at_once(self, editor: Editor) -> None:
        settings(editor, "Language")
        self.load(editor, {"shell.run": "Los"})
        expect(editor.top.get_by_role("button", name="Los", exact=True)).to_be_visible()
        editor.dialog("Settings").get_by_role("tab", name="Language").click()
        self.load(editor, {"shell.run": "Start"})
        expect(editor.top.get_by_role("button", name="Start", exact=True)).to_be_visible()

    def test_one_without_words_is_refused(self, editor: Editor) -> None:
        dialog = settings(editor, "Language")
        self.load(editor, {"none": 1})
        expect(dialog.get_by_role("alert")).to_contain_text("has no words of the editor")

    def test_the_english_words_are_all_there_to_start_from(self, editor: Editor) -> None:
        dialog = settings(editor, "Language")
        with editor.page.expect_download() as download:
            dialog.get_by_role("button", name="Download the English words").click()
        words = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
        assert words["shell.run"] == "Run"
        assert len(words) > 500
