"""What watches over all other tests sees what it is there to see."""

from __future__ import annotations

import pytest

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor
from tests.editor.serving import Server
from tests.server.hosting import eventually

pytestmark = pytest.mark.only_edits


FAULTS = (
    ("console.error('it broke'); null", "it broke"),
    ("setTimeout(() => { throw new Error('it threw') }); null", "it threw"),
    ("Promise.reject(new Error('nobody waited')); null", "nobody waited"),
    ("fetch('http://fetched.invalid/').catch(() => {}); null", "fetched.invalid"),
    ("new Image().src = 'https://seen.invalid/a.png'; null", "seen.invalid"),
    ("new WebSocket('ws://spoken.invalid/'); null", "spoken.invalid"),
    (
        "document.head.append(Object.assign(document.createElement('style'),"
        " { textContent: 'body { color: red }' })); null",
        "Content Security Policy",
    ),
)
"""What brings a fault about, and what is told of it."""


def test_faults_in_the_browser_are_seen(new_browser: NewBrowser, server: Server) -> None:
    editor = new_browser(server)
    editor.page.goto("/login")
    for script, words in FAULTS:
        editor.watch.faults = []
        editor.page.evaluate(script)
        # Asking the page for something lets what has happened in it be heard of.
        eventually(lambda words=words: editor.page.evaluate("1") and found(editor, words))
    # What is told in two ways may be heard of once more, but not after its end.
    editor.page.context.close()
    editor.watch.faults = []


def found(editor: Editor, words: str) -> bool:
    return any(words in fault for fault in editor.watch.faults)


def test_faults_that_a_test_brings_about_are_left_out(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server)
    editor.page.goto("/login")
    with editor.watch.allowing("it broke"):
        editor.page.evaluate("console.error('it broke'); console.error('it, too'); null")
        eventually(lambda: editor.page.evaluate("1") and found(editor, "it, too"))
    with pytest.raises(AssertionError, match="it, too"):
        editor.watch.check()
    editor.watch.check()
