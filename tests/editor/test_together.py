"""Several windows in one workflow: live, each with its own undo, saved without conflict."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor, box_of
from tests.editor.gates import text_to_image
from tests.editor.serving import Server
from tests.editor.watching import UNREACHED
from tests.server.hosting import eventually

NAME = "together"


def _saved(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.get(f"workflows/{NAME}")
    return found


def _open_saved(editor: Editor) -> None:
    editor.page.keyboard.press("ControlOrMeta+o")
    dialog = editor.dialog("Open a workflow")
    dialog.get_by_role("button", name=NAME).first.click()
    expect(dialog).to_have_count(0)
    editor.drawn()
    editor.zoom_to_fit()


def test_two_windows_work_on_one_workflow(new_browser: NewBrowser, server: Server) -> None:
    """The server is killed in the middle, and both windows save."""
    workflow = {**text_to_image(), "title": "Together"}
    server.client.put(f"workflows/{NAME}", json=workflow).raise_for_status()
    mine, theirs = new_browser(server), new_browser(server)
    for window in (mine, theirs):
        window.open()
        _open_saved(window)
    # Each sees the other at once, since when, and what it has selected.
    for window in (mine, theirs):
        others = window.top.get_by_role("list", name="Also in this workflow")
        expect(others.get_by_role("button", name="Another window, here since")).to_have_count(1)
    theirs.click_card("sample")
    expect(mine.page.locator('[data-ring="sample"]')).to_be_visible()
    # Values arrive, in both directions.
    mine.fill("sample", "Seed", "4711")
    expect(theirs.field("sample", "Seed")).to_have_value("4711")
    theirs.fill("sample", "Steps", "7")
    expect(mine.field("sample", "Steps")).to_have_value("7")
    # Undo takes back one's own change, and not the later one of the other window.
    mine.click_card("size")
    mine.page.keyboard.press("ControlOrMeta+z")
    expect(theirs.field("sample", "Seed")).not_to_have_value("4711")
    expect(mine.field("sample", "Steps")).to_have_value("7")
    mine.page.keyboard.press("ControlOrMeta+Shift+z")
    expect(theirs.field("sample", "Seed")).to_have_value("4711")
    with mine.watch.allowing(*UNREACHED), theirs.watch.allowing(*UNREACHED):
        server.kill()
        for window in (mine, theirs):
            lost = window.status.get_by_role("button", name="Connection lost. Reconnecting…")
            expect(lost).to_be_visible()
        # Both go on meanwhile.
        mine.fill("size", "Width", "320")
        theirs.fill("size", "Height", "256")
        server.start()
        mine.ready()
        theirs.ready()
    for window in (mine, theirs):
        expect(window.field("size", "Width")).to_have_value("320")
        expect(window.field("size", "Height")).to_have_value("256")
    # Nothing is saved yet; then both save, and nobody is asked anything.
    assert _saved(server)["nodes"]["sample"]["inputs"]["seed"] == 7
    mine.page.keyboard.press("ControlOrMeta+s")
    expect(mine.notice(f"Saved “{NAME}”")).to_be_visible()
    theirs.fill("sample", "Steps", "9")
    theirs.page.keyboard.press("ControlOrMeta+s")
    expect(theirs.notice(f"Saved “{NAME}”")).to_be_visible()
    inputs = {name: node.get("inputs", {}) for name, node in _saved(server)["nodes"].items()}
    assert (inputs["sample"]["seed"], inputs["sample"]["steps"]) == (4711, 9)
    assert (inputs["size"]["width"], inputs["size"]["height"]) == (320, 256)
    # A window that is closed is seen no more.
    theirs.page.close()
    expect(mine.top.get_by_role("button", name="Another window")).to_have_count(0)


def test_what_was_never_saved_is_there_in_another_browser(
    new_browser: NewBrowser, server: Server
) -> None:
    mine = new_browser(server)
    mine.open_link({**text_to_image(), "title": "Never saved"}, anew=True)
    mine.fill("sample", "Seed", "99")
    other = new_browser(server)
    other.open()
    other.page.keyboard.press("ControlOrMeta+o")
    dialog = other.dialog("Open a workflow")
    dialog.get_by_role("tab", name="Unsaved").click()
    dialog.get_by_role("button", name="Never saved").first.click()
    other.drawn()
    other.zoom_to_fit()
    expect(other.field("sample", "Seed")).to_have_value("99")
    other.fill("sample", "Seed", "100")
    expect(mine.field("sample", "Seed")).to_have_value("100")
    eventually(lambda: "100" in mine.written())
    # Saved in one window, it is that workflow in the other one, too.
    mine.save_as("shared name")
    expect(other.notice("Saved “shared name”")).to_be_visible()
    mine.fill("sample", "Seed", "101")
    expect(other.field("sample", "Seed")).to_have_value("101")
    other.page.keyboard.press("ControlOrMeta+s")
    eventually(
        lambda: server.get("workflows/shared name")["nodes"]["sample"]["inputs"]["seed"] == 101
    )


def test_a_comment_is_seen_by_the_other_window_and_kept_in_the_file(
    new_browser: NewBrowser, server: Server
) -> None:
    server.client.put(f"workflows/{NAME}", json=text_to_image()).raise_for_status()
    mine, theirs = new_browser(server), new_browser(server)
    for window in (mine, theirs):
        window.open()
        _open_saved(window)
    mine.click_card("sample")
    mine.page.keyboard.press("Alt+k")
    mine.panel("Comments").get_by_role("textbox").fill("Why 20 steps?")
    mine.page.keyboard.press("ControlOrMeta+Enter")
    expect(mine.canvas.get_by_role("button", name="1 comment on sample")).to_be_visible()
    theirs.canvas.get_by_role("button", name="1 comment on sample").click()
    thread = theirs.panel("Comments").get_by_role("region", name="1 comment on sample")
    expect(thread).to_contain_text("Why 20 steps?")
    field = theirs.search()
    field.fill("why 20")
    expect(theirs.found().first).to_contain_text("Why 20 steps?")
    theirs.page.keyboard.press("Escape")
    theirs.panel("Comments").get_by_role("button", name="Resolve").click()
    expect(mine.canvas.get_by_role("button", name="1 comment on sample")).to_have_count(0)
    mine.page.keyboard.press("ControlOrMeta+s")
    expect(mine.notice(f"Saved “{NAME}”")).to_be_visible()
    [comment] = _saved(server)["ui"]["comments"]
    assert (comment["node"], comment["text"], comment["resolved"]) == (
        "sample",
        "Why 20 steps?",
        True,
    )


def test_a_workflow_that_another_deletes_stays_as_one_that_was_never_saved(
    new_browser: NewBrowser, server: Server
) -> None:
    server.client.put(f"workflows/{NAME}", json=text_to_image()).raise_for_status()
    mine = new_browser(server)
    mine.open()
    _open_saved(mine)
    mine.fill("sample", "Seed", "4711")
    server.client.delete(f"workflows/{NAME}").raise_for_status()
    expect(mine.notice(f"“{NAME}” was deleted")).to_be_visible()
    expect(mine.field("sample", "Seed")).to_have_value("4711")
    # Nobody saved another version of it: it asks for a name, as for all that is new.
    mine.page.keyboard.press("ControlOrMeta+s")
    expect(mine.dialog("Save workflow")).to_be_visible()


def _two(new_browser: NewBrowser, server: Server) -> tuple[Editor, Editor]:
    server.client.put(f"workflows/{NAME}", json=text_to_image()).raise_for_status()
    mine, theirs = new_browser(server), new_browser(server)
    for window in (mine, theirs):
        window.open()
        _open_saved(window)
    for window in (mine, theirs):
        expect(window.top.get_by_role("button", name="Another window, here since")).to_have_count(1)
    return mine, theirs


def test_drags_and_pointers_are_seen_while_they_last(
    new_browser: NewBrowser, server: Server
) -> None:
    mine, theirs = _two(new_browser, server)
    before = box_of(mine.card("size"))
    handle = box_of(theirs.card("size"))
    mouse = theirs.page.mouse
    mouse.move(handle["x"] + 40, handle["y"] + 12)
    mouse.down()
    mouse.move(handle["x"] + 80, handle["y"] + 72, steps=8)
    # It moves here before it is dropped there.
    eventually(lambda: box_of(mine.card("size"))["y"] > before["y"] + 30)
    expect(mine.page.locator("[data-pointer]")).to_have_count(1)
    mouse.up()
    eventually(lambda: box_of(mine.card("size"))["y"] > before["y"] + 30)
    # Whoever doesn't want pointers sees none, and still what is dragged.
    mine.command("Settings")
    mine.dialog("Settings").get_by_role("switch", name="Others’ pointers").click()
    expect(mine.page.locator("[data-pointer]")).to_have_count(0)
    mine.page.keyboard.press("Escape")
    mouse.move(handle["x"] + 90, handle["y"] + 82)
    mouse.down()
    mouse.move(handle["x"] + 90, handle["y"] + 202, steps=8)
    eventually(lambda: box_of(mine.card("size"))["y"] > before["y"] + 130)
    # It is where it was once who drags it is gone.
    theirs.page.close()
    eventually(lambda: box_of(mine.card("size"))["y"] < before["y"] + 130)


def test_two_people_type_in_one_prompt_and_one_renames_the_node(
    new_browser: NewBrowser, server: Server
) -> None:
    mine, theirs = _two(new_browser, server)
    prompts = [window.field("positive", "Text") for window in (mine, theirs)]
    prompts[0].fill("a red apple")
    expect(prompts[1]).to_have_value("a red apple")
    for prompt, key in zip(prompts, ("Home", "End"), strict=True):
        prompt.click()
        prompt.press("ControlOrMeta+" + key)
    for letters in (("a", "o"), ("h", "n"), ("!", " "), (" ", "x")):
        for prompt, letter in zip(prompts, letters, strict=True):
            prompt.press(letter if letter != " " else "Space")
    for prompt in prompts:
        expect(prompt).to_have_value("ah! a red appleon x")
    # A node that another renames keeps what is typed in it.
    theirs.click_card("size")
    theirs.page.keyboard.press("F2")
    dialog = theirs.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("canvas_size")
    mine.fill("size", "Width", "320")
    dialog.get_by_role("textbox").press("Enter")
    expect(mine.field("canvas_size", "Width")).to_have_value("320")
    mine.fill("canvas_size", "Height", "192")
    expect(theirs.field("canvas_size", "Height")).to_have_value("192")
    expect(theirs.field("canvas_size", "Width")).to_have_value("320")
