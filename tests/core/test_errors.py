"""Errors are data first: fields that an editor can use, and a text that says them all."""

from __future__ import annotations

import pytest

from nodegraph.errors import InvalidFile, InvalidWorkflow, NodegraphError, Problem

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
    with pytest.raises(ValueError, match="at least one"):
        InvalidWorkflow([])
