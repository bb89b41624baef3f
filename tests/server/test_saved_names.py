"""Names are safe as files' on every platform, and files stay below their folder."""

from __future__ import annotations

import os
import unicodedata
from contextlib import suppress
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nodegraph.errors import InvalidValue, OutputError
from nodegraph.server.content.files.safe_files import (
    LONGEST,
    ConfinedFolder,
    UnsafePath,
    check_name,
    is_name,
    name_key,
    safe_name,
)
from tests.messages import raises

GOOD = ["apple", "An apple (2)", "äpfel", "林檎", "a.b", "x" * LONGEST, "v1_final-final", "a & b"]
BAD = [
    *("", ".", "..", "...", "../x", "a/b", "a\\b", "/etc/passwd", "C:\\x", "C:x", "~", "~root"),
    *("%2e%2e", "%2e%2e%2fx", "..%2f", "a%00b", "a\0b", "a\nb", "a\tb", "\x7f", "\x1b[31m"),
    *("CON", "con", "nul.json", "COM1", "com1.txt", "LPT9", "aux .x", "CONIN$", "COM¹", "PRN."),
    *("a.", "a ", " a", ".hidden", "-rf", "x:stream", "x*", "x?", 'x"y', "x<y", "x|y", "$HOME"),
    *("x" * (LONGEST + 1), "ä" * LONGEST, "PROGRA~1", "a;b", "a`b`", "a#b", "{a}", "[a]"),
    # What looks like a dot, a slash or nothing, or becomes it in another Unicode form.
    *("․․", "．．", "‥", "…", "a／b", "a∕b", "a⁄b", "a⧸b", "a＼b", "﹒﹒", "。", "½", "⒈", "℀"),
    *("a\u200bb", "a\u202eb", "\ufeffa", "a\u00adb", "a\u3164", "\u115f", "a\ufe0f", "a\u00a0b"),
    *("ＣＯＮ", "ＣＯＭ１", "e\u0301", "\u0301a", "\ud800", "\ue000", "\U000e0041"),
]


@pytest.mark.parametrize("name", GOOD)
def test_names_that_people_give_are_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_names_that_mean_something_else_somewhere_are_refused(name: str) -> None:
    with raises(InvalidValue):
        check_name(name)


LETTERS = st.characters(categories=["Ll", "Lo", "Lm", "Mn", "Nd", "No", "Po", "Sm", "Zs", "Cf"])


@given(st.one_of(st.text(LETTERS, min_size=1, max_size=5), st.text(max_size=20)))
@example("a\ufb01")
def test_a_name_stays_one_safe_part_of_a_path_in_every_form(name: str) -> None:
    if not is_name(name):
        return
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        for text in (unicodedata.normalize(form, name), name.upper(), name.casefold()):
            assert PureWindowsPath(text).name == text
            assert not PureWindowsPath(text).is_reserved()
            assert Path(text).name == text
            assert text not in (".", "..")
            assert text.isprintable()
            assert not set(text) & set('/\\:*?"<>|%$~;`\0')


@given(st.one_of(st.text(max_size=300), st.sampled_from(BAD), st.sampled_from(GOOD)))
def test_any_text_becomes_a_safe_name(text: str) -> None:
    assert is_name(safe_name(text))
    assert len(safe_name(text, longest=40).encode()) <= 40


@pytest.mark.parametrize("name", GOOD)
def test_a_safe_name_stays_as_it_is(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("C:\\Users\\ann\\apple.png", "apple.png"),
        ("../../etc/passwd", "passwd"),
        ("CON.png", "_CON.png"),
        ("a\r\nSet-Cookie: x", "a__Set-Cookie_ x"),
        ("..", "unnamed"),
        ("ｘ／ｙ．png", "y.png"),
    ],
)
def test_a_safe_name_is_like_what_was_given(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_names_that_some_file_system_mixes_up_have_one_key() -> None:
    assert name_key("Apple") == name_key("apple") == name_key("ａpple")
    assert name_key("straße") == name_key("STRASSE")
    assert name_key("apple") != name_key("apples")


def test_a_refusal_offers_a_name_that_would_do() -> None:
    with raises(InvalidValue, given="'fruit/apple?'"):
        check_name("fruit/apple?")


@pytest.mark.parametrize("part", ["", ".", "..", "a/b", "/etc/passwd", "a\0b", "../a"])
def test_no_part_of_a_path_is_more_than_a_name(tmp_path: Path, part: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a").write_text("outside")
    folder = ConfinedFolder(tmp_path / "in")
    with pytest.raises(UnsafePath):
        folder.open(part)
    with pytest.raises(UnsafePath):
        folder.open(part, "a")
    with pytest.raises(OutputError):
        folder.write(b"x", part)
    with pytest.raises(OutputError):
        folder.write(b"x", part, "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "in"]
    assert list((tmp_path / "in").iterdir()) == []


@pytest.fixture
def trapped(tmp_path: Path) -> ConfinedFolder:
    """A folder in which links lead out."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file").symlink_to(outside / "secret")
    (inside / "folder").symlink_to(outside)
    (inside / "up").symlink_to("..")
    (inside / "loop").symlink_to("loop")
    return ConfinedFolder(inside)


@pytest.mark.parametrize("parts", [("file",), ("folder", "secret"), ("loop",), ("up", "outside")])
def test_links_are_not_followed_to_read(trapped: ConfinedFolder, parts: tuple[str, ...]) -> None:
    with pytest.raises(OSError, match=r"a link points outside|no file"):
        trapped.open(*parts)
    assert trapped.status(*parts) is None


def test_links_are_not_followed_to_list(trapped: ConfinedFolder) -> None:
    with pytest.raises(UnsafePath):
        trapped.names("folder")


def test_links_are_not_followed_to_write(trapped: ConfinedFolder, tmp_path: Path) -> None:
    with raises(OutputError):
        trapped.write(b"changed", "folder", "new")
    trapped.write(b"changed", "file")
    assert (tmp_path / "outside" / "secret").read_text() == "secret"
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]
    assert not (tmp_path / "inside" / "file").is_symlink()


def test_links_are_not_followed_to_remove(trapped: ConfinedFolder, tmp_path: Path) -> None:
    assert trapped.remove("file")
    with pytest.raises(OSError, match="a link points outside"):
        trapped.remove("folder", "secret")
    assert (tmp_path / "outside" / "secret").exists()


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(UnsafePath):
            ConfinedFolder(tmp_path).open(name)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = ConfinedFolder(tmp_path / "made" / "here")
    folder.write(b"first", "sub", "file")
    with suppress(ZeroDivisionError), folder.new("sub") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert folder.names("sub") == ["file"]
    assert folder.read("sub", "file", limit=100) == b"first"
    assert folder.read("sub", "file", limit=3) == b"firs"
    assert folder.remove("sub", "file")
    assert not folder.remove("sub", "file")
    assert folder.names("not", "there") == []


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    ConfinedFolder(tmp_path / "link").write(b"x", "file")
    assert (tmp_path / "real" / "file").read_bytes() == b"x"
