"""What clients of both kinds can ask."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodegraph import Workflow
from nodegraph.client import (
    Client,
    Conflict,
    JobFailed,
    JobNotFound,
    NotFound,
    NotReachable,
    Saved,
    ServerError,
    TookTooLong,
)
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, UnsafeFile
from tests.client.support import (
    ONCE,
    Background,
    client_of,
    either_client,
    finished,
    in_both_kinds,
    until,
)
from tests.messages import raises
from tests.server.hosting import Hosted, workflow
from tests.server.resources import digest_of, picture
from tests.server.talking import Worker


@in_both_kinds
def test_a_job_is_submitted_and_found(either: Any) -> None:
    job = either.submit(
        workflow(),
        parameters={"b": 4},
        name="sum",
        tags=["a"],
        priority=3,
        held=True,
        targets=["show"],
        options={"deadline": 5.0},
    )
    assert (job.name, job.tags, job.priority, job.held, job.state) == (
        *("sum", ("a",), 3, True),
        "queued",
    )
    found = either.get(job)
    assert (found.id, found.parameters, found.targets) == (job.id, {"b": 4}, ("show",))
    assert found.options == {"deadline": 5.0}
    assert either.workflow(job.id) == workflow()


def test_numbers_of_numpy_are_sent_as_others(either: Any) -> None:
    options = {"deadline": np.float32(5)}
    job = either.submit(workflow(), parameters={"b": np.int64(4)}, held=True, options=options)
    assert either.get(job).parameters == {"b": 4}
    with raises(InvalidValue):
        either.submit(workflow(), parameters={"b": object()})


def test_workflows_are_given_in_several_forms(either: Any) -> None:
    either.workflows.save("sum", workflow())
    jobs = [
        either.submit(workflow()),
        either.submit(Workflow.from_dict(workflow())),
        either.submit(Saved("sum", 1)),
    ]
    assert {str(either.workflow(job)["nodes"]) for job in jobs} == {str(workflow()["nodes"])}


def test_submitting_twice_makes_two_jobs_unless_a_key_says_otherwise(either: Any) -> None:
    assert either.submit(workflow()).id != either.submit(workflow()).id
    assert either.submit(workflow(), key="k").id == either.submit(workflow(), key="k").id


def test_jobs_are_listed_over_all_pages(either: Any) -> None:
    made = [either.submit(workflow(), name=f"job {at}").id for at in range(5)]
    assert [job.id for job in either.list(limit=2)] == made[::-1]
    assert [job.id for job in either.list(limit=2, order="oldest", most=3)] == made[:3]
    assert [job.id for job in either.list(text="job 3", state="queued")] == [made[3]]
    assert list(either.list(state=["failed", "running"])) == []


def test_a_list_is_asked_for_as_it_is_needed(client: Client, server: Hosted) -> None:
    made = [client.submit(workflow()).id for _ in range(4)]
    listed = client.list(limit=2, order="oldest")
    assert [job.id for job in islice(listed, 2)] == made[:2]
    client.cancel(made[3])
    client.delete(made[3])
    assert [job.id for job in listed] == [made[2]]


def test_jobs_are_steered(either: Any) -> None:
    first, second, third = (either.submit(workflow()).id for _ in range(3))
    assert either.hold(first).held
    assert not either.unhold(first).held
    assert either.prioritise(first, 7).priority == 7
    either.prioritise(first, 0)
    either.move(third, "first")
    either.move(second, before=third)
    assert either.cancel(first).state == "cancelled"
    assert either.retry(first).state == "queued"
    with raises(Conflict, given="queued"):
        either.delete(first)
    either.cancel(first)
    assert either.delete(first) is None
    with pytest.raises(JobNotFound):
        either.get(first)
    with raises(InvalidValue):
        either.move(second)


@in_both_kinds
def test_what_jobs_give_is_waited_for(either: Any, server: Hosted, worker: Worker) -> None:
    job = either.submit(workflow())
    working = Background(lambda: finished(server, worker, job.id, {"a.txt": b"text"}))
    done = either.wait(job)
    working.result()
    assert done.state == "finished"
    assert done.checked() is done
    assert [(file.name, file.node, file.size) for file in done.files] == [("a.txt", "save", 4)]
    assert done.outputs.nodes == {"ran": 2, "cached": 1}
    listed = list(either.artifacts(job=job))
    assert [(file.digest, file.job) for file in listed] == [(digest_of(b"text"), job.id)]
    assert either.wait(job) == done


def test_a_job_that_fails_says_why(either: Any, server: Hosted, worker: Worker) -> None:
    job = either.submit(workflow())
    claimed = worker.take()
    problems = [{"code": "x", "message": "it broke", "node": "sum"}, {"code": "y", "message": "so"}]
    error = {**problems[0], "problems": problems}
    server.services.queue.fail(claimed.id, claimed.attempt, error).result()
    done = either.wait(job)
    assert [problem.message for problem in done.problems] == ["it broke", "so"]
    with raises(JobFailed) as caught:
        done.checked()
    assert caught.value.job == job.id
    assert len(caught.value.problems) == 2
    with pytest.raises(JobFailed):
        either.pull(job)


def test_waiting_ends_when_the_time_is_over(either: Any) -> None:
    job = either.submit(workflow(), held=True)
    with pytest.raises(TookTooLong, match=job.id):
        either.wait(job, timeout=0.3)
    either.cancel(job)
    assert either.wait(job).state == "cancelled"


def test_workflows_are_kept_in_versions(either: Any) -> None:
    first = either.workflows.save("sum of two", workflow(), is_new=True)
    changed = workflow() | {"title": "Another"}
    second = either.workflows.save("sum of two", changed, changes=first.digest)
    assert (first.version, second.version) == (1, 2)
    assert either.workflows.get("sum of two")["title"] == "Another"
    assert either.workflows.get("sum of two", 1)["title"] == "A sum"
    assert [each.version for each in either.workflows.versions("sum of two")] == [2, 1]
    assert [each.name for each in either.workflows.list("anoth")] == ["sum of two"]
    with pytest.raises(Conflict):
        either.workflows.save("sum of two", workflow(), is_new=True)
    with pytest.raises(Conflict):
        either.workflows.save("sum of two", workflow(), changes=first.digest)
    either.workflows.delete("sum of two")
    with pytest.raises(NotFound):
        either.workflows.get("sum of two")


def test_apps_are_run_by_their_names(either: Any, server: Hosted, worker: Worker) -> None:
    either.workflows.save("sum", workflow())
    assert [(app.name, app.parameters) for app in either.apps.list()] == [("sum", ("b",))]
    assert "b" in either.apps.get("sum").parameters["properties"]
    begun = either.apps.run("sum", {"b": 4})
    assert (begun.job.state, begun.outputs) == ("queued", None)
    finished(server, worker, begun.job.id, {})
    asked = Background(lambda: _run_app(server, key="k"))
    until(lambda: next(iter(either.list(state="queued")), None))
    finished(server, worker, next(iter(either.list(state="queued"))).id, {"a.txt": b"x"})
    ran = asked.result()
    assert [file.name for file in ran.outputs["save"]] == ["a.txt"]
    assert _run_app(server, key="k").job.id == ran.job.id
    with pytest.raises(InvalidWorkflow):
        either.apps.run("sum", {"c": 4})


def _run_app(server: Hosted, key: str) -> Any:
    with client_of(server) as client:
        return client.apps.run("sum", {"b": 5}, wait=60, key=key)


def test_an_app_that_fails(client: Client, server: Hosted, worker: Worker) -> None:
    client.workflows.save("sum", workflow())
    asked = Background(lambda: _run_app(server, key="k"))
    job = until_claimed(worker, client)
    error = {"code": "x", "message": "it broke", "problems": [{"code": "x", "message": "it broke"}]}
    server.services.queue.fail(job.id, job.attempt, error).result()
    with raises(JobFailed):
        asked.result()


def until_claimed(worker: Worker, client: Client) -> Any:
    until(lambda: next(iter(client.list(state="queued")), None))
    return worker.take()


@in_both_kinds
def test_files_are_brought(either: Any, tmp_path: Path) -> None:
    data = picture()
    path = tmp_path / "an apple.png"
    path.write_bytes(data)
    upload = either.upload(path)
    assert (upload.digest, upload.name, upload.width) == (digest_of(data), "an apple.png", 8)
    assert upload.value == f"upload:{upload.digest}/an apple.png"
    again = either.upload(data, "an apple.png")
    assert again.digest == upload.digest
    assert {each.digest for each in either.uploads()} == {upload.digest}
    with pytest.raises(UnsafeFile):
        either.upload(b"\x80\x04pickle")
    with pytest.raises(ServerError) as caught:
        either.upload(b"text")
    assert caught.value.status == 415
    with pytest.raises(InvalidValue):
        either.get("..")


def test_a_file_that_cant_be_read_is_not_sent(either: Any, tmp_path: Path) -> None:
    with raises(InvalidFile):
        either.upload(tmp_path / "none.png")


def test_looking_around(either: Any) -> None:
    types = either.node_types()
    spec = types.spec("sums:Sum")
    assert spec is not None
    assert [port.name for port in spec.inputs] == ["a", "b"]
    assert types.spec("none") is None
    assert either.node_type("sums:Sum") == spec
    with raises(NotFound, given="'sums:Summ'"):
        either.node_type("sums:Summ")
    assert "tiny" in [model.name for model in either.models()]
    system = either.system()
    assert system.node_types == len(types.specs)
    assert system.queue.counts.queued == 0
    assert either.validate(workflow()).valid
    checked = either.validate(workflow(), parameters={"c": 1})
    assert [problem.code for problem in checked.problems] == ["unknown-parameter"]


def test_a_plan_is_asked_of_the_planner(
    either: Any, server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(question: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]:
        return {
            "valid": True,
            "nodes": {"sum": {"status": "run"}},
            "totals": {"seconds": 1.0},
            "missing": {},
            "problems": [],
        }

    monkeypatch.setattr(server.services.supervisor, "ask", ask)
    found = either.plan(workflow(), parameters={"b": 2})
    assert found.nodes["sum"]["status"] == "run"


@in_both_kinds
def test_where_nobody_answers(kind: str) -> None:
    with (
        either_client(kind, "http://127.0.0.1:9", retries=ONCE) as client,
        raises(NotReachable),
    ):
        client.system()


def test_a_name_of_any_letters_is_one_name(either: Any) -> None:
    either.workflows.save("ä & b, (c)", workflow())
    assert either.workflows.get("ä & b, (c)")["title"] == "A sum"
    for name in ("a/b", "a%2fb", "a?b", "a#b"):
        with pytest.raises((InvalidValue, ServerError)):
            either.workflows.get(name)


def test_the_client_needs_neither_server_nor_torch() -> None:
    code = (
        "import sys, nodegraph.client; "
        "print([n for n in sys.modules if n.split('.')[0] in ('torch', 'fastapi', 'uvicorn') "
        "or n.startswith(('nodegraph.server', 'nodegraph.session.session', 'nodegraph.jobs'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
