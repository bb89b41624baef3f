"""What the server refuses, as errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.client import (
    Client,
    Conflict,
    Forbidden,
    JobNotFound,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthenticated,
    UnexpectedAnswer,
)
from nodegraph.errors import (
    InvalidFile,
    InvalidValue,
    InvalidWorkflow,
    ModelNotFound,
    NodegraphError,
    Problem,
)
from tests.client.support import ONCE, Said, answering, client_of, problem
from tests.messages import raises
from tests.properties import examples
from tests.server.hosting import Hosted, workflow


def told(said: Said) -> NodegraphError:
    with answering(said) as server, client_of(server, retries=ONCE) as client:
        with pytest.raises(NodegraphError) as caught:
            client.get("job_x")
        return caught.value


def test_what_is_wrong_with_a_workflow_comes_with_its_place(client: Client) -> None:
    wrong = workflow(
        odd={"type": "sums:Summ", "inputs": {}}, sum={"type": "sums:Sum", "inputs": {"a": "text"}}
    )
    with pytest.raises(InvalidWorkflow) as caught:
        client.submit(wrong)
    found = {(each.node, each.port, each.hint) for each in caught.value.problems}
    assert ("odd", None, "Did you mean `sums:Sum`?") in found
    assert any(node == "sum" and port == "a" for node, port, _ in found)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (problem(404, "job-not-found"), JobNotFound),
        (problem(404, "not-found"), NotFound),
        (problem(401, "unauthenticated"), Unauthenticated),
        (problem(403, "forbidden"), Forbidden),
        (problem(409, "job-state"), Conflict),
        (problem(412, "precondition-failed"), Conflict),
        (problem(429, "queue-full"), TooManyRequests),
        (problem(422, "invalid-value"), InvalidValue),
        (problem(422, "invalid-file"), InvalidFile),
        (problem(422, "model-not-found"), ModelNotFound),
        (problem(422, "invalid-workflow"), InvalidWorkflow),
        (problem(500, "server-error"), ServerError),
        (problem(418, "something-new"), ServerError),
        (Said(404, {}, b"<html>"), NotFound),
        (Said(502, {}, b"<html>"), ServerError),
        (Said(200, {}, b"<html>"), UnexpectedAnswer),
        (Said(200, {}, b"[]"), UnexpectedAnswer),
        (Said(200, {"Content-Type": "application/json"}, b'{"id": 3}'), UnexpectedAnswer),
    ],
)
def test_each_refusal_is_an_error_of_its_kind(said: Said, kind: type[NodegraphError]) -> None:
    found = told(said)
    assert type(found) is kind
    assert found.problems


def test_an_error_carries_what_the_server_says() -> None:
    problems = [
        {"code": "a", "message": "first", "node": "n", "hint": "Do this.", "later": "field"},
        {"code": "b", "message": "second", "given": "3"},
    ]
    headers = {"Retry-After": "7", "X-Request-Id": "r-17"}
    found = told(problem(503, "unavailable", problems=problems, headers=headers))
    assert isinstance(found, ServerError)
    assert (found.status, found.retry_after, found.request_id) == (503, 7.0, "r-17")
    assert found.is_passing
    assert [each.code for each in found.problems] == ["a", "b"]
    assert found.problems[1] == Problem("b", "second", given="3")
    assert "first" in str(found)
    assert "second" in str(found)
    assert "r-17" in str(found)


def test_a_server_of_its_own_troubles_is_not_taken_for_ours() -> None:
    # The server can't write; that says nothing of this machine's files.
    assert type(told(problem(503, "output-failed"))) is ServerError


def test_without_a_token_the_error_says_where_to_put_one(own_server: Hosted) -> None:
    own_server.token("ann", "run")
    with client_of(own_server) as client, raises(Unauthenticated):
        client.system()


FIELDS = st.sampled_from(["type", "title", "status", "detail", "code", "problems", "headers"])
NAMES = st.text(st.characters(codec="latin-1", exclude_categories=["C"]), max_size=30)


@settings(deadline=None, max_examples=examples(60))
@given(
    st.dictionaries(
        st.text() | FIELDS, st.none() | st.text() | st.integers() | st.lists(st.text())
    ),
    st.sampled_from([400, 401, 404, 409, 422, 500]),
)
def test_any_document_is_some_error(document: dict[str, Any], status: int) -> None:
    usual = {"type": "/problems/x", "title": "x", "status": status, "detail": "x"}
    body = json.dumps(usual | document).encode()
    assert str(told(Said(status, {"Content-Type": "application/problem+json"}, body)))


@settings(deadline=None, max_examples=examples(60))
@given(st.binary(), st.integers(200, 599), NAMES)
def test_any_answer_is_some_error(body: bytes, status: int, kind: str) -> None:
    body = b"" if status in (204, 205, 304) else body
    for named in (kind, "application/problem+json"):
        assert told(Said(status, {"Content-Type": named.strip()}, body)).problems


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("7", 7.0), ("", None), ("soon", None), ("-3", None), ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0)],
)
def test_when_to_come_back(given: str, seconds: float | None) -> None:
    found = told(problem(429, "too-many-requests", headers={"Retry-After": given}))
    assert isinstance(found, TooManyRequests)
    assert found.retry_after == seconds
