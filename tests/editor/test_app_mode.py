"""A workflow as a form: its named parameters, a button that runs, and what comes of it."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor, expect_picture
from tests.editor.gates import prompted


@pytest.fixture
def app(tab: Editor) -> Editor:
    """The form of a workflow with two parameters."""
    workflow: dict[str, Any] = deepcopy(prompted("a tin robot", name="app"))
    workflow["parameters"] = {
        "wish": {"input": "positive.text", "label": "What to draw", "help": "In a few words."},
        "steps": "sample.steps",
    }
    editor = tab.open_link(workflow)
    editor.top.get_by_role("button", name="Parameter form").click()
    expect(form(editor)).to_be_visible()
    return editor


def form(editor: Editor) -> Locator:
    return editor.page.get_by_role("region", name="Parameters")


def results(editor: Editor) -> Locator:
    return editor.page.get_by_role("region", name="Results")


def test_it_has_the_named_parameters_and_refuses_what_is_not_allowed(app: Editor) -> None:
    expect(form(app).get_by_role("heading", name="Prompted")).to_be_visible()
    expect(form(app).get_by_label("What to draw")).to_have_value("a tin robot")
    expect(form(app).get_by_text("In a few words.")).to_be_visible()
    expect(form(app).get_by_role("spinbutton", name="Steps")).to_have_value("1")
    expect(form(app).get_by_label("Seed")).to_have_count(0)
    expect(app.canvas).to_have_count(0)
    expect_refused(app)

    # A workflow without parameters leads to where they are named.
    workflow = prompted("nothing to change", name="bare")
    del workflow["parameters"]
    workflow["title"] = "Bare"
    app.top.get_by_role("button", name="Graph").click()
    app.open_workflow(workflow)
    app.top.get_by_role("button", name="Parameter form").click()
    expect(form(app)).to_contain_text("This workflow has no parameters yet")
    form(app).get_by_role("button", name="Choose parameters").click()
    expect(app.canvas).to_be_visible()
    expect(app.page.get_by_role("region", name="Parameters")).to_be_visible()


def test_it_runs_and_shows_the_picture_of_its_values(app: Editor) -> None:
    form(app).get_by_label("What to draw").fill("a tin robot on a hill")
    form(app).get_by_role("button", name="Run").click()
    picture = results(app).get_by_role("button", name=re.compile("^Open app"))
    expect_picture(picture.locator("img"))
    # What was asked for is in the graph, and in what was run.
    [job] = app.server.jobs()[:1]
    ran = app.server.get(f"jobs/{job['id']}/workflow")["nodes"]
    assert ran["positive"]["inputs"]["text"] == "a tin robot on a hill"
    picture.click()
    expect(app.dialog(re.compile("^app"))).to_contain_text("a tin robot on a hill")
    app.page.keyboard.press("Escape")
    expect_of_the_values(app)
    app.top.get_by_role("button", name="Graph").click()
    expect(app.field("positive", "Text")).to_have_value("a tin robot on a hill")
    expect_picture(app.results("save"))


def expect_refused(app: Editor) -> None:
    """A value that is not allowed is refused at its field."""
    steps = form(app).get_by_role("spinbutton", name="Steps")
    steps.fill("0")
    steps.blur()
    expect(steps).to_have_attribute("aria-invalid", "true")
    before = len(app.server.jobs())
    form(app).get_by_role("button", name="Run").click()
    expect(steps).to_be_focused()
    expect(steps).to_have_attribute("aria-invalid", "true")
    assert len(app.server.jobs()) == before
    steps.fill("2")
    steps.blur()
    expect(steps).not_to_have_attribute("aria-invalid", "true")
    form(app).get_by_role("button", name="Run").click()
    expect_picture(results(app).get_by_role("button", name=re.compile("^Open app")).locator("img"))


def expect_of_the_values(app: Editor) -> None:
    """Its image is of the values in the form, or says that it isn't."""
    wish = form(app).get_by_label("What to draw")
    outputs = results(app).get_by_role("region", name="Outputs")
    expect_picture(outputs.locator("img"))
    own = outputs.locator("img").get_attribute("src") or ""
    earlier = outputs.get_by_text("From an earlier run")
    expect(earlier).to_have_count(0)
    wish.fill("a tin robot under water")
    wish.blur()
    expect(earlier).to_be_visible()
    wish.fill("a tin robot on a hill")
    wish.blur()
    expect(earlier).to_have_count(0)
    expect(outputs.locator("img")).to_have_attribute("src", own)
