"""Processes die and connections break; neither work nor runs are lost, and the page tells."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.editor.editing import Editor, expect_picture
from tests.editor.gates import gated
from tests.editor.serving import Server
from tests.editor.watching import UNREACHED
from tests.server.hosting import eventually


def showing(gate: str, *, name: str = "gated") -> dict[str, Any]:
    """One that is `gated`, by a node whose preview stays until it is let go on.

    That of a sampler is there for moments only: a page that comes back late would miss it.
    """
    found = gated(gate, name=name)
    found["nodes"]["wait"]["type"] = "trials:Show"
    return found


def test_a_worker_that_dies_delays_the_picture(editor: Editor, server: Server) -> None:
    editor.open_workflow(showing("worker", name="outlived"))
    editor.run()
    editor.see_preview("wait")
    server.kill_worker()
    expect(editor.notice("Gated was interrupted")).to_be_visible()
    editor.see_preview("wait")
    expect(editor.state("wait", "Running")).to_be_visible()
    server.let("worker")
    expect_picture(editor.results("save"))
    expect(editor.state("save", "Done")).to_be_visible()
    queue = editor.show("Queue")
    expect(queue).to_contain_text("its worker died once")


def test_a_server_that_dies_delays_the_picture(editor: Editor, server: Server) -> None:
    editor.open_workflow(showing("server", name="while-there"))
    editor.fill("sample", "Seed", "11")
    editor.run()
    editor.see_preview("wait")
    with editor.watch.allowing(*UNREACHED):
        server.kill()
        lost = editor.status.get_by_role("button", name="Connection lost. Reconnecting…")
        expect(lost).to_be_visible()
        # Editing goes on meanwhile, and a run that is asked for is made up for.
        editor.fill("save", "Name", "while-away")
        editor.run()
        expect(editor.notice(re.compile("The run starts when"))).to_be_visible()
        server.start()
        editor.ready()
        editor.see_preview("wait")
    expect(editor.state("wait", "Running")).to_be_visible()
    server.let("server")
    expect_picture(editor.results("save"))
    expect(editor.results("save")).to_have_count(1)
    expect(editor.top.get_by_role("button", name="Queue", exact=True)).to_be_visible()
    assert [job["state"] for job in server.jobs()[:2]] == ["finished", "finished"]
    gallery = editor.show("Results")
    for name in ("while-there", "while-away"):
        made = gallery.get_by_role("gridcell", name=re.compile(f"^{name}"))
        expect(made).to_have_count(1)
        expect_picture(made.locator("img"))
    editor.wait_until_kept("while-away")
    editor.reload()
    expect(editor.field("save", "Name")).to_have_value("while-away")
    expect_picture(editor.results("save"))


def test_a_page_that_is_loaded_while_a_job_runs_follows_it(editor: Editor, server: Server) -> None:
    editor.open_workflow(gated("reloaded", name="reloaded"))
    editor.run()
    expect(editor.state("wait", "Running")).to_be_visible()
    editor.wait_until_kept("Gated")
    editor.reload()
    expect(editor.state("wait", "Running")).to_be_visible()
    expect(editor.top.get_by_role("button", name="Stop this run")).to_be_visible()
    server.let("reloaded")
    expect_picture(editor.results("save"))
    eventually(lambda: server.jobs()[0]["state"] == "finished")


def test_two_tabs_keep_their_own_work_and_see_the_same_jobs(editor: Editor, server: Server) -> None:
    editor.open_workflow(gated("both", name="both"))
    other = editor.another_tab()
    starter = gated("both", name="other")
    starter["title"] = "Other"
    other.open_workflow(starter)
    other.fill("positive", "Text", "a blue cup on a white background")
    editor.fill("positive", "Text", "a red cup on a white background")
    editor.run()
    expect(editor.state("wait", "Running")).to_be_visible()
    expect(other.top.get_by_role("button", name="Queue: 1 job")).to_be_visible()
    other.run()
    for tab in (editor, other):
        expect(tab.top.get_by_role("button", name="Queue: 2 jobs")).to_be_visible()
    gallery = other.show("Results")
    server.let("both")
    expect_picture(editor.results("save"))
    expect_picture(other.results("save"))
    for name in ("both", "other"):
        made = gallery.get_by_role("gridcell", name=re.compile(f"^{name}"))
        expect_picture(made.locator("img"))
    # Neither has what the other one did, also not after both were loaded again.
    editor.wait_until_kept("a red cup", "a blue cup")
    for tab in (editor, other):
        tab.reload()
    expect(editor.field("positive", "Text")).to_have_value("a red cup on a white background")
    expect(other.field("positive", "Text")).to_have_value("a blue cup on a white background")
    expect(other.tabs).to_have_text(["Other"])
    expect(editor.tabs).to_have_text(["Text to image", "Gated"])
    for tab in (editor, other):
        expect_picture(tab.results("save"))
