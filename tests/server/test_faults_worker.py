"""Faults while a real worker has a job: what it has done is neither lost nor done twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.supervisor.crew import PACK
from tests.server.disks import kept_full, small_disk
from tests.server.faults import Api, serving, until
from tests.server.hosting import prepared_home

pytestmark = pytest.mark.slow


def nodes(**found: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A workflow of nodes of the pack for trouble."""
    document = {
        name: {"type": f"trouble:{kind}", "inputs": inputs}
        for name, (kind, inputs) in found.items()
    }
    return {"format": "nodegraph/1", "nodes": document}


def waiting(here: Path, gate: Path) -> dict[str, Any]:
    """A workflow whose run begins, and ends when a file is there."""
    return nodes(
        wait=("Wait", {"here": str(here), "gate": str(gate)}),
        show=("Show", {"value": {"from": "wait"}}),
    )


def sums(value: int, name: str) -> dict[str, Any]:
    """One that writes a number to a file."""
    return nodes(
        one=("Number", {"value": value}),
        sum=("Add", {"a": {"from": "one"}, "b": 2}),
        write=("Write", {"value": {"from": "sum"}, "name": name}),
    )


@pytest.fixture(autouse=True)
def store_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are kept where they are unless somebody says otherwise."""
    monkeypatch.delenv("NODEGRAPH_STORE", raising=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 32 << 20) as found:
        yield found


def started(home: Path) -> Any:
    return serving(home, "--workers", "1", "--pack", PACK)


def submitted(api: Api, workflow: dict[str, Any]) -> str:
    answer = api.submit(workflow=workflow)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def finished(api: Api, job: str) -> Any:
    until(lambda: api.state(job) not in ("queued", "running"))
    found = api.get(f"/jobs/{job}").json()
    assert found["state"] == "finished", found
    return found


def kinds(api: Api, job: str) -> list[str]:
    return [each["kind"] for each in api.get(f"/jobs/{job}/events").json()["items"]]


def test_a_job_that_ends_while_the_disk_is_full_has_ended_once_there_is_room(
    disk: Path, tmp_path: Path, known_packs: Path
) -> None:
    home = prepared_home(disk / "home", known_packs)
    here, gate = tmp_path / "here", tmp_path / "gate"
    with started(home) as (process, api):
        job = submitted(api, waiting(here, gate))
        until(here.exists)
        with kept_full(disk):
            gate.touch()
            fault = until(lambda: api.get("/system").json()["queue"]["fault"])
            assert "full" in fault
            assert api.state(job) == "running"
            until(lambda: "queue-not-writable" in api.ready())
        found = finished(api, job)
        assert found["attempt"] == 1
        assert kinds(api, job).count("job.finished") == 1
        assert kinds(api, job).count("node.finished") == 2
        until(lambda: api.get("/system").json()["queue"]["fault"] is None)
        # The worker is the same, and takes the next one.
        assert api.worker["restarts"] == 0
        finished(api, submitted(api, sums(1, "after.txt")))
        assert process.stop() == 0
    assert "Traceback" not in process.log, process.log


def test_a_server_that_is_told_to_end_while_the_disk_is_full_ends_and_its_job_goes_on_later(
    disk: Path, tmp_path: Path, known_packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_SERVER_SHUTDOWN_SECONDS", "3")
    home = prepared_home(disk / "home", known_packs)
    here, gate = tmp_path / "here", tmp_path / "gate"
    with started(home) as (process, api):
        job = submitted(api, waiting(here, gate))
        until(here.exists)
        with kept_full(disk):
            assert process.stop() == 0
    gate.touch()
    with started(home) as (_, api):
        found = finished(api, job)
        assert found["attempt"] == 2
        assert kinds(api, job).count("job.finished") == 1


def test_a_store_that_is_removed_costs_results_and_no_job(home: Path) -> None:
    with started(home) as (process, api):
        finished(api, submitted(api, sums(1, "a.txt")))
        store = home / "cache" / "store"
        assert store.exists()
        for at in range(2, 5):
            shutil.rmtree(store, ignore_errors=True)
            finished(api, submitted(api, sums(at, f"{at}.txt")))
            assert (home / "outputs" / f"{at}.txt").read_text() == str(at + 2)
        shutil.rmtree(home / "cache")
        finished(api, submitted(api, sums(9, "9.txt")))
        assert process.stop() == 0
    # The next worker has a store again.
    with started(home) as (_, api):
        for _ in range(2):
            finished(api, submitted(api, sums(20, "b.txt")))
        assert store.exists()


def test_outputs_that_are_removed_are_made_again(home: Path) -> None:
    with started(home) as (_, api):
        first = finished(api, submitted(api, sums(1, "a.txt")))
        (file,) = first["outputs"]["files"]
        shutil.rmtree(home / "outputs")
        assert api.problem("GET", f"/artifacts/{file['digest']}", 410)
        again = finished(api, submitted(api, sums(1, "a.txt")))
        assert again["outputs"]["files"][0]["digest"] == file["digest"]
        assert api.get(f"/artifacts/{file['digest']}").content == b"3"
