"""What nodes return to be shown beside their outputs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from nodegraph.api import Context, Expand, NodeOutput, node
from nodegraph.engine.cache import Cache, MemoryCache
from nodegraph.errors import NodegraphError
from nodegraph.store.file_records import SinkFiles
from nodegraph.store.store import Store
from tests.engine.conftest import Bench, link


@node
def Show(a: int) -> int:
    """A number, shown."""
    return NodeOutput(a + 1, ui={"text": [f"{a}"]})


@node
def Numbers(count: int) -> list[int]:
    """The numbers below."""
    return list(range(count))


@node
def Outer(a: int) -> int:
    """Expand into a node that shows."""
    nodes = {"inner": {"type": "Show", "inputs": {"a": a}}}
    return NodeOutput(Expand(nodes, {"number": "inner"}), ui={"of": "outer"})


@node
def Stepwise(a: int) -> int:
    """Show in a later step."""
    nodes = {"inner": {"type": "Show", "inputs": {"a": a}}}
    return Expand(
        nodes,
        {"it": "inner"},
        then=lambda found: NodeOutput(found["it"].value, ui={"of": "step"}),
    )


@node(output=True)
def Sink(a: int) -> None:
    """Show, and return nothing."""
    return NodeOutput(ui={"images": [{"filename": f"{a}.png"}]})


@node(output="files")
def Write(ctx: Context, a: int) -> None:
    """Write a file, and show its name."""
    path = ctx.environment.outputs / f"{a}.txt"
    path.write_text(str(a))
    ctx.wrote(path, kind="text")
    return NodeOutput(ui={"files": [path.name]})


@node
def Wild(kind: str) -> int:
    """Show what can't be shown."""
    shown: dict[str, Any] = {
        "object": {"a": object()},
        "nan": {"a": math.nan},
        "large": {"a": "x" * (300 << 10)},
        "list": [1, 2],
    }
    return NodeOutput(1, ui=shown[kind])


@node
def Large(a: int) -> int:
    """Show nearly as much as one call may."""
    return NodeOutput(a, ui={"text": ["x" * (200 << 10)]})


@pytest.fixture(autouse=True)
def nodes(bench: Bench) -> None:
    bench.add(Show, Numbers, Outer, Stepwise, Sink, Write, Wild, Large)


def shown(bench: Bench) -> dict[str, Any]:
    """What events told to show, by node."""
    found: dict[str, Any] = {}
    for event in bench.events:
        ui = event.data.get("ui")
        if event.kind == "node.finished" and ui is not None:
            found[event.node or ""] = ui
        elif event.kind == "nodes.cached" and ui is not None:
            assert event.data["nodes"]
            found |= ui
    return found


def show(a: int) -> dict[str, Any]:
    return {"s": {"type": "Show", "inputs": {"a": a}}}


def test_it_comes_with_the_end_of_the_node_and_with_the_cache_hit(bench: Bench) -> None:
    for status in ("ran", "cached"):
        result = bench.run(show(4))
        assert result["s"] == 5
        assert result.nodes["s"].status == status
        assert result.nodes["s"].ui == {"s": {"text": ["4"]}}
        assert result.nodes["s"].warnings == ()
        assert shown(bench) == {"s": {"text": ["4"]}}
        assert bench.kinds("log") == []


def test_those_of_nodes_that_do_not_show_have_no_such_key(bench: Bench) -> None:
    for _ in range(2):
        bench.run({"n": {"type": "Numbers", "inputs": {"count": 2}}})
        assert all("ui" not in event.data for event in bench.events)


def test_items_of_a_list_show_together(bench: Bench) -> None:
    nodes = {
        "n": {"type": "Numbers", "inputs": {"count": 3}},
        "s": {"type": "Show", "inputs": {"a": link("n")}},
    }
    for _ in range(2):
        bench.run(nodes)
        assert shown(bench) == {"s": {"text": ["0", "1", "2"]}}


def test_a_mapped_node_shows_no_more_than_a_limit(bench: Bench) -> None:
    nodes = {
        "n": {"type": "Numbers", "inputs": {"count": 20}},
        "s": {"type": "Large", "inputs": {"a": link("n")}},
    }
    for _ in range(2):
        result = bench.run(nodes)
        assert len(result["s"]) == 20
        assert len(shown(bench)["s"]["text"]) == 5


def test_a_graph_that_was_returned_shows_again_from_the_cache(bench: Bench) -> None:
    nodes = {"o": {"type": "Outer", "inputs": {"a": 7}}}
    for status in ("ran", "cached"):
        result = bench.run(nodes)
        assert (result["o"], result.nodes["o"].status) == (8, status)
        assert shown(bench) == {"o": {"of": "outer"}, "o/inner": {"text": ["7"]}}


def test_a_later_step_may_show(bench: Bench) -> None:
    for _ in range(2):
        assert bench.run({"o": {"type": "Stepwise", "inputs": {"a": 7}}})["o"] == 8
        assert shown(bench)["o"] == {"of": "step"}


def test_a_sink_shows_each_time(bench: Bench) -> None:
    for _ in range(2):
        result = bench.run({"s": {"type": "Sink", "inputs": {"a": 1}}})
        assert result.nodes["s"].status == "ran"
        assert shown(bench) == {"s": {"images": [{"filename": "1.png"}]}}


def test_a_sink_whose_files_are_there_shows_again(bench: Bench, tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        bench.engine.shared.written = SinkFiles(store.index)
        for status in ("ran", "cached"):
            result = bench.run({"w": {"type": "Write", "inputs": {"a": 1}}})
            assert result.nodes["w"].status == status
            assert shown(bench) == {"w": {"files": ["1.txt"]}}


def test_it_is_stored_with_the_outputs(bench: Bench, tmp_path: Path) -> None:
    for status in ("ran", "cached"):
        with Store(tmp_path / "store") as store:
            bench.cache = Cache(MemoryCache(), store)
            engine = bench.new_engine()
            result = bench.run(
                {**show(4), "o": {"type": "Outer", "inputs": {"a": 7}}}, "s", "o", engine=engine
            )
            assert [report.status for report in result.nodes.values()][-1] == status
            expected = {"s": {"text": ["4"]}, "o": {"of": "outer"}, "o/inner": {"text": ["7"]}}
            assert shown(bench) == expected
            store.flush()
            engine.close()


def test_it_does_not_change_the_value_that_others_get(bench: Bench) -> None:
    digest = bench.run(show(4)).nodes["s"].outputs["number"]
    numbers = bench.run({"n": {"type": "Numbers", "inputs": {"count": 6}}})
    item = {"x": {"type": "Show", "inputs": {"a": 4}}}
    assert numbers["n"][5] == 5
    assert bench.run(item).nodes["x"].outputs["number"] == digest


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("object", "its `ui` is not JSON"),
        ("nan", "its `ui` is not JSON"),
        ("large", "its `ui` is too large"),
        ("list", "its `ui` is no object"),
    ],
)
def test_what_is_no_small_json_object_is_an_error_of_the_node(
    bench: Bench, kind: str, words: str
) -> None:
    result = bench.run({"w": {"type": "Wild", "inputs": {"kind": kind}}})
    error = result.errors[0].__cause__
    assert isinstance(error, NodegraphError)
    assert words in error.problem.message
    assert error.problem.expected
    assert result.errors[0].problem.node == "w"
