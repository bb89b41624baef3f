"""The editor in other languages: all of its words are there, and have room."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor
from tests.editor.serving import Server

pytestmark = pytest.mark.only_edits

WORDS = Path(__file__).parents[2] / "editor" / "src" / "i18n"
AREAS = "|".join(path.stem for path in WORDS.glob("en/**/*.json"))
RAW = re.compile(rf"\b(?:{AREAS})\.[a-z]\w*(?:\.\w+)*|\{{\{{")
"""A key that has no text, or a value that nobody gave."""

_CUT_OFF = """(words) => {
    const own = new Set(words);
    const faults = [];
    const shown = {opacityProperty: true, visibilityProperty: true};
    for (const part of document.querySelectorAll("body *")) {
        const texts = [...part.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
        const said = texts.map((node) => node.data).join("").trim();
        // What is a pixel wide is for those who hear the page.
        if (said === "" || part.clientWidth < 2 || !part.checkVisibility(shown)) continue;
        const tell = (fault) => faults.push(`${fault}: ${said} <${part.className}>`);
        const style = getComputedStyle(part);
        // What people named may be longer than its place; it ends in dots.
        const mayEnd = style.textOverflow === "ellipsis" && !own.has(said);
        const scrolls = /auto|scroll/.test(style.overflowX);
        if (part.scrollWidth > part.clientWidth + 1 && !scrolls && !mayEnd) tell("too long");
        const box = part.getBoundingClientRect();
        for (let around = part.parentElement; around; around = around.parentElement) {
            if (around.matches(".react-flow")) break;
            const clip = getComputedStyle(around).overflowX;
            if (clip === "visible") continue;
            // Tabs of panels are few, and all to be seen; those of workflows scroll.
            if (/auto|scroll/.test(clip) && !(around.role === "tablist" && own.has(said))) break;
            const edge = around.getBoundingClientRect();
            if (box.right > edge.right + 1 && box.left < edge.right) tell("out of its box");
            break;
        }
    }
    return faults;
}"""

_SAID = """() => {
    const names = ["aria-label", "title", "placeholder", "alt"];
    const said = [...document.querySelectorAll("*")].flatMap((part) =>
        names.map((name) => part.getAttribute(name) ?? ""));
    return [document.body.innerText, ...said].join("\\n");
}"""


class Translated:
    """The editor in a language, whose words are asked for by their keys.

    Attributes:
        faults: What is cut off and what isn't said, of all that was looked at.
    """

    def __init__(self, editor: Editor, language: str) -> None:
        self.editor = editor
        self.page = editor.page
        self.faults: list[str] = []
        self.words: dict[str, str] = {}
        for path in (WORDS / language).glob("**/*.json"):
            area: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
            self.words |= {f"{path.stem}.{key}": text for key, text in area.items()}

    def look(self, named: str) -> None:
        """Note the faults of the page as it is, once no part of it is being fetched."""
        loading = self.words["shell.loading"]
        expect(self.page.get_by_role("status", name=loading, exact=True)).to_have_count(0)
        cut_off: list[str] = self.page.evaluate(_CUT_OFF, list(self.words.values()))
        said: str = self.page.evaluate(_SAID)
        self.faults += [f"{named}: {fault}" for fault in (*cut_off, *RAW.findall(said))]

    def button(self, key: str, within: Locator) -> Locator:
        return within.get_by_role("button", name=self.words[key], exact=True).first

    def command(self, key: str) -> None:
        self.page.keyboard.press("ControlOrMeta+k")
        dialog = self.page.get_by_role("dialog", name=self.words["search.title"])
        field = dialog.get_by_role("combobox")
        expect(field).to_be_focused()
        field.fill(self.words[key])
        expect(dialog.get_by_role("option").first).to_contain_text(self.words[key])
        self.look("search")
        field.press("Enter")
        expect(dialog).to_have_count(0)

    def tour(self) -> None:
        dialog = self.page.get_by_role("dialog")
        following = self.button("lessons.next", dialog)
        end = self.button("lessons.end", dialog)
        while True:
            expect(following.or_(end)).to_be_visible()
            self.look("tour")
            if end.is_visible():
                break
            following.click()
        end.click()
        expect(dialog).to_have_count(0)

    def menus(self) -> None:
        for key in ("file", "edit", "view", "run", "help"):
            self.button(f"shell.group.{key}", self.editor.top).click()
            menu = self.page.get_by_role("menu")
            expect(menu.first).to_be_visible()
            self.look(f"menu {key}")
            self.page.keyboard.press("Escape")
            expect(menu).to_have_count(0)

    def panels(self) -> None:
        for left, right, bottom in (
            ("palette", "help", "queue"),
            ("history", "inspector", "gallery"),
            ("palette", "result", "problems"),
        ):
            for name in (left, right, bottom):
                self.command(f"panels.command.{name}")
            region = self.page.get_by_role("region", name=self.words[f"shell.panel.{bottom}"])
            expect(region.first).to_be_visible()
            self.look(f"panels {left}, {right}, {bottom}")

    def dialogs(self) -> None:
        for key in ("files.templates", "files.saveAs", "files.share", "shell.shortcuts"):
            self.command(key)
            dialog = self.page.get_by_role("dialog")
            expect(dialog).to_be_visible()
            self.look(key)
            self.page.keyboard.press("Escape")
            expect(dialog).to_have_count(0)
        self.command("shell.settings")
        tabs = self.page.get_by_role("dialog").get_by_role("tab")
        expect(tabs.first).to_be_visible()
        for tab in tabs.all():
            tab.click()
            self.look(f"settings {tab.inner_text()}")
        self.page.keyboard.press("Escape")
        expect(tabs).to_have_count(0)

    def everything(self) -> None:
        """Look at the page and what can be opened in it."""
        expect(self.editor.status.get_by_text(self.words["connection.open"])).to_be_visible()
        self.editor.drawn()
        self.page.locator("[data-node=sample] header").click(position={"x": 90, "y": 12})
        self.look("page")
        self.menus()
        self.panels()
        self.dialogs()
        self.button("shell.view.app", self.editor.top).click()
        form = self.page.get_by_role("region", name=self.words["appmode.parameters"])
        expect(form).to_be_visible()
        self.look("form")
        assert self.faults == []


def test_the_browser_s_language_is_shown_whole(new_browser: NewBrowser, server: Server) -> None:
    """German, whose words are the longest."""
    editor = new_browser(server, locale="de-AT")
    editor.page.goto("/")
    expect(editor.page.locator("html")).to_have_attribute("lang", "de")
    shown = Translated(editor, "de")
    expect(shown.button("lessons.next", editor.page.get_by_role("dialog"))).to_be_visible()
    shown.tour()
    shown.everything()


def test_a_language_that_is_chosen_is_kept_and_whole(editor: Editor) -> None:
    """Japanese, which has no spaces to break lines at."""
    editor.page.keyboard.press("ControlOrMeta+,")
    dialog = editor.dialog("Settings")
    dialog.get_by_role("tab", name="Language").click()
    dialog.get_by_role("combobox", name="Language").select_option("日本語")
    expect(editor.page.locator("html")).to_have_attribute("lang", "ja")
    editor.page.reload()
    expect(editor.page.locator("html")).to_have_attribute("lang", "ja")
    Translated(editor, "ja").everything()


def test_node_types_are_shown_and_found_in_the_language(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server, locale="de-AT")
    page = editor.page
    page.goto("/")
    shown = Translated(editor, "de")
    shown.tour()
    editor.drawn()
    for words in ("bild laden", "load image"):
        page.keyboard.press("ControlOrMeta+k")
        dialog = page.get_by_role("dialog", name=shown.words["search.title"])
        dialog.get_by_role("combobox").fill(words)
        kinds = dialog.get_by_role("option").filter(has_text="Bild laden")
        expect(kinds.first).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    page.keyboard.press("ControlOrMeta+k")
    dialog = page.get_by_role("dialog", name=shown.words["search.title"])
    dialog.get_by_role("combobox").fill("load image")
    dialog.get_by_role("option").filter(has_text="Bild laden").first.click()
    card = editor.card("load_image")
    expect(card.locator("header")).to_contain_text("Bild laden")
    # English again, at once, and the node has the same name as ever.
    page.keyboard.press("ControlOrMeta+,")
    settings = page.get_by_role("dialog", name=shown.words["settings.title"])
    settings.get_by_role("tab", name=shown.words["settings.language"]).click()
    settings.get_by_role("combobox").first.select_option("English")
    expect(card.locator("header")).to_contain_text("Load image")
