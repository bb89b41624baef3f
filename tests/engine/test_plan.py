"""Plans: what they foresee is what the next run does."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.api import BLOCKED, Context, Estimate, Finding, HookInputs, Lazy, node
from nodegraph.core.context import Environment
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.values import RecipeFile, Vae
from nodegraph.core.workflow import Workflow
from nodegraph.engine.cache import Cache, MemoryCache, get_tier
from nodegraph.engine.call_records import MACHINE
from nodegraph.engine.engine import Engine
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.planning.device_memory import RemoteMemory, pack_entry
from nodegraph.engine.planning.plan import NodePlan, Plan, plan
from nodegraph.engine.planning.workflow_plan import plan_workflow
from nodegraph.engine.result import RunResult
from nodegraph.packs.registry import Registry
from nodegraph.store.costs import Costs
from nodegraph.store.file_records import SinkFiles
from nodegraph.store.store import Store
from tests.engine.conftest import link
from tests.properties import examples

pytestmark = pytest.mark.usefixtures("cheap_calls")

ran: list[str] = []
LONG = 6000
"""Characters of a text that is too large for the index, and too cheap for a file."""


@node
def Leaf(value: int) -> int:
    """A number."""
    ran.append(f"Leaf {value}")
    return value


@node
def Mix(a: int, b: int, factor: int) -> int:
    """Many inputs give the same output, so that changes often stop here."""
    return (a + factor * b) % 3


@node
async def Pick(a: int, first: Lazy[int], second: Lazy[int]) -> int:
    """One of two branches."""
    return await first() if a % 2 else await second()


@node
def Long(a: int) -> str:
    """A text of which the store keeps only the digest."""
    return f"{a}" * LONG


@node
def Length(text: str, plus: int = 0) -> int:
    """How long a text is, about."""
    return (len(text) + plus) % 3


@node
def Numbers(count: int) -> list[int]:
    """A list."""
    return list(range(count))


@node
def Gate(a: int) -> int:
    """A number, or none."""
    return BLOCKED if a == 1 else a


@node
def Count(a: int) -> list[int]:
    """A list whose length is known only once it is there."""
    return list(range(a % 4))


@node
def Sum(items: list[int]) -> int:
    """Of a list."""
    return sum(items)


@node(deterministic=False)
def Dice() -> int:
    """A number that nobody can foresee."""
    return 4


@node(output=True)
def Show(value: int) -> None:
    """Act on the world."""


@node(output="files")
def Write(value: int, ctx: Context, name: str = "file") -> None:
    """Write a file."""
    path = ctx.environment.outputs / f"{name}.txt"
    path.write_text(str(value))
    ctx.wrote(path, kind="text")


def state_of_file(inputs: HookInputs) -> str:
    """The content of a file."""
    return (inputs.environment.inputs / inputs.literals["name"]).read_text()


@node(fingerprint=state_of_file)
def Read(name: str, ctx: Context, prefix: str = "") -> str:
    """What a file says."""
    return prefix + (ctx.environment.inputs / name).read_text()


def parity(inputs: HookInputs) -> str:
    """Of a linked number."""
    return str(inputs.literals["value"] % 2)


@node(fingerprint=parity)
def Odd(value: int) -> int:
    """Reads what is outside, by a linked input."""
    return value


NODES = (Leaf, Mix, Pick, Long, Length, Numbers, Gate, Count, Sum, Dice, Show, Write, Read, Odd)


class Works:
    """A folder with a store, and processes that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = Environment((), folder, folder, folder)
        self._opened: list[Any] = []
        self.restart()

    def restart(self) -> None:
        """As a new process."""
        self.close()
        registry = Registry()
        registry.add(*NODES)
        self.store = Store(self.folder / "store")
        self.costs = Costs(self.store.index)
        self.engine = Engine(
            registry,
            environment=self.environment,
            cache=Cache(MemoryCache(), self.store),
            lanes=Lanes(cpu_places=2, io_places=2),
            costs=self.costs,
            written=SinkFiles(self.store.index),
        )
        self._opened = [self.engine, self.store]

    def close(self) -> None:
        for item in self._opened:
            item.close()
        self._opened = []

    def graph(self, nodes: Mapping[str, Any], *targets: str) -> CheckedGraph:
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes)})
        registry = self.engine.shared.registry
        return build_graph(
            workflow, registry, self.environment, targets=targets or list(nodes)[-1:]
        )

    def plan(self, nodes: Mapping[str, Any], *targets: str, **options: Any) -> Plan:
        options = {"needs_targets": True, **options}
        return plan(self.graph(nodes, *targets), self.engine.shared, **options)

    def run(self, nodes: Mapping[str, Any], *targets: str) -> RunResult:
        result = asyncio.run(self.engine.run(self.graph(nodes, *targets)))
        assert not result.errors, result.errors
        self.store.flush()
        return result


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    ran.clear()
    made = Works(tmp_path)
    yield made
    made.close()


def told(found: Plan, *names: str) -> list[tuple[str, str, bool]]:
    """Status, reason and certainty of some nodes."""
    picked = [found.nodes[name] for name in names]
    return [(item.status, item.reason, item.certain) for item in picked]


CHAIN = {
    "leaf": {"type": "Leaf", "inputs": {"value": 1}},
    "mix": {"type": "Mix", "inputs": {"a": link("leaf"), "b": link("leaf"), "factor": 2}},
    "end": {"type": "Mix", "inputs": {"a": link("mix"), "b": link("leaf"), "factor": 1}},
}


def with_input(nodes: Mapping[str, Any], name: str, **inputs: Any) -> dict[str, Any]:
    changed = {**nodes[name], "inputs": {**nodes[name]["inputs"], **inputs}}
    return {**nodes, name: changed}


# What is there and what is not


def test_before_the_first_run_everything_runs(works: Works) -> None:
    assert told(works.plan(CHAIN), *CHAIN) == [
        ("run", "new", True),
        ("run", "upstream", False),
        ("run", "upstream", False),
    ]
    assert ran == []


def test_after_a_run_everything_is_in_memory_and_after_a_restart_on_disk(works: Works) -> None:
    works.run(CHAIN)
    assert {item.place for item in works.plan(CHAIN).nodes.values()} == {"memory"}
    works.restart()
    found = works.plan(CHAIN)
    assert {(item.status, item.place) for item in found.nodes.values()} == {("hit", "disk")}
    assert found.totals.counts == {"hit": 3, "run": 0, "lazy": 0, "skip": 0}


def test_a_plan_of_what_is_kept_can_be_pickled_and_copied(works: Works) -> None:
    works.run(CHAIN)
    made = works.plan(CHAIN)
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made


def test_what_a_change_reaches_may_be_cut_off(works: Works) -> None:
    works.run(CHAIN)
    found = works.plan(with_input(CHAIN, "mix", factor=5))
    assert told(found, *CHAIN) == [
        ("hit", "kept", True),
        ("run", "new", True),
        ("run", "upstream", False),
    ]
    assert found.totals.perhaps == 1
    assert found.nodes["end"].needs == ("mix",)


def test_a_renamed_node_is_found(works: Works) -> None:
    works.run(CHAIN)
    text = str(CHAIN).replace("leaf", "root")
    import ast

    found = works.plan(ast.literal_eval(text))
    assert {item.status for item in found.nodes.values()} == {"hit"}


def test_sinks_run_each_time_and_so_do_nodes_that_are_told_to(works: Works) -> None:
    nodes = {
        **CHAIN,
        "again": {"type": "Leaf", "inputs": {"value": 5}, "always": True},
        "dice": {"type": "Dice"},
        "after": {"type": "Mix", "inputs": {"a": link("dice"), "b": 1, "factor": 1}},
        "show": {"type": "Show", "inputs": {"value": link("end")}},
    }
    works.run(nodes, "show", "again", "after")
    found = works.plan(nodes, "show", "again", "after")
    assert told(found, "show", "again", "dice", "after") == [
        ("run", "sink", True),
        ("run", "always", True),
        ("run", "random", True),
        ("run", "upstream", False),
    ]


def test_equal_nodes_run_once(works: Works) -> None:
    nodes = {
        "one": {"type": "Leaf", "inputs": {"value": 1}},
        "two": {"type": "Leaf", "inputs": {"value": 1}},
    }
    found = works.plan(nodes, "one", "two")
    assert told(found, "one", "two") == [("run", "new", True), ("hit", "shared", True)]
    assert found.nodes["two"].place == "shared"


def test_a_sink_whose_files_lie_there_has_nothing_to_do(works: Works) -> None:
    nodes = {**CHAIN, "write": {"type": "Write", "inputs": {"value": link("end")}}}
    assert told(works.plan(nodes), "write") == [("run", "upstream", False)]
    works.run(nodes)
    works.restart()
    found = works.plan(nodes).nodes["write"]
    assert (found.status, found.place) == ("hit", "files")
    assert found.files == (blake3((works.folder / "file.txt").read_bytes()).hexdigest(),)
    (works.folder / "file.txt").write_text("something else")
    assert told(works.plan(nodes), "write") == [("run", "sink", True)]
    nodes["write"]["always"] = True
    assert told(works.plan(nodes), "write") == [("run", "always", True)]


# Results of which only the digest is left

LONG_CHAIN = {
    "leaf": {"type": "Leaf", "inputs": {"value": 1}},
    "long": {"type": "Long", "inputs": {"a": link("leaf")}},
    "length": {"type": "Length", "inputs": {"text": link("long")}},
    "end": {"type": "Mix", "inputs": {"a": link("length"), "b": 1, "factor": 1}},
}


def test_what_nobody_needs_is_not_computed_again(works: Works) -> None:
    works.run(LONG_CHAIN)
    works.restart()
    found = works.plan(LONG_CHAIN)
    assert {item.status for item in found.nodes.values()} == {"hit"}
    assert found.nodes["long"].place == "digest"


def test_what_is_needed_and_gone_is_computed_again(works: Works) -> None:
    works.run(LONG_CHAIN)
    works.restart()
    nodes = with_input(LONG_CHAIN, "length", plus=1)
    found = works.plan(nodes)
    assert told(found, *nodes) == [
        ("hit", "kept", True),
        ("run", "gone", True),
        ("run", "new", True),
        ("run", "upstream", False),
    ]
    result = works.run(nodes)
    assert [name for name, item in result.nodes.items() if item.status == "ran"][:2]


def test_the_targets_values_are_wanted_or_not(works: Works) -> None:
    works.run(LONG_CHAIN, "long")
    works.restart()
    assert told(works.plan(LONG_CHAIN, "long"), "long") == [("run", "gone", True)]
    unwanted = works.plan(LONG_CHAIN, "long", needs_targets=False)
    assert told(unwanted, "long") == [("hit", "kept", True)]


# Lazy inputs

PICKING = {
    "odd": {"type": "Leaf", "inputs": {"value": 1}},
    "one": {"type": "Leaf", "inputs": {"value": 10}},
    "two": {"type": "Leaf", "inputs": {"value": 20}},
    "pick": {
        "type": "Pick",
        "inputs": {"a": link("odd"), "first": link("one"), "second": link("two")},
    },
}


def test_which_lazy_input_is_asked_for_is_known_once_it_ran(works: Works) -> None:
    found = works.plan(PICKING)
    assert told(found, "one", "two", "pick") == [
        ("lazy", "new", False),
        ("lazy", "new", False),
        ("run", "upstream", False),
    ]
    works.run(PICKING)
    works.restart()
    found = works.plan(PICKING)
    assert told(found, "one", "two", "pick") == [
        ("hit", "kept", True),
        ("skip", "unasked", True),
        ("hit", "kept", True),
    ]


def test_a_branch_that_is_known_to_be_taken_runs_for_sure(works: Works) -> None:
    works.run(PICKING)
    nodes = with_input(with_input(PICKING, "one", value=11), "two", value=21)
    assert told(works.plan(nodes), "one", "two", "pick") == [
        ("run", "new", True),
        ("lazy", "new", False),
        ("run", "upstream", False),
    ]


# Lists

MAPPED = {
    "numbers": {"type": "Numbers", "inputs": {"count": 5}},
    "mix": {"type": "Mix", "inputs": {"a": link("numbers"), "b": 1, "factor": 1}},
    "sum": {"type": "Sum", "inputs": {"items": link("mix")}},
}


def test_items_are_looked_up_one_by_one(works: Works) -> None:
    works.run(MAPPED)
    nodes = with_input(MAPPED, "numbers", count=8)
    assert works.plan(nodes).nodes["mix"].calls is None
    works.run({"numbers": nodes["numbers"]})
    found = works.plan(nodes).nodes["mix"]
    assert (found.calls, found.cached, found.status, found.certain) == (8, 5, "run", True)


def test_an_empty_list_takes_no_calls(works: Works) -> None:
    nodes = with_input(MAPPED, "numbers", count=0)
    works.run(nodes)
    found = works.plan(nodes)
    assert (found.nodes["mix"].calls, found.nodes["mix"].seconds) == (0, 0.0)
    assert found.nodes["sum"].status == "hit"


# The world outside


def test_a_changed_file_is_seen(works: Works) -> None:
    (works.folder / "in.txt").write_text("one")
    nodes = {"read": {"type": "Read", "inputs": {"name": "in.txt"}}}
    works.run(nodes)
    assert told(works.plan(nodes), "read") == [("hit", "kept", True)]
    (works.folder / "in.txt").write_text("two")
    assert told(works.plan(nodes), "read") == [("run", "new", True)]
    (works.folder / "in.txt").unlink()
    assert told(works.plan(nodes), "read") == [("run", "state", False)]


def test_what_is_read_outside_by_a_linked_value_is_known_when_that_is(works: Works) -> None:
    nodes = {
        "leaf": {"type": "Leaf", "inputs": {"value": 3}},
        "odd": {"type": "Odd", "inputs": {"value": link("leaf")}},
    }
    assert told(works.plan(nodes), "odd") == [("run", "upstream", False)]
    works.run(nodes)
    works.restart()
    assert told(works.plan(nodes), "odd") == [("hit", "kept", True)]


# What it takes


def test_expected_seconds_come_from_what_was_measured(works: Works) -> None:
    works.costs.record("Mix", "", "cpu", 2.0, 1000)
    found = works.plan(CHAIN)
    assert found.nodes["mix"].seconds == 2.0
    assert found.nodes["mix"].memory == 1000
    assert (found.totals.seconds, found.totals.sure_seconds) == (4.0, 0.0)
    assert found.totals.unknown_seconds == 1
    assert found.totals.memory == {"cpu": 1000}


def test_a_list_takes_the_time_of_what_isnt_there_yet(works: Works) -> None:
    works.run(with_input(MAPPED, "numbers", count=5))
    works.run({"numbers": with_input(MAPPED, "numbers", count=8)["numbers"]})
    works.costs = works.engine.shared.costs = _Fixed()  # type: ignore[assignment]
    assert works.plan(with_input(MAPPED, "numbers", count=8)).nodes["mix"].seconds == 3.0


def test_a_list_of_unknown_length_is_taken_to_be_as_long_as_last_time(works: Works) -> None:
    works.run(with_input(MAPPED, "numbers", count=5))
    nodes = with_input(MAPPED, "numbers", count=8)
    one = works.plan({"mix": {"type": "Mix", "inputs": {"a": 1, "b": 1, "factor": 1}}})
    each, found = one.nodes["mix"].seconds, works.plan(nodes).nodes["mix"]
    assert each is not None
    assert (found.calls, found.seconds) == (None, pytest.approx(5 * each))


def test_what_never_ran_is_expected_by_the_speed_of_the_machine(works: Works) -> None:
    works.engine.shared.registry.add(Open, Multiply)
    nodes = {"open": {"type": "Open"}, "it": {"type": "Multiply", "inputs": {"vae": link("open")}}}
    assert works.plan(nodes, "it").nodes["it"].seconds is None
    works.costs.record(MACHINE, "", "cpu", 0.4)
    found = works.plan(nodes, "it").nodes["it"]
    # 500 bytes are 125 parameters, each used 8e9 times.
    assert (found.seconds, found.basis) == (pytest.approx(1000 * 0.4 / 0.4), "estimated")


class _Fixed:
    def seen(self, node_type: str, device: str) -> list[Any]:
        return []

    def expected(self, node_type: str, shape: str, device: str) -> Any:
        from nodegraph.store.costs import Cost

        return Cost(1.0, None, 3, exact=True)


def opened(inputs: HookInputs) -> Estimate:
    return Estimate(weights={"vae": 500})


@node(lane="gpu", estimate=lambda inputs: Estimate(work=8e9))
def Multiply(vae: Vae) -> int:
    """Compute with weights."""
    return 1


def failing(inputs: HookInputs) -> Estimate:
    raise RuntimeError("no idea")


@node(estimate=opened)
def Open(name: str = "a") -> Vae:
    """Weights."""
    return Vae("sd1", (RecipeFile("", "/nowhere", "0" * 64),))


@node(lane="gpu", estimate=lambda inputs: Estimate(seconds=3.0, memory=70))
def Decode(vae: Vae, at: int = 0) -> int:
    """Use weights."""
    return at


@node(estimate=failing)
def Guess(a: int = 0) -> int:
    """Has an estimate that fails."""
    return a


DECODING = {
    "open": {"type": "Open"},
    "one": {"type": "Decode", "inputs": {"vae": link("open")}},
    "two": {"type": "Decode", "inputs": {"vae": link("open"), "at": 1}},
    "guess": {"type": "Guess"},
}


def test_weights_are_loaded_once_and_only_if_somebody_needs_them(works: Works) -> None:
    works.engine.shared.registry.add(Open, Decode, Guess)
    targets = ("one", "two", "guess")
    found = works.plan(DECODING, *targets)
    assert found.totals.load == {"cpu": 500}
    assert found.totals.memory == {"cpu": 570}
    assert found.totals.seconds == 6.0
    assert (found.nodes["one"].basis, found.nodes["guess"].seconds) == ("estimated", None)
    works.run(DECODING, *targets)
    assert works.plan(DECODING, *targets).totals.load == {}


def test_estimates_by_numbers_of_numpy_are_plain(works: Works) -> None:
    def sized(inputs: HookInputs) -> Estimate:
        return Estimate(weights={"vae": np.int64(500)})  # type: ignore[dict-item]

    @node(estimate=sized)
    def OpenAnother() -> Vae:
        """Weights."""
        return Vae("sd1", (RecipeFile("", "/nowhere", "0" * 64),))

    def costly(inputs: HookInputs) -> Estimate:
        return Estimate(seconds=np.float32(3), memory=np.int64(70))  # type: ignore[arg-type]

    @node(lane="gpu", estimate=costly)
    def DecodeAnother(vae: Vae) -> int:
        """Use weights."""
        return 1

    works.engine.shared.registry.add(OpenAnother, DecodeAnother)
    nodes = {
        "open": {"type": "OpenAnother"},
        "it": {"type": "DecodeAnother", "inputs": {"vae": link("open")}},
    }
    told = json.loads(json.dumps(works.plan(nodes, "it").as_dict()))
    assert told["totals"]["memory"] == {"cpu": 570}
    assert told["nodes"]["it"]["seconds"] == 3.0


def test_weights_in_memory_need_no_loading(works: Works) -> None:
    def is_resident(recipe: Any, device: str) -> bool:
        return bool(recipe.digest == "0" * 64 and device == "cpu")

    works.engine.shared.registry.add(Open, Decode, Guess)
    works.run(DECODING, "one", "guess")
    found = works.plan(DECODING, "one", "two", "guess", is_resident=is_resident)
    assert (found.totals.load, found.totals.memory) == ({}, {"cpu": 570})


# Workflows that something is wrong with


def test_what_is_sound_is_planned_all_the_same(works: Works) -> None:
    nodes = {
        **CHAIN,
        "broken": {"type": "Mix", "inputs": {"a": link("leaf"), "b": "text", "factor": 1}},
        "after": {"type": "Show", "inputs": {"value": link("broken")}},
        "gone": {"type": "nowhere:Node"},
    }
    document = {"format": "nodegraph/1", "requires": {"other": "*"}, "nodes": nodes}
    found = plan_workflow(Workflow.from_dict(document), works.engine.shared).plan
    assert set(found.nodes) == set(CHAIN)
    assert found.missing.packs == ("other", "nowhere")
    assert {problem.code for problem in found.problems} >= {"missing-pack", "unknown-node-type"}
    assert found.as_dict()["problems"]


def test_outputs_that_nothing_is_wrong_with_are_planned_and_named(works: Works) -> None:
    whole = {**CHAIN, "show": {"type": "Write", "inputs": {"value": link("end")}}}
    nodes = {
        **whole,
        "new": {"type": "Mix", "inputs": {"b": 1, "factor": 1}},
        "other": {"type": "Write", "inputs": {"value": link("new")}},
        "empty": {"type": "Write"},
    }
    found = plan_workflow(written_as(nodes), works.engine.shared).plan
    assert found.targets == ("show",)
    assert set(found.nodes) == set(whole)
    assert {problem.node for problem in found.problems} == {"new", "empty"}
    nodes["leaf"] = {"type": "Leaf"}
    nothing = plan_workflow(written_as(nodes), works.engine.shared).plan
    assert nothing.targets == ()


def written_as(nodes: Mapping[str, Any]) -> Workflow:
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes)})


def test_without_a_store_nothing_is_remembered_between_processes(works: Works) -> None:
    engine = Engine(
        works.engine.shared.registry,
        environment=works.environment,
        lanes=Lanes(cpu_places=1, io_places=1),
    )
    assert {item.status for item in plan(works.graph(CHAIN), engine.shared).nodes.values()} == {
        "run"
    }
    engine.close()


def test_a_chain_of_many_thousand_nodes_needs_no_deep_stack(works: Works) -> None:
    nodes: dict[str, Any] = {"n0": {"type": "Leaf", "inputs": {"value": 0}}}
    for at in range(1, 1200):
        nodes[f"n{at}"] = {
            "type": "Mix",
            "inputs": {"a": link(f"n{at - 1}"), "b": 1, "factor": 1},
        }
    found = works.plan(nodes)
    assert found.totals.counts["run"] == 1200


# What is foreseen is what happens


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Nodes of all kinds; those that are linked to a list are mapped over it."""
    graph: dict[str, Any] = {}
    texts: dict[str, bool] = {}
    numbers: dict[str, bool] = {}
    """Nodes that give numbers, or lists of them."""

    def source(of: dict[str, bool]) -> st.SearchStrategy[Any]:
        return st.sampled_from(list(of)).map(link) if of else st.nothing()

    for at in range(draw(st.integers(1, 10))):
        name = f"n{at}"
        single = {known: True for known, is_list in numbers.items() if not is_list}
        choices = ["Leaf", "Numbers"]
        choices += ["Mix", "Mix", "Long", "Odd", "Gate", "Dice", "Sum", "Write"] if numbers else []
        choices += ["Pick", "Count"] if single else []
        choices += ["Length", "Length"] if texts else []
        kind = draw(st.sampled_from(choices))
        small = st.integers(0, 2)
        ports: dict[str, dict[str, st.SearchStrategy[Any]]] = {
            "Leaf": {"value": small},
            "Numbers": {"count": st.integers(0, 3)},
            "Mix": {"a": source(numbers), "b": source(numbers), "factor": small},
            "Pick": {"a": source(numbers), "first": source(single), "second": source(single)},
            "Long": {"a": source(numbers)},
            "Odd": {"value": source(numbers)},
            "Gate": {"a": source(numbers)},
            "Count": {"a": source(single)},
            "Sum": {"items": source(numbers)},
            "Write": {"value": source(single or numbers), "name": st.just(name)},
            "Length": {"text": source(texts), "plus": small},
            "Dice": {},
        }
        inputs = {port: draw(strategy) for port, strategy in ports[kind].items()}
        graph[name] = {"type": kind, "inputs": inputs}
        if draw(st.integers(0, 9)) == 0:
            graph[name]["always"] = True
        known = {**numbers, **texts}
        linked = [known[item["from"]] for item in inputs.values() if isinstance(item, dict)]
        is_list = kind in ("Numbers", "Count") or (kind != "Sum" and any(linked))
        if kind != "Write":
            (texts if kind == "Long" else numbers)[name] = is_list
    return graph


@st.composite
def edits(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A graph, and what becomes of it when some of its numbers are changed, twice."""
    graph = draw(graphs())
    found = [graph]
    for _ in range(2):
        edited = {name: {**item, "inputs": dict(item["inputs"])} for name, item in graph.items()}
        for item in edited.values():
            for port, value in item["inputs"].items():
                if isinstance(value, int) and draw(st.integers(0, 3)) == 0:
                    item["inputs"][port] = draw(st.integers(0, 2))
        found.append(edited)
    return found


def check(foreseen: Plan, result: RunResult) -> None:
    """A run did what was foreseen."""
    by_key: dict[str, list[NodePlan]] = {}
    for name, item in foreseen.nodes.items():
        report = result.nodes.get(name)
        status = report.status if report is not None else None
        assert status in _allowed(item), (name, item, report)
        if item.status in ("run", "hit") and item.certain and item.key and not _asks(item):
            by_key.setdefault(item.key, []).append(item)
    for items in by_key.values():
        did = sorted(result.nodes[item.name].status for item in items)
        planned = sorted("ran" if item.status == "run" else "cached" for item in items)
        assert did == planned, items


def _asks(item: NodePlan) -> bool:
    """Whether it will run and ask for inputs on the way, which may turn out to be blocked."""
    return item.type == "Pick" and item.status == "run"


def _allowed(item: NodePlan) -> set[str | None]:
    """What may come of a node; of equal ones, which of them runs can't be told."""
    if item.status == "skip":
        return {None, "skipped"} if item.reason == "blocked" else {None}
    if item.status == "lazy":
        return {"ran", "cached", "skipped", None}
    if item.status == "hit":
        also: set[str | None] = {"ran"} if item.place == "shared" else set()
        return {"cached"} | also | (set() if item.certain else {None})
    if not item.certain:
        return {"ran", "cached", "skipped"}
    if _asks(item):
        return {"ran", "cached", "skipped"}
    if item.key:
        return {"ran", "cached"}
    # Where an input isn't known yet, it may turn out to be blocked.
    return {"ran", "skipped"} if item.needs else {"ran"}


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(120), suppress_health_check=[HealthCheck.too_slow])
@given(edits(), st.lists(st.booleans(), min_size=3, max_size=3), st.data())
def test_the_next_run_does_what_was_foreseen(
    graphs: list[dict[str, Any]], restarts: list[bool], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        works = Works(Path(folder))
        try:
            for graph, restart in zip([*graphs, graphs[0]], [*restarts, True], strict=True):
                if restart:
                    works.restart()
                target = data.draw(st.sampled_from(list(graph)))
                targets = dict.fromkeys((target, list(graph)[-1]))
                foreseen = works.plan(graph, *targets)
                check(foreseen, works.run(graph, *targets))
        finally:
            works.close()


class Elsewhere:
    """A process that plans for another one, and is told what that holds in memory."""

    def __init__(self, works: Works) -> None:
        registry = Registry()
        registry.add(*NODES)
        self.engine = Engine(
            registry,
            environment=works.environment,
            cache=Cache(MemoryCache(), works.store),
            lanes=Lanes(cpu_places=1, io_places=1),
            written=SinkFiles(works.store.index),
        )
        self._works = works
        self._memory = works.engine.shared.cache.memory
        self._memory.take_changed_keys()
        self._stock = RemoteMemory()

    def plan(self, graph: Mapping[str, Any], *targets: str) -> Plan:
        """What the other one would do."""
        entries = {key: self._memory.peek(key) for key in self._memory.take_changed_keys()}
        there = {
            key: pack_entry(entry)
            for key, entry in entries.items()
            if entry is not None and get_tier(entry) == "memory"
        }
        told = json.loads(json.dumps(there))
        self._stock.update(told, [key for key in entries if key not in there], [])
        shared = self._stock.overlay(self.engine.shared)
        return plan(self._works.graph(graph, *targets), shared, needs_targets=True)


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(edits(), st.data())
def test_who_is_told_of_its_memory_foresees_what_it_does_itself(
    graphs: list[dict[str, Any]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        works = Works(Path(folder))
        elsewhere = Elsewhere(works)
        try:
            for graph in [*graphs, graphs[0]]:
                target = data.draw(st.sampled_from(list(graph)))
                own = works.plan(graph, target)
                found = elsewhere.plan(graph, target)
                for name, item in own.nodes.items():
                    there = found.nodes[name]
                    assert (there.status, there.reason) == (item.status, item.reason), name
                    assert (there.certain, there.key) == (item.certain, item.key), name
                works.run(graph, target)
        finally:
            elsewhere.engine.close()
            works.close()


def test_a_plan_is_plain_json(works: Works) -> None:
    found = works.plan(CHAIN).as_dict()
    assert json.loads(json.dumps(found))["nodes"]["mix"]["status"] == "run"


def _doubts(inputs: HookInputs) -> Iterator[Finding]:
    if (inputs.literals["number"] or 0) > 5:
        yield Finding("number", "is large", code="large", is_warning=True)


@node(validate=_doubts)
def Doubted(number: int) -> int:
    """Warns of large numbers."""
    return number


def test_what_nodes_warn_of_is_told_with_the_plan(works: Works) -> None:
    works.engine.shared.registry.add(Doubted)
    numbers = {"small": 3, "large": 9}
    nodes = {
        name: {"type": "Doubted", "inputs": {"number": number}} for name, number in numbers.items()
    }
    found = plan_workflow(written_as(nodes), works.engine.shared, targets=["small", "large"]).plan
    assert not found.problems
    assert [(each.node, each.port, each.code) for each in found.warnings] == [
        ("large", "number", "large")
    ]
    assert [each["node"] for each in found.as_dict()["warnings"]] == ["large"]
