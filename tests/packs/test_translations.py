"""Translations of node types' texts: gettext files of packs."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.core.spec import InputSpec, NodeSpec, OutputSpec
from nodegraph.errors import InvalidFile
from nodegraph.packs import translations
from nodegraph.packs.pack import Pack, pack_at
from nodegraph.packs.translations import (
    MOST_FILES,
    SourceText,
    Translations,
    language_tag,
    messages_of,
    read_messages,
)

BLUR = NodeSpec(
    type="tones:Blur",
    pack="tones",
    label="Blur it",
    category="image/filter",
    summary="Blur an image.",
    help="Blur an image.\n\nThe radius is\nin pixels.\n\n- one\n- two",
    inputs=(InputSpec(name="start_at", type="int", help="First pixel."),),
    outputs=(OutputSpec(name="image", type="Image"),),
)
GERMAN = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\n"

msgctxt "node name"
msgid "Blur it"
msgstr "Weichzeichnen"

msgctxt "port name"
msgid "start at"
msgstr "Beginn"

msgid "The radius is in pixels."
msgstr "Der Radius ist in Pixeln."

#, fuzzy
msgid "First pixel."
msgstr "Erstes Bild."

msgid "Blur an image."
msgstr ""
"""
BUILT_IN = """
msgctxt "category"
msgid "image"
msgstr "Bild"

msgctxt "port name"
msgid "start at"
msgstr "Anfang bei"
"""


@pytest.fixture
def packs(tmp_path: Path) -> list[Pack]:
    """A pack and the built-in one, with German texts."""
    for name, text in (("tones", GERMAN), ("builtin", BUILT_IN)):
        folder = tmp_path / name / "translations"
        folder.mkdir(parents=True)
        # Imported, it would fail.
        (tmp_path / name / "__init__.py").write_text("raise SystemExit\n")
        (folder / "de.po").write_text(text, encoding="utf-8")
    return [pack_at(tmp_path / "tones"), Pack("", "builtin", tmp_path / "builtin")]


def file_of(pack: Pack, name: str = "de.po") -> Path:
    return pack.root / "translations" / name


def test_all_texts_of_a_node_type_can_be_translated() -> None:
    assert set(messages_of(BLUR)) == {
        SourceText("Blur it", "node name", "tones:Blur"),
        SourceText("image", "category", "tones:Blur"),
        SourceText("filter", "category", "tones:Blur"),
        SourceText("Blur an image.", "", "tones:Blur"),
        SourceText("The radius is in pixels.", "", "tones:Blur"),
        SourceText("- one - two", "", "tones:Blur"),
        SourceText("start at", "port name", "tones:Blur.start_at"),
        SourceText("First pixel.", "", "tones:Blur.start_at"),
        SourceText("image", "port name", "tones:Blur.image"),
    }


def test_a_pack_is_translated_by_its_own_file_and_then_by_the_built_in_one(
    packs: list[Pack],
) -> None:
    german = Translations(packs).translation("de")
    assert german.text("tones", "node name", "Blur it") == "Weichzeichnen"
    assert german.text("tones", "category", "image") == "Bild"
    assert german.text("tones", "port name", "start at") == "Beginn"
    assert german.text("", "port name", "start at") == "Anfang bei"
    assert german.text("", "node name", "Blur it") == "Blur it"


def test_paragraphs_without_a_translation_stay_as_they_are(packs: list[Pack]) -> None:
    german = Translations(packs).translation("de")
    assert german.help("tones", BLUR.help) == (
        "Blur an image.\n\nDer Radius ist in Pixeln.\n\n- one\n- two"
    )
    # Marked as fuzzy: the English text has changed since.
    assert german.help("tones", "First pixel.") == "First pixel."
    assert german.help("tones", "") == ""


def test_languages_that_there_are_not_are_english(packs: list[Pack]) -> None:
    found = Translations(packs)
    assert [found.language(wanted) for wanted in ("de", "DE", "fr", "../x")] == [
        *("de", "de", "en", "en")
    ]
    english = found.translation("fr")
    assert english.language == "en"
    assert english.text("tones", "node name", "Blur it") == "Blur it"


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        *(("de", "de"), ("zh_hans", "zh-Hans"), ("ZH-hans", "zh-Hans"), ("pt_BR", "pt-BR")),
        *(("", None), ("a b", None), ("../de", None), ("x" * 40, None)),
    ],
)
def test_languages_are_written_as_browsers_do(name: str, tag: str | None) -> None:
    assert language_tag(name) == tag


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"msgid 3\nmsgid", "is not a gettext file"),
        (b"\xff\xfe", "is not a gettext file"),
        (b"nonsense", "is not a gettext file"),
        (b"#" * (1 << 21), "is too large"),
    ],
)
def test_a_broken_file_is_a_problem_of_its_pack_alone(
    packs: list[Pack], tmp_path: Path, text: bytes, said: str
) -> None:
    folder = tmp_path / "broken" / "translations"
    folder.mkdir(parents=True)
    (folder / "de.po").write_bytes(text)
    found = Translations([*packs, pack_at(tmp_path / "broken")])
    assert len(found.problems) == 1
    assert found.problems[0].startswith("pack `broken`: ")
    assert said in found.problems[0]
    assert found.translation("de").text("tones", "node name", "Blur it") == "Weichzeichnen"


def test_files_are_bounded_in_number_and_named_after_languages(packs: list[Pack]) -> None:
    for at in range(MOST_FILES):
        file_of(packs[0], f"aa-x{at:03}.po").write_text("")
    file_of(packs[0], "_.po").write_text("")
    problems = Translations(packs).problems
    assert "`tones` has 102 translations; only 100 are read" in problems[0]
    assert "`translations/_.po` is not named after a language" in problems[1]


def test_messages_are_bounded_in_number(packs: list[Pack], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translations, "MOST_MESSAGES", 3)
    with pytest.raises(InvalidFile, match="too many messages"):
        read_messages(file_of(packs[0]))


def test_an_edit_is_noticed_and_does_not_change_the_pack_s_code(packs: list[Pack]) -> None:
    before, stamp = Translations(packs), packs[0].stamp()
    assert before.is_unchanged()
    file_of(packs[0]).write_text(GERMAN.replace("Weichzeichnen", "Unschärfe"), encoding="utf-8")
    assert not before.is_unchanged()
    after = Translations(packs)
    assert after.digest != before.digest
    assert after.translation("de").text("tones", "node name", "Blur it") == "Unschärfe"
    assert packs[0].stamp() == stamp
    file_of(packs[0], "fr.po").write_text("")
    assert not after.is_unchanged()
