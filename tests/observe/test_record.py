"""What is remembered of a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from nodegraph.core.version import VERSION
from nodegraph.engine.result import NodeReport, RunResult, WrittenFile
from nodegraph.errors import NodeFailed
from nodegraph.observe.record import describe_environment, record_of

WORKFLOW: dict[str, Any] = {
    "format": "nodegraph/1",
    "nodes": {
        "draw": {"type": "toys:Draw"},
        "twice": {"type": "Pair", "inputs": {"value": {"from": "draw"}}},
    },
    "subgraphs": {"Pair": {"nodes": {"first": {"type": "toys:Double"}}}},
}


def test_a_record_tells_what_ran_and_what_it_gave(tmp_path: Path) -> None:
    report = NodeReport(
        "ran",
        1.5,
        calls=1,
        lane="cpu",
        key="aa",
        outputs={"value": "bb"},
        memory=12,
        type="toys:Draw",
    )
    cached = NodeReport("cached", calls=1, cached=1, source="disk", saved=3.0, type="toys:Double")
    failure = NodeFailed(
        RuntimeError("it broke"), node="twice/first", node_type="toys:Double", inputs={}
    )
    result = RunResult(
        "failed",
        files=(WrittenFile(tmp_path / "a.png", "save", existed=True),),
        nodes={"draw": report, "twice/first": cached},
        errors=(failure,),
        seconds=1.6,
    )
    record = record_of(result, WORKFLOW, {"python": "3"}, targets=["draw"])
    assert json.loads(json.dumps(record)) == record, "plain values only"
    assert (record["status"], record["seconds"], record["targets"]) == ("failed", 1.6, ["draw"])
    assert record["nodes"]["draw"] == {
        "type": "toys:Draw",
        "status": "ran",
        "key": "aa",
        "seconds": 1.5,
        "calls": 1,
        "cached": 0,
        "source": "",
        "saved": 0.0,
        "lane": "cpu",
        "memory": 12,
        "outputs": {"value": "bb"},
    }
    inner = record["nodes"]["twice/first"]
    assert (inner["type"], inner["source"], inner["saved"]) == ("toys:Double", "disk", 3.0)
    assert record["files"] == [
        {"path": str(tmp_path / "a.png"), "node": "save", "kind": "image", "existed": True}
    ]
    assert record["errors"][0]["message"] == failure.problem.message
    assert (record["workflow"], record["environment"]) == (WORKFLOW, {"python": "3"})


def test_the_environment_names_what_results_depend_on() -> None:
    found = describe_environment(
        device="cuda:0", numerics="cuda torch 2", packs={"toys": "1.0", "mine": ""}
    )
    assert (found["nodegraph"], found["device"]) == (VERSION, "cuda:0")
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (found["numerics"], found["packs"]) == ("cuda torch 2", {"toys": "1.0", "mine": ""})
    assert set(found["libraries"]) >= {"torch", "safetensors"}
    assert describe_environment(device="cpu", packs=["toys"])["packs"] == {"toys": ""}


def test_describing_the_environment_imports_no_library() -> None:
    code = (
        "import sys; from nodegraph.observe.record import describe_environment;"
        "describe_environment(device='cpu');"
        "print(sorted({'torch', 'numpy', 'diffusers', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
