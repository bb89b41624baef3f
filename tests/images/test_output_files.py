"""Results are numbered, reused if equal, never overwritten, and stay in their folder."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodegraph.errors import InvalidValue, OutputError
from nodegraph.media.images.output_files import save_by_content, save_numbered
from nodegraph.media.images.output_names import check_folder, check_name
from tests.messages import raises


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_numbered_from_one(tmp_path: Path) -> None:
    saved = save_numbered(tmp_path, "apple", ".png", [b"1", b"2"])

    assert [item.path.name for item in saved] == ["apple_00001.png", "apple_00002.png"]
    assert [item.existed for item in saved] == [False, False]
    assert names(tmp_path) == ["apple_00001.png", "apple_00002.png"]


def test_numbers_go_on_after_the_largest(tmp_path: Path) -> None:
    for name in ("apple_00007.png", "apple_123456.png", "apple_pie_900000.png", "apple_7.png"):
        (tmp_path / name).write_bytes(b"old")

    [saved] = save_numbered(tmp_path, "apple", ".png", [b"new"])

    assert saved.path.name == "apple_123457.png"


def test_equal_content_is_reused(tmp_path: Path) -> None:
    save_numbered(tmp_path, "apple", ".png", [b"one", b"two"])

    again = save_numbered(tmp_path, "apple", ".png", [b"one", b"two"])

    assert [(item.path.name, item.existed) for item in again] == [
        ("apple_00001.png", True),
        ("apple_00002.png", True),
    ]
    assert len(names(tmp_path)) == 2


def test_equal_items_of_one_batch_get_files_of_their_own(tmp_path: Path) -> None:
    first = save_numbered(tmp_path, "apple", ".png", [b"same", b"same"])
    again = save_numbered(tmp_path, "apple", ".png", [b"same", b"same"])

    assert len({item.path for item in first}) == 2
    assert {item.path for item in again} == {item.path for item in first}


def test_equal_content_of_another_name_or_kind_is_not_reused(tmp_path: Path) -> None:
    for name, suffix in (("apple", ".png"), ("pear", ".png"), ("apple", ".webp")):
        assert not save_numbered(tmp_path, name, suffix, [b"same"])[0].existed


def test_sub_folders_are_made(tmp_path: Path) -> None:
    [saved] = save_numbered(tmp_path / "output", "fruit/red/apple", ".png", [b"1"])

    assert saved.path == tmp_path / "output" / "fruit" / "red" / "apple_00001.png"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "fruit/",
        "/etc/passwd",
        "../apple",
        "fruit/../../apple",
        "a\0b",
        "a\\b",
        "C:apple",
        ".hidden",
        "fruit/.git/apple",
        " apple",
        "apple ",
        "a|b",
        "a?",
        "a\nb",
        "a\u202egnp.exe",
        "a\u2066b",
        "fruit\u200b/apple",
        "a\u200eb",
        "a\ufeffb",
        "a\u2028b",
        "a\ud800b",
        "con.txt",
        "aux/apple",
        "fruit/lpt1.x/apple",
    ],
)
def test_names_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    with raises(InvalidValue, port="name"):
        save_numbered(tmp_path / "output", name, ".png", [b"1"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["apple", "fruit/apple", "Äpfel 狐", "a.b", "a-1_(2)", "con", "x" * 100]
)
def test_other_names_are_fine(name: str) -> None:
    check_name(name)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "way").symlink_to(tmp_path / "elsewhere")

    with raises(InvalidValue, port="name"):
        save_numbered(tmp_path / "output", "way/apple", ".png", [b"1"])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_name_too_long_for_a_file_system_is_refused(tmp_path: Path) -> None:
    with raises(InvalidValue, port="name"):
        save_numbered(tmp_path, "x" * 300, ".png", [b"x"])


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with raises(OutputError):
        check_folder(tmp_path / "file" / "below")


def test_an_output_folder_that_is_still_to_be_made_is_fine(tmp_path: Path) -> None:
    check_folder(tmp_path / "to" / "be" / "made")


def test_a_file_in_place_of_the_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "output").write_bytes(b"")

    with raises(OutputError):
        save_numbered(tmp_path / "output", "apple", ".png", [b"1"])


@pytest.mark.parametrize("has_links", [True, False])
def test_many_at_once_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:

        def refuse(source: Path, target: Path, **_: object) -> None:
            raise PermissionError("no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    contents = [f"{index}".encode() for index in range(40)]
    workers = 8 if has_links else 1

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda data: save_numbered(tmp_path, "a", ".png", [data]), contents))

    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == sorted(contents)


def test_previews_are_named_by_content(tmp_path: Path) -> None:
    first = save_by_content(tmp_path / "previews", ".png", b"1")
    again = save_by_content(tmp_path / "previews", ".png", b"1")

    assert again.path == first.path
    assert (first.existed, again.existed) == (False, True)
    assert save_by_content(tmp_path / "previews", ".png", b"2").path != first.path


def test_a_preview_folder_that_cannot_be_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "previews").write_bytes(b"")

    with raises(OutputError):
        save_by_content(tmp_path / "previews", ".png", b"1")
