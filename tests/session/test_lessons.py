"""Lessons of the gallery: each fits its workflow, and what is wrong with one is said at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.session.examples import templates
from nodegraph.session.lessons import lesson_names, lesson_text, read_lesson

LANGUAGES = {"de", "en", "es", "fr", "ja", "zh-Hans"}
NODES = {"sample": {"type": "KSampler", "inputs": {"cfg": 4}}}
WORKFLOW = Workflow.from_dict({"format": "nodegraph/1", "nodes": NODES})
TEXT = {"en": "a"}


def lesson(*steps: Any, **others: Any) -> bytes:
    """A lesson with these steps, each with a title and a text."""
    whole = [{"title": TEXT, "text": TEXT, **step} for step in steps]
    document = {"lesson": 1, "title": TEXT, "summary": TEXT, "steps": whole, **others}
    return json.dumps(document).encode()


@pytest.mark.parametrize("name", lesson_names())
def test_each_lesson_fits_its_workflow_in_six_languages(name: str) -> None:
    text = lesson_text(name)
    found = read_lesson(text, templates()[name])
    assert 4 <= found.steps <= 8
    document = json.loads(text)
    texts = [document["title"], document["summary"]]
    for step in document["steps"]:
        texts += [step["title"], step["text"]]
    assert all(each.keys() == LANGUAGES for each in texts)


def test_there_are_lessons_in_an_order() -> None:
    found = [read_lesson(lesson_text(name), templates()[name]) for name in lesson_names()]
    assert sorted(each.order for each in found) == list(range(len(found)))
    assert len(found) >= 8


def test_a_lesson_names_nodes_and_inputs_and_what_is_to_be_done() -> None:
    at = {"node": "sample", "input": "cfg"}
    goals = [{"input": "sample.cfg", "is": 1}, {"run": True}]
    found = read_lesson(lesson({"at": at, "until": goals}, {"at": {"part": "run"}}), WORKFLOW)
    assert found.steps == 2


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ({"at": {"node": "smaple"}}, "no node `smaple`"),
        ({"at": {"node": "sample", "input": "cgf"}}, "no input `sample.cgf`"),
        ({"at": {"part": "moon"}}, "no part `moon`"),
        ({"at": {}}, "a `node` or a `part`"),
        ({"until": [{"input": "sample.cfg"}]}, "one of changed, is, below, above"),
        ({"until": [{"run": True, "download": True}]}, "one of a run"),
        ({"until": [{"run": 1}]}, "must be true"),
        ({"until": {}}, "must be a list"),
        ({"text": {"de": "a"}}, "with `en` among them"),
        ({"colour": 1}, "has no `colour`"),
    ],
)
def test_a_fault_says_where_it_is(step: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read_lesson(lesson({}, step), WORKFLOW)
    assert "steps[1]" in str(caught.value)
    assert fault in str(caught.value)


def test_what_is_no_lesson_is_refused() -> None:
    for text in (b"{", b"[]", lesson(), lesson({}, lesson=2)):
        with pytest.raises(InvalidFile):
            read_lesson(text, WORKFLOW)
    with pytest.raises(InvalidValue, match="no lesson"):
        lesson_text("no_such")
