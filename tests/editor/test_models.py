"""The list of models follows what lies in the models folder, while a page is open."""

from __future__ import annotations

import re
import shutil

from playwright.sync_api import Locator, expect

from nodegraph.families.embedded_models import embedded_folder
from tests.editor.editing import Editor


def models(editor: Editor) -> Locator:
    """The open list of models."""
    editor.field("load", "Model").click()
    return editor.page.get_by_role("listbox")


def test_models_come_and_go_in_an_open_page(editor: Editor) -> None:
    folder = editor.server.home / "models" / "portraits"
    found = models(editor)
    own = found.get_by_role("option", name=re.compile("^tiny sd1"))
    expect(own).to_contain_text("built in")
    expect(found.get_by_role("option", name="portraits")).to_have_count(0)
    shutil.copytree(embedded_folder(), folder)
    expect(found.get_by_role("option", name="portraits")).to_be_visible()
    shutil.rmtree(folder)
    expect(found.get_by_role("option", name="portraits")).to_have_count(0)
