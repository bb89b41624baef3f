"""The translations of the built-in node types are current and keep what must not be translated."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from nodegraph.packs.translations import LANGUAGES

LEAST = 0.95
"""Share of texts with a translation, so that a new node type needs no five languages at once."""


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
    try:
        return import_module("generate_translations")
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def texts(generator: ModuleType) -> Catalog:
    catalog: Catalog = generator.template()
    return catalog


def text_of(generator: ModuleType, language: str) -> str:
    text: str = (generator.FOLDER / f"{language}.po").read_text(encoding="utf-8")
    return text


@pytest.mark.parametrize("language", LANGUAGES)
def test_files_have_the_texts_of_today(
    generator: ModuleType, texts: Catalog, language: str
) -> None:
    text = text_of(generator, language)
    assert text == generator.merged(language, text, texts), (
        "run python docs/generate_translations.py"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_nearly_all_texts_are_translated(generator: ModuleType, language: str) -> None:
    catalog = read_po(text_of(generator, language).splitlines(keepends=True))
    messages = [message for message in catalog if message.id]
    done = [message for message in messages if message.string and not message.fuzzy]
    assert len(done) >= LEAST * len(messages)


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_code_placeholders_and_names_of_node_types(
    generator: ModuleType, language: str
) -> None:
    node_types = set(Registry([p for p in installed_packs() if not p.name]).node_types())
    lost = {
        message.id: marks
        for message in read_po(text_of(generator, language).splitlines(keepends=True))
        if message.id and message.string
        if (marks := generator.lost_marks(message.id, message.string, node_types))
    }
    assert not lost


def test_corrections_stay_new_texts_come_and_unused_ones_go(generator: ModuleType) -> None:
    old = """
# A correction.
msgctxt "node name"
msgid "Blur"
msgstr "Weichzeichnen"

msgid "Gone."
msgstr "Weg."

#, fuzzy
msgid "Kept."
msgstr "Behalten?"
"""
    texts = Catalog()
    texts.add("Blur", context="node name")
    texts.add("Kept.")
    texts.add("50% of it is new.")
    text = generator.merged("de", old, texts)
    found = read_po(text.splitlines(keepends=True))
    assert {message.id: message.string for message in found if message.id} == {
        "Blur": "Weichzeichnen",
        "Kept.": "Behalten?",
        "50% of it is new.": "",
    }
    assert [message.id for message in found if message.fuzzy] == ["Kept."]
    assert "# A correction.\n" in text
    assert "python-format" not in text
    assert generator.merged("de", text, texts) == text


def test_what_a_translation_lost_is_found(generator: ModuleType) -> None:
    english = "Link `mask` of LoadImage, {name}, to Select. 50 % of it."
    kept = "Verbinde `mask` von LoadImage, {name}, mit der Auswahl. 50 % davon."
    assert generator.lost_marks(english, kept, {"LoadImage", "Select"}) == []
    lost = "Verbinde Maske von Bild laden, {Name}, mit der Auswahl."
    assert generator.lost_marks(english, lost, {"LoadImage", "Select"}) == [
        *("`mask`", "{name}", "LoadImage")
    ]
