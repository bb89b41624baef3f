"""Workers of a server compute on accelerators, each on its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.accelerator.fixtures import MIB, has_real_card, needs_pretending
from tests.accelerator.pictures import Painter, pixels, workflow
from tests.server.conftest import home, known_packs  # noqa: F401 - fixtures
from tests.server.faults import Api, serving, until

HERE = Path(__file__).parent


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """For processes that are started now: the real ones, or else two pretend ones."""
    if has_real_card():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    needs_pretending()
    # What is in the path already goes before the repository: there the gallery has another name.
    paths = [str(HERE / "entry"), os.environ.get("PYTHONPATH", ""), str(HERE.parents[1])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return ["cuda:0", "cuda:1"]


def workers(api: Api) -> list[dict[str, Any]]:
    found = api.get("/system").json()["workers"]
    return sorted((each for each in found if each["role"] == "worker"), key=lambda x: x["device"])


@pytest.mark.slow
@pytest.mark.gpu
def test_a_server_paints_on_each_of_its_devices(
    home: Path,  # noqa: F811 - the fixture
    devices: list[str],
    painter: Painter,
) -> None:
    """What a session paints there. (Of float16, the CPU itself takes other kernels.)"""
    documents = [workflow("float16", seed=seed, steps=2) for seed in range(2)]
    options = ("--devices", ",".join(["cuda", *devices[1:]]))
    with serving(home, *options) as (_, api):
        jobs = [str(api.submit(workflow=each).json()["id"]) for each in documents]
        for job, document in zip(jobs, documents, strict=True):
            assert until(lambda job=job: ended(api, job)) == "finished"
            (file,) = api.get(f"/jobs/{job}").json()["outputs"]["files"]
            assert np.array_equal(pixels(home / "outputs" / file["name"]), painter.paint(document))
        assert [worker["device"] for worker in workers(api)] == devices
        until(lambda: any((each["device_memory"] or 0) > 15 * MIB for each in workers(api)))


def ended(api: Api, job: str) -> str:
    """The state of a job that has ended, else nothing."""
    state = api.state(job)
    return "" if state in ("queued", "running") else state
