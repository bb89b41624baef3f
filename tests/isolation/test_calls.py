"""Nodes of a pack in a process of its own behave as those of other packs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from nodegraph import Session, Settings
from tests.isolation.packs import isolated, run

PACK = '''
import asyncio
import ctypes
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
import threading
import torch
from nodegraph.api import *
from nodegraph.api import BLOCKED
from nodegraph.core.context import report_progress

class Color(Enum):
    RED = "red"
    BLUE = "blue"

@port_type
@dataclass(frozen=True)
class Cloud:
    """A cloud."""
    height: float
    image: Image

class Thing:
    """Neither a dataclass nor a plain value."""
    def __init__(self, lock=False):
        self.values = [1, 2, 3]
        if lock:
            self.lock = threading.Lock()

@port_type
class Any_thing(Thing):
    """Something."""

@node
def Half(image: Image) -> Image:
    """Halve it."""
    return image * 0.5

@node
def Gray(width: int = 4) -> Image:
    """Make a gray picture."""
    return torch.full((1, width, width, 3), 0.5)

@node
def Blacken(image: Image) -> Image:
    """Write into what it gets."""
    return image.zero_()

@node
def Number(value: int = 1) -> int:
    """Give it."""
    return value + 1

@node(deterministic=False)
def Process(value: int = 0) -> int:
    """Tell the process."""
    return os.getpid()

@node
def Pick(color: Color = Color.RED, path: Path = Path("a")) -> tuple[str, str]:
    """Tell what it gets."""
    return f"{type(color).__name__}.{color.name}", f"{isinstance(path, Path)} {path}"

@node
async def Either(first: Lazy[int], second: Lazy[int], use_first: bool = True) -> int:
    """Evaluate one."""
    return await (first if use_first else second)()

@node
def Fail(value: int = 0) -> int:
    """Fail."""
    return {}["missing"]

@node
def Refuse(value: int = 0) -> int:
    """Refuse."""
    raise InvalidValue("is wrong", given="this", expected="that", hint="Change it.")

@node
def MakeCloud(height: float = 1.0) -> Cloud:
    """Make one."""
    return Cloud(height, torch.ones(1, 2, 2, 3))

@node
def Height(cloud: Cloud) -> float:
    """Measure it."""
    assert type(cloud) is Cloud
    return cloud.height * float(cloud.image.sum())

@node
def MakeThing(lock: bool = False) -> Any_thing:
    """Make one."""
    return Any_thing(lock)

@node
def Count(thing: Any_thing) -> int:
    """Count."""
    return len(thing.values)

@node
def Grow(value: int = 2) -> int:
    """Add a graph."""
    return Expand({"n": {"type": "far:Number", "inputs": {"value": value}}}, {"number": "n.number"})

@node
def Shown(value: int = 2) -> int:
    """Show something."""
    return NodeOutput(value, {"text": ["hello"]})

@node
def Nothing(value: int = 2) -> tuple[int, int]:
    """Block the second."""
    return value, BLOCKED

@node
def Several(value: int = 3) -> list[int]:
    """Count to it."""
    return list(range(value))

@node
def Told(node: NodeId, workflow: WorkflowDocument, graph: RunGraph) -> tuple[str, str, str]:
    """Tell of the run."""
    return node, ",".join(workflow["nodes"]), ",".join(graph)

@node
def Sparse() -> Image:
    """Return a tensor that does not leave the process."""
    return torch.zeros(1, 8, 8, 3).to_sparse()

@node
def Crash(value: int = 0) -> int:
    """Crash."""
    print("about to crash", flush=True)
    ctypes.string_at(0)

@node
def Steps(ctx: Context, total: int = 3) -> int:
    """Report."""
    ctx.log("begun", "warning")
    for step in range(total):
        ctx.checkpoint(step + 1, total, lambda: {"step": step})
        ctx.progress(step + 1, total, preview=lambda: None)
    report_progress(1, 2)
    return int(ctx.env("NOT_SET_ANYWHERE", "7"))

@node
async def Later(ctx: Context, value: int = 1) -> int:
    """Wait."""
    await asyncio.sleep(0.01)
    ctx.progress(1, 1)
    return value
'''


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("isolated")
    pack = isolated(folder, PACK)
    with Session(Settings(home=folder / "home"), packs=[pack]) as opened:
        assert not opened.registry.problems
        yield opened


def test_it_runs_in_another_process(session: Session) -> None:
    result = run(session, {"a": ("far:Process", {})})
    assert result.outputs["a.number"] != os.getpid()


def test_plain_values_and_images_cross(session: Session) -> None:
    result = run(
        session,
        {"a": ("far:Gray", {"width": 400}), "b": ("far:Half", {"image": {"from": "a.image"}})},
    )
    assert result.outputs["b.image"].shape == (1, 400, 400, 3)
    assert result.outputs["b.image"].mean() == 0.25


def test_a_node_that_writes_into_its_input_changes_no_result(session: Session) -> None:
    nodes = {
        "a": ("far:Gray", {"width": 300}),
        "b": ("far:Blacken", {"image": {"from": "a.image"}}),
        "c": ("far:Half", {"image": {"from": "a.image"}}),
    }
    outputs = run(session, nodes, targets=["a", "b", "c"]).outputs
    assert [float(outputs[f"{name}.image"].mean()) for name in "abc"] == [0.5, 0.0, 0.25]


def test_choices_are_members_and_paths_paths(session: Session) -> None:
    result = run(session, {"a": ("far:Pick", {"color": "blue", "path": "x/y"})})
    assert list(result.outputs.values()) == ["Color.BLUE", "True x/y"]


@pytest.mark.parametrize("first", [True, False])
def test_lazy_inputs_are_evaluated_on_demand(session: Session, first: bool) -> None:
    nodes = {
        "good": ("far:Number", {"value": 4}),
        "bad": ("far:Fail", {}),
        "either": (
            "far:Either",
            {
                "first": {"from": "good.number" if first else "bad.number"},
                "second": {"from": "bad.number" if first else "good.number"},
                "use_first": first,
            },
        ),
    }
    result = run(session, nodes)
    assert result.outputs["either.number"] == 5
    assert not result.errors


def test_an_error_shows_the_packs_own_traceback(session: Session) -> None:
    [error] = run(session, {"a": ("far:Fail", {})}).errors
    assert str(error).startswith("node `a` (far:Fail): KeyError: 'missing'")
    assert 'return {}["missing"]' in error.trace
    assert "isolation" not in error.trace


def test_errors_of_nodegraph_are_themselves(session: Session) -> None:
    [error] = run(session, {"a": ("far:Refuse", {})}).errors
    problem = error.problem
    assert (problem.code, problem.given, problem.hint) == ("invalid-value", "this", "Change it.")


def test_values_of_a_packs_class_go_from_node_to_node(session: Session) -> None:
    nodes = {
        "a": ("far:MakeCloud", {"height": 2.0}),
        "b": ("far:Height", {"cloud": {"from": "a.cloud"}}),
    }
    assert run(session, nodes).outputs["b.number"] == 24.0


def test_an_object_in_place_of_a_picture_is_refused(session: Session) -> None:
    [error] = run(session, {"a": ("far:Sparse", {})}).errors
    message = "returned an object that only the pack `far` can read, but declares Image"
    assert message in error.problem.message


@pytest.mark.parametrize("lock", [True, False])
def test_objects_go_from_node_to_node(session: Session, lock: bool) -> None:
    nodes = {
        "a": ("far:MakeThing", {"lock": lock}),
        "b": ("far:Count", {"thing": {"from": "a.any_thing"}}),
    }
    assert run(session, nodes).outputs["b.number"] == 3


def test_a_node_returns_a_graph(session: Session) -> None:
    assert run(session, {"a": ("far:Grow", {"value": 5})}).outputs["a.number"] == 6


def test_blocked_outputs_skip_what_depends_on_them(session: Session) -> None:
    nodes = {
        "a": ("far:Nothing", {}),
        "b": ("far:Number", {"value": {"from": "a.number_2"}}),
        "c": ("far:Number", {"value": {"from": "a.number"}}),
    }
    result = run(session, nodes, targets=["b", "c"])
    assert result.outputs == {"c.number": 3}
    assert not result.errors


def test_lists_are_mapped(session: Session) -> None:
    nodes = {
        "a": ("far:Several", {"value": 3}),
        "b": ("far:Number", {"value": {"from": "a.numbers"}}),
    }
    assert run(session, nodes).outputs["b.number"] == [1, 2, 3]


def test_facts_of_the_run_are_known(session: Session) -> None:
    result = run(session, {"a": ("far:Told", {})})
    assert list(result.outputs.values()) == ["a", "a", "a"], result.errors


def test_the_context_works(session: Session) -> None:
    events: list[Any] = []
    result = run(session, {"a": ("far:Steps", {"total": 3})}, listener=events.append)
    assert result.outputs["a.number"] == 7
    steps = [event.data["step"] for event in events if event.kind == "node.progress"]
    assert steps == [1, 2, 3, 1]
    assert [event.data["message"] for event in events if event.kind == "log"] == ["begun"]


def test_async_nodes_run(session: Session) -> None:
    assert run(session, {"a": ("far:Later", {"value": 9})}).outputs["a.number"] == 9


def test_a_crash_fails_one_node_and_the_next_call_starts_anew(session: Session) -> None:
    [error] = run(session, {"a": ("far:Crash", {})}).errors
    assert "SIGSEGV" in str(error)
    assert "about to crash" in str(error)
    assert run(session, {"c": ("far:Number", {"value": 50})}).outputs["c.number"] == 51
