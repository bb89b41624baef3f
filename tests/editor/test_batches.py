"""One workflow run several times: with other seeds, or with several values of an input."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor, expect_picture
from tests.editor.faults import bring_axe, check
from tests.editor.gates import prompted
from tests.server.hosting import eventually


@pytest.fixture
def small(tab: Editor, request: pytest.FixtureRequest) -> Editor:
    """With a workflow that is quick, whose images are called by the test's own name."""
    return tab.open_link(prompted("a small thing", name=file_name(request), seed=500))


@pytest.fixture
def pictures(small: Editor, request: pytest.FixtureRequest) -> Locator:
    """What the test's runs gave, in the open gallery."""
    gallery = small.show("Results")
    return gallery.get_by_role("gridcell", name=re.compile(f"^{file_name(request)}"))


def file_name(request: pytest.FixtureRequest) -> str:
    return "b" + re.sub("[^a-z]", "", request.node.name)[5:40]


def run_times(editor: Editor, count: int) -> None:
    editor.top.get_by_role("button", name="Run options").click()
    options = editor.dialog("Run options")
    field = options.get_by_label("Number of runs")
    field.fill(str(count))
    field.press("Enter")
    editor.page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    editor.top.get_by_role("button", name=f"Run {count} times").click()


def vary(editor: Editor, name: str) -> None:
    """Choose the input that changes from run to run."""
    place = editor.dialog("Run with several values").get_by_label("Input to change")
    place.click()
    options = editor.page.get_by_role("listbox").get_by_role("option")
    expect(editor.page.locator("input[type=search]:focus")).to_have_count(1)
    editor.page.keyboard.type(name)
    expect(options.first).to_contain_text(name)
    editor.page.keyboard.press("Enter")
    expect(place).to_have_text(name)


def ran(editor: Editor, count: int, port: str) -> list[Any]:
    """What an input of the sampler was in the newest jobs, in their order, once they have ended."""
    eventually(lambda: all(job["state"] == "finished" for job in editor.server.jobs()[:count]))
    jobs = reversed(editor.server.jobs()[:count])
    workflows = [editor.server.get(f"jobs/{job['id']}/workflow") for job in jobs]
    return [workflow["nodes"]["sample"]["inputs"][port] for workflow in workflows]


def made_with(editor: Editor, port: str, value: Any) -> str:
    """Digest of the image of the newest job whose sampler had a value."""
    for job in editor.server.jobs():
        workflow = editor.server.get(f"jobs/{job['id']}/workflow")
        if workflow["nodes"]["sample"]["inputs"][port] == value:
            digest: str = editor.server.outputs(job["id"])[0]["digest"]
            return digest
    raise AssertionError(f"no job had {value!r} for {port}")


def expect_pictures(pictures: Locator, count: int) -> None:
    expect(pictures).to_have_count(count)
    for index in range(count):
        expect_picture(pictures.nth(index).locator("img"))


def test_several_runs_count_up_from_the_seed_of_one_workflow(
    small: Editor, pictures: Locator, request: pytest.FixtureRequest
) -> None:
    card = small.card("sample")
    card.get_by_role("button", name=re.compile("^Seed on each run")).click()
    small.page.get_by_role("menuitemcheckbox", name="Increment").click()
    expect(card.get_by_role("button", name="Seed on each run: Increment")).to_be_visible()
    run_times(small, 2)
    expect_pictures(pictures, 2)
    small.top.get_by_role("button", name="Run 2 times").click()
    expect_pictures(pictures, 4)
    assert ran(small, 4, "seed") == [500, 501, 502, 503]
    expect(small.field("sample", "Seed")).to_have_value("503")

    # Another workflow is run once, and has the image that the same gave before.
    again = prompted("a small thing", name=file_name(request), seed=503)
    small.open_workflow({**again, "title": "Other"})
    expect(small.top.get_by_role("button", name="Run", exact=True).last).to_be_visible()
    expect(small.top.get_by_role("button", name="Run 2 times")).to_have_count(0)
    expect(small.status).to_contain_text("everything is cached")
    expect_picture(small.results("save"))
    expect(small.card("save").get_by_text("From an earlier run")).to_have_count(0)
    small.tabs.get_by_text("Prompted").last.click()
    expect(small.top.get_by_role("button", name="Run 2 times")).to_be_visible()


def test_a_sweep_runs_with_each_value_and_its_pictures_are_told_apart(
    small: Editor, pictures: Locator
) -> None:
    small.command("Run with several values")
    dialog = small.dialog("Run with several values")
    vary(small, "steps")
    values = dialog.get_by_label("Values", exact=True)
    values.fill("many")
    expect(values).to_have_attribute("aria-invalid", "true")
    expect(dialog).to_contain_text("Enter numbers or ranges, such as 1, 2, 5..8.")
    expect(dialog.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    values.fill("1, 3..4")
    expect(values).not_to_have_attribute("aria-invalid", "true")
    dialog.get_by_role("button", name="Run 3 times").click()
    grid = small.dialog("Grid of Prompted")
    expect(grid.get_by_role("columnheader")).to_have_count(3)
    expect(grid.get_by_text("3 of 3 done")).to_be_visible()
    grid.get_by_role("button", name="Close", exact=True).click()
    expect_pictures(pictures, 3)
    assert ran(small, 3, "steps") == [1, 3, 4]
    for steps in (1, 3, 4):
        expect(pictures.filter(has_text=f"sample.steps = {steps}")).to_have_count(1)
    # The document keeps its own value, and its card the image of that.
    expect(small.field("sample", "Steps")).to_have_value("1")
    own = re.compile(made_with(small, "steps", 1))
    expect(small.results("save")).to_have_attribute("src", own)
    earlier = small.card("save").get_by_text("From an earlier run")
    expect(earlier).to_have_count(0)
    # Of values that nobody has run there is no image but an earlier one, which says so.
    small.fill("sample", "Steps", "2")
    expect(earlier).to_be_visible()
    small.fill("sample", "Steps", "1")
    expect(small.results("save")).to_have_attribute("src", own)
    expect(earlier).to_have_count(0)


def test_a_grid_has_a_cell_for_each_combination_which_opens_its_workflow(small: Editor) -> None:
    card = small.card("sample")
    for label, values in (("Steps", "1:2"), ("Cfg", "1, 4")):
        # A label on a slider lets the pointer through to it, which has the same menu.
        card.get_by_text(label, exact=True).click(button="right", force=True)
        small.page.get_by_role("menuitemcheckbox", name="Sweep").click()
        dialog = small.dialog("Run with several values")
        dialog.get_by_label("Values", exact=True).last.fill(values)
        dialog.get_by_role("button", name="Close", exact=True).click()
    small.command("Run with several values")
    small.dialog("Run with several values").get_by_role("button", name="Run 4 times").click()
    grid = small.dialog("Grid of Prompted")
    expect(grid.get_by_role("columnheader")).to_have_text(["sample.steps1", "sample.steps2"])
    expect(grid.get_by_role("rowheader")).to_have_text(["sample.cfg1", "sample.cfg4"])
    cell = grid.get_by_role("button", name="Open the workflow of sample.steps = 2, sample.cfg = 4")
    expect_picture(cell.locator("img"))
    expect(grid.get_by_text("4 of 4 done")).to_be_visible()
    bring_axe(small)
    check(small, "the grid")
    # The whole grid is one image.
    with small.page.expect_download() as saved:
        grid.get_by_role("button", name="Save as image").click()
    assert saved.value.suggested_filename == "Prompted.png"
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")
    # A cell's values go into the open workflow, and one step takes them back.
    tabs = small.tabs.count()
    cell.click(button="right")
    small.page.get_by_role("menuitem", name="Use its values here").click()
    expect(grid).to_have_count(0)
    expect(small.field("sample", "Cfg")).to_have_value("4")
    expect(small.field("sample", "Steps")).to_have_value("2")
    expect(small.tabs).to_have_count(tabs)
    expect(small.notice(re.compile("taken into the workflow"))).to_be_visible()
    small.show("Results").get_by_role("button", name="Sweep of sample.steps × sample.cfg").click()
    expect_picture(cell.locator("img"))
    cell.click()
    expect(grid).to_have_count(0)
    expect(small.field("sample", "Steps")).to_have_value("2")
    expect(small.field("sample", "Cfg")).to_have_value("4")
    expect(small.page.get_by_role("tab", name="Prompted · steps 2 · cfg 4")).to_be_visible()
    # The images stand together among the results, from where the grid is found again.
    results = small.show("Results")
    results.get_by_role("button", name="Sweep of sample.steps × sample.cfg").click()
    expect_picture(cell.locator("img"))
    # What goes on with one has the values that made it, too.
    tabs = small.tabs.count()
    cell.click(button="right")
    small.page.get_by_role("menuitem", name="Vary").click()
    expect(small.card("ksampler")).to_be_visible()
    expect(small.tabs).to_have_count(tabs + 1)
    expect(small.field("ksampler", "Cfg")).to_have_value("4")
    expect(small.field("ksampler", "Steps")).to_have_value("2")
