"""Several runs on one engine: they overlap, share equal work and the lanes."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from nodegraph.api import HookInputs, node
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.workflow import Workflow
from nodegraph.engine.lanes import Share
from nodegraph.engine.options import RunOptions

from .conftest import Bench, Holder, link


def graph_of(bench: Bench, nodes: Mapping[str, Any], *targets: str) -> CheckedGraph:
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes)})
    wanted = targets or list(nodes)[-1:]
    return build_graph(workflow, bench.registry, bench.environment, targets=wanted)


def test_one_jobs_files_and_texts_are_worked_on_while_another_samples(bench: Bench) -> None:
    others = threading.Semaphore(0)

    @node(lane="gpu")
    def Sample(seed: int) -> int:
        """Sample until the other job's work beside the lane is done."""
        assert others.acquire(timeout=30)
        assert others.acquire(timeout=30)
        return seed

    @node(lane="cpu")
    def Encode(text: str) -> str:
        """Work on the processor."""
        others.release()
        return text

    @node(lane="io")
    def Read(text: str) -> str:
        """Read a file."""
        others.release()
        return text

    bench.add(Sample, Encode, Read)
    first = graph_of(bench, {"s": {"type": "Sample", "inputs": {"seed": 1}}})
    second = graph_of(
        bench,
        {
            "e": {"type": "Encode", "inputs": {"text": "a"}},
            "r": {"type": "Read", "inputs": {"text": link("e")}},
        },
    )

    async def both() -> list[str]:
        runs = await asyncio.gather(bench.engine.run(first), bench.engine.run(second))
        return [run.status for run in runs]

    assert asyncio.run(both()) == ["ok", "ok"]


def test_a_client_with_one_job_does_not_wait_for_anothers_hundred(bench: Bench) -> None:
    order: list[str] = []

    @node(lane="gpu")
    def Work(client: str, number: int) -> int:
        """Take a turn in the lane; a hundred of them take several quanta."""
        order.append(client)
        time.sleep(0.005)
        return number

    bench.add(Work)
    holder = Holder(bench)
    held = graph_of(bench, {"d": {"type": "Deaf", "inputs": {"value": 1}}})
    many = graph_of(
        bench,
        {
            f"w{at}": {"type": "Work", "inputs": {"client": "many", "number": at}}
            for at in range(100)
        },
        *[f"w{at}" for at in range(100)],
    )
    one = graph_of(bench, {"w": {"type": "Work", "inputs": {"client": "one", "number": 0}}})

    async def scene() -> None:
        blocked = asyncio.create_task(bench.engine.run(held))
        await holder.has_started()
        crowd = asyncio.create_task(bench.engine.run(many, RunOptions(share=Share("many"))))
        lane = bench.engine.shared.lanes["gpu"]
        while lane.waiting < 100:
            await asyncio.sleep(0)
        single = asyncio.create_task(bench.engine.run(one, RunOptions(share=Share("one"))))
        while lane.waiting < 101:
            await asyncio.sleep(0)
        holder.go.set()
        await asyncio.gather(blocked, crowd, single)

    asyncio.run(scene())
    assert order.index("one") < 100
    assert order.count("many") == 100


def test_an_urgent_job_goes_first(bench: Bench) -> None:
    order: list[str] = []

    @node(lane="gpu")
    def Work(kind: str, number: int) -> int:
        """Take a turn in the lane."""
        order.append(kind)
        return number

    bench.add(Work)
    holder = Holder(bench)
    held = graph_of(bench, {"d": {"type": "Deaf", "inputs": {"value": 1}}})
    names = [f"w{at}" for at in range(5)]

    def job(kind: str) -> CheckedGraph:
        nodes = {
            name: {"type": "Work", "inputs": {"kind": kind, "number": at}}
            for at, name in enumerate(names)
        }
        return graph_of(bench, nodes, *names)

    async def scene() -> None:
        blocked = asyncio.create_task(bench.engine.run(held))
        await holder.has_started()
        low = asyncio.create_task(
            bench.engine.run(job("low"), RunOptions(share=Share("a", urgency=2)))
        )
        lane = bench.engine.shared.lanes["gpu"]
        while lane.waiting < 5:
            await asyncio.sleep(0)
        high = asyncio.create_task(
            bench.engine.run(job("high"), RunOptions(share=Share("b", urgency=0)))
        )
        while lane.waiting < 10:
            await asyncio.sleep(0)
        holder.go.set()
        await asyncio.gather(blocked, low, high)

    asyncio.run(scene())
    assert order == ["high"] * 5 + ["low"] * 5


# State of the world outside


def variable(inputs: HookInputs) -> str:
    """The value of a variable of the environment."""
    return os.environ.get(inputs.literals["name"], "")


def modified(inputs: HookInputs) -> str:
    """When a file was changed."""
    path = inputs.environment.inputs / inputs.literals["path"]
    return str(path.stat().st_mtime_ns)


def test_a_variable_that_a_node_reads_is_part_of_its_key(bench: Bench, monkeypatch: Any) -> None:
    @node(fingerprint=variable)
    def Variable(name: str) -> str:
        """Read a variable."""
        return os.environ.get(name, "")

    bench.add(Variable)
    nodes = {"v": {"type": "Variable", "inputs": {"name": "NAME_OF_THIS_TEST"}}}
    monkeypatch.setenv("NAME_OF_THIS_TEST", "one")
    assert bench.value(nodes, "v.text") == "one"
    assert bench.run(nodes).nodes["v"].status == "cached"
    monkeypatch.setenv("NAME_OF_THIS_TEST", "two")
    assert bench.value(nodes, "v.text") == "two"


def test_a_file_that_a_node_reads_is_part_of_its_key(bench: Bench) -> None:
    folder = bench.environment.inputs
    path = folder / "some.txt"

    @node(fingerprint=modified)
    def ReadText(path: str) -> str:
        """Read a file."""
        return (folder / path).read_text()

    bench.add(ReadText)
    nodes = {"r": {"type": "ReadText", "inputs": {"path": "some.txt"}}}
    for number, text in enumerate(("one", "two")):
        path.write_text(text)
        os.utime(path, ns=(number, number))
        assert bench.value(nodes, "r.text") == text
        assert bench.run(nodes).nodes["r"].status == "cached"


def test_a_clock_that_a_node_reads_is_part_of_its_key(bench: Bench) -> None:
    hours = iter(["9", "9", "10"])

    def hour(inputs: HookInputs) -> str:
        return next(hours)

    ran: list[str] = []

    @node(fingerprint=hour)
    def Greeting() -> str:
        """Depends on the time of day."""
        ran.append("Greeting")
        return "good morning"

    bench.add(Greeting)
    for _ in range(3):
        bench.run({"g": {"type": "Greeting"}})
    assert len(ran) == 2
