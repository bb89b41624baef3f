"""Images on their way to the server, and those that it doesn't take."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.editor.editing import Editor, expect_picture

LOADING: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Loading",
    "nodes": {
        "picture": {"type": "LoadImage"},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "picture.image"}}},
    },
}
SLOW = 50_000
"""Bytes a second."""


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def noise(side: int) -> bytes:
    """An image that can't be made small."""
    data = random.Random(7).randbytes(side * side * 3)
    return png(Image.frombytes("RGB", (side, side), data))


@contextmanager
def slow_network(page: Page) -> Iterator[None]:
    """Have the network take few bytes a second."""
    session = page.context.new_cdp_session(page)
    known = {"offline": False, "latency": 0, "downloadThroughput": -1}
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", {**known, "uploadThroughput": SLOW})
    try:
        yield
    finally:
        session.send("Network.emulateNetworkConditions", {**known, "uploadThroughput": -1})
        session.detach()


@pytest.fixture
def editor(tab: Editor) -> Editor:
    return tab.open_link(LOADING)


@pytest.fixture
def card(editor: Editor) -> Locator:
    """A node that takes an image."""
    return editor.card("picture")


def choose(card: Locator, name: str, data: bytes) -> None:
    """Choose a file of one's own machine."""
    file = {"name": name, "mimeType": "image/png", "buffer": data}
    card.get_by_label("Upload a file").last.set_input_files(file)  # type: ignore[arg-type]


def test_a_large_picture_shows_how_far_it_is(editor: Editor, card: Locator) -> None:
    progress = card.get_by_role("progressbar")
    with slow_network(editor.page):
        choose(card, "noise.png", noise(800))
        expect(progress).to_have_attribute("aria-valuenow", re.compile("^[1-9]"))
        # The page can be worked with meanwhile.
        editor.fill("save", "Name", "meanwhile")
        expect(progress).to_be_visible()
    expect_picture(card.get_by_role("img", name="Image noise.png"))
    expect(progress).to_have_count(0)


def test_what_is_no_picture_or_too_large_a_one_is_refused(editor: Editor, card: Locator) -> None:
    with editor.watch.allowing("status of 4"):
        choose(card, "words.png", b"these are only words")
        refusal = card.get_by_text(re.compile("^Could not upload words.png.*Allowed: .*png"))
        expect(refusal).to_be_visible()
    choose(card, "dot.png", png(Image.new("RGB", (8, 8), "red")))
    expect_picture(card.get_by_role("img", name="Image dot.png"))
    expect(refusal).to_have_count(0)

    with editor.watch.allowing("status of 4"):
        choose(card, "huge.png", png(Image.new("1", (9000, 9000))))
        expect(card.get_by_text(re.compile("too many pixels. Allowed: at most "))).to_be_visible()
