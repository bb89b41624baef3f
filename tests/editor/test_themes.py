"""Light, dark and high contrast: chosen, or as the system has it; and without motion."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.editor.conftest import NewBrowser
from tests.editor.serving import Server

pytestmark = pytest.mark.only_edits

_LONGEST = """() => Math.max(...[...document.querySelectorAll("*")].flatMap((each) => {
    const { transitionDuration, animationName, animationDuration } = getComputedStyle(each);
    const times = [transitionDuration, animationName === "none" ? "0" : animationDuration];
    return times.flatMap((all) => all.split(",").map(parseFloat));
}))"""
"""Seconds that the longest movement of the page takes."""

_WAITS = """() => [...document.querySelectorAll("*")].flatMap((each) => {
    const { transitionDelay, transitionDuration } = getComputedStyle(each);
    const isMoving = `${transitionDelay},${transitionDuration}`.split(",").some(parseFloat);
    return isMoving ? [each.className] : [];
})"""
"""What changes its looks late, or slowly."""

_LIT = "() => [document.activeElement.textContent, getComputedStyle(document.activeElement)" + (
    ".backgroundColor, document.getAnimations().length]"
)
"""The item of a menu that has the focus, its ground, and how much is moving."""


def test_the_page_looks_as_the_system_does_unless_somebody_chose(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server, color_scheme="dark").open()
    page, theme = editor.page, editor.page.locator("html")
    expect(theme).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(theme).to_have_attribute("data-theme", "light")
    page.emulate_media(contrast="more")
    expect(theme).to_have_attribute("data-theme", "contrast")
    editor.command("Dark")
    expect(theme).to_have_attribute("data-theme", "dark")
    page.emulate_media(contrast="no-preference", color_scheme="light")
    editor.reload()
    expect(theme).to_have_attribute("data-theme", "dark")

    # Nothing moves for those who want no motion.
    assert page.evaluate(_LONGEST) <= 0.0001
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(_LONGEST) >= 0.12


def test_without_motion_an_item_of_a_menu_is_highlighted_at_once(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server).open()
    page = editor.page
    editor.menu("File")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menu").locator(":focus")).to_have_count(1)
    name, ground, moving = page.evaluate(_LIT)
    assert (name != "", ground != "rgba(0, 0, 0, 0)", moving) == (True, True, 0)
    assert page.evaluate(_WAITS) == []
