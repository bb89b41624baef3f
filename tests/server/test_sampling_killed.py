"""A worker that is killed while it samples: the image comes all the same, and is the same."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.server.faults import Api, serving
from tests.server.hosting import prepared_home
from tests.server.talking import Talk, talk
from tests.server.workflows import sampling

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals work differently there"),
]
WORKER = ("--workers", "1", "--devices", "cpu")


def picture(seed: int) -> dict[str, Any]:
    """A workflow that saves what is sampled."""
    found = sampling(128, steps=60)
    found["nodes"]["sample"]["inputs"]["seed"] = seed
    latent = {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}}
    found["nodes"]["decode"] = {"type": "VAEDecode", "inputs": latent}
    saved = {"image": {"from": "decode"}, "name": "apple"}
    found["nodes"]["save"] = {"type": "SaveImage", "inputs": saved}
    return found


def told(client: Talk, job: str, kind: str) -> list[dict[str, Any]]:
    """A job's events of a kind."""
    return [each for each in client.events if (each["job"], each["kind"]) == (job, kind)]


def submitted(client: Talk, seed: int) -> str:
    job: str = client.ask("submit", workflow=picture(seed))["job"]["id"]
    return job


def digest(api: Api, job: str) -> str:
    """Of the image that a job gave."""
    (file,) = api.get(f"/jobs/{job}").json()["outputs"]["files"]
    found: str = file["digest"]
    return found


def killed(api: Api, client: Talk) -> tuple[int, str]:
    """The seed and the id of a job that went on from a saved step after its worker was killed."""
    for seed in range(20):
        job = submitted(client, seed)
        client.until("node.progress", job)
        os.kill(api.worker["pid"], signal.SIGKILL)
        client.until("job.finished", job)
        # A machine may be quick enough to end it, or to be killed before a step is saved.
        if told(client, job, "node.restored"):
            return seed, job
    raise AssertionError("no job was killed while it sampled")


def test_a_worker_that_is_killed_while_it_samples_costs_no_step_that_was_saved(
    home: Path, known_packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_CHECKPOINT_SECONDS", "0")
    with serving(home, *WORKER) as (process, api), talk(process) as client:
        client.ask("subscribe", previews=False)
        seed, job = killed(api, client)
        (restored,) = told(client, job, "node.restored")
        assert restored["data"]["step"] >= 1
        after = [each for each in told(client, job, "node.progress") if each["attempt"] == 2]
        assert all(each["data"]["step"] > restored["data"]["step"] for each in after)
        found = digest(api, job)
    undisturbed = prepared_home(tmp_path / "undisturbed", known_packs)
    with serving(undisturbed, *WORKER) as (process, api), talk(process) as client:
        client.ask("subscribe", previews=False)
        job = submitted(client, seed)
        client.until("job.finished", job)
        assert found == digest(api, job)
