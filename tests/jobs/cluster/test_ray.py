"""A server whose workers run on a real Ray cluster of several nodes on this machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.jobs.cluster.machines import Machines
from tests.server.chaos import disturbed
from tests.server.chaos_checks import faults
from tests.server.chaos_record import moments
from tests.server.chaos_work import pieces
from tests.server.conftest import known_packs  # noqa: F401 - a fixture
from tests.server.hosting import prepared_home

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray isn't installed"),
]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "HOST:PORT as `ray start --head` prints it"),
        # Nobody may listen there without being root.
        ("127.0.0.1:1", "no answer from 127.0.0.1:1"),
        ("ray://127.0.0.1:1", "no answer from 127.0.0.1:1"),
    ],
)
def test_a_cluster_that_isnt_there_is_told_with_what_may_be_given(
    tmp_path: Path, address: str, words: str
) -> None:
    serve = [sys.executable, "-m", "nodegraph", "serve", "--home", str(tmp_path), "--port", "0"]
    command = [*serve, "--cluster", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert f"the cluster at `{address}` cannot be joined" in done.stderr
    assert words in done.stderr


JOBS, CLIENTS, WORKERS, SERVERS, ACTORS, NODES, HEADS = 32, 4, 2, 1, 1, 1, 1


def test_every_job_finishes_once_whatever_of_a_cluster_or_its_server_is_killed(
    cluster: Machines,
    tmp_path: Path,
    known_packs: Path,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the digests that one machine gives; the long form is `benchmarks/cluster.py`."""
    monkeypatch.delenv("NODEGRAPH_STORE", raising=False)
    for name in ("calm", "home"):
        prepared_home(tmp_path / name, known_packs)
    work = pieces(JOBS)
    calm = disturbed(tmp_path / "calm", work, clients=CLIENTS)
    others = {"actors": ACTORS, "nodes": NODES, "heads": HEADS}
    kills = moments(JOBS, WORKERS, SERVERS, seed=2, **others)
    found = disturbed(tmp_path / "home", work, clients=CLIENTS, kills=kills, seed=2, nodes=cluster)
    assert len(found.kills) == WORKERS + SERVERS + ACTORS + NODES + HEADS
    assert faults(found, work, calm.results) == []


def test_a_cluster_computes_along_with_one_run(
    cluster: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items of a list are spread over workers, and come back in their order."""
    monkeypatch.delenv("NODEGRAPH_STORE", raising=False)
    count = 12
    (tmp_path / "here").mkdir()
    slow = {"seed": {"from": "seeds"}, "here": str(tmp_path / "here")}
    nodes = {
        "seeds": {"type": "slow_pack:Seeds", "inputs": {"count": count}},
        "slow": {"type": "slow_pack:Slow", "inputs": slow},
        "save": {"type": "slow_pack:Save", "inputs": {"values": {"from": "slow"}}},
    }
    (tmp_path / "wf.json").write_text(json.dumps({"format": "nodegraph/1", "nodes": nodes}))
    pack = Path(__file__).with_name("slow_pack.py")
    command = [sys.executable, "-m", "nodegraph", "run", "wf.json", "--pack", str(pack), "--json"]
    options = ["--home", "home", "--device", "cpu", "--cluster", cluster.address]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    # A node that another test has killed may still be listed: its worker never comes.
    assert re.search(r"Up to [23] workers of the cluster take part", done.stderr)
    assert json.loads(done.stdout)["nodes"]["slow"]["cached"] > 0
    (file,) = (tmp_path / "output").glob("numbers*.txt")
    assert file.read_text() == " ".join(str(at * at) for at in range(count))
