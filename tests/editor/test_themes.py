"""Light, dark and high contrast: chosen, or as the system has it; and without motion."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor
from tests.editor.serving import Server

pytestmark = pytest.mark.only_edits


def theme(editor: Editor) -> Locator:
    return editor.page.locator("html")


class TestSystem:
    """The page looks as the system does, unless somebody chose."""

    def test_is_followed_while_the_page_is_open(
        self, new_browser: NewBrowser, server: Server
    ) -> None:
        editor = new_browser(server, color_scheme="dark").open()
        expect(theme(editor)).to_have_attribute("data-theme", "dark")
        editor.page.emulate_media(color_scheme="light")
        expect(theme(editor)).to_have_attribute("data-theme", "light")
        editor.page.emulate_media(contrast="more")
        expect(theme(editor)).to_have_attribute("data-theme", "contrast")

    def test_is_overruled_and_that_is_kept(self, editor: Editor) -> None:
        editor.command("Dark")
        expect(theme(editor)).to_have_attribute("data-theme", "dark")
        editor.page.emulate_media(color_scheme="light")
        editor.reload()
        expect(theme(editor)).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize(("motion", "seconds"), [("reduce", 0.0001), ("no-preference", 0.12)])
def test_nothing_moves_for_those_who_want_no_motion(
    new_browser: NewBrowser, server: Server, motion: str, seconds: float
) -> None:
    editor = new_browser(server, reduced_motion=motion).open()
    longest = editor.page.evaluate(
        """() => Math.max(...[...document.querySelectorAll("*")].flatMap((each) => {
            const { transitionDuration, animationName, animationDuration } = getComputedStyle(each);
            const times = [transitionDuration, animationName === "none" ? "0" : animationDuration];
            return times.flatMap((all) => all.split(",").map(parseFloat));
        }))"""
    )
    assert longest <= seconds if motion == "reduce" else longest >= seconds
