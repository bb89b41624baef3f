"""Schedules and webhooks over HTTP and websockets: who may, who sees what, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from nodegraph.server.access.tokens import TokenFile
from tests.server.hosting import PATIENCE, Hosted, eventually, workflow
from tests.server.talking import talk
from tests.server.test_jobs_routes import problem, submit, submitted
from tests.server.test_webhooks import Receiver, receiving

START = "2030-01-01T02:00:00+01:00"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def open_server(hosting: Callable[..., Any]) -> Iterator[Hosted]:
    """A server whose webhooks may reach this machine."""
    with hosting(webhook_hosts=("127.0.0.1",)) as server:
        yield server


def schedule(server: Hosted, **fields: Any) -> httpx.Response:
    body = {"rule": "daily 02:00", "job": {"workflow": workflow()}, **fields}
    return server.client.post("/schedules", json=body)


def test_a_job_waits_for_its_time(server: Hosted) -> None:
    answer = submit(server, not_before=START)
    assert (answer.status_code, answer.json()["not_before"]) == (202, 1_893_459_600.0)
    job = answer.json()["id"]
    assert server.client.get(f"/jobs/{job}").json()["state"] == "queued"
    assert server.client.get("/queue").json()["upcoming"] == []
    assert server.client.post(f"/jobs/{job}/unhold").json()["not_before"] is None
    assert len(server.client.get("/queue").json()["upcoming"]) == 1
    assert submit(server, not_before=1_893_459_600).json()["not_before"] == 1_893_459_600.0


@pytest.mark.parametrize("moment", ["soon", "2030-13-01", -1, 1e300, ""])
def test_what_is_no_time_is_refused(server: Hosted, moment: Any) -> None:
    problem(submit(server, not_before=moment), 422, "invalid-value")


def test_a_websocket_takes_them_too(server: Hosted) -> None:
    with talk(server) as client:
        fields: dict[str, Any] = {"type": "submit", "workflow": workflow(), "not_before": START}
        answer = client.ask(**fields)
        assert answer["job"]["not_before"] == 1_893_459_600.0
        refused = client.answered(**fields, webhook={"url": "https://example.org/"})
        assert "webhooks to example.org are not allowed" in str(refused)


def test_an_app_and_the_rows_of_a_table_take_them_too(
    open_server: Hosted, receiver: Receiver
) -> None:
    client = open_server.client
    client.put("/workflows/sum", json=workflow())
    which = {"webhook": receiver.url, "not_before": START}
    job = client.post("/apps/sum", json={"b": 4}, params=which).json()["job"]["id"]
    assert client.get(f"/jobs/{job}").json()["not_before"] == 1_893_459_600.0
    client.post(f"/jobs/{job}/cancel")
    body = {"workflow": workflow(), "rows": "b\n1\n2\n", "webhook": {"url": receiver.url}}
    assert client.post("/jobs/rows", json=body).status_code == 202
    client.post("/queue/clear")
    eventually(lambda: len(receiver.requests) == 3)
    problem(client.post("/apps/sum", json={}, params={"webhook": "no"}), 422, "invalid-value")


def test_deliveries_are_listed_shown_and_replayed(open_server: Hosted, receiver: Receiver) -> None:
    client = open_server.client
    receiver.answers.append((410, {}))
    wish = {"webhook": {"url": receiver.url, "events": ["job.queued", "job.cancelled"]}}
    job = submitted(open_server, **wish)
    client.post(f"/jobs/{job}/cancel")
    eventually(lambda: all(each["ended"] for each in client.get("/webhooks").json()["items"]))
    first = client.get("/webhooks", params={"state": "failed", "job": job}).json()["items"][-1]
    assert (first["status"], first["error"]) == (410, "the receiver is gone: 410")
    page = client.get("/webhooks", params={"limit": 1}).json()
    assert [each["event"] for each in page["items"]] == ["job.cancelled"]
    rest = client.get("/webhooks", params={"limit": 1, "cursor": page["next"]}).json()["items"]
    assert [each["id"] for each in rest] == [first["id"]]
    replayed = client.post(f"/webhooks/{first['id']}/replay").json()
    assert replayed["attempts"] == 0
    eventually(lambda: client.get(f"/webhooks/{first['id']}").json()["state"] == "delivered")
    assert "secret" not in str(client.get("/webhooks").json())
    problem(client.get("/webhooks/job_x-1"), 404, "delivery-not-found")
    problem(client.post("/webhooks/x/replay"), 404, "delivery-not-found")
    assert client.get("/webhooks", params={"cursor": "x"}).status_code == 422


def test_a_webhook_is_tested(open_server: Hosted, receiver: Receiver) -> None:
    client = open_server.client
    tested = client.post("/webhooks/test", json={"url": receiver.url}).json()
    assert tested == {"url": receiver.url, "delivered": True, "status": 204, "error": None}
    receiver.answers.append((500, {}))
    tested = client.post("/webhooks/test", json={"url": receiver.url}).json()
    assert (tested["delivered"], tested["status"]) == (False, 500)
    problem(client.post("/webhooks/test", json={}), 422, "invalid-value")
    refused = client.post("/webhooks/test", json={"url": "http://127.0.0.2/"})
    problem(refused, 422, "invalid-value")


def test_a_secret_is_shown_once_and_replaced(server: Hosted) -> None:
    first = server.client.post("/webhooks/secret", json={}).json()["secret"]
    second = server.client.post("/webhooks/secret", json={"hours": 1}).json()["secret"]
    assert first.startswith("whsec_")
    queue = server.services.queue
    assert queue.webhook_secrets("local", queue.now) == (second, first)


@pytest.mark.parametrize(
    "webhook",
    [
        {},
        {"url": "https://example.org/"},
        {"url": "ftp://example.org/"},
        {"url": "http://127.0.0.1/", "events": []},
        {"url": "http://127.0.0.1/", "events": ["job.ended"]},
        {"url": "http://127.0.0.1/", "secret": "short"},
        {"url": "http://127.0.0.1/", "more": 1},
        "all",
    ],
)
def test_what_is_no_webhook_is_refused(open_server: Hosted, webhook: Any) -> None:
    assert submit(open_server, webhook=webhook).status_code == 422
    assert open_server.client.get("/jobs").json()["items"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"secret": f"whsec_hidden{'x' * 300}"},
        {"Secret": "whsec_hidden"},
        {"secret": ["whsec_hidden"]},
    ],
)
def test_no_refusal_shows_a_secret(server: Hosted, fields: dict[str, Any]) -> None:
    webhook = {"url": "https://example.org/", **fields}
    for refused in (
        submit(server, webhook=webhook),
        schedule(server, job={"workflow": workflow(), "webhook": webhook}),
    ):
        assert refused.status_code == 422
        assert "hidden" not in refused.text


def test_schedules_are_added_listed_changed_and_removed(own_server: Hosted) -> None:
    client = own_server.client
    answer = schedule(own_server, name="night", zone="UTC", count=3, seeds="same")
    assert answer.status_code == 201, answer.text
    added = answer.json()
    path = f"/schedules/{added['id']}"
    assert (added["rule"], added["state"], added["count"]) == ("daily 02:00", "active", 3)
    assert client.get("/schedules").json()["items"] == [added]
    assert client.get(path).json() == added
    assert client.post(f"{path}/pause").json()["state"] == "paused"
    ran = client.post(f"{path}/run")
    assert ran.status_code == 202
    assert ran.json()["tags"] == [added["tag"]]
    assert client.get("/jobs", params={"tag": added["tag"]}).json()["items"] == [ran.json()]
    assert client.post(f"{path}/resume").json()["fired"] == 1
    assert client.delete(path).status_code == 204
    for method, way in (("GET", ""), ("DELETE", ""), ("POST", "/run"), ("POST", "/pause")):
        problem(client.request(method, f"{path}{way}"), 404, "schedule-not-found")
    assert client.get(f"/jobs/{ran.json()['id']}").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"rule": "hourly"},
        {"rule": ""},
        {"zone": "Nowhere"},
        {"until": "never"},
        {"until": 1},
        {"count": 0},
        {"seeds": "none"},
        {"job": {}},
        {"job": {"workflow": workflow(), "held": True}},
        {"job": {"workflow": workflow(), "parameters": {"b": "text"}}},
        {"job": {"workflow": workflow(), "webhook": {"url": "https://example.org/"}}},
    ],
)
def test_what_is_no_schedule_is_refused(server: Hosted, fields: Any) -> None:
    assert schedule(server, **fields).status_code == 422
    assert server.client.get("/schedules").json()["items"] == []


def test_an_endless_schedule_submits_its_first_job_at_once(own_server: Hosted) -> None:
    added = schedule(own_server, rule="endless").json()
    listed = {"tag": added["tag"]}
    eventually(lambda: len(own_server.client.get("/jobs", params=listed).json()["items"]) == 1)


def test_clients_see_their_own(own_server: Hosted) -> None:
    tokens = TokenFile(own_server.services.home / "tokens.json")
    names = {name: tokens.add(name, [scope])[0] for name, scope in SCOPES.items()}
    clients = {
        name: httpx.Client(
            base_url=f"{own_server.url}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE,
            trust_env=False,
        )
        for name, token in names.items()
    }
    body = {"rule": "every 1h", "job": {"workflow": workflow()}}
    problem(clients["reader"].post("/schedules", json=body), 403, "forbidden")
    problem(clients["reader"].post("/webhooks/secret", json={}), 403, "forbidden")
    problem(clients["reader"].post("/webhooks/test", json={}), 403, "forbidden")
    added = clients["ann"].post("/schedules", json=body).json()
    assert added["client"] == "ann"
    assert clients["bob"].get("/schedules").json()["items"] == []
    path = f"/schedules/{added['id']}"
    for way in ("pause", "resume", "run"):
        problem(clients["bob"].post(f"{path}/{way}"), 404, "schedule-not-found")
    problem(clients["bob"].delete(path), 404, "schedule-not-found")
    assert clients["boss"].get("/schedules").json()["items"] == [added]
    assert clients["boss"].post(f"{path}/run").json()["client"] == "ann"
    for client in clients.values():
        client.close()


SCOPES: dict[str, Any] = {"ann": "run", "bob": "run", "reader": "read", "boss": "admin"}


def test_a_token_has_a_webhook(open_server: Hosted, receiver: Receiver) -> None:
    tokens = TokenFile(open_server.services.home / "tokens.json")
    token, _ = tokens.add("ann", ["run"], webhook=receiver.url)
    headers = {"Authorization": f"Bearer {token}"}
    job = submitted(open_server, headers=headers)
    open_server.client.post(f"/jobs/{job}/cancel", headers=headers)
    eventually(lambda: len(receiver.requests) == 1)
    assert open_server.client.post("/webhooks/test", json={}, headers=headers).json()["delivered"]
    token, record = tokens.rotate("ann")
    assert record.webhook == receiver.url
    assert tokens.set_webhook("ann", None)[0].webhook is None
    assert "webhook" not in (open_server.services.home / "tokens.json").read_text()
