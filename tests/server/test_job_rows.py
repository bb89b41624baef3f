"""A job per row of a table: all of them or none."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from nodegraph.jobs.queue import JobFilter
from tests.server.hosting import Hosted, workflow


def rows(server: Hosted, table: Any, key: str | None = None, **more: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {"workflow": workflow(), "rows": table, **more}
    return server.client.post("/jobs/rows", json=body, headers=headers)


def parameters(server: Hosted, answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 202, answer.text
    jobs = [server.client.get(f"/jobs/{each}").json() for each in answer.json()["jobs"]]
    assert all(answer.json()["group"] in job["tags"] for job in jobs)
    return [job["parameters"] for job in jobs]


@pytest.mark.parametrize(
    "table",
    [
        "b\n4\n5\n",
        '{"b": 4}\n{"b": 5}\n',
        [{"b": 4}, {"b": "5"}],
        "\ufeffb\n4\n5\n",
        "\n\r\nb\n4\n\n5\n",
    ],
)
def test_each_row_is_a_job(server: Hosted, table: Any) -> None:
    assert parameters(server, rows(server, table)) == [{"b": 4}, {"b": 5}]


def test_a_group_is_listed_and_cancelled_by_its_tag(server: Hosted) -> None:
    answer = rows(server, "b\n4\n5\n", tags=["sums"])
    group = answer.json()["group"]
    listed = server.client.get("/jobs", params={"tag": group}).json()["items"]
    assert sorted(each["id"] for each in listed) == sorted(answer.json()["jobs"])
    assert all("sums" in each["tags"] for each in listed)
    cleared = server.client.post("/queue/clear", params={"tag": group}).json()
    assert cleared == {"cancelled": 2}


def test_a_column_may_be_an_input(server: Hosted) -> None:
    answer = rows(server, "two.value,b\n7,1\n,2\n", parameters={"b": 9})
    assert parameters(server, answer) == [{"b": 1}, {"b": 2}]
    first, second = (
        server.client.get(f"/jobs/{each}/workflow").json()["nodes"]["two"]["inputs"]["value"]
        for each in answer.json()["jobs"]
    )
    assert (first, second) == (7, 2)


def test_a_wrong_column_refuses_all(server: Hosted) -> None:
    before = len(server.services.queue.page(JobFilter(), limit=1000).jobs)
    answer = rows(server, [{"b": 1}, {"b": 2, "c": 3}])
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem["message"] == "row 2: the column `c` is no parameter of the workflow"
    assert problem["expected"] == "b"
    assert len(server.services.queue.page(JobFilter(), limit=1000).jobs) == before


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "it has no rows"),
        ("b\n", "it has no rows"),
        ([], "it has no rows"),
        ("b,b\n1,2\n", "its first line does not name each column once"),
        ("b\n1,2\n", "line 2 has more cells than there are columns"),
        ('{"b": 1}\n[1]\n', "line 2 is not a JSON object"),
    ],
)
def test_what_is_no_table_is_refused(server: Hosted, table: Any, message: str) -> None:
    answer = rows(server, table)
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"`rows` cannot be read as a table: {message}"


def test_a_value_that_does_not_fit_names_its_row(server: Hosted) -> None:
    answer = rows(server, "b\n1\nred\n2\nblue\n")
    assert answer.status_code == 422
    messages = [each["message"] for each in answer.json()["problems"]]
    assert [each.split(":")[0] for each in messages] == ["row 2", "row 4"]


def test_more_jobs_than_may_wait_are_refused_together(server: Hosted) -> None:
    before = len(server.services.queue.page(JobFilter(), limit=1000).jobs)
    answer = rows(server, [{"b": 1}] * 10_001)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "there are too many rows"
    assert len(server.services.queue.page(JobFilter(), limit=1000).jobs) == before


def test_the_same_key_makes_the_jobs_once(server: Hosted) -> None:
    first = rows(server, "b\n4\n5\n", key="once").json()
    assert rows(server, "b\n4\n5\n", key="once").json() == first
    assert rows(server, "b\n4\n6\n", key="once").status_code == 422


def test_rows_that_take_too_much_memory_are_refused(server: Hosted) -> None:
    check = {"type": "sums:Checked", "inputs": {"path": "x"}}
    large = workflow(check=check) | {"parameters": {"b": "sum.b", "path": "check.path"}}
    body = {
        "workflow": large,
        "rows": [{"b": number} for number in range(300)],
        "parameters": {"path": "x" * 1_000_000},
    }
    answer = server.client.post("/jobs/rows", json=body)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "the jobs of all rows are too large"
    assert server.services.queue.page(JobFilter()).jobs == ()
