"""The tour: a newcomer's own image, made step by step on the real graph."""

from __future__ import annotations

import re
from math import dist

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor, box_of, expect_picture
from tests.editor.graphs import written
from tests.editor.serving import Server
from tests.server.hosting import eventually

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def newcomer(new_browser: NewBrowser, server: Server) -> Editor:
    """Somebody who opens the editor for the first time."""
    editor = new_browser(server)
    editor.page.goto("/")
    expect(editor.dialog("Write a prompt")).to_be_focused()
    return editor.ready()


def card_of(editor: Editor) -> Locator:
    return editor.page.locator("section[role=dialog]")


def see_ring(editor: Editor, target: Locator) -> None:
    """Wait until the ring lies around something, and the card beside it, within the window."""
    ring = editor.page.locator("[aria-hidden][class*=ring]")

    def is_around() -> bool:
        first, second = ring.bounding_box(), target.bounding_box()
        if first is None or second is None:
            return False
        corners = (first["x"] + 3, first["y"] + 3), (second["x"], second["y"])
        sizes = (first["width"] - 6, first["height"] - 6), (second["width"], second["height"])
        return dist(*corners) < 3 and dist(*sizes) < 3

    eventually(is_around)
    card, pointed = box_of(card_of(editor)), box_of(target)
    is_beside = (
        card["x"] >= pointed["x"] + pointed["width"]
        or card["x"] + card["width"] <= pointed["x"]
        or card["y"] >= pointed["y"] + pointed["height"]
        or card["y"] + card["height"] <= pointed["y"]
    )
    assert is_beside
    size = editor.page.viewport_size
    assert size is not None
    assert 0 <= card["x"] <= size["width"] - card["width"]
    assert 0 <= card["y"] <= size["height"] - card["height"]


def test_a_newcomer_is_led_to_an_image_of_their_own_by_what_they_do(newcomer: Editor) -> None:
    page, card = newcomer.page, card_of(newcomer)
    see_ring(newcomer, newcomer.card("positive").locator("[data-input=text]"))
    field = newcomer.field("positive", "Text")
    field.fill("a green frog face on a blue background")
    expect(card).to_contain_text("Run it")
    expect(field).to_be_focused()
    see_ring(newcomer, page.locator("[data-tour=run]"))
    page.keyboard.press("ControlOrMeta+Enter")
    expect(card).to_contain_text("Your picture")
    expect_picture(newcomer.results("save"))
    see_ring(newcomer, newcomer.card("save"))
    card.get_by_role("button", name="Next").click()
    expect(card).to_contain_text("Change one value")
    newcomer.fill("sample", "Seed", "8")
    newcomer.run()
    expect(card).to_contain_text("Only what changed")
    expect(card.get_by_role("definition").first).to_have_text("KSampler, VAE decode, Save image")
    expect(card.get_by_role("definition").last).to_contain_text("Load model")
    card.get_by_role("button", name="Next").click()
    expect(card).to_contain_text("Keep it")
    newcomer.results("save").first.click()
    viewer = page.locator("[data-modal]")
    with page.expect_download():
        viewer.get_by_role("button", name="Download").click()
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    expect(card).to_contain_text("That was the tour")
    card.get_by_role("button", name="More lessons").click()
    expect(page.get_by_role("button", name="Start over: Your first picture")).to_be_visible()
    expect(card).to_have_count(0)


@pytest.mark.only_edits
def test_the_tour_is_left_and_taken_up_where_it_was_also_after_a_reload(newcomer: Editor) -> None:
    page, card = newcomer.page, card_of(newcomer)
    page.keyboard.press("ArrowRight")
    expect(newcomer.dialog("Run it")).to_be_focused()
    newcomer.reload()
    expect(card).to_contain_text("2 of 7")
    card.get_by_role("button", name="Close the lesson").click()
    expect(card).to_have_count(0)
    newcomer.reload()
    expect(card).to_have_count(0)
    newcomer.menu("Help", "Show tour")
    expect(newcomer.dialog("Run it")).to_be_focused()
    # In the document that it was begun in.
    expect(newcomer.tabs).to_have_count(1)
    page.keyboard.press("ArrowLeft")
    expect(newcomer.dialog("Write a prompt")).to_be_focused()
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)


@pytest.mark.only_edits
def test_the_ring_follows_the_graph_and_the_card_says_where_it_waits(newcomer: Editor) -> None:
    page, card = newcomer.page, card_of(newcomer)
    field = newcomer.card("positive").locator("[data-input=text]")
    page.keyboard.press("Escape")
    newcomer.menu("Help", "Show tour")
    see_ring(newcomer, newcomer.card("positive").locator("[data-input=text]"))
    page.mouse.move(900, 200)
    page.mouse.wheel(0, 240)
    see_ring(newcomer, field)
    before = written(newcomer)
    page.keyboard.press("Alt+n")
    waiting = page.get_by_role("region", name="Your first picture")
    expect(waiting).to_contain_text("The lesson waits")
    waiting.get_by_role("button", name="Go to the lesson").click()
    expect(card).to_contain_text("Write a prompt")
    assert written(newcomer) == before


@pytest.mark.only_edits
def test_on_a_phone_each_step_leaves_free_what_it_points_at(
    new_browser: NewBrowser, server: Server
) -> None:
    phone = new_browser(server, viewport=PHONE, has_touch=True, is_mobile=True)
    phone.page.goto("/")
    card = phone.dialog("Write a prompt")
    expect(card).to_be_visible()
    see_ring(phone, phone.card("positive").locator("[data-input=text]"))
    card_of(phone).get_by_role("button", name="Next").tap()
    see_ring(phone, phone.page.locator("[data-tour=run]"))
    card_of(phone).get_by_role("button", name=re.compile("^Skip tour")).tap()
    expect(card_of(phone)).to_have_count(0)
