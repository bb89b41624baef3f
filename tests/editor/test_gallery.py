"""What jobs gave: found again, seen in full, compared, opened, kept and deleted."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor, expect_picture
from tests.editor.gates import prompted
from tests.editor.graphs import drag, middle
from tests.editor.serving import Server
from tests.server.hosting import eventually

SEED = 4711


@pytest.fixture(scope="module")
def pictures(server: Server) -> list[dict[str, Any]]:
    """Three images of different prompts, the oldest first."""
    return [
        *server.outputs(server.submit(prompted("a brass kettle", name="kettle"))),
        *server.outputs(server.submit(prompted("a paper lantern", name="lantern", seed=SEED))),
        *server.outputs(server.submit(prompted("a silver herring", name="herring"))),
    ]


@pytest.fixture
def results(editor: Editor, pictures: list[dict[str, Any]]) -> Locator:
    """The open panel, with the images in it."""
    panel = editor.show("Results")
    for name in ("kettle", "lantern", "herring"):
        expect_picture(cell(panel, name).locator("img"))
    return panel


def cell(panel: Locator, name: str) -> Locator:
    return panel.get_by_role("gridcell", name=re.compile(f"^{name}"))


def view(editor: Editor, name: str) -> Locator:
    """See an image in full."""
    cell(editor.panel("Results"), name).click()
    return shown(editor, name)


def shown(editor: Editor, name: str) -> Locator:
    """The image that is seen in full."""
    found = editor.dialog(re.compile(f"^{name}"))
    expect_picture(found.get_by_role("img", name=re.compile(f"^{name}")))
    return found


def test_one_is_found_seen_downloaded_and_opened_with_its_seed(
    editor: Editor, results: Locator, pictures: list[dict[str, Any]]
) -> None:
    search = results.get_by_role("searchbox", name="Search by prompt, name or job")
    search.fill("HERRING silver")
    expect(cell(results, "kettle")).to_have_count(0)
    expect(cell(results, "herring")).to_have_count(1)
    search.fill("a silver kettle")
    expect(results.get_by_text("No result matches")).to_be_visible()
    search.fill("")
    expect(cell(results, "kettle")).to_be_visible()
    expect(cell(results, "herring")).to_be_visible()

    dialog = view(editor, "lantern")
    about = dialog.get_by_role("complementary", name="Details")
    for words in ("a paper lantern", str(SEED), "64 × 64", "image/png"):
        expect(about).to_contain_text(words)
    editor.page.keyboard.press("ArrowRight")
    shown(editor, "kettle")
    editor.page.keyboard.press("ArrowLeft")
    editor.page.keyboard.press("ArrowLeft")
    expect(shown(editor, "herring")).to_contain_text("a silver herring")
    editor.page.keyboard.press("Escape")
    expect(editor.page.get_by_role("dialog")).to_have_count(0)
    # Found and opened by keys alone.
    results.get_by_role("searchbox").press("Tab")
    cell(results, "herring").focus()
    editor.page.keyboard.press("ArrowRight")
    expect(cell(results, "lantern")).to_be_focused()
    editor.page.keyboard.press("Enter")
    shown(editor, "lantern")
    editor.page.keyboard.press("Escape")
    expect(cell(results, "lantern")).to_be_focused()

    dialog = view(editor, "kettle")
    with editor.page.expect_download() as download:
        dialog.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == pictures[0]["name"]
    held = editor.server.client.get(f"artifacts/{pictures[0]['digest']}").content
    assert download.value.path().read_bytes() == held
    editor.page.keyboard.press("Escape")
    expect(editor.page.get_by_role("dialog")).to_have_count(0)
    view(editor, "lantern").get_by_role("button", name="Open workflow").click()
    expect(editor.tabs).to_have_text(["Text to image", "Prompted"])
    expect(editor.field("positive", "Text")).to_have_value("a paper lantern")
    expect(editor.field("sample", "Seed")).to_have_value(str(SEED))
    # It is the same, so nothing has to be computed.
    expect(editor.status).to_contain_text("everything is cached")


def test_two_are_compared_with_a_slider_and_side_by_side(editor: Editor, results: Locator) -> None:
    cell(results, "lantern").click(modifiers=["ControlOrMeta"])
    cell(results, "kettle").click(modifiers=["ControlOrMeta"])
    expect(results.get_by_role("status")).to_have_text("2 selected")
    results.get_by_role("button", name="Compare", exact=True).click()
    dialog = shown(editor, "lantern")
    expect_picture(dialog.get_by_role("img", name=re.compile("^kettle")))
    about = dialog.get_by_role("complementary", name="Details")
    for words in ("positive.text", "a paper lantern", "a brass kettle", "sample.seed"):
        expect(about).to_contain_text(words)

    divider = dialog.get_by_role("slider", name="Divider position")
    x, y = middle(divider)
    drag(editor, (x, y), (x + 120, y))
    expect(divider).not_to_have_attribute("aria-valuenow", "50")
    divider.press("Home")
    expect(divider).to_have_attribute("aria-valuenow", "0")
    divider.press("Shift+ArrowRight")
    expect(divider).to_have_attribute("aria-valuenow", "10")

    dialog.get_by_label("Comparison mode").select_option("Side by side")
    expect(divider).to_have_count(0)
    left, right = (
        middle(dialog.get_by_role("img", name=re.compile(f"^{name}")))
        for name in ("lantern", "kettle")
    )
    assert left[0] < right[0]
    dialog.get_by_role("button", name="Swap sides").click()
    shown(editor, "kettle")


def test_a_deleted_one_is_gone_and_its_job_keeps_the_rest_until_it_goes(editor: Editor) -> None:
    workflow = prompted("two at once", name="keep", seed=1)
    small = {"image": {"from": "decode"}, "width": 32, "height": 32}
    workflow["nodes"]["small"] = {"type": "ResizeImage", "inputs": small}
    other = {"type": "SaveImage", "inputs": {"image": {"from": "small"}, "name": "throw"}}
    workflow["nodes"]["other"] = other
    server = editor.server
    job = server.submit(workflow)
    digests = {file["node"]: file["digest"] for file in server.outputs(job)}
    panel = editor.show("Results")
    # Deleted while it is being fetched, it would be an error in the browser.
    expect_picture(cell(panel, "throw").locator("img"))
    cell(panel, "throw").focus()
    editor.page.keyboard.press("Shift+Delete")
    question = editor.dialog("Delete this result?")
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_have_count(0)
    expect(cell(panel, "throw")).to_be_visible()
    cell(panel, "throw").focus()
    editor.page.keyboard.press("Shift+Delete")
    question.get_by_role("button", name="Delete").click()
    expect(cell(panel, "throw")).to_have_count(0)
    expect_picture(cell(panel, "keep").locator("img"))
    assert [file["digest"] for file in server.outputs(job)] == [digests["save"]]
    assert server.client.get(f"artifacts/{digests['other']}").status_code == 404
    editor.reload()
    expect(cell(panel, "keep")).to_be_visible()
    expect(cell(panel, "throw")).to_have_count(0)

    # A job takes its images with it.
    expect_picture(cell(panel, "keep").locator("img"))
    server.client.delete(f"jobs/{job}").raise_for_status()
    expect(cell(panel, "keep")).to_have_count(0)


def test_the_same_picture_of_several_jobs_is_shown_once(editor: Editor) -> None:
    server = editor.server
    panel = editor.show("Results")
    workflow = prompted("the same again", name="same", seed=2)
    [first] = server.outputs(server.submit(workflow))
    expect(cell(panel, "same")).to_have_count(1)
    workflow["title"] = "Once more"
    jobs = [server.submit(workflow, name=f"again {number}") for number in (1, 2)]
    for job in jobs:
        assert [file["digest"] for file in server.outputs(job)] == [first["digest"]]
    # As it grows, and as it is read anew.
    expect(cell(panel, "same.*, in 3 jobs")).to_have_count(1)
    editor.reload()
    expect(cell(panel, "same.*, in 3 jobs")).to_have_count(1)
    expect(cell(panel, "same")).to_have_count(1)
    expect_picture(cell(panel, "same").locator("img"))
    dialog = view(editor, "same")
    expect(dialog).to_contain_text("3 made the same")
    dialog.get_by_role("button", name="Move to trash").click()
    editor.page.keyboard.press("Escape")
    expect(editor.page.get_by_role("dialog")).to_have_count(0)
    boards = panel.get_by_role("navigation", name="Boards")
    boards.get_by_role("button", name="Trash", exact=True).click()
    cell(panel, "same").focus()
    editor.page.keyboard.press("Delete")
    question = editor.dialog("Delete this result?")
    expect(question).to_contain_text("3 jobs produced this result, and all of them lose it.")
    question.get_by_role("button", name="Delete").click()
    expect(cell(panel, "same")).to_have_count(0)
    boards.get_by_role("button", name="All results").click()
    eventually(lambda: is_gone(server, first["digest"]))
    assert all(server.outputs(job) == [] for job in jobs)


def is_gone(server: Server, digest: str) -> bool:
    return server.client.get(f"artifacts/{digest}").status_code == httpx.codes.NOT_FOUND
