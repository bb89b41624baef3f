"""A run that ends while one does something else is told of, with the way to it."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.editor.editing import Editor, expect_picture
from tests.editor.gates import TEMPLATES, gated, refusing


def test_ones_that_end_in_other_tabs_are_shown_by_a_click(
    editor: Editor, request: pytest.FixtureRequest
) -> None:
    gate = request.node.name
    editor.open_workflow(gated(gate))
    editor.run()
    expect(editor.state("wait", "Running")).to_be_visible()
    expect(editor.page).to_have_title(re.compile("^[0-9]+% Gated"))
    editor.tabs.filter(has_text="Text to image").click()
    expect(editor.page).to_have_title(re.compile("^Text to image"))
    editor.server.let(gate)
    told = editor.page.get_by_role("region", name="Notices")
    expect(told.get_by_text("Gated is done")).to_be_visible()
    told.get_by_role("button", name="Show").click()
    expect(editor.card("save")).to_be_focused()
    expect_picture(editor.results("save"))
    # It has been seen.
    expect(told.get_by_text("Gated is done")).to_have_count(0)

    # One that failed leads to its node and port.
    editor.open_workflow(refusing(least=9001))
    editor.run()
    editor.tabs.filter(has_text="Text to image").click()
    expect(told.get_by_text("Refused failed")).to_be_visible()
    expect(told).to_contain_text("the image is smaller than 9001")
    expect(told).to_contain_text("Ask for less.")
    told.get_by_role("button", name="Show").click()
    expect(editor.field("check", "Least")).to_be_focused()


def test_a_fault_in_the_body_of_a_loop_is_told_on_its_card_and_covers_no_buttons(
    tab: Editor,
) -> None:
    workflow = json.loads((TEMPLATES / "prompt_walk.json").read_text(encoding="utf-8"))
    del workflow["subgraphs"]["repaint"]["nodes"]["sample"]["inputs"]["positive"]
    editor = tab.open_link(workflow)
    expect(editor.card("walk")).to_contain_text("Inside, at sample: positive is missing")
    editor.run()
    expect(editor.notice("The workflow cannot run")).to_be_visible()
    editor.zoom_to_fit()
