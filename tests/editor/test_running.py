"""What people came for: a prompt becomes an image, and what a run will do is told before."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.editor.editing import Editor, expect_picture
from tests.editor.gates import gated, prompted, refusing
from tests.server.hosting import eventually

STARTER = ("load", "positive", "size", "sample", "decode", "save")


def test_the_first_page_makes_a_picture_that_stays(editor: Editor) -> None:
    expect(editor.tabs).to_have_text(["Text to image"])
    editor.fill("positive", "Text", "a green leaf on a white background")
    # A preview is there for as long as the next step takes: of many, a slow page sees one.
    editor.fill("sample", "Steps", "10000")
    editor.run()
    editor.see_preview("sample")
    editor.top.get_by_role("button", name="Stop this run").click()
    expect(editor.top.get_by_role("button", name="Stop this run")).to_have_count(0)
    editor.fill("sample", "Steps", "6")
    editor.run()
    expect_picture(editor.results("save"))
    gallery = editor.show("Results")
    picture = gallery.get_by_role("gridcell", name=re.compile("^apple")).first.locator("img")
    expect_picture(picture)
    editor.wait_until_kept('"steps": 6,')
    editor.reload()
    expect(editor.field("positive", "Text")).to_have_value("a green leaf on a white background")
    expect(editor.field("sample", "Steps")).to_have_value("6")
    expect_picture(editor.results("save"))
    expect_picture(picture)


def test_it_is_told_before_a_run_what_it_will_do(editor: Editor) -> None:
    editor.fill("positive", "Text", "a yellow star on a white background")
    editor.fill("sample", "Steps", "3")
    for name in ("positive", "sample", "decode", "save"):
        expect(editor.state(name, "Will run")).to_be_visible()
    editor.run()
    for name in STARTER:
        expect(editor.state(name, re.compile("^(Done|Cached)"))).to_be_visible()
    expect(editor.status).to_contain_text("Nothing to compute: everything is cached")
    # Where an edit keeps a node from running, its mark is gone.
    editor.click_card("positive")
    editor.command("Mute")
    expect(editor.status).to_contain_text("Cannot run yet")
    expect(editor.card("sample").get_by_role("article")).to_have_attribute("data-state", "none")
    editor.command("Undo")
    expect(editor.status).to_contain_text("Nothing to compute: everything is cached")
    # What comes after the edit runs again; what comes before doesn't.
    editor.fill("sample", "Cfg", "3")
    expect(editor.status).to_contain_text("3 nodes will run · 3 cached · about")
    for name in ("sample", "decode", "save"):
        expect(editor.state(name, "Changed: will run again")).to_be_visible()
    for name in ("load", "positive", "size"):
        expect(editor.state(name, re.compile("^(Done|Cached)"))).to_be_visible()
    expect(editor.state("sample", re.compile("in about .*No cached result"))).to_be_visible()
    expect(editor.state("save", re.compile("in about [0-9]"))).to_be_visible()
    expect(editor.state("save", re.compile("A node before it runs"))).to_be_visible()
    editor.fill("sample", "Cfg", "4")
    expect(editor.status).to_contain_text("Nothing to compute: everything is cached")
    # While it runs, it is told how long that still takes: now it is known what a step takes.
    editor.fill("sample", "Steps", "10000")
    editor.run()
    expect(editor.status).to_contain_text(re.compile("[0-9]+ % done · about .+ left"))
    editor.top.get_by_role("button", name="Stop this run").click()
    expect(editor.status).to_contain_text("nodes will run")


def test_edits_are_run_by_themselves_where_they_are_cheap_enough(editor: Editor) -> None:
    editor.fill("sample", "Steps", "2")
    editor.run()
    expect_picture(editor.results("save"))
    editor.top.get_by_role("button", name="Run options").click()
    limit = editor.page.get_by_label("Time limit on change (s)")
    limit.fill("0.1")
    limit.press("Enter")
    editor.page.keyboard.press("Escape")
    editor.top.get_by_role("button", name="Run on change").click()
    before = len(editor.server.jobs())
    editor.fill("sample", "Steps", "40")
    expect(editor.status).to_contain_text("Run on change: takes too long, press Run")
    assert len(editor.server.jobs()) == before
    editor.top.get_by_role("button", name="Run options").click()
    editor.page.get_by_label("Run everything on change").click()
    expect(editor.status).to_contain_text("Nothing to compute: everything is cached")
    assert len(editor.server.jobs()) == before + 1


def test_nothing_runs_while_a_field_holds_what_cannot_be_read(editor: Editor) -> None:
    steps = editor.field("sample", "Steps")
    steps.fill("none")
    steps.blur()
    before = len(editor.server.jobs())
    editor.run()
    expect(steps).to_be_focused()
    expect(editor.notice("Cannot read this field")).to_be_visible()
    steps.press("Escape")
    expect(steps).to_have_value("20")
    editor.fill("sample", "Steps", "2")
    editor.run()
    eventually(lambda: len(editor.server.jobs()) == before + 1)


def test_a_node_that_fails_says_why_and_is_found_by_a_click(tab: Editor) -> None:
    editor = tab.open_link(refusing(least=9000))
    editor.run()
    words = "the image is smaller than 9000"
    expect(editor.state("check", "Failed")).to_be_visible()
    expect(editor.card("check")).to_contain_text(words)
    expect(editor.card("check")).to_contain_text("Ask for less.")
    expect(editor.notice(re.compile(words)).first).to_be_visible()
    expect(editor.page).to_have_title(re.compile("^Refused"))
    problems = editor.show("Problems")
    row = problems.get_by_role("row").filter(has_text=words)
    expect(row).to_contain_text("check.least")
    expect(row).to_contain_text("in the last run")
    row.get_by_text(words).click()
    expect(editor.field("check", "Least")).to_be_focused()
    # Mended, it runs; what was computed before isn't again.
    editor.fill("check", "Least", "0")
    editor.run()
    expect_picture(editor.results("save"))
    expect(editor.state("check", "Done")).to_be_visible()
    expect(row).to_have_count(0)


def test_a_failed_node_is_a_problem_while_the_rest_runs_until_it_is_edited(
    tab: Editor, request: pytest.FixtureRequest
) -> None:
    gate = request.node.name
    workflow = gated(gate)
    nodes = workflow["nodes"]
    nodes["check"] = {
        "type": "trials:Refuse",
        "inputs": {"image": {"from": "decode"}, "least": 9002},
    }
    nodes["other"] = {
        "type": "SaveImage",
        "inputs": {"image": {"from": "check"}, "name": "other"},
    }
    editor = tab.open_link(workflow)
    problems = editor.show("Problems")
    expect(problems).to_contain_text("No problems")
    editor.run()
    row = problems.get_by_role("row").filter(has_text="the image is smaller than 9002")
    expect(row).to_contain_text("check.least")
    expect(editor.state("wait", "Running")).to_be_visible()
    expect(editor.status.get_by_role("button", name="1 problem")).to_be_visible()
    editor.page.keyboard.press("F8")
    expect(editor.field("check", "Least")).to_be_focused()
    editor.server.let(gate)
    expect(editor.page).to_have_title(re.compile("^Gated"))
    expect(row).to_have_count(1)
    editor.fill("check", "Least", "0")
    expect(problems).to_contain_text("No problems")


def test_what_cannot_run_is_marked_at_its_port_with_its_mend(tab: Editor) -> None:
    workflow = refusing(least=0)
    workflow["nodes"]["sample"]["inputs"]["sampler"] = "eulr"
    editor = tab.open_link(workflow)
    expect(editor.status).to_contain_text("Cannot run yet")
    expect(editor.card("sample")).to_contain_text("eulr")
    sampler = editor.field("sample", "Sampler")
    expect(sampler).to_have_attribute("aria-invalid", "true")
    editor.run()
    expect(editor.page.get_by_role("alert").first).to_be_visible()
    editor.status.get_by_role("button", name="1 problem").click()
    row = editor.panel("Problems").get_by_role("row").filter(has_text="sample.sampler")
    row.get_by_text("sample.sampler").click()
    expect(sampler).to_be_focused()
    row.get_by_role("button", name="Set to euler").first.click()
    expect(editor.status).not_to_contain_text("Cannot run yet")
    expect(sampler).not_to_have_attribute("aria-invalid", "true")
    expect(row).to_have_count(0)


def test_what_is_not_finished_keeps_nothing_else_from_running(tab: Editor) -> None:
    workflow = prompted("a small cup", name="whole")
    workflow["nodes"]["later"] = {"type": "SaveImage", "inputs": {"name": "later"}}
    workflow["nodes"]["new"] = {"type": "VAEDecode", "inputs": {"latent": {"from": "sample"}}}
    workflow["title"] = "Half"
    editor = tab.open_link(workflow)
    # It is told quietly.
    expect(editor.status).to_contain_text("nodes will run")
    expect(editor.status).to_contain_text("2 incomplete")
    expect(editor.card("later")).to_contain_text("1 input open")
    expect(editor.card("later")).not_to_contain_text("image is missing")
    editor.run()
    expect(editor.notice("Without 2 incomplete nodes")).to_be_visible()
    expect_picture(editor.results("save"))
    # So is a run to one node; of one that isn't finished itself it is told why not.
    editor.fill("sample", "Seed", "8")
    editor.click_card("decode")
    editor.command("Run to here")
    expect(editor.state("decode", "Done")).to_be_visible()
    expect(editor.state("save", "Will run")).to_be_visible()
    editor.click_card("later")
    editor.command("Run to here")
    alert = editor.page.get_by_role("alert").filter(has_text="image")
    expect(alert.first).to_be_visible()
    # Solved, the message goes by itself.
    editor.click_card("later")
    editor.page.keyboard.press("Delete")
    expect(alert).to_have_count(0)


def test_what_lacks_is_quiet_until_somebody_asks_and_then_has_its_mend(tab: Editor) -> None:
    nodes = {"decode": {"type": "VAEDecode"}}
    editor = tab.open_link({"format": "nodegraph/1", "title": "New", "nodes": nodes})
    card = editor.card("decode")
    expect(card).to_contain_text("2 inputs open")
    expect(card.get_by_role("button", name="Add Load model")).to_have_count(0)
    editor.page.keyboard.press("F8")
    expect(card).to_contain_text("vae is missing")
    card.get_by_role("button", name="Add Load model").click()
    expect(editor.cards).to_have_count(2)
    editor.click_card("decode")
    editor.page.keyboard.press("Alt+F8")
    editor.page.get_by_role("menuitem", name="Add KSampler").click()
    # What just came is quiet.
    expect(editor.cards).to_have_count(3)
    expect(editor.card("ksampler")).to_contain_text("inputs open")
    expect(card).not_to_contain_text("missing")
    editor.click_card("decode")
    # Another type keeps the links that fit it.
    editor.page.keyboard.press("Shift+F2")
    editor.page.keyboard.type("decode video")
    editor.page.keyboard.press("Enter")
    expect(card).to_contain_text("VAE decode video")
    expect(card).not_to_contain_text("open")


def test_a_run_is_cancelled(tab: Editor) -> None:
    editor = tab.open_link(gated("never"))
    editor.run()
    expect(editor.state("wait", "Running")).to_be_visible()
    expect(editor.page).to_have_title(re.compile("^[0-9]+% Gated"))
    editor.top.get_by_role("button", name="Stop this run").click()
    expect(editor.top.get_by_role("button", name="Stop this run")).to_have_count(0)
    expect(editor.state("wait", "Will run")).to_be_visible()
    expect(editor.state("decode", re.compile("^(Done|Cached)"))).to_be_visible()
    expect(editor.page).to_have_title(re.compile("^Gated"))
    queue = editor.show("Queue")
    expect(queue.get_by_role("row").filter(has_text="Gated").first).to_contain_text("Cancelled")
    # The next one goes on from what was made before.
    editor.fill("wait", "Until", "")
    editor.run()
    expect_picture(editor.results("save"))
