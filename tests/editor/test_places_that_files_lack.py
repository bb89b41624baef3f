"""Files in which no places stand: the editor gives them some, which is no edit of anybody's."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.editor.editing import Editor
from tests.editor.graphs import CHAIN, written

pytestmark = pytest.mark.only_edits


def without_places() -> dict[str, Any]:
    return {key: value for key, value in CHAIN.items() if key != "ui"}


def test_are_no_step_to_undo(editor: Editor) -> None:
    editor.open_workflow(without_places())
    places = written(editor)["ui"]["positions"]
    assert set(places) == set(CHAIN["nodes"])
    assert len({tuple(at) for at in places.values()}) == len(places)
    editor.page.keyboard.press("ControlOrMeta+z")
    expect(editor.cards).to_have_count(len(places))
    assert written(editor)["ui"]["positions"] == places
    expect(editor.show("History").get_by_role("option")).to_have_count(1)


def test_stay_when_what_came_after_is_undone(editor: Editor) -> None:
    editor.open_workflow(without_places())
    before = written(editor)
    editor.click_card("decode")
    editor.page.keyboard.press("Delete")
    expect(editor.card("decode")).to_have_count(0)
    editor.page.keyboard.press("ControlOrMeta+z")
    expect(editor.card("decode")).to_be_visible()
    assert written(editor) == before
    editor.page.keyboard.press("ControlOrMeta+z")
    assert written(editor) == before
