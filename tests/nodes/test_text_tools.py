"""Texts: templates, parts, patterns, JSON, files."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nodegraph_nodes import _texts
from nodegraph_nodes.text_tools import (
    ChangeCase,
    CompareTexts,
    FindText,
    FormatText,
    JoinTexts,
    PickJson,
    ReplaceText,
    SplitText,
    ToText,
)

from nodegraph.core import patterns
from nodegraph.errors import InvalidValue
from tests.messages import raises
from tests.nodes.conftest import Bench, link


def test_a_template_takes_values_of_all_kinds() -> None:
    text = FormatText("{a} {b:.2f} {c:04d} {{d}} {e} {f}", "x", 2 / 3, 7.2, None, True, ["y", 1])
    assert text == "x 0.67 0007 {d} true y, 1"


@pytest.mark.parametrize(("template", "a"), [("{b}", 1), ("{a:.2f}", "x"), ("{a:d}", float("nan"))])
def test_a_place_without_a_fitting_value_is_told(template: str, a: Any) -> None:
    with pytest.raises(InvalidValue):
        FormatText(template, a)


def test_a_template_reaches_nothing_within_values(bench: Bench) -> None:
    for template in ("{a.__class__}", "{a[0]}", "{0}", "{}", "{a!r}", "{a:99999999d}", "}"):
        nodes = {"f": {"type": "FormatText", "inputs": {"template": template, "a": "x"}}}
        [problem] = bench.problems(nodes, "f")
        assert problem.port == "template"


@given(st.lists(st.text(st.characters(exclude_characters=",", codec="utf-8"), min_size=1)))
def test_what_is_joined_is_split_again(parts: list[str]) -> None:
    joined = JoinTexts(parts, ",")
    assert SplitText(joined, ",", trim=False) == parts


def test_parts_of_a_text() -> None:
    assert SplitText(" a , ,b") == ["a", "b"]
    assert SplitText(" a , ,b", keep_empty=True) == ["a", "", "b"]
    assert SplitText("a  b\nc", "") == ["a", "b", "c"]
    assert SplitText("a\tb", r"\t") == ["a", "b"]
    assert JoinTexts(["a", "b"], r"\n") == "a\nb"


def test_replacing() -> None:
    assert ReplaceText("a.b.c", ".", "-") == "a-b-c"
    assert ReplaceText("Fox fox", "FOX", r"\1", ignore_case=True) == r"\1 \1"
    assert ReplaceText("2024-11-22", r"(\d+)-(\d+)", r"\2/\1", regex=True) == "11/2024-22"
    assert ReplaceText("abc", "", "x") == "abc"
    with raises(InvalidValue, port="replacement", given="\\9"):
        ReplaceText("a", "a", r"\9", regex=True)


def test_finding() -> None:
    assert FindText("seed 7, cfg 4.5", r"[\d.]+") == ["7", "4.5"]
    assert FindText("a=1 b=2", r"(\w)=(\d)", group=2) == ["1", "2"]
    assert FindText("", "x") == []
    with raises(InvalidValue, port="group", given="1"):
        FindText("a", "a", group=1)


@pytest.mark.parametrize(
    "pattern",
    ["((((a{1000}){1000}){1000}))", r"(?:[^]x]{400}\({300}){400}", "a{1000000}", "a{300}{300}{9}"],
)
def test_a_pattern_that_would_take_all_memory_is_told_before_it_does(
    bench: Bench, pattern: str
) -> None:
    nodes = {"find": {"type": "FindText", "inputs": {"text": "a", "pattern": pattern}}}
    [problem] = bench.problems(nodes, "find")
    assert (problem.node, problem.port) == ("find", "pattern")
    assert "too long, because each repetition is expanded" in problem.message


def test_counts_that_are_not_written_out_are_no_matter() -> None:
    text = "ab" * 600
    for pattern in ("(?:(?:ab){1,1000}){1,1000}", "(?:ab){600}", "((ab){2,}){1,9999}", "[{9}]*.+"):
        assert FindText(text, pattern) == [text]
    assert FindText("{3}((", r"\{3\}\({2}") == ["{3}(("]


def test_a_pattern_within_itself_is_told_by_its_own_name() -> None:
    with raises(InvalidValue, port="pattern"):
        patterns.search_with_timeout(_run_out, "pattern")


def _run_out(_: float) -> None:
    raise MemoryError


def test_a_pattern_that_takes_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_SECONDS", 0.05)
    with raises(InvalidValue, port="other"):
        CompareTexts("a" * 60 + "b", "matches", "(?:a|aa)+$")


@pytest.mark.parametrize(
    ("how", "other", "expected"),
    [
        ("is", "a red FOX", True),
        ("contains", "Red", True),
        ("starts with", "a r", True),
        ("ends with", "red", False),
        ("matches", r"\bf.x$", True),
    ],
)
def test_comparing(how: Any, other: str, expected: bool) -> None:
    assert CompareTexts("A red fox", how, other) is expected


def test_letters() -> None:
    text = "a  red FOX. "
    assert ChangeCase(text, "sentence", trim=True) == "A red FOX."
    assert ChangeCase(text, "title") == "A  Red Fox. "
    assert (ChangeCase("ß", "upper"), ChangeCase("Ab", "swapped")) == ("SS", "aB")


def test_the_first_ones_alone_are_found_or_replaced() -> None:
    assert FindText("a1 b2 c3", r"\d", most=2) == ["1", "2"]
    assert ReplaceText("a.b.c", ".", "-", most=1) == "a-b.c"
    assert ReplaceText("a1 b2 c3", r"\d", "", regex=True, most=2) == "a b c3"


@pytest.mark.parametrize(("text", "path"), [('{"a": 1}', "b"), ("no JSON", "a"), ("[1]", "[3]")])
def test_a_missing_part_of_json_may_be_an_empty_text(text: str, path: str) -> None:
    assert PickJson(text, path, missing="empty") == ""
    with pytest.raises(InvalidValue):
        PickJson(text, path)


def test_parts_of_json() -> None:
    text = json.dumps({"images": [{"seed": 7}, {"seed": [1, "x"]}], "n": None, "a b": True})
    assert PickJson(text, "images[0].seed") == 7
    assert PickJson(text, "images[-1].seed") == [1, "x"]
    assert PickJson(text, "images[0]") == '{"seed": 7}'
    assert PickJson(text, "a b") is True
    for wrong in ("images[2]", "images.seed", "nothing", "images[0", "n.x", "[0]"):
        with raises(InvalidValue, port="path"):
            PickJson(text, wrong)
    with raises(InvalidValue, port="text"):
        PickJson("[" * 100_000)


def test_values_as_texts() -> None:
    assert [ToText(value) for value in (1.5, 7, True, "x")] == ["1.5", "7", "true", "x"]
    assert ToText([1, "a"]) == "1\na"
    assert ToText(2 / 3, digits=2) == "0.67"


def test_values_become_texts_whole_or_not_at_all() -> None:
    long = "a" * 100_001
    assert FormatText("{a}!", long) == f"{long}!"
    assert ToText(long) == long
    assert ToText([long, 1]) == f"{long}\n1"
    assert ToText({"list": list(range(2000))}).endswith(" 1999: 1999")
    deep: Any = 1
    for _ in range(60):
        deep = {"a": deep}
    with raises(InvalidValue):
        ToText(deep)
    with raises(InvalidValue):
        ToText(["b" * 1_000_000] * 5)


def test_a_file_is_read_anew_when_it_changes(bench: Bench) -> None:
    file = bench.folder / "inputs" / "prompts.txt"
    file.write_bytes("\ufeffä fox\r\n".encode())
    nodes = {"t": {"type": "LoadText", "inputs": {"path": "prompts.txt"}}}
    assert bench.value(nodes, "t.text") == "ä fox\n"
    file.write_bytes(b"caf\xe9")
    assert bench.value(nodes, "t.text") == "café"


def test_a_file_that_is_none_is_told_before_anything_runs(bench: Bench) -> None:
    (bench.folder / "inputs" / "large.txt").write_bytes(b" " * (_texts.LARGEST + 1))
    for path in ("none.txt", "large.txt", "."):
        [problem] = bench.problems({"t": {"type": "LoadText", "inputs": {"path": path}}}, "t")
        assert problem.port == "path"


def test_what_is_no_file_is_told_and_not_waited_for(bench: Bench) -> None:
    os.mkfifo(bench.folder / "inputs" / "pipe.txt")
    for path in ("pipe.txt", "/dev/zero", "a\0b", "~nobody-of-this-name/a.txt"):
        [problem] = bench.problems({"t": {"type": "LoadText", "inputs": {"path": path}}}, "t")
        assert problem.port == "path"


def test_texts_that_get_too_long_are_refused_before_they_are_made() -> None:
    """Each of them would come to a terabyte."""
    many, long = "a" * 1_000_000, "b" * 1_000_000
    for regex in (False, True):
        with raises(InvalidValue):
            ReplaceText(many, "a", long, regex=regex)
    with raises(InvalidValue, given="5000000"):
        FormatText("{a}" * 1_000_000, long)
    with raises(InvalidValue, given="1000000000000"):
        JoinTexts(["a"] * 1_000_000, long)


def test_a_text_has_no_millions_of_parts() -> None:
    text = "a " * (_texts.MOST_PARTS + 1)
    with raises(InvalidValue, port="text"):
        SplitText(text, " ")
    with raises(InvalidValue, port="text"):
        FindText(text, "a")


def test_patterns_are_checked_before_anything_runs(bench: Bench) -> None:
    nodes = {
        "find": {"type": "FindText", "inputs": {"text": "a", "pattern": "("}},
        "plain": {"type": "ReplaceText", "inputs": {"text": "a", "find": "("}},
        "replace": {"type": "ReplaceText", "inputs": {"text": "a", "find": "(", "regex": True}},
        "is": {"type": "CompareTexts", "inputs": {"text": "a", "other": "("}},
        "list": {
            "type": "List",
            "inputs": {
                f"item_{at}": link(name)
                for at, name in enumerate(("find", "plain", "replace", "is"), start=1)
            },
        },
        "show": {"type": "ShowValue", "inputs": {"value": link("list")}},
    }
    assert {problem.node for problem in bench.problems(nodes)} == {"find", "replace"}
