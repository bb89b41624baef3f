"""Workflows side by side: states of a document, versions, jobs; and conflicts that are merged."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor
from tests.editor.faults import bring_axe, check
from tests.editor.graphs import saved, written
from tests.editor.serving import Server
from tests.server.hosting import eventually
from tests.server.talking import talk

WORKFLOWS = Path(__file__).parents[2] / "workflows"
TEXT = (WORKFLOWS / "text_to_image.json").read_text(encoding="utf-8")
SMALL: dict[str, Any] = json.loads(
    TEXT.replace('"steps": 20', '"steps": 3').replace(": 128", ": 64")
)


def entries(dialog: Locator) -> Locator:
    return dialog.get_by_role("listbox", name="Differences").get_by_role("option")


def test_a_state_of_the_history_is_compared_with_now(editor: Editor) -> None:
    editor.open_workflow(SMALL)
    editor.fill("positive", "Text", "a blue boat")
    editor.fill("sample", "Steps", "5")
    editor.show("History").get_by_role("button", name="Compare versions").click()
    dialog = editor.dialog("Compare workflows")
    expect(entries(dialog)).to_have_count(2)
    expect(entries(dialog).nth(0)).to_contain_text("Value positive.text")
    expect(entries(dialog).nth(0)).to_contain_text("→ a blue boat")
    expect(entries(dialog).nth(1)).to_have_accessible_name("Changed Value sample.steps 3 → 5")
    expect(dialog.get_by_role("img", name=re.compile("2 of them marked"))).to_have_count(2)
    expect(dialog.locator("[data-node=sample][data-mark=changed]")).to_have_count(2)
    bring_axe(editor)
    check(editor, "the dialog", "[data-modal]")

    entries(dialog).first.focus()
    editor.page.keyboard.press("n")
    expect(entries(dialog).nth(1)).to_have_attribute("aria-selected", "true")
    expect(dialog.locator("[data-focused]")).to_have_count(2)
    editor.page.keyboard.press("p")
    expect(entries(dialog).first).to_have_attribute("aria-selected", "true")
    node = dialog.locator("[data-focused]").first.get_attribute("data-node")
    dialog.get_by_role("button", name="Go to the node").click()
    expect(dialog).to_have_count(0)
    expect(editor.card(str(node))).to_have_class(re.compile(r"\bselected\b"))


def opened_by_both(editor: Editor, server: Server, name: str) -> dict[str, Any]:
    """Save a workflow, change it here, and have somebody else save another version."""
    editor.open_workflow(SMALL)
    editor.save_as(name)
    base: dict[str, Any] = json.loads(saved(server, name))
    editor.fill("positive", "Text", "mine")
    editor.fill("sample", "Steps", "5")
    with talk(server) as other:
        eventually(lambda: '"steps": 5' in other.ask("draft.join", name=name)["text"])
    theirs: dict[str, Any] = json.loads(json.dumps(base))
    theirs["nodes"]["positive"]["inputs"]["text"] = "theirs"
    theirs["nodes"]["sample"]["inputs"]["cfg"] = 9.5
    etag = server.client.get(f"workflows/{name}").headers["etag"]
    answer = server.client.put(f"workflows/{name}", json=theirs, headers={"if-match": etag})
    answer.raise_for_status()
    return theirs


def steps_by_keys(editor: Editor, dialog: Locator) -> None:
    """The conflict, theirs, and mine, one after the other and back, also from a choice."""
    shown = dialog.locator("fieldset[data-shown]")
    previous = dialog.get_by_role("button", name="Previous difference")
    following = dialog.get_by_role("button", name="Next difference")
    expect(previous).to_be_disabled()
    following.click()
    expect(shown).to_have_accessible_name("Value positive.text")
    for key, name in (
        ("n", "Value sample.cfg"),
        ("n", "Value sample.steps"),
        ("n", "Value sample.steps"),
        ("p", "Value sample.cfg"),
    ):
        editor.page.keyboard.press(key)
        expect(shown).to_have_accessible_name(name)
        expect(shown.get_by_role("button")).to_be_focused()
    shown.get_by_role("radio").first.focus()
    editor.page.keyboard.press("p")
    expect(shown).to_have_accessible_name("Value positive.text")
    expect(previous).to_be_disabled()


def test_the_list_of_keys_has_those_of_comparisons(editor: Editor) -> None:
    editor.command("Keyboard shortcuts")
    dialog = editor.dialog("Keyboard shortcuts")
    dialog.get_by_role("searchbox").fill("difference")
    expect(dialog.get_by_role("heading", level=3)).to_have_text(["Compare workflows"])
    expect(dialog.locator("kbd")).to_have_text(["P", "N"])


def test_a_conflict_is_merged_change_by_change(editor: Editor, server: Server) -> None:
    expected = opened_by_both(editor, server, "merged")
    editor.menu("File", "Save")
    question = editor.dialog("Another person saved a version")
    question.get_by_role("button", name="Compare and merge").click()
    dialog = editor.dialog(re.compile("^Merge “merged”"))
    save = dialog.get_by_role("button", name="Save the result")
    expect(dialog.get_by_text("1 conflict to resolve")).to_be_visible()
    expect(save).to_be_disabled()
    steps_by_keys(editor, dialog)
    conflict = dialog.get_by_role("group", name="Value positive.text")
    conflict.get_by_role("radio", name=re.compile("^Theirs")).check()
    expect(dialog.get_by_text("Every conflict is resolved")).to_be_visible()
    expect(save).to_be_enabled()
    bring_axe(editor)
    check(editor, "the dialog", "[data-modal]")
    save.click()
    expect(dialog).to_have_count(0)
    expect(editor.notice("Version 3")).to_be_visible()
    expected["nodes"]["sample"]["inputs"]["steps"] = 5
    assert json.loads(saved(server, "merged"))["nodes"] == expected["nodes"]
    assert written(editor)["nodes"]["positive"]["inputs"]["text"] == "theirs"


def test_a_change_of_theirs_can_be_left_out_and_nothing_is_saved_before(
    editor: Editor, server: Server
) -> None:
    theirs = opened_by_both(editor, server, "chosen")
    editor.menu("File", "Save")
    question = editor.dialog("Another person saved a version")
    question.get_by_role("button", name="Compare and merge").click()
    dialog = editor.dialog(re.compile("^Merge “chosen”"))
    dialog.get_by_role("button", name="All mine").click()
    own = dialog.get_by_role("group", name="Value sample.cfg")
    own.get_by_role("radio", name=re.compile("^Mine")).check()
    expect(dialog.get_by_role("button", name="Save the result")).to_be_enabled()
    dialog.get_by_role("button", name="Back").click()
    assert json.loads(saved(server, "chosen"))["nodes"] == theirs["nodes"]
    question.get_by_role("button", name="Compare and merge").click()
    dialog.get_by_role("button", name="All mine").click()
    own.get_by_role("radio", name=re.compile("^Mine")).check()
    dialog.get_by_role("button", name="Save the result").click()
    expect(editor.notice("Version 3")).to_be_visible()
    nodes = json.loads(saved(server, "chosen"))["nodes"]
    assert nodes["positive"]["inputs"]["text"] == "mine"
    assert nodes["sample"]["inputs"]["steps"] == 5
    assert nodes["sample"]["inputs"]["cfg"] != 9.5


def test_the_workflows_of_two_jobs_are_compared(editor: Editor, server: Server) -> None:
    jobs = []
    for steps in (1, 2):
        workflow = json.loads(json.dumps(SMALL))
        workflow["nodes"]["sample"]["inputs"]["steps"] = steps
        answer = server.client.post("jobs", json={"workflow": workflow, "name": f"steps {steps}"})
        jobs.append(answer.raise_for_status().json()["id"])
    queue = editor.show("Queue")
    row = queue.get_by_role("row").filter(has_text="steps 2")
    row.get_by_role("button", name=re.compile("^More actions|Actions|Menu")).last.click()
    editor.page.get_by_role("menuitem", name="Compare workflows").click()
    dialog = editor.dialog("Compare workflows")
    expect(entries(dialog)).to_have_count(1)
    expect(entries(dialog)).to_contain_text("1 → 2")


def test_older_versions_are_compared_with_the_newest(editor: Editor) -> None:
    editor.open_workflow(SMALL)
    editor.save_as("compared")
    editor.fill("sample", "Steps", "6")
    editor.menu("File", "Save")
    expect(editor.notice("Version 2")).to_be_visible()
    editor.menu("File", "Open…")
    opened = editor.dialog("Open a workflow")
    opened.get_by_role("button", name="Versions of “compared”").click()
    old = opened.get_by_role("listitem").filter(has_text="Version 1").last
    old.get_by_role("button", name="Compare").click()
    dialog = editor.dialog("Compare workflows")
    expect(entries(dialog)).to_have_count(1)
    expect(entries(dialog)).to_contain_text("3 → 6")
