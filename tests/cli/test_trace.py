"""Traces and spans of runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import FAILING, WORKFLOW, Cli, Result, saved


def slices(path: str = "out.json") -> dict[tuple[int, str], dict[str, Any]]:
    events = json.loads(Path(path).read_text(encoding="utf-8"))["traceEvents"]
    return {(event["pid"], event["name"]): event for event in events if event["ph"] == "X"}


def track_names(path: str = "out.json") -> dict[int, str]:
    events = json.loads(Path(path).read_text(encoding="utf-8"))["traceEvents"]
    return {
        event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"
    }


@pytest.fixture
def run(cli: Cli, pack: Path) -> Cli:
    """Run a workflow without the cache."""

    def run_it(document: dict[str, Any], *arguments: str | Path) -> Result:
        return cli("run", saved(document), "--pack", pack, "--no-cache", *arguments)

    return run_it


def test_a_trace_has_a_slice_for_each_call_on_its_lanes_track(run: Cli) -> None:
    shown = run(WORKFLOW, "--trace", "out.json")
    assert shown.code == 0
    assert "Trace written to out.json" in shown.err
    found = slices()
    assert {name for _, name in found} == {*WORKFLOW["nodes"], "Greeting"}
    names = track_names()
    lanes = {name: names[event["tid"]] for (_, name), event in found.items()}
    assert lanes["write"].startswith("io")
    assert lanes["wait"] not in (lanes["write"], lanes["join"], "calls")
    wait, whole = found[1, "wait"], found[1, "Greeting"]
    assert wait["args"]["type"] == "toys:Wait"
    assert wait["dur"] >= 40_000
    assert whole["dur"] >= wait["dur"]


def test_several_runs_are_several_processes(run: Cli) -> None:
    run(WORKFLOW, "--trace", "out.json", "--repeat", "2", "--to", "draw")
    assert {process for process, _ in slices()} == {1, 2}
    assert (2, "Greeting, run 2 of 2, seed 4") in slices()


def test_a_failed_run_has_a_trace(run: Cli) -> None:
    assert run(FAILING, "--trace", "out.json").code == 1
    found = slices()
    assert found[1, "run"]["args"]["status"] == "failed"
    assert (1, "fail") in found


INTERRUPTING = """
import os, signal, time
from nodegraph import Context, node

@node
def Interrupt(value: int, ctx: Context) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        ctx.check_cancelled()
        time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals work differently there")
def test_a_cancelled_run_has_a_trace(run: Cli) -> None:
    Path("interrupting.py").write_text(INTERRUPTING)
    document = json.loads(json.dumps(WORKFLOW))
    stop = {"type": "interrupting:Interrupt", "inputs": {"value": {"from": "draw"}}}
    document["nodes"]["stop"] = stop
    document["nodes"]["number"]["inputs"]["text"] = {"from": "stop"}
    shown = run(document, "--pack", "interrupting.py", "--trace", "out.json", "--to", "number")
    assert shown.code == 130
    found = slices()
    assert found[1, "Greeting"]["args"]["status"] == "cancelled"
    assert (1, "stop") in found


def test_a_trace_that_cannot_be_written_runs_nothing(run: Cli) -> None:
    Path("taken").write_text("")
    shown = run(WORKFLOW, "--trace", "taken/out.json")
    assert shown.code == 2
    assert "cannot write the trace" in shown.err
    assert not Path("output").exists()


def test_a_quiet_run_says_nothing_of_its_trace(run: Cli) -> None:
    assert run(WORKFLOW, "--trace", "out.json", "--quiet").err == ""
    assert Path("out.json").exists()


def test_a_run_may_be_watched_in_several_ways_at_once(run: Cli) -> None:
    shown = run(WORKFLOW, "--trace", "out.json", "--events")
    kinds = [json.loads(line)["kind"] for line in shown.out.splitlines()]
    assert (kinds[0], kinds[-1]) == ("job.started", "job.finished")
    assert kinds.count("node.finished") == len(WORKFLOW["nodes"])
    assert len(slices()) == len(WORKFLOW["nodes"]) + 1


# Spans


@pytest.mark.slow
def test_the_standard_variables_have_spans_exported(
    command: Callable[..., Result], pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(
        "opentelemetry.sdk", reason="needs the extra: pip install 'nodegraph[otel]'"
    )
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "painter")
    shown = command("run", saved(WORKFLOW), "--pack", pack, "--no-cache", "--json")
    assert (shown.code, shown.json["status"]) == (0, "ok")
    assert '"name": "nodegraph run"' in shown.err
    assert '"nodegraph.title": "Greeting"' in shown.err
    assert '"nodegraph.call": "wait"' in shown.err
    assert '"service.name": "painter"' in shown.err


@pytest.mark.slow
def test_spans_nobody_asks_for_cost_nothing(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.cli.test_startup import imported

    variables: tuple[dict[str, str], ...] = (
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"},
    )
    for each in variables:
        with monkeypatch.context() as patch:
            for name, value in each.items():
                patch.setenv(name, value)
            modules = imported(
                ["run", saved(WORKFLOW), "--pack", pack, "--no-cache", "-q", "--to", "join"]
            )
        assert not {name for name in modules if name.startswith("opentelemetry")}, each
        assert "nodegraph.observe.trace" not in modules, each


def test_an_exporter_that_is_not_installed_is_told_and_the_run_goes_on(
    cli: Cli, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "carrier_pigeon")
    shown = cli("run", saved(WORKFLOW), "--pack", pack, "--no-cache", "--to", "join")
    assert shown.code == 0
    assert "warning: the OTEL_* variables request spans" in shown.err
    assert "pip install 'nodegraph[otel]'" in shown.err


def test_without_the_extra_the_run_goes_on(
    cli: Cli, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    for name in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.trace"):
        monkeypatch.setitem(sys.modules, name, None)
    shown = cli("run", saved(WORKFLOW), "--pack", pack, "--no-cache", "--to", "join")
    assert shown.code == 0
    assert "but there is no opentelemetry" in shown.err
