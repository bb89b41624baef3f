"""Two servers of one home folder on one PostgreSQL database, as behind a load balancer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.databases.postgres import PostgresServer
from tests.databases.stalling import StallingWay
from tests.server.hosting import PATIENCE, Process, eventually, workflow
from tests.server.talking import FORMS, talk

pytestmark = pytest.mark.slow
_WAIT = '''
import time
from pathlib import Path
from nodegraph import Context, node

@node(output=True)
def Wait(ctx: Context, file: str, number: int = 0) -> None:
    """Waits for a file."""
    while not Path(file).exists():
        ctx.check_cancelled()
        time.sleep(0.02)
'''


class Served(Process):
    """One of the servers."""

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = f"{self.url}/api/v1{path}"
        return httpx.request(method, url, timeout=PATIENCE, trust_env=False, **options)

    def submit(self, wanted: dict[str, Any], **headers: str) -> str:
        answer = self.ask("POST", "/jobs", json={"workflow": wanted}, headers=headers)
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()["id"])

    def state(self, job: str) -> str | None:
        """The state of a job; None while the server refuses to say."""
        state: str | None = self.ask("GET", f"/jobs/{job}").json().get("state")
        return state


@pytest.fixture
def pair(
    home: Path, tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Served, Served]]:
    (home / "packs" / "waits.py").write_text(_WAIT)
    with ExitStack() as opened:
        url = opened.enter_context(postgres.database())
        # Nobody is asked for it; it must be seen nowhere all the same.
        monkeypatch.setenv("NODEGRAPH_SERVER_QUEUE", url.replace("@", ":secret@"))
        command = ("-m", "nodegraph", "--home", str(home), "serve", "--port", "0")
        found = []
        for name in ("one", "two"):
            own = tmp_path / name
            own.mkdir()
            server = Served(own, "--workers", "1", "--devices", "cpu", command=command)
            found.append(opened.enter_context(server))
        yield found[0].ready(), found[1].ready()


def waiting(file: Path, number: int = 0) -> dict[str, Any]:
    inputs = {"file": str(file), "number": number}
    return {"format": "nodegraph/1", "nodes": {"wait": {"type": "waits:Wait", "inputs": inputs}}}


def test_two_servers_are_one_queue(
    pair: tuple[Served, Served], tmp_path: Path, postgres: PostgresServer
) -> None:
    one, two = pair
    # What is submitted to one is seen, and its events are told, at the other; a key holds for both.
    job = one.submit(workflow(), **{"Idempotency-Key": "k"})
    assert two.submit(workflow(), **{"Idempotency-Key": "k"}) == job
    for server in pair:
        eventually(lambda server=server: server.state(job) == "finished")
    told = [server.ask("GET", f"/jobs/{job}/events").text for server in pair]
    assert told[0] == told[1]
    assert "job.finished" in told[0]

    # Two jobs at a time: a worker of each server. One asks for the other's to be cancelled.
    go = tmp_path / "go"
    with talk(two, FORMS[1]) as client:
        client.ask("subscribe")
        jobs = [one.submit(waiting(go, at)) for at in range(3)]
        eventually(lambda: [two.state(each) for each in jobs].count("running") == 2)
        for each in jobs[:2]:
            two.ask("POST", f"/jobs/{each}/cancel")
        eventually(lambda: [one.state(each) for each in jobs] == ["cancelled"] * 2 + ["running"])
        for each in jobs[:2]:
            client.until("job.cancelled", each)
    go.touch()
    eventually(lambda: two.state(jobs[2]) == "finished")

    # One is killed; its job goes on at the other.
    go.unlink()
    jobs = [two.submit(waiting(go, at)) for at in (10, 11)]
    eventually(lambda: [one.state(each) for each in jobs] == ["running"] * 2)
    os.kill(one.pid, signal.SIGKILL)
    go.touch()
    eventually(lambda: [two.state(each) for each in jobs] == ["finished"] * 2)

    # The database is restarted under a running job.
    go.unlink()
    job = two.submit(waiting(go, 20))
    eventually(lambda: two.state(job) == "running")
    with postgres.away():
        go.touch()
        refused = two.ask("POST", "/jobs", json={"workflow": workflow()})
        assert refused.status_code == 503
        told = refused.json()["title"], refused.json()["detail"]
        assert told == ("The job queue cannot be reached", "cannot reach the job queue")
        assert refused.json()["problems"][0]["message"] == told[1]
        assert two.ask("GET", "/jobs").status_code == 503
        ready = httpx.get(f"{two.url}/readyz", timeout=PATIENCE, trust_env=False)
        assert (ready.status_code, "queue-not-writable" in ready.text) == (503, True)
    eventually(lambda: two.ask("GET", f"/jobs/{job}").status_code == 200)
    eventually(lambda: two.state(job) == "finished")
    assert two.submit(workflow())
    assert two.stop() == 0

    seen = one.log + two.log + one.printed + two.printed + refused.text
    assert "secret" not in seen
    assert "Traceback" not in seen


def test_the_password_is_in_no_answer_and_with_no_worker(pair: tuple[Served, Served]) -> None:
    one, _ = pair
    for path in ("/settings", "/system", "/queue"):
        answer = one.ask("GET", path)
        assert answer.status_code == 200
        assert "secret" not in answer.text
    assert (
        one.ask("GET", "/settings").json()["queue"].startswith("postgresql://nodegraph@127.0.0.1")
    )
    metrics = httpx.get(f"{one.url}/metrics", timeout=PATIENCE, trust_env=False)
    assert "secret" not in metrics.text
    for process in one.children():
        assert b"secret" not in Path(f"/proc/{process}/environ").read_bytes()


def test_a_database_that_hangs_keeps_none_waiting_who_needs_it_not(
    home: Path, tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "packs" / "waits.py").write_text(_WAIT)
    command = ("-m", "nodegraph", "--home", str(home), "serve", "--port", "0")
    go = tmp_path / "go"
    with ExitStack() as opened:
        url = opened.enter_context(postgres.database())
        way = opened.enter_context(StallingWay(postgres.port))
        monkeypatch.setenv("NODEGRAPH_SERVER_QUEUE", way.through(url))
        served = Served(tmp_path, "--workers", "1", "--devices", "cpu", command=command)
        one = opened.enter_context(served).ready()
        asking = opened.enter_context(ThreadPoolExecutor(40))
        # Its packs may be read only now.
        eventually(lambda: one.ask("GET", "/node-types/waits:Wait").status_code == 200)
        job = one.submit(waiting(go))
        eventually(lambda: one.state(job) == "running")
        looks = (f"/jobs/{job}", f"/jobs/{job}/events", f"/events?after={1 << 40}", "/jobs")
        others = ("/queue", "/system", "/artifacts", f"/jobs/{job}/workflow", "/uploads")
        with way.stalled():
            asked = [asking.submit(one.ask, "GET", path) for path in (*looks, *others) * 3]
            wishes = [asking.submit(one.ask, "POST", "/jobs", json={"workflow": workflow()})]
            wishes += [asking.submit(one.ask, "POST", f"/jobs/{job}/cancel") for _ in range(2)]
            # Its worker has an end to tell, and takes no other job.
            go.touch()
            for _ in range(50):
                health = httpx.get(f"{one.url}/healthz", timeout=PATIENCE, trust_env=False)
                saved = one.ask("GET", "/workflows")
                assert (health.status_code, saved.status_code) == (200, 200)
            # Changes are answered while it hangs, too.
            refused = [each.result() for each in wishes]
            assert {each.status_code for each in refused} == {503}
            told = {each.json()["problems"][0]["code"] for each in refused}
            assert told == {"queue-unreachable"}
        assert {each.result().status_code for each in asked} <= {200, 503}
        eventually(lambda: one.state(job) == "finished")
        assert one.submit(workflow())
        assert one.stop() == 0
