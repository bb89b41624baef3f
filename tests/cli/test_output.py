"""Text for terminals, logs and programs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from nodegraph.cli.output import (
    can_show,
    display_width,
    echo,
    format_path,
    format_seconds,
    format_size,
    has_color,
    pluralize,
    print_table,
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123456, "123 kB"), (5.5e9, "5.5 GB"),
     (99_950, "100 kB"), (999_600, "1.0 MB"), (140_737_488_355_328, "141 TB"), (7e15, "7.0 PB"),
     (4.2e18, "4,200 PB")],
)  # fmt: skip
def test_sizes_have_the_unit_that_suits_them(size: float, shown: str) -> None:
    assert format_size(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0 ms"), (0.0123, "12 ms"), (0.1, "0.1 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"),
     (754, "12 min 34 s"), (7260, "2 h 1 min")],
)  # fmt: skip
def test_durations_are_as_exact_as_it_is_of_use(seconds: float, shown: str) -> None:
    assert format_seconds(seconds) == shown


def test_nouns_are_counted() -> None:
    assert [pluralize(number, "node") for number in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]


def test_paths_below_the_current_folder_are_relative(tmp_path: Path) -> None:
    assert format_path(tmp_path / "a" / "b") == str(Path("a") / "b")
    assert format_path(Path(tmp_path.anchor) / "x") == str(Path(tmp_path.anchor) / "x")


def test_wide_letters_take_two_cells() -> None:
    assert [display_width(text) for text in ("abc", "漢字", "e\u0301")] == [3, 4, 1]


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([("a", "漢字", "x"), ("long", "b", ""), ("", "c", "two\nlines")], indent=1)
    assert capsys.readouterr().out.splitlines() == [
        " a     漢字  x",
        " long  b",
        "       c     two",
        "             lines",
    ]


def test_a_terminal_gets_wrapped_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", "40")
    print_table([("name", "word " * 12)])
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all(len(line) <= 40 for line in lines)
    assert lines[1].startswith("      word")


def test_a_terminal_gets_colours_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("TERM", "xterm")
    assert has_color(Terminal())
    assert not has_color(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_color(Terminal())


def test_styled_text_is_plain_where_there_is_no_terminal(capsys: Any) -> None:
    echo(("red", "red"), " and plain")
    assert capsys.readouterr().out == "red and plain\n"


def test_what_an_encoding_has_can_be_shown() -> None:
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert can_show("é", latin)
    assert not can_show("漢", latin)
