"""Errors are data first: fields that an editor can use, and a text that says them all."""

from __future__ import annotations

import copy
import pickle

import pytest

from nodegraph.errors import InvalidFile, InvalidWorkflow, NodeFailed, NodegraphError, Problem
from tests.messages import raises

PROBLEM = Problem(
    "wrong-type", "doesn't fit", "sample", "KSampler", "latent", "Image", "Latent", "Put it right."
)


def test_a_problem_says_place_given_expected_and_mend() -> None:
    assert str(PROBLEM) == (
        "node `sample` (KSampler), input `latent`: doesn't fit "
        "(given: Image; expected: Latent). Put it right."
    )


def test_a_problem_without_a_place_is_its_message() -> None:
    assert str(Problem("x", "something is wrong")) == "something is wrong"
    assert str(Problem("x", "Is it?", hint="No.")) == "Is it? No."


def test_only_what_is_known_is_in_the_data() -> None:
    assert Problem("x", "wrong", port="a").as_dict() == {
        "code": "x",
        "message": "wrong",
        "port": "a",
    }


def test_an_error_is_one_problem_with_its_kinds_code() -> None:
    error = InvalidFile("is no file", hint="Look again.")
    assert error.problem.code == "invalid-file"
    assert list(error.problems) == [error.problem]
    assert str(error) == "is no file. Look again."


def test_an_invalid_workflow_carries_every_problem() -> None:
    other = Problem("x", "something else")
    error = InvalidWorkflow([PROBLEM, other])
    assert tuple(error.problems) == (PROBLEM, other)
    assert str(error).splitlines() == [str(PROBLEM), str(other)]
    assert isinstance(error, NodegraphError)


def test_no_problem_is_no_invalid_workflow() -> None:
    with raises(ValueError):
        InvalidWorkflow([])


@pytest.mark.parametrize(
    "error",
    [
        InvalidFile("is no file", node="load", port="path", hint="Look again."),
        InvalidWorkflow([PROBLEM, Problem("x", "something else")]),
        NodeFailed(ValueError("no"), node="a", node_type="A", inputs={"x": "3"}, trace="line 1"),
    ],
)
def test_an_error_goes_to_another_process(error: NodegraphError) -> None:
    for found in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(found) is type(error)
        assert str(found) == str(error)
        assert found.problems == error.problems
        assert vars(found) == vars(error)
