"""Prompts that are drawn: what can come, how often, and what is told where it can't."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.sampling.wildcards import (
    WildcardFiles,
    draw_prompt,
    every_prompt,
    parse_choices,
    wildcard_names,
)
from tests.messages import raises

LINES = {
    "color": ["red", "blue"],
    "pets/small": ["a {cat|fox}", "a __color__ mouse"],
    "loop": ["__loop__"],
    "broken": ["a {b"],
}


def every(text: str, most: int = 100) -> list[str]:
    return every_prompt(text, LINES.__getitem__, most)


def drawn(text: str, seeds: int = 200) -> Counter[str]:
    return Counter(draw_prompt(text, seed, LINES.__getitem__) for seed in range(seeds))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain (a:1.2) [b|c]", ["plain (a:1.2) [b|c]"]),
        ("a {red|green} {1|2}", ["a red 1", "a red 2", "a green 1", "a green 2"]),
        ("{{a|b}|c}", ["a", "b", "c"]),
        ("{a|a|b}", ["a", "b"]),
        ("{|x}", ["", "x"]),
        ("{2$$a | b |c}", ["a, b", "a, c", "b, c"]),
        ("{1-2$$ and $$a|b}", ["a", "b", "a and b"]),
        ("{3::a|0::b|.5::c}", ["a", "c"]),
        ("__color__", ["red", "blue"]),
        ("{2$$+$$__color__}", ["red+blue"]),
        ("__pets/small__", ["a cat", "a fox", "a red mouse", "a blue mouse"]),
        (r"\{a\} \(b\) \__color__ x_y__z ____", [r"{a} \(b\) __color__ x_y__z ____"]),
        (r"{a\|b|c} [a\|b]", [r"a|b [a\|b]", r"c [a\|b]"]),
        ("", [""]),
    ],
)
def test_all_that_can_be_drawn(text: str, expected: list[str]) -> None:
    assert every(text) == expected


@pytest.mark.parametrize("text", ["a {red|green} {1|2}", "{1-2$$ and $$a|b}", "__pets/small__"])
def test_draws_are_all_of_them_and_no_others(text: str) -> None:
    allowed = set(every(text)) | ({"b and a"} if "and" in text else set())
    assert set(drawn(text)) == allowed


def test_weights_say_how_often() -> None:
    found = drawn("{3::a|b}", 2000)
    assert 2.5 < found["a"] / found["b"] < 3.5
    assert drawn("{0::a|b}") == {"b": 200}


def test_a_seed_draws_what_it_always_drew() -> None:
    text = "{a|b|c} {2$$x|y|z} __pets/small__"
    found = [draw_prompt(text, seed, LINES.__getitem__) for seed in (0, 1, 2**64 - 1)]
    assert found == ["c z, x a fox", "a z, y a cat", "a y, x a blue mouse"]


@given(st.text("ab{}|_\\:$12 /", max_size=30), st.integers(0, 2**64 - 1))
def test_any_text_is_drawn_from_or_refused(text: str, seed: int) -> None:
    try:
        names = list(wildcard_names(parse_choices(text)))
        found = draw_prompt(text, seed, lambda name: [name.upper()])
    except InvalidValue:
        return
    assert all("/" not in (name[0], name[-1]) and ".." not in name for name in names)
    assert isinstance(found, str)


@given(st.text("ab (:|", max_size=20))
def test_text_without_braces_is_itself(text: str) -> None:
    assert draw_prompt(text, 1, LINES.__getitem__) == text


@pytest.mark.parametrize(
    "text",
    [
        "ab {c",
        "a}",
        "{3$$a|b}",
        "{2-1$$a|b}",
        "a __broken__",
        "{2$$__broken__}",
        "{0::a|0::b}",
        "{3$$__color__}",
        "__loop__",
        "{" * 30 + "}" * 30,
    ],
)
def test_what_is_none_is_told(text: str) -> None:
    with raises(InvalidValue, port="text"):
        draw_prompt(text, 0, LINES.__getitem__)


@pytest.mark.parametrize("text", ["{a|b}" * 20, "{a|a}" * 60, "{a|b}" * 300])
def test_too_many_prompts_are_refused(text: str) -> None:
    with raises(InvalidValue):
        every(text)


def test_long_texts_are_read() -> None:
    for piece in ("__a ", "_", "\\", "__a__ ", "{a|b} ", "a "):
        parse_choices(piece * 20_000)


def test_files_are_read_without_comments(tmp_path: Path) -> None:
    folder = tmp_path / "wildcards" / "pets"
    folder.mkdir(parents=True)
    (folder / "small.txt").write_text("\ufeff# of mine\n cat \n\nfox\n", encoding="utf-8")
    (folder / "none.txt").write_text("#\n", encoding="utf-8")
    (folder / "odd.txt").write_bytes(b"\xff\xfe\xfd")
    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "wildcards" / "link.txt").symlink_to(tmp_path / "outside.txt")
    read: list[Path] = []
    files = WildcardFiles(tmp_path, reading=read.append)

    assert [files("pets/small"), files("pets/small")] == [["cat", "fox"]] * 2
    assert read == [folder / "small.txt"]
    for name, message in {"none": "no lines", "odd": "UTF-8", "smal": "pets/small"}.items():
        with pytest.raises(InvalidFile, match=message):
            files(f"pets/{name}")
    for name in ("link", "../outside"):
        with raises(InvalidFile, port="text"):
            files(name)
    (folder / "smal.txt").mkdir()
    with raises(InvalidFile, port="text", given="pets/smal"):
        files("pets/smal")
    with pytest.raises(InvalidFile) as caught:
        WildcardFiles(tmp_path, names=False)("pets/smal")
    assert caught.value.problem.hint is None


@pytest.mark.parametrize("name", ["pets (small)", "cat & dog", "rock'n'roll", "v1.5", "c++ (2)"])
def test_names_of_files_may_have_brackets_and_other_signs(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "wildcards" / "more"
    folder.mkdir(parents=True)
    (folder / f"{name}.txt").write_text("a cat")
    assert draw_prompt(f"(__more/{name}__:1.2)", 0, WildcardFiles(tmp_path)) == "(a cat:1.2)"


def test_a_name_that_no_prompt_can_have_is_not_advised(tmp_path: Path) -> None:
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "wildcards" / "cat, dog.txt").write_text("a cat")
    with pytest.raises(InvalidFile) as caught:
        draw_prompt("__cat dog__", 0, WildcardFiles(tmp_path))
    assert caught.value.problem.hint == (
        "Rename wildcards/cat, dog.txt: names in prompts may contain only letters, digits and "
        "_-().'&+."
    )


@pytest.mark.parametrize(
    "line", [pytest.param("__next__" * 50, marks=pytest.mark.slow), "{}__next__" * 50]
)
def test_files_that_name_each_other_many_times_come_to_no_billions(line: str) -> None:
    lines = {"one": [line.replace("next", "two")], "two": [line.replace("next", "three")]}
    lines |= {"three": [line.replace("next", "four")], "four": ["{}"]}
    with raises(InvalidValue, port="text", given="four"):
        draw_prompt("__one__", 0, lines.__getitem__)
    with raises(InvalidValue, port="text", given="four"):
        every_prompt("__one__", lines.__getitem__, 10)


def test_a_prompt_that_is_drawn_is_of_a_bounded_length() -> None:
    lines = {"long": ["x" * 100_000]}
    with raises(InvalidValue, port="text"):
        draw_prompt("__long__" * 20, 0, lines.__getitem__)
    with raises(InvalidValue, port="text"):
        every_prompt("__long__" * 20, lines.__getitem__, 10)
