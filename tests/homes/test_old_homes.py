"""Home folders of earlier versions open: nothing in them is lost or misread.

Each archive was made once, by `tests/homes/make.py` of its version.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodegraph.client import Client
from tests.homes.make import TOKEN, sampling
from tests.server.hosting import Process

ARCHIVES = sorted(Path(__file__).parent.glob("*.tar.gz"))


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NODEGRAPH_STORE")  # a home's own, with the runs that it knows
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    with Process(home) as server:
        with Client(server.ready().url, token=TOKEN) as client:
            yield client
        assert server.stop() == 0, server.log


@pytest.mark.slow
def test_a_server_goes_on_with_what_was_there(home: Path, client: Client) -> None:
    jobs = {job.state: job for job in client.list()}
    assert set(jobs) == {"finished", "failed", "queued"}

    (picture,) = client.get(jobs["finished"].id).outputs.files
    client.download(picture, home / "downloaded.png")
    assert (home / "downloaded.png").read_bytes() == (
        home / "outputs" / "apple_00001.png"
    ).read_bytes()
    assert jobs["failed"].fault.node == "pick"
    assert client.workflows.get("apple") == sampling(steps=3, seed=1)
    assert client.settings.get()["cancel_seconds"] == 11

    client.queue.resume()
    done = client.wait(jobs["queued"].id).checked()
    (upload,) = (home / "uploads" / "files").glob("*.png")
    negative = np.asarray(Image.open(home / "outputs" / done.outputs.files[0].name).convert("RGB"))
    assert (negative == 255 - np.asarray(Image.open(upload).convert("RGB"))).all()


@pytest.mark.slow
def test_a_sampling_that_was_killed_ends_as_if_it_had_not_been(home: Path, tmp_path: Path) -> None:
    workflow = tmp_path / "apple.json"
    workflow.write_text(json.dumps(sampling(steps=120, seed=2)))
    pictures = []
    for folder in (home, tmp_path / "new"):
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "nodegraph", "--home", str(folder), "run", str(workflow)]
        done = subprocess.run(
            [*command, "--json"], check=True, capture_output=True, text=True, cwd=folder
        )
        (file,) = json.loads(done.stdout)["files"]
        pictures.append(np.asarray(Image.open(folder / file["path"])))
    assert (pictures[0] == pictures[1]).all()


def test_earlier_runs_are_listed(home: Path) -> None:
    command = [sys.executable, "-m", "nodegraph", "--home", str(home), "runs", "list", "--json"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["runs"]
    assert [run["status"] for run in reversed(listed)] == ["ok", "killed", "ok", "failed"]
