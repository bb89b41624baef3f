"""Jobs over HTTP: submitting, finding, steering, forgetting."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

from nodegraph.core.events import Event
from tests.server.hosting import PATIENCE, Hosted, workflow
from tests.server.talking import talk


def submit(server: Hosted, **wish: Any) -> httpx.Response:
    headers = wish.pop("headers", {})
    return server.client.post("/jobs", json={"workflow": workflow(), **wish}, headers=headers)


def submitted(server: Hosted, **wish: Any) -> str:
    answer = submit(server, **wish)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that an answer tells, which must be that one."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["type"] == f"/problems/{code}"
    assert found["instance"] == answer.request.url.path
    return found


def test_a_job_is_taken_in_and_found_where_the_answer_says(server: Hosted) -> None:
    answer = submit(server, name="sum", tags=["a", "b"], priority=3, parameters={"b": 4})
    assert answer.status_code == 202
    job = httpx.get(
        f"{server.url}{answer.headers['location']}", timeout=PATIENCE, trust_env=False
    ).json()
    assert answer.json().items() <= job.items()
    assert job["state"] == "queued"
    assert (job["name"], job["tags"], job["priority"]) == ("sum", ["a", "b"], 3)
    assert job["parameters"] == {"b": 4}
    assert job["client"] == "local"
    assert server.client.get(job["links"]["workflow"].removeprefix("/api/v1")).json() == workflow()


def test_a_job_without_a_name_has_its_workflows_title(server: Hosted) -> None:
    assert submit(server).json()["name"] == "A sum"


def test_a_request_sent_twice_under_one_key_is_one_job(server: Hosted) -> None:
    first = submit(server, headers={"Idempotency-Key": "k1"})
    again = submit(server, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["location"] == first.headers["location"]
    other = submit(server, name="another", headers={"Idempotency-Key": "k1"})
    problem(other, 422, "idempotency-key-reused")
    assert len(server.client.get("/jobs").json()["items"]) == 1


def test_everything_that_is_wrong_with_a_workflow_is_told_with_its_place(server: Hosted) -> None:
    wrong = workflow(
        odd={"type": "sums:Summ", "inputs": {}},
        sum={"type": "sums:Sum", "inputs": {"a": "text"}},
    )
    found = problem(submit(server, workflow=wrong), 422, "invalid-workflow")
    places = {(each.get("node"), each.get("port")) for each in found["problems"]}
    assert {("odd", None), ("sum", "a")} <= places
    hints = [each.get("hint") for each in found["problems"] if each["node"] == "odd"]
    assert hints == ["Did you mean `sums:Sum`?"]
    assert server.client.get("/jobs").json()["items"] == []


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"priority": 101}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"tags": ["x"] * 33}, "tags"),
        ({"tags": [""]}, "tags.0"),
        ({"name": "x" * 257}, "name"),
        ({"workflow": 3}, "workflow"),
        ({"prio": 1}, "prio"),
        ({"options": {"dead": 1}}, "options.dead"),
        ({"parameters": []}, "parameters"),
    ],
)
def test_a_wish_of_the_wrong_form_is_refused_by_the_fields_name(
    server: Hosted, wish: dict[str, Any], field: str
) -> None:
    found = problem(submit(server, **wish), 422, "invalid-request")
    assert any(f"`{field}" in each["message"] for each in found["problems"])


def test_an_unknown_parameter_of_the_workflow_is_told(server: Hosted) -> None:
    found = problem(submit(server, parameters={"c": 1}), 422, "invalid-workflow")
    assert found["problems"][0]["code"] == "unknown-parameter"


def test_a_saved_workflow_runs_by_its_name(server: Hosted) -> None:
    put = server.client.put("/workflows/sum", json=workflow())
    assert put.status_code == 201
    job = submit(server, workflow={"saved": "sum", "version": 1}).json()
    text = server.client.get(f"/jobs/{job['id']}/workflow").json()
    assert text["nodes"] == workflow()["nodes"]
    problem(submit(server, workflow={"saved": "none"}), 404, "not-found")


def test_jobs_are_listed_in_pages_and_by_what_is_asked_for(server: Hosted) -> None:
    ids = [submitted(server, name=f"job {at}", tags=[f"t{at % 2}"]) for at in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 2, "order": "oldest"} | ({"cursor": cursor} if cursor else {})
        page = server.client.get("/jobs", params=query).json()
        seen += [job["id"] for job in page["items"]]
        cursor = page["next"]
    assert seen == ids
    newest = server.client.get("/jobs", params={"tag": "t1"}).json()["items"]
    assert [job["id"] for job in newest] == [ids[3], ids[1]]
    assert len(server.client.get("/jobs?text=JOB 3").json()["items"]) == 1
    assert server.client.get("/jobs?state=running&state=failed").json()["items"] == []
    problem(server.client.get("/jobs?state=lost"), 422, "invalid-request")
    problem(server.client.get("/jobs?cursor=abc"), 422, "invalid-value")
    problem(server.client.get("/jobs?limit=0"), 422, "invalid-request")
    problem(server.client.get("/jobs?created_after=nan"), 422, "invalid-request")


def test_a_job_is_steered_through_its_states(server: Hosted) -> None:
    job = submitted(server)
    assert server.client.post(f"/jobs/{job}/hold").json()["held"] is True
    assert server.client.post(f"/jobs/{job}/unhold").json()["held"] is False
    assert server.client.patch(f"/jobs/{job}", json={"priority": 7}).json()["priority"] == 7
    assert server.client.post(f"/jobs/{job}/cancel").json()["state"] == "cancelled"
    problem(server.client.post(f"/jobs/{job}/cancel"), 409, "job-state")
    assert server.client.post(f"/jobs/{job}/retry").json()["state"] == "queued"
    problem(server.client.delete(f"/jobs/{job}"), 409, "job-state")
    server.client.post(f"/jobs/{job}/cancel")
    gone = server.client.delete(f"/jobs/{job}")
    assert (gone.status_code, gone.content) == (204, b"")
    problem(server.client.get(f"/jobs/{job}"), 404, "job-not-found")


def test_jobs_are_moved_within_the_queue(server: Hosted) -> None:
    first, second, third = (submitted(server) for _ in range(3))

    def upcoming() -> list[str]:
        return [job["id"] for job in server.client.get("/queue").json()["upcoming"]]

    assert upcoming() == [first, second, third]
    assert server.client.post(f"/jobs/{third}/move", json={"to": "first"}).status_code == 200
    assert upcoming() == [third, first, second]
    assert server.client.post(f"/jobs/{second}/move", json={"before": first}).status_code == 200
    assert upcoming() == [third, second, first]
    assert server.client.post(f"/jobs/{third}/move", json={"to": "last"}).status_code == 200
    assert upcoming() == [second, first, third]
    problem(
        server.client.post(f"/jobs/{third}/move", json={"to": "middle"}), 422, "invalid-request"
    )
    problem(
        server.client.post(f"/jobs/{third}/move", json={"before": "job_x"}), 404, "job-not-found"
    )


def test_the_queue_is_paused_cleared_and_counted(server: Hosted) -> None:
    for _ in range(3):
        submitted(server)
    assert server.client.post("/queue/pause").json()["paused"] is True
    assert server.client.get("/queue").json()["counts"]["queued"] == 3
    assert server.client.post("/queue/resume").json()["paused"] is False
    assert server.client.post("/queue/clear").json() == {"cancelled": 3}
    assert server.client.get("/queue").json()["counts"]["cancelled"] == 3
    assert server.client.delete("/jobs?state=cancelled").json() == {"deleted": 3}
    assert server.client.get("/jobs").json() == {"items": [], "next": None}


def test_a_full_queue_says_when_to_come_back(hosting: Any) -> None:
    with hosting(most_waiting=1) as server:
        submitted(server)
        answer = submit(server)
        problem(answer, 429, "queue-full")
        assert int(answer.headers["retry-after"]) > 0


def test_a_job_behind_many_of_others_is_among_what_comes_next(own_server: Hosted) -> None:
    ann, bob, _ = (own_server.token(name, scope) for name, scope in _PEOPLE)
    for _ in range(3):
        submitted(own_server, headers=ann)
    mine = submitted(own_server, headers=bob)
    queue = own_server.client.get("/queue?limit=1", headers=bob).json()
    assert [each["id"] for each in queue["upcoming"]] == [mine]


def test_others_jobs_look_as_if_they_were_not_there(own_server: Hosted) -> None:
    ann, bob, boss = (own_server.token(name, scope) for name, scope in _PEOPLE)
    job = submitted(own_server, headers=ann)
    for method, path, body in _STEPS:
        answer = own_server.client.request(method, f"/jobs/{job}{path}", json=body, headers=bob)
        problem(answer, 404, "job-not-found")
    mine = submitted(own_server, headers=bob)
    answer = own_server.client.post(f"/jobs/{mine}/move", json={"before": job}, headers=bob)
    problem(answer, 404, "job-not-found")
    listed = own_server.client.get("/jobs", headers=bob).json()["items"]
    assert [each["id"] for each in listed] == [mine]
    assert own_server.client.get("/jobs?client=ann", headers=bob).json()["items"] == []
    assert own_server.client.get("/queue", headers=bob).json()["counts"]["queued"] == 1
    assert [
        each["id"] for each in own_server.client.get("/queue", headers=bob).json()["upcoming"]
    ] == [mine]
    assert own_server.client.post("/queue/clear?client=ann", headers=bob).json() == {"cancelled": 0}
    assert own_server.client.post("/queue/clear", headers=bob).json() == {"cancelled": 1}
    assert own_server.client.get(f"/jobs/{job}", headers=boss).json()["state"] == "queued"
    assert len(own_server.client.get("/jobs", headers=boss).json()["items"]) == 2
    assert own_server.client.delete("/jobs?client=ann", headers=bob).json() == {"deleted": 0}


_PEOPLE = (("ann", "run"), ("bob", "run"), ("boss", "admin"))
_STEPS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "", None),
    ("GET", "/workflow", None),
    ("DELETE", "", None),
    ("PATCH", "", {"priority": 1}),
    ("POST", "/cancel", None),
    ("POST", "/retry", None),
    ("POST", "/hold", None),
    ("POST", "/unhold", None),
    ("POST", "/move", {"to": "first"}),
)


def test_outputs_are_told_without_paths_of_the_machine(server: Hosted) -> None:
    job = submitted(server)
    queue = server.services.queue
    claimed = queue.claim("worker-1").result()
    assert claimed is not None
    file = {
        "path": "/srv/outputs/apple_00001.png",
        "node": "save",
        "kind": "image",
        "media_type": "image/png",
        "size": 3,
        "digest": "ab" * 32,
    }
    queue.finish(job, claimed.attempt, {"files": [file], "seconds": 0.5}).result()
    found = server.client.get(f"/jobs/{job}").json()
    assert found["state"] == "finished"
    assert found["outputs"]["files"] == [
        {
            "existed": False,
            "name": "apple_00001.png",
            "width": None,
            "height": None,
            **{name: value for name, value in file.items() if name != "path"},
            "href": f"/api/v1/artifacts/{'ab' * 32}",
            "thumbnail": f"/api/v1/artifacts/{'ab' * 32}/thumbnail",
        }
    ]
    assert "/srv" not in server.client.get(f"/jobs/{job}").text


def test_a_workflow_is_checked_without_being_run(server: Hosted) -> None:
    fine = server.client.post("/validate", json={"workflow": workflow()})
    assert fine.json() == {"valid": True, "problems": []}
    wrong = workflow(sum={"type": "sums:Sum", "inputs": {"b": {"from": "nowhere"}}})
    answer = server.client.post("/validate", json={"workflow": wrong})
    assert answer.status_code == 200
    found = answer.json()
    assert found["valid"] is False
    assert {(each["node"], each.get("port")) for each in found["problems"]} >= {("sum", "a")}
    odd = server.client.post("/validate", json={"workflow": {"nodes": 3}}).json()
    assert odd["valid"] is False
    assert server.client.get("/jobs").json()["items"] == []


def test_without_a_planner_a_plan_is_not_available(server: Hosted) -> None:
    answer = server.client.post("/plan", json={"workflow": workflow()})
    problem(answer, 503, "no-answer")
    assert "retry-after" in answer.headers


def test_a_queue_that_cannot_be_read_is_no_fault_of_the_client(own_server: Hosted) -> None:
    own_server.services.queue._database.close()
    for path in ("/jobs", "/queue", "/jobs/job_01hzy3m7q8r9s0t1v2w3x4y5z6"):
        answer = own_server.client.get(path)
        assert answer.status_code == 503, answer.text
        assert "retry-after" in answer.headers
    assert (
        httpx.get(f"{own_server.url}/healthz", timeout=PATIENCE, trust_env=False).status_code == 200
    )


def test_a_job_of_too_many_nodes_is_refused(hosting: Any) -> None:
    block = {"nodes": {f"n{at}": {"type": "inner", "inputs": {}} for at in range(10)}}
    inner = {"nodes": {f"n{at}": {"type": "sums:Number", "inputs": {}} for at in range(11)}}
    many = workflow(big={"type": "block", "inputs": {}})
    many["subgraphs"] = {"block": block, "inner": inner}
    with hosting(limits={"nodes": 100}) as server:
        found = problem(submit(server, workflow=many), 422, "invalid-workflow")
        assert found["problems"][0]["code"] == "too-many-nodes"


def test_blocks_that_double_at_each_level_are_refused_at_once(server: Hosted) -> None:
    doubling = {
        f"b{at}": {"nodes": {name: {"type": f"b{at + 1}"} for name in ("x", "y")}}
        for at in range(60)
    }
    doubling["b60"] = {"nodes": {"x": {"type": "sums:Number"}}}
    bomb = workflow(big={"type": "b0"})
    bomb["subgraphs"] = doubling
    found = problem(submit(server, workflow=bomb), 422, "invalid-workflow")
    assert found["problems"][0]["code"] == "too-many-nodes"
    deep = workflow(big={"type": "b0"})
    deep["subgraphs"] = {f"b{at}": {"nodes": {"x": {"type": f"b{at + 1}"}}} for at in range(500)}
    found = problem(submit(server, workflow=deep), 422, "invalid-workflow")
    assert found["problems"][0]["code"] == "too-many-levels"


def test_of_very_many_problems_the_first_are_told(server: Hosted) -> None:
    wrong = workflow(sum={"type": "sums:Sum", "inputs": {f"x{at}": at for at in range(3_000)}})
    found = problem(submit(server, workflow=wrong), 422, "invalid-workflow")
    assert len(found["problems"]) == 1_001
    assert found["problems"][-1]["code"] == "more-problems"
    checked = server.client.post("/validate", json={"workflow": wrong}).json()
    assert checked["problems"] == found["problems"]


def test_a_list_says_why_jobs_failed(server: Hosted) -> None:
    job = submitted(server, name="poor thing", tags=["Draft 1"])
    claimed = server.services.queue.claim("worker-1").result()
    assert claimed is not None
    error = {"code": "node-failed", "message": "out of memory", "node": "sum", "problems": []}
    server.services.queue.fail(job, claimed.attempt, error).result()
    (listed,) = server.client.get("/jobs?text=draft").json()["items"]
    assert listed["fault"] == {"code": "node-failed", "message": "out of memory", "node": "sum"}
    assert server.client.get(f"/jobs/{job}").json()["error"] == error
    assert server.client.post(f"/jobs/{job}/retry").json()["fault"] is None


def test_half_a_character_in_what_came_of_a_job_hides_no_job(own_server: Hosted) -> None:
    queue, half = own_server.services.queue, "there is no `.\ud800` there"
    job, done, old = (submitted(own_server, name=name) for name in ("new", "done", "old"))
    error = {"code": "node-failed", "message": half, "node": "sum", "problems": [{"given": half}]}
    for each, end in ((job, "fail"), (done, "finish"), (old, "fail")):
        claimed = queue.claim("worker-1").result()
        assert claimed is not None
        assert claimed.id == each
        event = Event(1, "node.warning", "sum", 0.1, {"message": half})
        if end == "fail":
            queue.fail(each, 1, error, [event]).result()
        else:
            queue.finish(each, 1, {"values": {"sum": half}}, [event]).result()
    # As it was written by earlier versions.
    with closing(sqlite3.connect(own_server.services.home / "queue.sqlite")) as file:
        file.execute("UPDATE jobs SET error = ? WHERE id = ?", (json.dumps(error), old))
        file.commit()

    client, ann = own_server.client, own_server.token("ann", "run")
    root, told = own_server.token("root", "admin"), "there is no `.\ufffd` there"
    listed = client.get("/jobs?order=oldest", headers=root).json()["items"]
    assert [entry["id"] for entry in listed] == [job, done, old]
    assert listed[0]["fault"]["message"] == told
    assert "\ufffd" in listed[2]["fault"]["message"]
    for each in (job, old):
        found = client.get(f"/jobs/{each}", headers=root).json()["error"]
        assert (found["message"], found["problems"]) == (told, [{"given": told}])
    found = client.get(f"/jobs/{done}", headers=root).json()["outputs"]
    assert found["values"] == {"sum": told}
    assert "ud800" not in ascii(queue.events_after(0).events)
    for each in (job, done, old):
        assert client.get(f"/jobs/{each}", headers=ann).status_code == 404
    for each in (job, old):
        assert client.post(f"/jobs/{each}/retry", headers=root).json()["state"] == "queued"
        assert client.post(f"/jobs/{each}/cancel", headers=root).json()["state"] == "cancelled"
    for each in (job, done, old):
        assert client.delete(f"/jobs/{each}", headers=root).status_code == 204


def test_a_workflow_comes_with_the_values_of_its_parameters_if_asked_for(server: Hosted) -> None:
    job = submitted(server, parameters={"b": 4})
    plain = server.client.get(f"/jobs/{job}/workflow").json()
    filled = server.client.get(f"/jobs/{job}/workflow?parameters=true").json()
    assert plain == workflow()
    assert filled["nodes"]["sum"]["inputs"] == {"a": {"from": "two"}, "b": 4}
    assert filled["parameters"] == plain["parameters"]
    assert server.client.get(f"/jobs/{job}/workflow?parameters=maybe").status_code == 422


def test_who_is_connected_hears_of_what_has_no_event(server: Hosted) -> None:
    job = submitted(server, held=True)
    server.client.post(f"/jobs/{job}/cancel")
    with talk(server) as client:
        server.client.post("/queue/pause")
        assert client.next()["kind"] == "queue.changed"
        server.client.post("/queue/resume")
        assert client.next() == {
            "type": "notice",
            "kind": "queue.changed",
            "data": {"paused": False},
        }
        server.client.delete(f"/jobs/{job}")
        assert client.next() == {"type": "notice", "kind": "jobs.deleted", "data": {}}
        server.client.delete("/jobs?state=failed")  # there are none, so nobody is told
        server.client.post("/queue/pause")
        assert client.next()["kind"] == "queue.changed"
