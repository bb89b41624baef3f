"""The tour for those who are here for the first time, and what nodes say of themselves."""

from __future__ import annotations

import re
from math import dist

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor, box_of
from tests.editor.serving import Server
from tests.server.hosting import eventually

pytestmark = pytest.mark.only_edits

STEPS = (
    ("Welcome to nodegraph", "main"),
    ("Run it", "[data-tour=run]"),
    ("Add a node", "main"),
    ("Change a node", ".react-flow__node"),
    ("Find your way", "nav[data-region]"),
    ("Details", "[data-tour=inspector]"),
    ("Keyboard shortcuts", "header[data-region]"),
)
"""Titles of the tour's cards, and what they speak of."""


@pytest.fixture
def newcomer(new_browser: NewBrowser, server: Server) -> Editor:
    """Somebody who opens the editor for the first time."""
    editor = new_browser(server)
    editor.page.goto("/")
    expect(editor.dialog(STEPS[0][0])).to_be_focused()
    return editor.ready()


def see_ring(editor: Editor, target: Locator) -> None:
    """Wait until the ring of the tour lies around something, and its card within the window."""
    ring = editor.page.locator("[aria-hidden][class*=ring]")

    def is_around() -> bool:
        first, second = ring.bounding_box(), target.bounding_box()
        if first is None or second is None:
            return False
        corners = (first["x"], first["y"]), (second["x"], second["y"])
        sizes = (first["width"], first["height"]), (second["width"], second["height"])
        return dist(*corners) < 2 and dist(*sizes) < 2

    eventually(is_around)
    card = box_of(editor.page.get_by_role("dialog"))
    assert 0 <= card["x"] <= 1440 - card["width"]
    assert 0 <= card["y"] <= 900 - card["height"]


def test_every_step_of_the_tour_points_at_what_it_speaks_of(newcomer: Editor) -> None:
    for number, (title, target) in enumerate(STEPS, start=1):
        card = newcomer.dialog(title)
        expect(card).to_contain_text(f"{number} of {len(STEPS)}")
        expect(card).to_be_focused()
        see_ring(newcomer, newcomer.page.locator(target).first)
        # By mouse and by key, one after the other.
        if number % 2:
            card.get_by_role("button", name=re.compile("^(Next|Done)$")).click()
        else:
            newcomer.page.keyboard.press("Enter")
    expect(newcomer.page.get_by_role("dialog")).to_have_count(0)


def test_the_tour_ends_for_good_and_can_be_asked_for(newcomer: Editor) -> None:
    page = newcomer.page
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    newcomer.reload()
    expect(page.get_by_role("dialog")).to_have_count(0)
    newcomer.menu("Help", "Show tour")
    expect(newcomer.dialog("Welcome to nodegraph")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(newcomer.dialog("Run it")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(newcomer.dialog("Welcome to nodegraph")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_nodes_explain_themselves_by_key_with_examples_that_open(editor: Editor) -> None:
    # All are listed where none is selected.
    editor.page.keyboard.press("Alt+/")
    panel = editor.panel("Help")
    panel.get_by_role("searchbox").fill("mask")
    panel.get_by_role("option", name=re.compile("^Set noise mask")).click()
    expect(panel.get_by_role("heading", name="Set noise mask")).to_be_visible()
    panel.get_by_role("button", name="Follow the selection again").click()
    expect(panel.get_by_role("searchbox")).to_be_visible()

    editor.click_card("sample")
    editor.page.keyboard.press("Alt+/")
    expect(panel.get_by_role("heading", name="KSampler")).to_be_visible()
    expect(panel.get_by_role("heading", name="Inputs")).to_be_visible()
    terms = panel.get_by_role("term")
    for name in ("steps", "cfg", "denoise"):
        expect(terms.filter(has_text=re.compile(f"^{name}(?!_)"))).to_be_visible()
    editor.click_card("size")
    editor.page.keyboard.press("Alt+/")
    expect(panel.get_by_role("heading", name="Empty latent")).to_be_visible()

    editor.click_card("decode")
    editor.page.keyboard.press("Alt+/")
    example = panel.get_by_role("button", name=re.compile("^Seed grid"))
    example.press("Enter")
    expect(editor.tabs.last).to_have_text("Seed grid")
