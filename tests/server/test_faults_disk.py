"""A disk that is really full: nothing that was promised is lost, and nothing is half kept."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodegraph.errors import OutputError
from nodegraph.server.access.tokens import TokenFile
from tests.messages import raises
from tests.server.disks import fill, kept_full, small_disk
from tests.server.faults import Api, kept, serving, until
from tests.server.hosting import PATIENCE, Process, prepared_home, workflow
from tests.server.resources import picture

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 24 << 20) as found:
        yield found


@pytest.fixture
def served(
    disk: Path, known_packs: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Process, Api]]:
    monkeypatch.setenv("NODEGRAPH_SERVER_LEAST_FREE", "1MB")
    home = prepared_home(disk / "home", known_packs)
    with serving(home, "--workers", "0") as found:
        yield found


def fill_with_jobs(api: Api) -> list[str]:
    """Submit until nothing more can be kept; ids of the jobs that were accepted."""
    accepted: list[str] = []
    while True:
        answer = api.submit(name="x" * 200, parameters={"b": len(accepted)})
        if answer.status_code != 202:
            assert answer.status_code == 503
            problem = answer.json()
            assert problem["type"] == "/problems/output-failed"
            assert "full" in problem["detail"]
            assert "Free some space" in problem["problems"][0]["hint"]
            assert "retry-after" in answer.headers
            return accepted
        accepted.append(answer.json()["id"])


def test_what_was_accepted_is_kept_and_what_was_refused_has_left_no_trace(
    disk: Path, served: tuple[Process, Api]
) -> None:
    process, api = served
    assert api.ready() == set()
    first = api.submit().json()["id"]
    filled = fill(disk, leave=500_000)
    accepted = [first, *fill_with_jobs(api)]
    assert len(accepted) > 3
    # All that can be done without writing goes on.
    assert api.lives()
    assert api.state(first) == "queued"
    assert api.get("/queue").json()["counts"]["queued"] == len(accepted)
    assert api.ask("POST", "/validate", json={"workflow": workflow()}).json()["valid"]
    until(lambda: "disk-low" in api.ready())
    filled.unlink()
    until(lambda: api.ready() == set())
    last = api.submit()
    assert last.status_code == 202
    assert process.stop() == 0
    assert "Traceback" not in process.log, process.log
    assert kept(process.home) == [*accepted, last.json()["id"]]


def test_files_and_workflows_are_kept_whole_or_not_at_all(
    disk: Path, served: tuple[Process, Api]
) -> None:
    process, api = served
    assert api.ask("PUT", "/workflows/sums", json=workflow()).status_code == 201
    before = api.get("/workflows/sums").json()
    changed = {**workflow(), "description": "y" * 100_000}
    data = picture(400, 400, color=(1, 2, 3), compress_level=0)
    headers = {"Content-Type": "image/png"}
    with kept_full(disk):
        assert api.problem("PUT", "/workflows/sums", 503, json=changed) == "output-failed"
        assert api.problem("PUT", "/workflows/other", 503, json=changed) == "output-failed"
        assert api.get("/workflows/sums").json() == before
        assert api.problem("POST", "/uploads?name=a.png", 503, content=data, headers=headers)
        assert api.get("/uploads").json()["items"] == []
        files = process.home / "uploads" / "files"
        assert not files.exists() or list(files.iterdir()) == []
    assert api.ask("PUT", "/workflows/sums", json=changed).status_code == 200
    sent = api.ask("POST", "/uploads?name=a.png", content=data, headers=headers)
    assert sent.status_code == 201
    assert [each["digest"] for each in api.get("/uploads").json()["items"]] == [
        sent.json()["digest"]
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_as_it_is_told_and_starts_again(
    disk: Path, served: tuple[Process, Api], number: int
) -> None:
    process, api = served
    accepted = [api.submit().json()["id"] for _ in range(3)]
    with kept_full(disk):
        assert api.submit().status_code == 503
        assert process.stop(number) == 0
    assert "Traceback" not in process.log, process.log
    assert kept(process.home) == accepted


def test_a_server_that_finds_a_full_disk_says_so_and_makes_nothing(
    disk: Path, known_packs: Path
) -> None:
    home = prepared_home(disk / "home", known_packs)
    fill(disk)
    command = [sys.executable, "-m", "nodegraph", "--home", str(home), "serve", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert "full" in done.stderr
    assert "Free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (home / "queue.sqlite").exists() or (home / "queue.sqlite").stat().st_size == 0


def test_tokens_stay_as_they_were(disk: Path) -> None:
    tokens = TokenFile(disk / "tokens.json")
    tokens.add("ann", ("run",))
    before = tokens.read()
    fill(disk)
    for change in (lambda: tokens.add("bob", ("run",)), lambda: tokens.revoke("ann")):
        with raises(OutputError):
            change()
    assert tokens.read() == before
    assert [path.name for path in disk.iterdir() if path.name.endswith(".tmp")] == []
