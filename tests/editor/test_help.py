"""What nodes say of themselves."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.editor.editing import Editor

pytestmark = pytest.mark.only_edits


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
