"""Content Credentials of results: who signed, what is claimed, what was changed, signed copies."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from nodegraph.provenance.certificates import create_certificate
from nodegraph.provenance.claims import Claim, IngredientFile
from nodegraph.provenance.signing import sign_file
from nodegraph.provenance.verification import verify_file
from tests.editor.conftest import NewBrowser, knowing_home
from tests.editor.editing import Editor
from tests.editor.gates import prompted
from tests.editor.serving import Server
from tests.jobs.queue.support import open_queue
from tests.server.resources import finished, picture, written

SIGNER = "Studio Example"
END = 12
"""Bytes of the last chunk of a PNG."""
_TEXT = b"tEXtComment\0mine"
COMMENT = struct.pack(">I", len(_TEXT) - 4) + _TEXT + struct.pack(">I", zlib.crc32(_TEXT))


def signed(folder: Path, home: Path) -> bytes:
    """A picture that another studio has signed, made with AI of two others: a photo of theirs that
    is as it was signed, and a sketch."""
    other = create_certificate(folder / "other", "Eve Example")
    own = create_certificate(home / "signing", SIGNER)
    for name, color in (("photo.png", 60), ("sketch.png", 120), ("lynx.png", 200)):
        (folder / name).write_bytes(picture(640, 480, color=(color, 110, 90)))
    photo = folder / "photo signed.png"
    sign_file(folder / "photo.png", photo, Claim("photo.png", "composite"), other)
    inputs = (
        IngredientFile(photo, "photo.png"),
        IngredientFile(folder / "sketch.png", "sketch.png"),
    )
    claim = Claim(
        "lynx.png",
        "compositeWithTrainedAlgorithmicMedia",
        inputs,
        when="2026-11-30T10:20:00Z",
    )
    return sign_file(folder / "lynx.png", folder / "out.png", claim, own).path.read_bytes()


@pytest.fixture(scope="module")
def signing_server(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, known_specs: Path
) -> Iterator[Server]:
    """A server with a certificate, and a result that is signed, one that was changed since, and
    one that isn't signed."""
    folder = tmp_path_factory.mktemp("credentials")
    with ExitStack() as stack:
        home = knowing_home(folder, known_specs)
        data = signed(folder, home)
        # A text more, before the last chunk: the picture is the same, its file isn't.
        changed = data[:-END] + COMMENT + data[-END:]
        with open_queue(home) as queue:
            for name, content in (
                ("plain.png", picture(640, 480, color=(90, 160, 120))),
                ("changed.png", changed),
                ("lynx.png", data),
            ):
                path = home / "outputs" / name
                files = [written(path, content, width=640, height=480)]
                finished(queue, files, "local", workflow=prompted("a lynx", name="image"))
        yield stack.enter_context(Server(home))


@pytest.fixture
def editor(signing_server: Server, new_browser: NewBrowser) -> Editor:
    editor = new_browser(signing_server, viewport={"width": 1500, "height": 1000})
    return editor.open()


def credentials(editor: Editor, name: str) -> Locator:
    """What is shown of the credentials of a result, once they are checked."""
    panel = editor.show("Results")
    panel.get_by_role("gridcell", name=re.compile(f"^{name}")).focus()
    editor.page.keyboard.press("Enter")
    section = editor.page.locator("details").filter(
        has=editor.page.get_by_text("Content Credentials", exact=True)
    )
    section.locator("summary").click()
    expect(section.locator("[data-state]")).to_be_visible()
    return section


def claim(section: Locator, name: str) -> Locator:
    """The values of a claim."""
    terms = section.locator("dl > div").filter(has=section.page.get_by_text(name, exact=True))
    return terms.get_by_role("definition")


def test_a_signed_result_shows_its_signer_and_what_is_claimed(editor: Editor) -> None:
    section = credentials(editor, "lynx")
    expect(section.locator("[data-state]")).to_have_attribute("data-state", "trusted")
    expect(section).to_contain_text(f"Signed by {SIGNER}")
    expect(claim(section, "Made by")).to_have_text("AI, from other files")
    expect(claim(section, "Signed, by the signer’s clock")).to_contain_text("2026")
    expect(claim(section, "Use for training")).to_have_text("not allowed")
    inputs = claim(section, "Input file")
    expect(inputs).to_have_count(2)
    expect(inputs.nth(0)).to_have_text("photo.pngSigned by Eve Example")
    expect(inputs.nth(1)).to_have_text("sketch.png")


def test_a_result_that_was_changed_since_says_so(editor: Editor) -> None:
    section = credentials(editor, "changed")
    expect(section.locator("[data-state]")).to_have_attribute("data-state", "changed")
    expect(section).to_contain_text("The file was changed after it was signed.")


def test_a_signed_copy_is_downloaded(editor: Editor, tmp_path: Path) -> None:
    section = credentials(editor, "plain")
    expect(section).to_contain_text("This file is not signed.")
    with editor.page.expect_download() as download:
        section.get_by_role("link", name="Download a signed copy").click()
    assert download.value.suggested_filename == "plain.png"
    path = tmp_path / "plain.png"
    download.value.save_as(path)
    found = verify_file(path)
    assert (found.state, found.signer, found.title) == ("self-signed", SIGNER, "plain.png")
