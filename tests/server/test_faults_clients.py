"""Clients that send half, or read nothing: nothing of theirs stays, and nobody else waits."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from nodegraph.core.events import Event
from nodegraph.server.events.hub import subscription
from tests.server.faults import Api, kept, serving, until
from tests.server.hosting import PATIENCE, Hosted, Process, workflow
from tests.server.resources import picture
from tests.server.talking import Worker, worker

__all__ = ["worker"]  # a fixture

pytestmark = pytest.mark.slow

LARGE = 64 << 20
PICTURE = picture(1200, 1200, compress_level=0)


@pytest.fixture
def served(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Process, Api]]:
    monkeypatch.setenv("NODEGRAPH_SERVER_LIMITS_IDLE_SECONDS", "4")
    with serving(home, "--workers", "0") as found:
        yield found


def begun(port: int, method: str, path: str, *headers: str, length: int = 0) -> socket.socket:
    """A connection on which a request was begun."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if length:
        lines.append(f"Content-Length: {length}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def uploads(home: Path) -> list[str]:
    """Files of uploads, half ones included."""
    folder = home / "uploads" / "files"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def upload_begun(process: Process) -> socket.socket:
    """Half an upload, which is on the server's disk by now."""
    connection = begun(
        process.port,
        "POST",
        "/api/v1/uploads?name=a.png",
        "Content-Type: image/png",
        length=len(PICTURE),
    )
    try:
        connection.sendall(PICTURE[: len(PICTURE) // 2])
        until(lambda: uploads(process.home))
    except BaseException:
        connection.close()
        raise
    return connection


def test_an_upload_whose_client_stalls_ends_and_leaves_nothing(
    served: tuple[Process, Api],
) -> None:
    process, api = served
    with upload_begun(process) as stalling:
        assert api.submit().status_code == 202  # meanwhile
        until(lambda: not uploads(process.home))
        assert stalling.recv(1) == b""
    assert api.get("/uploads").json()["items"] == []


def test_an_upload_whose_client_is_gone_leaves_nothing(served: tuple[Process, Api]) -> None:
    process, api = served
    upload_begun(process).close()
    until(lambda: not uploads(process.home))
    assert api.get("/uploads").json()["items"] == []


def test_half_an_upload_is_gone_when_a_server_that_was_killed_starts_again(
    served: tuple[Process, Api],
) -> None:
    process, _ = served
    with upload_begun(process):
        process.process.send_signal(signal.SIGKILL)
        process.ended()
    assert uploads(process.home)
    with serving(process.home, "--workers", "0") as (again, api):
        assert uploads(again.home) == []
        assert api.get("/uploads").json()["items"] == []
        sent = api.ask(
            "POST", "/uploads?name=a.png", content=PICTURE, headers={"Content-Type": "image/png"}
        )
        assert sent.status_code == 201
        assert len(uploads(again.home)) == 1


def test_half_a_job_is_no_job(served: tuple[Process, Api]) -> None:
    process, api = served
    with begun(
        process.port, "POST", "/api/v1/jobs", "Content-Type: application/json", length=5_000
    ) as half:
        half.sendall(b'{"workflow": {"format": "nodegraph/1", ')
        assert half.recv(1) == b""  # it is hung up on
    assert api.get("/jobs").json()["items"] == []
    assert process.stop() == 0
    assert kept(process.home) == []


def test_who_reads_nothing_of_a_large_file_is_hung_up_on_and_others_get_theirs(
    served: tuple[Process, Api],
) -> None:
    process, api = served
    answer = api.submit()
    listing = "/api/v1/node-types"
    whole = httpx.get(f"{process.url}{listing}", trust_env=False, timeout=PATIENCE).content
    stuck = [begun(process.port, "GET", listing) for _ in range(10)]
    try:
        # Requests without end on each, and not one answer is read.
        def flood(connection: socket.socket) -> None:
            line = f"GET {listing} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            try:
                while True:
                    connection.sendall(line * 100)
            except OSError:
                return

        threads = [threading.Thread(target=flood, args=(each,)) for each in stuck]
        for thread in threads:
            thread.start()
        assert api.state(answer.json()["id"]) == "queued"
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "it was never hung up on"
        again = httpx.get(f"{process.url}{listing}", trust_env=False, timeout=PATIENCE).content
        assert again == whole
    finally:
        for connection in stuck:
            connection.close()


def test_who_follows_jobs_and_reads_nothing_costs_no_memory_and_no_job(
    server: Hosted, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "MOST_PENDING_BYTES", 2 << 20)
    hub = server.services.hub
    server.client.post("/jobs", json={"workflow": workflow()})
    job = worker.take()
    streams = [
        begun(server.port, "GET", "/api/v1/events", "Accept: text/event-stream") for _ in range(20)
    ]
    try:
        until(lambda: hub.subscribers == 20)
        before = psutil.Process().memory_info().rss
        numbers = iter(range(1, 2_000))
        while hub.subscribers:
            text = "x" * 200_000
            worker.tell(job, Event(next(numbers), "log", None, 0.0, {"text": text}))
            assert server.client.get("/queue").status_code == 200
        # Of what they haven't read, a bounded part was kept for each.
        assert psutil.Process().memory_info().rss - before < 20 * (8 << 20) + LARGE
        worker.finish(job)
        assert server.client.get(f"/jobs/{job.id}").json()["state"] == "finished"
    finally:
        for stream in streams:
            stream.close()
