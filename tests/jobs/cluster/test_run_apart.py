"""`nodegraph run --cluster` on nodes that share no disk for results, but a bucket."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest

from tests.jobs.cluster.machines import QUIET, machines

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray isn't installed"),
]
COUNT = 12
DELAY = 2.0
"""Seconds of a call: more than asking the bucket takes, which else isn't worth a lease."""


def test_each_call_of_a_run_is_computed_by_one_machine(
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NODEGRAPH_STORE", raising=False)
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    here, caches = tmp_path / "here", tmp_path / "caches"
    here.mkdir()
    slow = {"seed": {"from": "seeds"}, "here": str(here), "delay": DELAY}
    nodes = {
        "seeds": {"type": "slow_pack:Seeds", "inputs": {"count": COUNT}},
        "slow": {"type": "slow_pack:Slow", "inputs": slow},
        "save": {"type": "slow_pack:Save", "inputs": {"values": {"from": "slow"}}},
    }
    (tmp_path / "wf.json").write_text(json.dumps({"format": "nodegraph/1", "nodes": nodes}))
    (tmp_path / "home").mkdir()
    shared = f'remote_store = "{bucket}"\nkeep_cheap = true\n'
    (tmp_path / "home" / "config.toml").write_text(shared)
    pack = Path(__file__).with_name("slow_pack.py")
    command = [sys.executable, "-m", "nodegraph", "run", "wf.json", "--pack", str(pack), "--json"]
    with machines(2, caches) as cluster:
        options = ["--home", "home", "--device", "cpu", "--cluster", cluster.address]
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stderr
    at = [list(map(int, file.read_text().split())) for file in here.iterdir()]
    assert len(at) > 1, "several machines compute"
    assert sorted(chain(*at)) == list(range(COUNT)), "each number once, whoever does it"
    assert list(caches.glob("node-*/store")), "nodes have stores of their own"
    assert json.loads(done.stdout)["nodes"]["slow"]["cached"] > 0
    (file,) = (tmp_path / "output").glob("numbers*.txt")
    assert file.read_text() == " ".join(str(each * each) for each in range(COUNT))
