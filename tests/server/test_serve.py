"""`nodegraph serve` as a process: how it starts, what it refuses, how it stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from nodegraph.cli.serve import reachable
from nodegraph.jobs.queue import QueueReader
from nodegraph.server.access.tokens import TokenFile
from tests.server.hosting import PATIENCE, Process, eventually, sent, status, workflow
from tests.server.test_webhooks import receiving

pytestmark = pytest.mark.slow
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def serving(home: Path) -> Iterator[Process]:
    with Process(home, "--workers", "0") as found:
        yield found.ready()


def asked(process: Process, path: str, **options: object) -> httpx.Response:
    method = "POST" if "json" in options else "GET"
    return httpx.request(
        method,
        f"{process.url}/api/v1{path}",
        timeout=PATIENCE,
        trust_env=False,
        **options,  # type: ignore[arg-type]
    )


@LINUX
def test_the_server_never_loads_torch_nor_runs_a_packs_code(home: Path) -> None:
    (home / "packs" / "heavy.py").write_text(
        "import os, pathlib\n"
        "import torch\n"
        "from nodegraph import node\n"
        f"(pathlib.Path({str(home)!r}) / f'imported-{{os.getpid()}}').touch()\n"
        "@node(output=True)\n"
        "def Heavy(value: int = 1) -> int:\n"
        '    """Needs a library."""\n'
        "    return torch.tensor(value).item()\n"
    )
    with Process(home, "--workers", "0") as serving:
        serving.ready()
        heavy = {"format": "nodegraph/1", "nodes": {"a": {"type": "heavy:Heavy"}}}
        assert asked(serving, "/validate", json={"workflow": heavy}).json()["valid"] is True
        assert asked(serving, "/plan", json={"workflow": heavy}).json()["valid"] is True
        assert asked(serving, "/jobs", json={"workflow": heavy}).status_code == 202
        for path in ("/node-types", "/models", "/system", "/queue", "/workflows", "/jobs"):
            assert asked(serving, path).status_code == 200
        assert asked(serving, "/system").json()["problems"] == []
        # The planner has it, so that the pack was read at all.
        assert any((home / f"imported-{pid}").exists() for pid in serving.children())
        assert not (home / f"imported-{serving.pid}").exists()
        assert not serving.has_loaded("libtorch")
        assert serving.has_loaded("python")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_nothing_is_lost(serving: Process, number: int) -> None:
    job = asked(serving, "/jobs", json={"workflow": workflow()}).json()["id"]
    children = serving.children() if sys.platform == "linux" else []
    assert serving.stop(number) == 0
    assert "Traceback" not in serving.log
    with QueueReader(serving.home / "queue.sqlite") as queue:
        assert queue.get(job).state == "queued"
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    with Process(serving.home, "--workers", "0") as again:
        assert asked(again.ready(), f"/jobs/{job}").json()["state"] == "queued"


def test_open_connections_and_half_sent_requests_do_not_keep_it_from_stopping(
    serving: Process,
) -> None:
    with (
        socket.create_connection(("127.0.0.1", serving.port)),
        socket.create_connection(("127.0.0.1", serving.port)) as half,
        socket.create_connection(("127.0.0.1", serving.port)) as body,
        httpx.Client(trust_env=False, timeout=PATIENCE) as client,
    ):
        half.sendall(b"GET /healthz HTT")
        body.sendall(
            b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        client.get(f"{serving.url}/healthz")
        start = time.monotonic()
        assert serving.stop() == 0
        assert time.monotonic() - start < 30


def test_a_second_signal_ends_it_at_once(serving: Process) -> None:
    with socket.create_connection(("127.0.0.1", serving.port)) as body:
        body.sendall(
            b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        # Else there may be nothing yet that it would wait for.
        eventually(lambda: in_progress(serving) == 2)
        serving.process.send_signal(signal.SIGINT)
        serving.logged("stopping")
        serving.process.send_signal(signal.SIGINT)
        assert serving.ended() == 130


def in_progress(process: Process) -> float:
    """Requests that are answered just now, this one included."""
    text = httpx.get(f"{process.url}/metrics", timeout=PATIENCE, trust_env=False).text
    found = re.search(r"^nodegraph_http_requests_in_progress (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


@LINUX
def test_the_editor_is_opened_when_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, script = home / "opened.txt", home / "browser"
    script.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {opened}.part && mv {opened}.part {opened}\n')
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    with Process(home, "--workers", "0", "--open") as serving:
        url = serving.ready().url
        eventually(opened.exists)
        assert opened.read_text() == url
        page = httpx.get(f"{url}/", timeout=PATIENCE, trust_env=False)
        assert page.headers["content-type"].startswith("text/html")


@LINUX
def test_without_a_browser_the_address_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with Process(home, "--workers", "0", "--open") as serving:
        serving.ready().logged(f"open {serving.url} in a browser")


@pytest.mark.parametrize(
    ("told", "opened"),
    [
        ("http://127.0.0.1:8420", "http://127.0.0.1:8420"),
        ("http://0.0.0.0:8420", "http://127.0.0.1:8420"),
        ("http://[::]:8420", "http://[::1]:8420"),
        ("http://[::1]:8420", "http://[::1]:8420"),
        ("http://studio.example:80", "http://studio.example:80"),
    ],
)
def test_a_browser_gets_an_address_that_it_can_reach(told: str, opened: str) -> None:
    assert reachable(told) == opened


def test_a_port_that_is_taken_is_told_in_a_line(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Process(home, "--port", str(port)) as process:
            assert process.ended() == 2
            assert f"port {port} of 127.0.0.1 is used by another" in process.log
            assert "Traceback" not in process.log, process.log
    assert not (home / "queue.sqlite").exists()


def test_a_queue_that_another_server_has_is_told_in_a_line(serving: Process) -> None:
    with Process(serving.home) as second:
        assert second.ended() == 2
        assert f"in use by process {serving.pid}" in second.log
        assert "Traceback" not in second.log
    assert asked(serving, "/system").status_code == 200


@pytest.mark.parametrize("arguments", [("--host", "0.0.0.0"), ("--allow-host", "studio.example")])
def test_a_server_that_others_can_reach_does_not_start_without_a_token(
    home: Path, arguments: tuple[str, ...]
) -> None:
    with Process(home, *arguments) as process:
        assert process.ended() == 2
        assert "nodegraph token add" in process.log
    assert not (home / "queue.sqlite").exists()


def test_with_a_token_it_starts_and_lets_in_only_who_has_it(home: Path) -> None:
    text, _ = TokenFile(home / "tokens.json").add("studio", ["run"])
    with Process(home, "--host", "0.0.0.0", "--workers", "0") as process:
        process.ready()
        process.url = f"http://127.0.0.1:{process.port}"
        assert asked(process, "/system").status_code == 401
        allowed = {"Authorization": f"Bearer {text}"}
        assert asked(process, "/system", headers=allowed).status_code == 200
        process.logged("not encrypted")
        assert process.stop() == 0
        assert text not in process.log + process.printed


def test_settings_come_from_the_file_variables_and_flags(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config.toml").write_text(
        'memory_cache = "1GB"\n[server]\nworkers = 0\nmost_waiting = 5\n'
        '[server.limits]\nbody = "1MB"\nnodes = 7\n'
    )
    monkeypatch.setenv("NODEGRAPH_SERVER_LIMITS_NODES", "9")
    monkeypatch.setenv("NODEGRAPH_SERVER_MOST_WAITING", "6")
    monkeypatch.setenv("NODEGRAPH_SERVER_ALLOWED_ORIGINS", "https://a.example, http://b:1")
    with Process(home, "--log-format", "json") as process:
        found = asked(process.ready(), "/settings").json()
        assert (found["workers"], found["most_waiting"], found["log_format"]) == (0, 6, "json")
        assert (found["limits"]["body"], found["limits"]["nodes"]) == (1_000_000, 9)
        assert found["allowed_origins"] == ["https://a.example", "http://b:1"]
        refused = asked(process, "/system", headers={"Origin": "null"})
        assert refused.status_code == 403
        process.logged("origin-not-allowed")
        lines = [json.loads(line) for line in process.log.splitlines()]
        (line,) = [line for line in lines if line.get("event") == "refused"]
        assert (line["status"], line["origin"], line["path"]) == ("403", "null", "/api/v1/system")


def test_settings_that_make_no_sense_are_told_before_anything_is_opened(home: Path) -> None:
    (home / "config.toml").write_text("[server]\nprot = 1")
    with Process(home) as process:
        assert process.ended() == 2
        assert "Did you mean `port`?" in process.log
        assert "Traceback" not in process.log, process.log
    assert not (home / "queue.sqlite").exists()


def test_each_answer_has_the_date_of_its_moment_once(serving: Process) -> None:
    for _ in range(2):
        before = int(time.time())
        (date,) = asked(serving, "/system").headers.get_list("date")
        assert before <= parsedate_to_datetime(date).timestamp() <= time.time()


@pytest.fixture
def impatient(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    monkeypatch.setenv("NODEGRAPH_SERVER_LIMITS_IDLE_SECONDS", "2")
    with Process(home, "--workers", "0") as found:
        yield found.ready()


def test_a_client_that_stalls_is_hung_up_on(impatient: Process) -> None:
    for stalls in (_sends_half, _sends_byte_by_byte, _stops_reading):
        stalls(impatient.port)
        assert asked(impatient, "/system").status_code == 200
    eventually(lambda: impatient.log.count("closed the connection of a client that stalled") >= 5)
    assert "Traceback" not in impatient.log


def test_who_does_not_wait_for_an_answer_gets_that_one_and_no_more(serving: Process) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", serving.port), PATIENCE) as connection:
        connection.sendall(request * 1_000)
        found = b""
        with suppress(ConnectionResetError):
            while piece := connection.recv(65_536):
                found += piece
    assert found.count(b"HTTP/1.1 200 OK") == 1
    assert asked(serving, "/system").status_code == 200


def _sends_half(port: int) -> None:
    starts = [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: loc",
        b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        b"Content-Type: application/json\r\n\r\n{",
    ]
    for start in starts:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            connection.sendall(start)
            assert hung_up(connection)


def _sends_byte_by_byte(port: int) -> None:
    end = time.monotonic() + PATIENCE
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        with suppress(BrokenPipeError, ConnectionResetError):
            while True:
                assert time.monotonic() < end, "the server listened to the very end"
                connection.sendall(b"a")
                time.sleep(0.05)


def _stops_reading(port: int) -> None:
    noise = Image.frombytes("RGB", (2_000, 3_000), os.urandom(18_000_000))
    large = BytesIO()
    noise.save(large, "PNG", compress_level=0)
    url = f"http://127.0.0.1:{port}/api/v1/uploads"
    entry = httpx.post(url, content=large.getvalue(), timeout=PATIENCE, trust_env=False).json()
    request = f"GET {entry['href']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", port))
        connection.sendall(request)
        # A connection that was cut takes no more, though nothing of it was read.
        end = time.monotonic() + PATIENCE
        with suppress(BrokenPipeError, ConnectionResetError):
            while True:
                assert time.monotonic() < end, "the server waits for ever"
                time.sleep(0.1)
                connection.sendall(b"x")


def hung_up(connection: socket.socket) -> bool:
    try:
        return connection.recv(65_536) == b""
    except ConnectionResetError:
        return True


COMMANDS = {
    "server.py": ("server.py", "--port", "0"),
    "uvicorn": ("-m", "uvicorn", "server:app", "--port", "0"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_other_ways_to_start_it(home: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_SERVER_WORKERS", "0")
    with Process(home, command=COMMANDS[command]) as process:
        if command == "uvicorn":
            process.logged("Uvicorn running on")
            process.url = process.log.rpartition("running on ")[2].split()[0]
        else:
            process.ready()
        job = asked(process, "/jobs", json={"workflow": workflow()}).json()["id"]
        assert asked(process, f"/jobs/{job}").status_code == 200
        assert asked(process, "/system", headers={"Origin": "null"}).status_code == 403
        process.stop()
        assert "Traceback" not in process.log, process.log
    with QueueReader(home / "queue.sqlite") as queue:
        assert queue.get(job).state == "queued"


def test_at_an_address_for_others_even_uvicorn_asks_for_a_token(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_SERVER_WORKERS", "0")
    address = own_address()
    command = ("-m", "uvicorn", "server:app", "--host", "0.0.0.0", "--port", "0")
    with Process(home, command=command) as process:
        process.logged("Uvicorn running on")
        port = int(process.log.rpartition("running on ")[2].split()[0].rpartition(":")[2])
        asked_from_outside = httpx.get(
            f"http://{address}:{port}/api/v1/system",
            headers={"Host": "localhost"},
            timeout=PATIENCE,
            trust_env=False,
        )
        assert asked_from_outside.status_code == 401
        process.url = f"http://127.0.0.1:{port}"
        assert asked(process, "/system").is_success


def own_address() -> str:
    """An address of this machine that isn't the loopback's."""
    found = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False)
    addresses = [each for each in found.stdout.split() if "." in each]
    if not addresses:
        pytest.skip("this machine has no address but the loopback's")
    return addresses[0]


def test_a_proxy_on_this_machine_lets_nobody_in_without_a_token(serving: Process) -> None:
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        answer = asked(serving, "/system", headers={header: "1.2.3.4"})
        assert answer.status_code == 401, header


def test_a_head_without_end_is_refused(serving: Process) -> None:
    line = b"X-Long: " + b"a" * 8_000 + b"\r\n"
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    assert status(sent(serving.port, head + line * 100)) == 431
    assert status(sent(serving.port, b"GET /" + b"a" * 1_000_000)) == 431
    assert asked(serving, "/system").status_code == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process group")
def test_nothing_is_left_when_the_server_is_killed(serving: Process) -> None:
    children = serving.children()
    assert children
    serving.process.kill()
    serving.ended()
    end = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < end, "a worker lives on"
        time.sleep(0.05)


def test_old_jobs_are_deleted_while_it_runs(home: Path) -> None:
    (home / "config.toml").write_text("[server.retention]\nseconds = 0.01\nevery = 0.1\n")
    with Process(home, "--workers", "0") as serving:
        serving.ready()
        job = asked(serving, "/jobs", json={"workflow": workflow()}).json()["id"]
        asked(serving, f"/jobs/{job}/cancel", json={})
        eventually(lambda: asked(serving, f"/jobs/{job}").status_code == 404)


def test_a_webhook_is_sent_although_the_server_was_killed(home: Path) -> None:
    (home / "config.toml").write_text('[server]\nwebhook_hosts = ["127.0.0.1"]\n')
    with receiving() as receiver:
        receiver.answers.append((503, {}))
        webhook = {"url": receiver.url, "events": ["job.queued"]}
        with Process(home, "--workers", "0") as serving:
            serving.ready()
            asked(serving, "/jobs", json={"workflow": workflow(), "webhook": webhook})
            eventually(lambda: asked(serving, "/webhooks").json()["items"][0]["status"] == 503)
            serving.stop(signal.SIGKILL)
        with Process(home, "--workers", "0") as again:
            again.ready()
            # Once the pause after the first attempt is over.
            eventually(lambda: len(receiver.requests) == 2)
            eventually(lambda: asked(again, "/webhooks").json()["items"][0]["state"] == "delivered")
        ids = {headers["webhook-id"] for _, headers, _ in receiver.requests}
        assert len(ids) == 1
        assert {json.loads(body)["type"] for _, _, body in receiver.requests} == {"job.queued"}
