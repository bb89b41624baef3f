"""Jobs that wait: they are moved, held, cancelled and run again, by mouse and by keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor
from tests.editor.faults import bring_axe, check
from tests.editor.gates import gated, text_to_image
from tests.editor.serving import Server
from tests.server.hosting import eventually

NAMES = ("runner", "apple", "berry", "cherry")


@pytest.fixture
def editor(tab: Editor) -> Editor:
    """In a page that knows nothing of jobs that were deleted since."""
    return tab.open_link(text_to_image(), anew=True)


@pytest.fixture
def jobs(editor: Editor, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The ids of a job that runs until it is let, and of three that wait, by name.

    What they wait for is called as `gate` says.
    """
    server = editor.server
    found = {name: server.submit(gated(gate(request, name)), name=name) for name in NAMES}
    # One that is cancelled while a model is being loaded costs the worker.
    eventually(lambda: server.worker["node"] == "wait")
    yield found
    server.client.post("queue/resume").raise_for_status()
    server.cancel_all()
    server.client.delete("jobs").raise_for_status()


def gate(request: pytest.FixtureRequest, name: str) -> str:
    """A file of this test only: what has waited for one is cached, and waits for it no more."""
    return f"{request.node.name} {name}"


@pytest.fixture
def queue(editor: Editor, jobs: dict[str, str]) -> Locator:
    """The open panel."""
    panel = editor.show("Queue")
    expect_order(panel, "runner", "apple", "berry", "cherry")
    return panel


def state(server: Server, job: str) -> str:
    found: str = server.get(f"jobs/{job}")["state"]
    return found


def row(panel: Locator, name: str) -> Locator:
    return panel.get_by_role("row").filter(has=panel.page.get_by_text(name, exact=True))


def expect_order(panel: Locator, *names: str) -> None:
    """Wait until jobs stand in this order."""
    rows = panel.get_by_role("row").filter(has_text=re.compile("|".join(NAMES)))
    expect(rows).to_have_text([re.compile(name) for name in names])


def choose(editor: Editor, name: str, item: str) -> None:
    """Choose from a job's menu."""
    editor.page.get_by_role("button", name=f"More actions for {name}").click()
    editor.page.get_by_role("menuitem", name=item).click()


def test_jobs_are_seen_moved_found_and_opened(
    editor: Editor, queue: Locator, request: pytest.FixtureRequest
) -> None:
    expect(queue.get_by_role("status")).to_have_text("1 running, 3 waiting")
    progress = row(queue, "runner").get_by_role("progressbar", name="Progress of runner")
    expect(progress).to_have_attribute("aria-valuenow", re.compile("^[1-9][0-9]?$"))
    for place, name in enumerate(("apple", "berry", "cherry"), start=1):
        expect(row(queue, name)).to_contain_text(f"{place}.")
    expect(editor.top.get_by_role("button", name="Queue: 4 jobs")).to_be_visible()

    # By mouse.
    choose(editor, "cherry", "Move up")
    expect_order(queue, "runner", "apple", "cherry", "berry")
    choose(editor, "berry", "Move to the front")
    expect_order(queue, "runner", "berry", "apple", "cherry")
    choose(editor, "berry", "Move to the end")
    expect_order(queue, "runner", "apple", "cherry", "berry")
    # By keys, which keep the focus.
    row(queue, "berry").focus()
    editor.page.keyboard.press("Alt+ArrowUp")
    expect_order(queue, "runner", "apple", "berry", "cherry")
    expect(row(queue, "berry")).to_be_focused()
    editor.page.keyboard.press("Alt+ArrowUp")
    expect_order(queue, "runner", "berry", "apple", "cherry")
    editor.page.keyboard.press("Alt+ArrowDown")
    expect_order(queue, "runner", "apple", "berry", "cherry")
    expect(row(queue, "berry")).to_be_focused()
    editor.page.keyboard.press("Alt+End")
    expect_order(queue, "runner", "apple", "cherry", "berry")

    queue.get_by_label("State").select_option("Running")
    expect_order(queue, "runner")
    queue.get_by_label("State").select_option("all")
    queue.get_by_role("searchbox", name="Search jobs").fill("err")
    expect_order(queue, "cherry", "berry")

    # Workers tell what they run and lead to it, whatever is searched for.
    bring_axe(editor)
    fold = queue.get_by_role("button", name=re.compile("^1 worker"))
    expect(fold).to_have_attribute("aria-expanded", "false")
    fold.focus()
    editor.page.keyboard.press("Enter")
    workers = queue.get_by_role("region", name="Workers")
    for told in ("worker-1", "cpu", "job", "MB"):
        expect(workers).to_contain_text(told)
    check(editor, "the queue with its workers")
    workers.get_by_role("button", name="runner").click()
    expect_order(queue, "runner", "apple", "cherry", "berry")
    expect(queue.get_by_role("heading", name="runner")).to_be_visible()
    row(queue, "runner").get_by_role("button", name="Cancel").click()
    expect(workers.get_by_role("button", name="apple")).to_be_visible()

    row(queue, "berry").focus()
    editor.page.keyboard.press("o")
    expect(editor.tabs).to_have_text(["Text to image", "Gated"])
    expect(editor.field("wait", "Until")).to_have_value(gate(request, "berry"))


def test_one_is_held_and_let_go(
    editor: Editor, queue: Locator, jobs: dict[str, str], request: pytest.FixtureRequest
) -> None:
    server = editor.server
    row(queue, "apple").get_by_role("button", name="Hold").click()
    expect(row(queue, "apple")).to_contain_text("Held")
    # The next one goes before it.
    server.let(gate(request, "runner"))
    server.let(gate(request, "berry"))
    eventually(lambda: state(server, jobs["cherry"]) == "running")
    assert state(server, jobs["apple"]) == "queued"
    row(queue, "apple").focus()
    editor.page.keyboard.press("h")
    expect(row(queue, "apple")).not_to_contain_text("Held")
    row(queue, "cherry").get_by_role("button", name="Cancel").click()
    eventually(lambda: state(server, jobs["apple"]) == "running")


def test_the_queue_is_paused_and_jobs_are_cancelled_run_again_and_deleted(
    editor: Editor, queue: Locator, jobs: dict[str, str]
) -> None:
    server, keys = editor.server, editor.page.keyboard
    queue.get_by_role("button", name="Pause the queue: start no more jobs").click()
    expect(queue.get_by_text("Paused", exact=True)).to_be_visible()
    row(queue, "runner").get_by_role("button", name="Cancel").click()
    expect(queue.get_by_role("status")).to_have_text("0 running, 3 waiting")
    assert state(server, jobs["apple"]) == "queued"
    queue.get_by_role("button", name="Resume the queue").click()
    expect(queue.get_by_role("status")).to_have_text("1 running, 2 waiting")
    expect(queue.get_by_text("Paused", exact=True)).to_have_count(0)

    # One that waits, and one that runs.
    row(queue, "berry").focus()
    keys.press("Delete")
    expect(row(queue, "berry")).to_contain_text("Cancelled")
    # The keys go on where they were.
    expect(queue.locator(":focus")).to_have_count(1)
    row(queue, "apple").get_by_role("button", name="Cancel").click()
    expect(row(queue, "apple")).to_contain_text("Cancelled")
    eventually(lambda: state(server, jobs["cherry"]) == "running")
    expect(row(queue, "cherry").get_by_role("progressbar")).to_be_visible()

    row(queue, "apple").get_by_role("button", name="Run again").click()
    expect(row(queue, "apple")).to_contain_text("Waiting")
    row(queue, "berry").focus()
    keys.press("r")
    expect(row(queue, "berry")).to_contain_text("Waiting")
    assert state(server, jobs["berry"]) == "queued"

    queue.get_by_role("button", name="More", exact=True).click()
    editor.page.get_by_role("menuitem", name="Cancel all waiting jobs…").click()
    question = editor.dialog("Cancel all waiting jobs?")
    expect(question).to_contain_text("2 jobs will not run")
    question.get_by_role("button", name="Cancel jobs").click()
    for name in ("apple", "berry"):
        expect(row(queue, name)).to_contain_text("Cancelled")
    assert state(server, jobs["cherry"]) == "running"

    row(queue, "berry").focus()
    keys.press("Delete")
    question = editor.dialog("Delete this job?")
    question.get_by_role("button", name="Delete").click()
    expect(row(queue, "berry")).to_have_count(0)
    assert server.client.get(f"jobs/{jobs['berry']}").status_code == 404


def test_two_pages_of_a_browser_show_the_same(
    editor: Editor, queue: Locator, jobs: dict[str, str]
) -> None:
    other = editor.another_tab()
    theirs = other.show("Queue")
    expect_order(theirs, "runner", "apple", "berry", "cherry")
    choose(editor, "cherry", "Move to the front")
    expect_order(theirs, "runner", "cherry", "apple", "berry")
    row(theirs, "berry").get_by_role("button", name="Hold").click()
    expect(row(queue, "berry")).to_contain_text("Held")
    theirs.get_by_role("button", name="Pause the queue: start no more jobs").click()
    expect(queue.get_by_text("Paused", exact=True)).to_be_visible()
    row(queue, "runner").get_by_role("button", name="Cancel").click()
    expect(row(theirs, "runner")).to_contain_text("Cancelled")
    for panel in (queue, theirs):
        expect(panel.get_by_role("status")).to_have_text("0 running, 3 waiting")
