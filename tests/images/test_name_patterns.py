"""Names that say when and by what values a result was made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from nodegraph.errors import InvalidValue
from nodegraph.media.images.output_names import check_pattern, expand_pattern, pattern_findings
from tests.messages import raises

NOW = datetime(2026, 11, 2, 9, 5, 7)
WORKFLOW: dict[str, Any] = {
    "nodes": {
        "sample": {"inputs": {"seed": 7, "cfg": 4.5, "model": {"from": "load"}}},
        "prompt": {"inputs": {"text": "../a: <red> apple?" + "y" * 100}},
    }
}


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("apple", "apple"),
        ("%date%/apple_%time%", "2026-11-02/apple_09-05-07"),
        ("%year%%month%%day%_%hour%%minute%%second%", "20261102_090507"),
        ("%date:yy.MM.dd-HHmmss%", "26.11.02-090507"),
        ("%date:d.M.yyyy h-m-s%", "2.11.2026 9-5-7"),
        ("%width%x%height%_%index%", "64x32_3"),
        ("s%sample.seed%_c%sample.cfg%", "s7_c4.5"),
        ("%time%/x", "09-05-07/x"),
        ("100%", "100%"),
        ("50% sampled. 30%", "50% sampled. 30%"),
        ("100% of 50% %date%", "100% of 50% 2026-11-02"),
        ("20%a.b 30%", "20%a.b 30%"),
    ],
)
def test_words_become_values(pattern: str, name: str) -> None:
    check_pattern(pattern)
    found = expand_pattern(pattern, now=NOW, workflow=WORKFLOW, size=(64, 32), index=3)
    assert found == name


def test_values_never_lead_out_of_the_folder() -> None:
    found = expand_pattern("%prompt.text%", now=NOW, workflow=WORKFLOW)
    assert found.startswith("_a_ _red_ apple")
    assert len(found) <= 60
    assert expand_pattern("%date:..%", now=NOW, workflow={}) == "_"


def test_what_has_no_value_of_its_own_is_told() -> None:
    told: list[str] = []
    found = expand_pattern("%sample.model%", now=NOW, workflow=WORKFLOW, warn=told.append)
    assert found == "sample.model"
    assert len(told) == 1


@pytest.mark.parametrize("word", ["%sampel.seed%", "%Sample.seed%"])
def test_a_misspelt_node_is_refused_with_its_name(word: str) -> None:
    with raises(InvalidValue, port="name", given=word, expected="%sample.seed%"):
        expand_pattern(f"apple_{word}", now=NOW, workflow=WORKFLOW)


NODES: dict[str, dict[str, Any]] = {
    "sample": {"seed": 7, "cfg": None, "sampler": "euler", "model": None},
    "first look": {"text": "a"},
}


@pytest.mark.parametrize(
    ("pattern", "given", "hint"),
    [
        ("a_%sampl.seed%", "%sampl.seed%", "Did you mean `%sample.seed%`?"),
        ("%Sample.seed%", "%Sample.seed%", "Did you mean `%sample.seed%`?"),
        ("%sample.sed%", "%sample.sed%", "Did you mean `%sample.seed%`?"),
        ("%frst look.text%", "%frst look.text%", "Did you mean `%first look.text%`?"),
    ],
)
def test_what_is_misspelt_is_found_before_the_run(pattern: str, given: str, hint: str) -> None:
    [found] = pattern_findings(pattern, NODES)
    assert not found.is_warning
    assert (found.port, found.given, found.hint) == ("name", given, hint)


@pytest.mark.parametrize("word", ["upscale.model", "sample.sampler_name", "sample.cfg"])
def test_what_stands_for_no_value_is_warned_of_before_the_run(word: str) -> None:
    [found] = pattern_findings(f"a_%{word}%", NODES)
    assert found.is_warning
    assert f"%{word}%" in (found.given or "")


def test_a_node_without_the_input_is_not_what_was_meant() -> None:
    [found] = pattern_findings("%sampler.text%_", NODES)
    assert found.is_warning
    assert not found.hint
    told: list[str] = []
    name = expand_pattern("%sampler.text%", now=NOW, workflow=WORKFLOW, warn=told.append)
    assert (name, len(told)) == ("sampler.text", 1)


def test_what_has_a_value_or_is_plain_text_is_fine() -> None:
    assert list(pattern_findings("%sample.seed%_%date%_%first look.text%_5%", NODES)) == []
    assert list(pattern_findings("50% sampled. 30%_%date:d.M.yy%", NODES)) == []


def test_a_node_that_is_not_there_is_told() -> None:
    """As of a workflow that came from elsewhere without it."""
    told: list[str] = []
    expand_pattern("%upscale.model%", now=NOW, workflow=WORKFLOW, warn=told.append)
    assert len(told) == 1


@pytest.mark.parametrize("pattern", ["%dat%", "../%date%", "%date%/", "%%date%%x%nothing%"])
def test_what_stands_for_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_pattern(pattern)
    if pattern == "%dat%":
        assert "Did you mean `date`" in str(caught.value)
