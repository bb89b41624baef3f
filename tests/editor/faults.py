"""Faults of a page that axe finds: what keeps people from seeing, hearing or working it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.editor.editing import Editor

AXE = Path(__file__).parents[2] / "editor" / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """async ([place, guard, options]) => {
    // Colors that change are between those of two states.
    for (;;) {
        await new Promise((done) => { requestAnimationFrame(done); setTimeout(done, 300); });
        const changes = document.getAnimations().filter((each) => each instanceof CSSTransition);
        if (changes.length === 0) break;
        await Promise.allSettled(changes.map((each) => each.finished));
    }
    return (await axe.run({include: [[place]], exclude: [[guard]]},
        {...options, resultTypes: ['violations']})).violations;
}"""
# They take the focus only to pass it on, so nobody comes to rest on one.
_GUARD = "[data-base-ui-focus-guard]"
_COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}


def bring_axe(editor: Editor) -> None:
    """Put axe into the page; skips the test where it isn't installed."""
    if not AXE.exists():
        pytest.skip("the editor's packages aren't installed")
    editor.page.evaluate(AXE.read_text(encoding="utf-8"))


def check(editor: Editor, named: str, within: str = "html", *, only_colours: bool = False) -> None:
    """Let axe look at a part of the page as it is.

    Args:
        named: What is looked at, for messages.
        within: A selector.
        only_colours: Look at nothing else, as where it was looked at in other colors.
    """
    options = _COLOURS if only_colours else {}
    found: list[dict[str, Any]] = editor.page.evaluate(_RUN, [within, _GUARD, options])
    faults = [
        f"{fault['impact']}: {fault['id']}: {node['html'][:160]}\n  {node['failureSummary']}"
        for fault in found
        for node in fault["nodes"]
    ]
    assert not faults, f"{named}\n" + "\n".join(faults)
