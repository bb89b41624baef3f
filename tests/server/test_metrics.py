"""The figures for monitoring: who may read them, what they say, and that they stay few."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from nodegraph.core.events import Event
from nodegraph.jobs.queue import JobEvent, JobQueue
from nodegraph.jobs.queue.job_queries import Counts
from nodegraph.jobs.supervisor.worker_status import WorkerStatus
from nodegraph.server.operations.metrics import CONTENT_TYPE, Metrics, ServerState
from nodegraph.server.operations.metrics.counters import (
    OTHER,
    BoundedLabel,
    JobMetrics,
    MetricFamilies,
)
from tests.jobs.queue.support import claim, open_queue, submit, told
from tests.server.hosting import PATIENCE, Hosted, hosted, workflow
from tests.server.talking import talk

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]
NO_TOKEN = {"status": "401", "code": "unauthenticated"}
NOTHING = ServerState(None, False, True, 0, [], 0, None, None)


def values(text: str) -> Values:
    """Each figure by its name and labels; none is there twice."""
    found: Values = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


@pytest.fixture
def server(own_server: Hosted) -> Hosted:
    """A new one: its figures count from its start on."""
    return own_server


def value(found: Values, name: str, **labels: str) -> float:
    return found.get((f"nodegraph_{name}", frozenset(labels.items())), 0.0)


def scraped(server: Hosted, **options: Any) -> Values:
    answer = server.client.get(f"{server.url}/metrics", **options)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == CONTENT_TYPE
    return values(answer.text)


def known(server: Hosted, *scopes: str) -> dict[str, str]:
    """Headers of somebody whose token the server knows by now."""
    headers = server.token(f"of-{'-'.join(scopes)}", *scopes)
    end, token = time.monotonic() + PATIENCE, headers["Authorization"].split()[1]
    while server.services.tokens.caller(token) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    return headers


# Who may read them.


def test_they_need_a_token_that_may_read_once_there_is_one(server: Hosted) -> None:
    assert scraped(server)
    reading, running = known(server, "read"), known(server, "run")
    assert server.client.get(f"{server.url}/metrics").status_code == 401
    assert scraped(server, headers=reading)
    assert scraped(server, headers=running)


def test_a_setting_tells_them_to_everybody(home: Path) -> None:
    with hosted(home, open_metrics=True) as server:
        known(server, "read")
        assert scraped(server)
        assert server.client.get("/jobs").status_code == 401
        elsewhere = server.client.get(f"{server.url}/metrics", headers={"Origin": "http://e.vil"})
        assert elsewhere.status_code == 403


def test_they_tell_of_no_client(server: Hosted) -> None:
    headers = known(server, "admin")
    made = server.client.post("/jobs", json={"workflow": workflow()}, headers=headers).json()
    text = server.client.get(f"{server.url}/metrics", headers=headers).text
    assert "of-admin" not in text
    assert made["id"] not in text
    assert str(server.services.home) not in text


# Requests.


def test_requests_are_counted_by_route_and_never_by_path(server: Hosted) -> None:
    for at in range(30):
        server.client.get(f"/jobs/job_{at:026}")
        server.client.get(f"/nothing/{at}")
        server.client.request("TRACE", f"/{at}")
    server.client.head("/jobs")
    found = scraped(server)
    route = "/api/v1/jobs/{id}"
    assert value(found, "http_requests_total", method="GET", route=route, status="404") == 30
    assert value(found, "http_request_seconds_count", method="GET", route=route) == 30
    assert value(found, "http_requests_total", method="GET", route=OTHER, status="404") == 30
    assert value(found, "http_requests_total", method=OTHER, route=OTHER, status="405") == 30
    jobs = {"route": "/api/v1/jobs", "status": "200"}
    assert value(found, "http_requests_total", method="HEAD", **jobs) == 1
    assert value(found, "http_refused_total", status="405", code="method-not-allowed") == 30
    assert value(found, "http_requests_in_progress") == 1  # this one


def test_refused_requests_are_counted_by_what_was_wrong(server: Hosted) -> None:
    headers = known(server, "read")
    before = value(scraped(server, headers=headers), "http_refused_total", **NO_TOKEN)
    for _ in range(3):
        server.client.get("/jobs", headers={"Origin": "null"})
    server.client.get("/jobs", headers={"Host": "evil.example"})
    server.client.get("/jobs")
    server.client.get("/jobs", headers={"Authorization": f"Bearer ng_{'0' * 12}_{'1' * 48}"})
    found = scraped(server, headers=headers)
    assert value(found, "http_refused_total", status="403", code="origin-not-allowed") == 3
    assert value(found, "http_refused_total", status="421", code="host-not-allowed") == 1
    assert value(found, "http_refused_total", **NO_TOKEN) == before + 2


def test_streams_are_counted_while_they_last_and_not_measured(server: Hosted) -> None:
    stream = {"Accept": "text/event-stream"}
    with talk(server) as client, server.client.stream("GET", "/events", headers=stream) as events:
        client.ask("subscribe")
        following = events.iter_lines()
        next(following)
        found = scraped(server)
        assert value(found, "event_subscribers") == 2
        assert value(found, "http_requests_in_progress") == 3
    found = scraped(server)
    while value(found, "http_requests_in_progress") > 1:
        found = scraped(server)
    assert value(found, "event_subscribers") == 0
    events_route = {"method": "GET", "route": "/api/v1/events"}
    assert value(found, "http_requests_total", status="200", **events_route) == 1
    assert value(found, "http_request_seconds_count", **events_route) == 0
    sockets = {"method": "WEBSOCKET", "route": "/api/v1/events", "status": "101"}
    assert value(found, "http_requests_total", **sockets) == 1


def test_values_of_labels_are_bounded() -> None:
    bounded = BoundedLabel(3, ("a",))
    assert [bounded(each) for each in "abcdabd"] == ["a", "b", "c", OTHER, "a", "b", OTHER]
    metrics = Metrics()
    for at in range(5_000):
        metrics.requests.request_started()
        metrics.requests.request_finished("GET", f"/{at}", 200, 0.1)
        metrics.requests.request_refused(400, f"code-{at}")
    assert len(values(metrics.text(NOTHING).decode())) < 4_000


# Jobs and nodes.


def event(number: int, kind: Any, node: str = "it", **data: Any) -> Event:
    return Event(number, kind, node, 0.0, data)


RUN = [
    event(1, "node.started", type="Load"),
    event(2, "node.finished", seconds=2.0, calls=1, cached=0),
    event(3, "nodes.cached", nodes=["seen", "too"], source="disk", saved=30.0),
    event(4, "node.started", "each[0]", type="Blur"),
    event(5, "node.started", "each[1]", type="Blur"),
    event(6, "node.finished", "each", seconds=0.3, calls=5, cached=3),
    event(7, "node.failed", "bad"),
    event(8, "node.skipped", "after"),
    event(9, "nodes.cached", nodes=["odd"], source="elsewhere", saved=-1.0),
]


def test_a_jobs_way_is_measured(server: Hosted) -> None:
    queue = server.services.queue
    for _ in range(3):
        server.client.post("/jobs", json={"workflow": workflow()})
    first, second, third = claim(queue), claim(queue), claim(queue)
    queue.append_events(first.id, 1, RUN).result()
    queue.finish(first.id, 1, {}).result()
    queue.fail(second.id, 1, {"code": "x", "message": "y"}).result()
    queue.release(third.id, 1).result()
    found = scraped(server)
    while value(found, "job_events_total") < queue.newest_event():
        found = scraped(server)
    assert value(found, "jobs_submitted_total") == 3
    assert value(found, "jobs_ended_total", state="finished") == 1
    assert value(found, "jobs_ended_total", state="failed") == 1
    assert value(found, "jobs_requeued_total", reason="released") == 1
    assert value(found, "jobs", state="waiting") == 1
    assert value(found, "jobs", state="finished") == 1
    assert value(found, "job_wait_seconds_count") == 3
    assert value(found, "job_run_seconds_count", state="finished") == 1
    assert value(found, "node_seconds_sum", type="Load") == 2.0
    assert value(found, "node_seconds_sum", type="Blur") == pytest.approx(0.3)
    outcomes = {"computed": 2, "cached": 3, "failed": 1, "skipped": 1}
    for outcome, count in outcomes.items():
        assert value(found, "nodes_total", outcome=outcome) == count
    assert value(found, "cache_hits_total", source="disk") == 2
    assert value(found, "cache_hits_total", source="some") == 3
    assert value(found, "cache_misses_total") == 1 + 2
    assert value(found, "cache_saved_seconds_total") == 30.0


class Heard:
    """A queue whose events are counted by a clock that a test sets."""

    def __init__(self, queue: JobQueue) -> None:
        self.queue = queue
        self.now = 1_000.0
        self.figures = MetricFamilies()
        self.listener = JobMetrics(self.figures, queue, clock=lambda: self.now)
        self.seen = queue.newest_event()

    def after(self, seconds: float) -> None:
        """Time passes, and what happened until then is heard."""
        self.now += seconds
        events = [each for each in told(self.queue) if each.seq > self.seen]
        self.listener.handle_events(events)
        self.seen = self.queue.newest_event()

    def sum(self, name: str, **labels: str) -> float:
        found = self.figures.registry.get_sample_value(f"nodegraph_{name}_sum", labels)
        return found or 0.0


def test_waits_and_runs_are_measured_whatever_the_machines_clock_does(tmp_path: Path) -> None:
    wall = 5e9
    with open_queue(tmp_path, clock=lambda: wall) as queue:
        heard = Heard(queue)
        job = submit(queue)
        heard.after(0)
        wall = 1e6  # years back
        claim(queue)
        heard.after(7)
        wall = 6e9
        queue.finish(job.id, 1, {}).result()
        heard.after(20)
        assert heard.sum("job_wait_seconds") == 7
        assert heard.sum("job_run_seconds", state="finished") == 20


def test_a_job_waits_only_as_long_as_it_may_run(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        heard = Heard(queue)
        job = submit(queue)
        heard.after(0)
        queue.hold(job.id).result()
        heard.after(100)
        queue.unhold(job.id).result()
        heard.after(1)
        claim(queue)
        heard.after(5)
        assert heard.sum("job_wait_seconds") == 5
        queue.release(job.id, 1).result()
        heard.after(3)
        claim(queue)
        heard.after(2)
        assert heard.sum("job_wait_seconds") == 5 + 2


def test_a_job_from_before_the_start_has_waited_since_it_was_submitted(tmp_path: Path) -> None:
    wall = 5_000.0
    with open_queue(tmp_path, clock=lambda: wall) as queue:
        submit(queue)
        submit(queue)
        heard = Heard(queue)
        wall += 60
        claim(queue)
        heard.after(1)
        assert heard.sum("job_wait_seconds") == 60
        wall -= 4_000  # it can't have waited less than no time
        claim(queue)
        heard.after(1)
        assert heard.sum("job_wait_seconds") == 60


KINDS = [
    *(f"job.{what}" for what in ("queued", "claimed", "held", "unheld", "requeued")),
    *(f"job.{what}" for what in ("finished", "failed", "cancelled", "odd")),
    *(f"node.{what}" for what in ("started", "finished", "failed", "skipped")),
    "nodes.cached",
]
anything = st.none() | st.integers(-5, 9) | st.floats() | st.text(max_size=4) | st.lists(st.none())
strange = st.builds(
    JobEvent,
    st.integers(1, 9),
    st.sampled_from(["a", "b", "c"]),
    st.just("ann"),
    st.integers(1, 3),
    st.none() | st.integers(0, 9),
    st.sampled_from(KINDS),
    st.floats(0, 1e9),
    st.none() | st.sampled_from(["n", "n[0]", "m"]),
    st.none(),
    st.dictionaries(
        st.sampled_from(
            ["type", "seconds", "calls", "cached", "nodes", "source", "saved", "reason"]
        ),
        anything,
    ),
)


@given(st.lists(strange, max_size=40))
def test_no_order_of_events_and_nothing_in_them_breaks_the_counting(events: list[JobEvent]) -> None:
    figures, queue = MetricFamilies(), _NoJobs()
    listener = JobMetrics(figures, queue)  # type: ignore[arg-type]
    listener.handle_events(events)
    ended = ("finished", "failed", "cancelled")
    count = sum(
        figures.registry.get_sample_value("nodegraph_jobs_ended_total", {"state": state}) or 0
        for state in ended
    )
    assert count == sum(each.kind.removeprefix("job.") in ended for each in events)
    assert len(listener._running) <= 3
    assert not any(
        sample.value < 0 for family in figures.registry.collect() for sample in family.samples
    )


class _NoJobs:
    is_shared = False

    def get(self, id: str) -> Any:
        from nodegraph.jobs.queue.job import not_found

        raise not_found(id)


def test_memory_stays_bounded_though_jobs_wait_for_ever(tmp_path: Path) -> None:
    listener = JobMetrics(MetricFamilies(), _NoJobs())  # type: ignore[arg-type]
    for at in range(30_000):
        listener.handle_events(
            [JobEvent(at, str(at), "a", 0, None, "job.queued", 0.0, None, None, {})]
        )
    assert len(listener._waiting) == 10_000


# State.


def test_workers_are_told_of_one_by_one() -> None:
    workers = [
        WorkerStatus("worker-1", "worker", "busy", "cuda:0", restarts=2, memory=5, device_memory=7),
        WorkerStatus("worker-2", "worker", "dead", "cuda:1", restarts=9),
        WorkerStatus("planner", "planner", "idle", "auto", memory=3),
    ]
    state = ServerState(Counts(queued=5, held=2, running=1), True, False, 4, workers, 6, 10, 100)
    found = values(Metrics().text(state).decode())
    assert value(found, "workers", state="busy") == 1
    assert value(found, "workers", state="dead") == 1
    assert value(found, "workers", state="idle") == 0  # the planner runs no jobs
    assert value(found, "worker_restarts_total", worker="worker-2") == 9
    assert value(found, "worker_memory_bytes", worker="planner") == 3
    on_device = {"worker": "worker-1", "device": "cuda:0"}
    assert value(found, "worker_device_memory_bytes", **on_device) == 7
    assert ("nodegraph_worker_memory_bytes", frozenset({("worker", "worker-2")})) not in found
    assert value(found, "jobs", state="waiting") == 3
    assert value(found, "jobs", state="held") == 2
    assert value(found, "queue_paused") == 1
    assert value(found, "queue_writable") == 0
    assert value(found, "queue_unwritten") == 4
    assert value(found, "disk_free_bytes") == 10


def test_they_are_told_though_queue_and_home_are_gone(server: Hosted) -> None:
    before = scraped(server)
    (server.services.home / "queue.sqlite").unlink()
    server.client.get(f"{server.url}/readyz")
    assert value(scraped(server), "jobs_submitted_total") == value(before, "jobs_submitted_total")


@pytest.mark.slow
def test_many_may_read_them_at_a_time(server: Hosted) -> None:
    statuses: list[int] = []

    def read() -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            for _ in range(5):
                server.client.get("/queue")
                statuses.append(client.get(f"{server.url}/metrics").status_code)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 30


def test_two_servers_of_one_process_share_no_figures(
    server: Hosted, tmp_path: Path, known_packs: Path
) -> None:
    from tests.server.hosting import prepared_home

    server.client.post("/jobs", json={"workflow": workflow()})
    with hosted(prepared_home(tmp_path / "other", known_packs)) as other:
        assert value(scraped(other), "jobs_submitted_total") == 0
    assert value(scraped(server), "jobs_submitted_total") == 1
