"""Building graphs in the editor, by keyboard and by mouse, and reading what became of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3
from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor, box_of
from tests.editor.serving import Server

Point = tuple[float, float]

CHAIN: Mapping[str, Any] = {
    "format": "nodegraph/1",
    "title": "Chain",
    "nodes": {
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "decode": {
            "type": "VAEDecode",
            "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "size"}},
        },
        "wait": {"type": "trials:Wait", "inputs": {"image": {"from": "decode"}, "until": "never"}},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "wait"}, "name": "grey"}},
    },
    "ui": {
        "positions": {
            "size": [0, 0],
            "load": [0, 240],
            "decode": [320, 120],
            "wait": [640, 120],
            "save": [960, 120],
        }
    },
}
"""A graph that needs no sampling, with a node in it that can be left out."""


# -- reading


def downloaded(editor: Editor) -> str:
    """The text of the workflow's file."""
    editor.command("Share and export")
    dialog = editor.dialog("Share and export")
    with editor.page.expect_download() as download:
        dialog.get_by_role("button", name=re.compile("^Workflow")).click()
    editor.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    return download.value.path().read_text(encoding="utf-8")


def written(editor: Editor) -> dict[str, Any]:
    """The workflow as a file has it."""
    found: dict[str, Any] = json.loads(editor.written())
    return found


def saved(server: Server, name: str) -> str:
    """The text of a workflow that is saved on the server."""
    return server.client.get(f"workflows/{name}").raise_for_status().text


def made(server: Server) -> bytes:
    """The newest image."""
    newest = server.get("artifacts")["items"][0]
    data = server.client.get(f"artifacts/{newest['digest']}").raise_for_status().content
    assert blake3(data).hexdigest() == newest["digest"]
    return data


def ran(text: str, folder: Path, specs: Path) -> bytes:
    """The image that the command line makes of a workflow file.

    Nothing is known before but what the built-in pack declares.
    """
    shutil.copytree(specs, folder / "home" / "cache" / "specs")
    file = folder / "workflow.json"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "nodegraph", "run", str(file), "--out", "out", "-q"]
    # Sums of floats depend on how many threads share them: as many as the server's worker has.
    threads = {"OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **threads, "NODEGRAPH_HOME": str(folder / "home")}
    environment.pop("NODEGRAPH_STORE", None)
    subprocess.run(command, cwd=folder, check=True, env=environment, timeout=300)
    [picture] = (folder / "out").iterdir()
    return picture.read_bytes()


# -- by keyboard


def new_tab(editor: Editor) -> None:
    """An empty workflow."""
    count = editor.tabs.count()
    editor.command("New workflow")
    expect(editor.tabs).to_have_count(count + 1)
    expect(editor.page.get_by_text("Nothing here yet")).to_be_visible()
    editor.drawn()


def search(editor: Editor) -> Locator:
    """The field that nodes are found with."""
    return editor.page.get_by_role("combobox", name="Search nodes")


def add(editor: Editor, words: str, name: str) -> None:
    """Add a node by keyboard; it gets the focus."""
    editor.page.keyboard.press("Space")
    expect(search(editor)).to_be_focused()
    editor.page.keyboard.type(words)
    types = editor.page.get_by_role("listbox", name="Node types").get_by_role("option")
    expect(types.first).to_contain_text(words, ignore_case=True)
    editor.page.keyboard.press("Enter")
    expect(editor.card(name)).to_be_focused()


def go_to(editor: Editor, name: str) -> None:
    """Go to a node by keyboard."""
    editor.search("ControlOrMeta+f")
    editor.page.keyboard.type(name)
    expect(editor.found().first).to_contain_text(name)
    editor.page.keyboard.press("Enter")
    expect(editor.card(name)).to_be_focused()


def link(editor: Editor, port: str, target: str, other: str) -> None:
    """Link a port of the node that has the focus to a port of another one, by keyboard."""
    page = editor.page
    page.keyboard.press("l")
    ports = editor.dialog("Link from which port?")
    expect(ports.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type(port)
    page.keyboard.press("Enter")
    targets = editor.dialog(re.compile("^Link .+ to …$"))
    expect(targets.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type(f"{other} {target}")
    page.keyboard.press("Enter")
    expect(targets).to_have_count(0)


def give(editor: Editor, node: str, values: Mapping[str, str]) -> None:
    """Write into fields of the node that has the focus, by keyboard, and go back to it."""
    editor.page.keyboard.press("Enter")
    for label, value in values.items():
        tab_to(editor, editor.field(node, label))
        editor.page.keyboard.press("ControlOrMeta+a")
        editor.page.keyboard.type(value)
    editor.page.keyboard.press("Escape")
    expect(editor.card(node)).to_be_focused()


def tab_to(editor: Editor, place: Locator, key: str = "Tab") -> None:
    """Press Tab, or another key that moves the focus, until something has it."""
    for _ in range(40):
        if place.evaluate("(element) => element === document.activeElement"):
            return
        editor.page.keyboard.press(key)
    raise AssertionError(f"{key} doesn't come to {place}")


# -- by mouse


def middle(place: Locator) -> Point:
    """The middle of something that is seen, once it stands still."""
    box = box_of(place)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(editor: Editor, start: Point, end: Point) -> None:
    """Press the button, move, and let go."""
    mouse = editor.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
    mouse.move(*end, steps=4)
    mouse.up()


_MOVED = """([list, from]) => {
    const bottom = list.scrollTop + list.clientHeight;
    if (list.scrollTop <= from && bottom < list.scrollHeight - 1) return false;
    const rows = [...list.querySelectorAll("[role=option]")];
    const holds = (y) => rows.some((r) => r.offsetTop <= y && y <= r.offsetTop + r.offsetHeight);
    return holds(list.scrollTop) && holds(bottom) && [list.scrollTop, bottom];
}"""


def _row(label: str) -> re.Pattern[str]:
    """A node's row; the first of those linked most often, and of all others, bears a heading."""
    return re.compile(rf"^(?:(?:Used here most often|All)\s*)?{re.escape(label)}")


def scroll_to(editor: Editor, label: str) -> None:
    """Scroll the open list, which only holds the rows in sight, down to a node.

    A busy browser scrolls first and draws later: what isn't waited for is scrolled past unseen.
    """
    page = editor.page
    types = page.get_by_role("listbox", name="Node types")
    row = types.get_by_role("option", name=_row(label))
    expect(types.get_by_role("option").first).to_be_visible()
    place = types.element_handle()
    page.mouse.move(*middle(types))
    top, bottom = page.wait_for_function(_MOVED, arg=[place, -1]).json_value()
    while not row.count():
        assert bottom < types.evaluate("list => list.scrollHeight - 1"), f"{label} isn't there"
        page.mouse.wheel(0, 100)
        top, bottom = page.wait_for_function(_MOVED, arg=[place, top]).json_value()


def pick(editor: Editor, label: str) -> None:
    """Click on a node in the open list."""
    row = editor.page.get_by_role("listbox", name="Node types").get_by_role(
        "option", name=_row(label)
    )
    row.first.click()
    expect(search(editor)).to_have_count(0)
