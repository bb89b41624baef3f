"""Faults of a page that axe finds: what keeps people from seeing, hearing or working it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.editor.editing import Editor

AXE = Path(__file__).parents[2] / "editor" / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """async (place) =>
    (await axe.run(place, {resultTypes: ['violations']})).violations"""


def bring_axe(editor: Editor) -> None:
    """Put axe into the page; skips the test where it isn't installed."""
    if not AXE.exists():
        pytest.skip("the editor's packages aren't installed")
    editor.page.evaluate(AXE.read_text(encoding="utf-8"))


def check(editor: Editor, named: str, within: str = "html") -> None:
    """Let axe look at a part of the page as it is.

    Args:
        named: What is looked at, for messages.
        within: A selector.
    """
    found: list[dict[str, Any]] = editor.page.evaluate(_RUN, within)
    faults = [
        f"{fault['impact']}: {fault['id']}: {node['html'][:160]}\n  {node['failureSummary']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert not faults, f"{named}\n" + "\n".join(faults)
