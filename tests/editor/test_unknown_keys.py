"""A file that goes through the editor changes only where somebody changed it."""

from __future__ import annotations

from difflib import unified_diff
from typing import Any

import pytest
from playwright.sync_api import expect

from nodegraph.core.workflow import Workflow
from tests.editor.editing import Editor
from tests.editor.graphs import downloaded, saved
from tests.editor.serving import Server

UNKNOWN: dict[str, Any] = {"whole": 4.0, "large": 18446744073709551616, "tiny": 1e-7, "10": None}
"""What another program may write: numbers that JavaScript would write otherwise among it."""
ODD: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Odd",
    "parameters": {"much": {"input": "size.width", "by": "another program", "most": 1e3}},
    "nodes": {
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "later": [1e3, 4.0, {"b": {}}]}},
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}, "later": UNKNOWN},
        "positive": {
            "type": "EncodePrompt",
            "inputs": {"text_encoder": {"from": "load.text_encoder"}, "text": "a boat"},
        },
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": {"from": "load.model"},
                "positive": {"from": "positive"},
                "latent": {"from": "size"},
                "seed": 18446744073709551615,
                "cfg": 4.0,
                "denoise": 1.0,
            },
            "later": [],
        },
        "other": {"type": "elsewhere:Unknown", "inputs": {"amount": 1e3}, "later": ""},
        "block": {"type": "subgraph:half", "inputs": {"much": 4.0}},
    },
    "subgraphs": {
        "half": {
            "inputs": {"much": {"type": "int", "to": ["inner.width"], "later": 4.0}},
            "nodes": {"inner": {"type": "EmptyLatent", "later": {"z": 1e3, "a": 4.0}}},
            "later": UNKNOWN,
        }
    },
    "requires": {"elsewhere": ">=1"},
    "ui": {
        "positions": {
            "size": [0, 0],
            "load": [0.5, 320.0],
            "positive": [300, 0],
            "sample": [600, 0],
            "other": [300, 320],
            "block": [900, 0],
        },
        "later": {"x": 1e3, "4": {}},
    },
    "later": UNKNOWN,
}
TEXT = Workflow.from_dict(ODD).to_json()


@pytest.fixture
def odd(editor: Editor) -> Editor:
    editor.drop("odd.json", TEXT.encode(), "application/json")
    expect(editor.tabs).to_have_count(2)
    missing = editor.dialog("What is missing")
    missing.get_by_role("button", name="Close").click()
    expect(missing).to_have_count(0)
    return editor.ready()


def changed(before: str, after: str) -> list[str]:
    """Lines that went and came."""
    lines = unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in list(lines)[2:] if not line.startswith("@@")]


def test_a_file_is_changed_only_where_somebody_changed_it(odd: Editor, server: Server) -> None:
    assert downloaded(odd) == TEXT

    # A number changed and changed back leaves no trace.
    odd.fill("sample", "Cfg", "5")
    went, came = changed(TEXT, downloaded(odd))
    assert went.replace("4.0", "5.0")[1:] == came[1:]
    odd.fill("sample", "Cfg", "4")
    assert downloaded(odd) == TEXT

    # A moved node changes its place alone.
    odd.click_card("load")
    odd.page.keyboard.press("ArrowRight")
    went, came = changed(TEXT, downloaded(odd))
    assert went.partition(":")[0][1:] == came.partition(":")[0][1:] == '      "load"'
    odd.page.keyboard.press("ControlOrMeta+z")

    # One changed field is one changed line, also as it is saved.
    odd.save_as("odd")
    odd.fill("positive", "Text", "a bird")
    found = changed(TEXT, downloaded(odd))
    assert [line[0] for line in found] == ["-", "+"]
    assert found[0][1:].replace("a boat", "a bird") == found[1][1:]
    odd.command("Save")
    expect(odd.notice("Version 2")).to_be_visible()
    assert saved(server, "odd") == downloaded(odd)
    assert saved(server, "odd/versions/1") == TEXT
    assert saved(server, "odd/versions/2") == saved(server, "odd")
