"""Jobs of a server whose samplings share batches in one worker."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.faults import Api, serving, until
from tests.server.hosting import PATIENCE, Process, prepared_home
from tests.server.workflows import sampling

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX"),
]
STEPS = 120
"""So many that one job goes on while another is handed over, however busy the machine is."""
CONFIG = """
merge_steps = "exact"
merge_margin = -1e9
checkpoint_seconds = 0.05

[server]
workers = 1
devices = ["cpu"]
merge_jobs = {most}
"""
Made = Mapping[str, str]


class Jobs:
    """A server with one worker, and jobs that sample."""

    def __init__(self, process: Process, api: Api) -> None:
        self._process = process
        self.api = api

    def submit(self, text: str, seed: int, cfg: float) -> str:
        document = sampling(64, STEPS)
        document["nodes"]["prompt"]["inputs"]["text"] = text
        document["nodes"]["sample"]["inputs"].update(seed=seed, cfg=cfg)
        answer = self.api.submit(workflow=document, targets=["sample"])
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def made(self, job: str) -> Made:
        """Digests of what a job gave, once it has finished."""
        until(lambda: self.api.state(job) not in ("queued", "running"), 4 * PATIENCE)
        found = self.api.get(f"/jobs/{job}").json()
        assert found["state"] == "finished", found
        made: Made = found["outputs"]["outputs"]
        return made

    def events(self, job: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.get(f"/jobs/{job}/events").json()["items"]
        return found

    def both_run(self, *jobs: str) -> None:
        """Wait until jobs sample beside each other."""
        sampling = "node.started"
        until(lambda: all(sampling in self._kinds(job, "sample") for job in jobs), 2 * PATIENCE)

    def _kinds(self, job: str, node: str) -> set[str]:
        return {each["kind"] for each in self.events(job) if each["node"] == node}

    @property
    def merged(self) -> int:
        """Steps that were computed with others'."""
        text = httpx.get(f"{self._process.url}/metrics", timeout=PATIENCE, trust_env=False).text
        found = re.search(r'merged_steps_total{worker="worker-1"} ([0-9.e+]+)', text)
        assert found is not None
        return int(float(found[1]))


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NODEGRAPH_STORE", raising=False)
        yield tmp_path_factory.mktemp("merged")


def jobs_of(folder: Path, known_packs: Path, most: int) -> Iterator[Jobs]:
    home = prepared_home(folder / str(most), known_packs)
    (home / "config.toml").write_text(CONFIG.format(most=most))
    with serving(home) as (process, api):
        yield Jobs(process, api)


WANTED = [("a red apple", 1, 4.0), ("a green leaf", 2, 7.5), ("a blue ball", 3, 2.5)]


@pytest.fixture(scope="module")
def alone(homes: Path, known_packs: Path) -> Iterator[list[Made]]:
    """What each job gives by itself."""
    for jobs in jobs_of(homes, known_packs, 1):
        found = [jobs.made(job) for job in [jobs.submit(*each) for each in WANTED]]
        assert jobs.merged == 0
        yield found


@pytest.fixture
def merging(homes: Path, known_packs: Path, tmp_path: Path) -> Iterator[Jobs]:
    yield from jobs_of(tmp_path, known_packs, 2)


def test_two_jobs_share_batches_and_give_what_each_gives_alone(
    merging: Jobs, alone: list[Made]
) -> None:
    jobs = [merging.submit(*each) for each in WANTED]
    assert [merging.made(job) for job in jobs] == alone
    assert merging.merged > 0
    for job in jobs:
        assert [each["kind"] for each in merging.events(job)].count("job.finished") == 1


def test_a_cancelled_job_leaves_its_companion_as_it_is(merging: Jobs, alone: list[Made]) -> None:
    first, second = (merging.submit(*each) for each in WANTED[:2])
    merging.both_run(first, second)
    merging.api.ask("POST", f"/jobs/{second}/cancel")
    until(lambda: merging.api.state(second) == "cancelled")
    assert merging.made(first) == alone[0]
    assert merging.api.worker["restarts"] == 0


def test_jobs_that_shared_a_death_go_on_each_by_itself(merging: Jobs, alone: list[Made]) -> None:
    jobs = [merging.submit(*each) for each in WANTED[:2]]
    merging.both_run(*jobs)
    os.kill(merging.api.worker["pid"], signal.SIGKILL)
    until(lambda: merging.api.worker["restarts"] == 1, 2 * PATIENCE)
    before = merging.merged
    assert [merging.made(job) for job in jobs] == alone[:2]
    for job in jobs:
        events = merging.events(job)
        assert [each["kind"] for each in events].count("job.finished") == 1
        (death,) = [each["data"]["death"] for each in events if each["kind"] == "job.requeued"]
        assert (death["node"], death["beside"]) == ("sample", 1)
    # Neither was given company again.
    assert merging.merged == before
