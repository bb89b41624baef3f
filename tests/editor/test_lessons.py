"""Lessons beside workflows: the list, doing what a step asks for, and help about problems."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor
from tests.editor.faults import bring_axe, check
from tests.editor.gates import text_to_image
from tests.editor.graphs import written


def card_of(editor: Editor) -> Locator:
    return editor.page.locator("section[role=dialog]")


def open_list(editor: Editor) -> Locator:
    editor.menu("Help", "Lessons")
    dialog = editor.page.get_by_role("dialog")
    expect(dialog.get_by_role("listitem").first).to_be_visible()
    return dialog


def test_a_lesson_notices_the_value_that_was_run_and_keeps_how_far_it_is(editor: Editor) -> None:
    before = written(editor)
    open_list(editor).get_by_role("button", name="Start: Denoising, step by step").click()
    card = card_of(editor)
    expect(editor.dialog("It starts from noise")).to_be_focused()
    expect(editor.tabs).to_have_count(2)
    editor.page.keyboard.press("Enter")
    expect(card).to_contain_text("Run it")
    editor.run()
    expect(card).to_contain_text("Ten predictions")
    card.get_by_role("button", name="Next").click()
    expect(card).to_contain_text("Fewer steps")
    # The value alone is not enough, nor is a run of another value.
    editor.fill("steps", "Steps", "4")
    expect(card).to_contain_text("Fewer steps")
    editor.run()
    expect(card).to_contain_text("Without guidance")
    card.get_by_role("button", name="Close the lesson").click()
    row = open_list(editor).get_by_role("listitem").filter(has_text="Denoising, step by step")
    expect(row).to_contain_text("Step 5 of 7")
    row.get_by_role("button", name="Start over").click()
    expect(editor.dialog("It starts from noise")).to_be_focused()
    expect(editor.tabs).to_have_count(3)
    editor.page.keyboard.press("Escape")
    editor.tabs.first.click()
    assert written(editor) == before


@pytest.mark.only_edits
def test_a_workflow_brings_a_lesson_of_its_own(editor: Editor) -> None:
    words = {"en": "Look here"}
    step = {"title": words, "text": {"en": "This sets the size."}, "at": {"node": "size"}}
    goal = {"title": {"en": "Wider"}, "text": {"en": "Set the width to 192."}}
    goal |= {"until": [{"input": "size.width", "is": 192}]}
    last = {"title": {"en": "The end"}, "text": {"en": "That was it."}}
    lesson = {"lesson": 1, "title": {"en": "Sizes"}, "summary": words, "steps": [step, goal, last]}
    editor.open_workflow(with_lesson(lesson))
    editor.page.get_by_role("button", name="Start", exact=True).click()
    expect(editor.dialog("Look here")).to_contain_text("This sets the size.")
    card_of(editor).get_by_role("button", name="Next").click()
    expect(card_of(editor)).to_contain_text("Set the width to 192.")
    editor.fill("size", "Width", "192")
    expect(card_of(editor)).to_contain_text("That was it.")


@pytest.mark.only_edits
def test_a_lesson_that_cannot_be_read_says_what_is_wrong(editor: Editor) -> None:
    with editor.watch.allowing("LessonFault"):
        editor.open_workflow(with_lesson({"lesson": 1, "steps": []}))
        editor.page.get_by_role("button", name="Start", exact=True).click()
        expect(editor.page.get_by_text("steps: must be a list")).to_be_visible()


def with_lesson(lesson: dict[str, Any]) -> dict[str, Any]:
    found = text_to_image()
    found["ui"] = {**found.get("ui", {}), "lesson": lesson}
    return found


@pytest.mark.only_edits
def test_a_problem_is_explained_without_a_network(editor: Editor) -> None:
    workflow = text_to_image()
    workflow["nodes"]["sample"]["inputs"]["sampler"] = "eulr"
    editor.open_workflow(workflow)
    panel = editor.show("Problems")
    panel.get_by_role("button", name="Learn more").first.click()
    dialog = editor.page.get_by_role("dialog", name="A value does not fit")
    expect(dialog).to_contain_text("What to do")
    expect(dialog).to_contain_text("docs/errors.md#invalid-value")
    bring_axe(editor)
    check(editor, "help about a problem")
