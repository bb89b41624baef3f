"""Running graphs: what runs, in which order, and what becomes of failures."""

from __future__ import annotations

import asyncio
import json
import threading
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import PIL.Image
import pytest
import torch

from nodegraph.api import Context, Expand, Image, Lazy, Mask, Range, Value, node
from nodegraph.core.events import Event
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.workflow import Workflow
from nodegraph.engine.cache import NoCache
from nodegraph.engine.options import RunOptions
from nodegraph.engine.result import RunResult
from tests.engine.conftest import Bench, Holder, link
from tests.messages import raises


@node
def Number(value: int) -> int:
    """A number."""
    return value


@node
def Add(a: int, b: int) -> int:
    """Their sum."""
    return a + b


@node
def Fail(a: int) -> int:
    """Raise."""
    raise ValueError(f"can't take {a}")


class Parts(NamedTuple):
    quotient: int
    remainder: int


@node
def Divide(a: int, b: int) -> Parts:
    """Quotient and remainder."""
    return Parts(*divmod(a, b))


@node(output=True)
def Sink(a: int) -> None:
    """Take a number."""


def number(value: int) -> dict[str, object]:
    return {"type": "Number", "inputs": {"value": value}}


def add(a: str, b: str) -> dict[str, object]:
    return {"type": "Add", "inputs": {"a": link(a), "b": link(b)}}


@pytest.fixture(autouse=True)
def nodes(bench: Bench) -> None:
    bench.add(Number, Add, Fail, Divide, Sink)


def test_a_chain_gives_its_targets_value(bench: Bench) -> None:
    assert bench.value({"x": number(2), "y": number(3), "s": add("x", "y")}, "s.number") == 5


def test_named_outputs_are_linked_by_name(bench: Bench) -> None:
    graph = {
        "d": {"type": "Divide", "inputs": {"a": 17, "b": 5}},
        "s": add("d.quotient", "d.remainder"),
    }
    assert bench.value(graph, "s.number") == 5


def test_only_what_the_target_needs_is_run(bench: Bench) -> None:
    result = bench.run({"x": number(1), "other": number(2), "s": add("x", "x")}, "s")
    assert list(result.nodes) == ["x", "s"]


def test_a_failure_ends_its_descendants_only(bench: Bench) -> None:
    graph = {
        "x": number(1),
        "bad": {"type": "Fail", "inputs": {"a": link("x")}},
        "after": add("bad", "x"),
        "good": add("x", "x"),
    }
    result = bench.run(graph, "after", "good")
    statuses = {name: report.status for name, report in result.nodes.items()}
    assert statuses == {"x": "ran", "bad": "failed", "after": "skipped", "good": "ran"}
    assert result.status == "failed"
    assert result["good.number"] == 2


def test_a_failure_names_node_inputs_and_the_packs_own_traceback(bench: Bench) -> None:
    result = bench.run({"x": number(1), "bad": {"type": "Fail", "inputs": {"a": link("x")}}})
    (error,) = result.errors
    assert str(error) == "node `bad` (Fail): ValueError: can't take 1"
    assert error.inputs == {"a": "1"}
    assert "test_run.py" in error.trace
    assert "invoke.py" not in error.trace
    assert isinstance(error.__cause__, ValueError)


def test_independent_nodes_of_a_pool_run_at_once(bench: Bench) -> None:
    both = threading.Barrier(2, timeout=30)

    @node
    def Meet(value: int) -> int:
        """Wait for the other."""
        both.wait()
        return value

    bench.add(Meet)
    graph = {
        "a": {"type": "Meet", "inputs": {"value": 1}},
        "b": {"type": "Meet", "inputs": {"value": 2}},
        "s": add("a", "b"),
    }
    assert bench.value(graph, "s.number") == 3


def test_the_compute_lane_runs_one_node_at_a_time(bench: Bench) -> None:
    inside: list[int] = []
    most: list[int] = []

    @node(lane="gpu")
    def Compute(value: int) -> int:
        """Tell how many compute at once."""
        inside.append(value)
        most.append(len(inside))
        inside.pop()
        return value

    bench.add(Compute)
    graph = {f"c{at}": {"type": "Compute", "inputs": {"value": at}} for at in range(20)}
    bench.run(graph, *graph)
    assert most == [1] * 20


def test_async_nodes_wait_side_by_side(bench: Bench) -> None:
    met = []

    @node(lane="io")
    async def Wait(value: int) -> int:
        """Wait until both are here."""
        met.append(value)
        while len(met) < 2:
            await asyncio.sleep(0)
        return value

    bench.add(Wait)
    graph = {
        "a": {"type": "Wait", "inputs": {"value": 1}},
        "b": {"type": "Wait", "inputs": {"value": 2}},
        "s": add("a", "b"),
    }
    assert bench.value(graph, "s.number") == 3


def test_equal_calls_in_one_run_run_once(bench: Bench) -> None:
    ran = []

    @node
    def Slow(value: int) -> int:
        """Count the calls."""
        ran.append(value)
        return value

    bench.add(Slow)
    graph = {name: {"type": "Slow", "inputs": {"value": 7}} for name in "abcdef"}
    result = bench.run(graph, *graph)
    assert ran == [7]
    assert {result[f"{name}.number"] for name in "abcdef"} == {7}


def test_equal_calls_of_two_runs_in_flight_run_once(bench: Bench) -> None:
    ran = []
    going = threading.Event()

    @node
    def Slow(value: int) -> int:
        """Count the calls."""
        ran.append(value)
        going.wait(30)
        return value

    bench.add(Slow)
    graph = {"a": {"type": "Slow", "inputs": {"value": 7}}}

    async def both() -> None:
        first = asyncio.create_task(bench.run_async(graph))
        second = asyncio.create_task(bench.run_async(graph))
        while not ran:
            await asyncio.sleep(0)
        going.set()
        results = await asyncio.gather(first, second)
        assert [result["a.number"] for result in results] == [7, 7]

    asyncio.run(both())
    assert ran == [7]


def test_outputs_leave_memory_with_their_last_consumer(bench: Bench) -> None:
    bench.engine.shared.cache = NoCache()
    alive: list[int] = []

    class Big:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    counts = []
    gone = threading.Event()

    @node
    def Make(seed: int) -> object:
        """Something large."""
        return Big()

    @node
    def Use(big: object, after: int = 0) -> int:
        """Use it."""
        return 1

    @node
    def Count(a: int) -> int:
        """Count what is alive, once the thread that ran `Use` has had time to end."""
        for _ in range(6000):
            if alive:
                gone.wait(0.01)
        counts.append(len(alive))
        return a

    bench.add(Make, Use, Count)
    graph = {
        "m": {"type": "Make", "inputs": {"seed": 1}},
        "u": {"type": "Use", "inputs": {"big": link("m")}},
        "c": {"type": "Count", "inputs": {"a": link("u")}},
    }
    bench.run(graph)
    assert counts == [0]


def test_events_are_numbered_and_tell_the_story(bench: Bench) -> None:
    @node
    def Steps(ctx: Context, total: int) -> int:
        """Report progress."""
        for step in range(total):
            ctx.progress(step + 1, total)
        return total

    bench.add(Steps)
    bench.run({"s": {"type": "Steps", "inputs": {"total": 3}}})
    assert [event.number for event in bench.events] == list(range(len(bench.events)))
    assert [event.kind for event in bench.events] == [
        "job.started",
        "node.started",
        *["node.progress"] * 3,
        "node.finished",
        "job.finished",
    ]


def test_a_node_that_breaks_its_word_is_named(bench: Bench) -> None:
    @node
    def Wrong(a: int) -> Parts:
        """Return one value instead of two."""
        return a  # type: ignore[return-value]

    bench.add(Wrong)
    result = bench.run({"w": {"type": "Wrong", "inputs": {"a": 1}}})
    assert "returned int, but declares 2 outputs" in str(result.errors[0])


def test_sinks_run_every_time(bench: Bench) -> None:
    graph = {"x": number(1), "s": {"type": "Sink", "inputs": {"a": link("x")}}}
    bench.run(graph)
    again = bench.run(graph)
    assert {name: report.status for name, report in again.nodes.items()} == {
        "x": "cached",
        "s": "ran",
    }


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


def test_choices_reach_the_node_as_members_of_its_enum(bench: Bench) -> None:
    @node
    def Names(one: Colour, several: list[Colour], none: Colour | None = None) -> str:
        """Names of members."""
        assert none is None
        return " ".join([one.name, *(colour.name for colour in several)])

    bench.add(Names)
    graph = {"n": {"type": "Names", "inputs": {"one": "red", "several": ["blue", "red"]}}}
    assert bench.value(graph, "n.text") == "RED BLUE RED"


def test_a_listener_that_fails_breaks_no_run(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    def listen(event: Event) -> None:
        heard.append(event.kind)
        raise RuntimeError("deaf")

    async def run() -> RunResult:
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": {"x": number(1)}})
        graph = build_graph(workflow, bench.registry, bench.environment, targets=["x"])
        return await bench.engine.run(graph, RunOptions(listener=listen))

    assert asyncio.run(run()).is_ok
    assert heard == ["job.started"]
    assert "a listener failed" in caplog.text


@pytest.mark.parametrize(
    ("port", "given", "said"),
    [
        ("share", 2.0, "input `share`: is too large (given: 2.0; expected: a number from 0 to 1)"),
        ("share", float("nan"), "input `share`: is not a number (given: NaN"),
        ("share", float("-inf"), "input `share`: is too small (given: -Infinity"),
        (
            "count",
            0,
            "input `count`: is too small (given: 0; expected: a whole number, at least 1)",
        ),
        ("colour", "green", 'input `colour`: is not one of its choices (given: "green"'),
        ("way", "no", 'input `way`: is not one of its choices (given: "no"; expected: fast, slow)'),
        ("some", [1, -1], "input `some`: item 1: is too small (given: -1"),
        ("late", 9, "input `late`: is too large (given: 9"),
    ],
)
def test_ranges_and_choices_hold_for_what_is_linked(
    bench: Bench, port: str, given: object, said: str
) -> None:
    @node
    def Given() -> Any:
        """A value that nobody knows before it is there."""
        return given

    @node
    async def Picky(
        late: Lazy[Annotated[int, Range(0, 8)]],
        share: Annotated[float, Range(0, 1)] = 0.0,
        count: Annotated[int | None, Range(1)] = None,
        colour: Colour = Colour.RED,
        way: Literal["fast", "slow"] = "fast",
        some: list[Annotated[int, Range(0, 5)]] | None = None,
    ) -> int:
        """Count."""
        return await late()

    bench.add(Given, Picky)
    inputs = {"late": 1, port: link("g")}
    result = bench.run({"g": {"type": "Given"}, "p": {"type": "Picky", "inputs": inputs}})
    assert [str(error).startswith("node `p` (Picky), ") for error in result.errors] == [True]
    assert said in str(result.errors[0])


def test_a_linked_number_without_a_range_may_be_any(bench: Bench) -> None:
    @node
    def Endless() -> float:
        """How alike equal images are."""
        return float("inf")

    @node
    def Above(a: float, least: Annotated[float, Range(0)] = 1.0) -> bool:
        """Whether it is."""
        return a > least

    bench.add(Endless, Above)
    graph = {
        "e": {"type": "Endless"},
        "a": {"type": "Above", "inputs": {"a": link("e"), "least": link("e")}},
    }
    assert bench.value(graph, "a.value") is False


def test_a_value_that_a_link_cannot_convert_fails_its_node(bench: Bench) -> None:
    @node
    def MaybeNone(value: int) -> int | None:
        """Give nothing, against the type's better half."""
        return None

    @node
    def Half(a: float) -> float:
        """Half of it."""
        return a / 2

    bench.add(MaybeNone, Half)
    graph = {
        "m": {"type": "MaybeNone", "inputs": {"value": 1}},
        "h": {"type": "Half", "inputs": {"a": link("m")}},
    }
    assert "TypeError" in str(bench.run(graph).errors[0])


def test_errors_and_values_that_cannot_be_printed_are_still_told(bench: Bench) -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    @node
    def Make(value: int) -> object:
        """Something without a face."""
        return Mute()

    @node
    def Break(thing: object) -> int:
        """Raise."""
        raise MuteError

    bench.add(Make, Break)
    graph = {
        "m": {"type": "Make", "inputs": {"value": 1}},
        "b": {"type": "Break", "inputs": {"thing": link("m")}},
    }
    (error,) = bench.run(graph).errors
    assert str(error) == "node `b` (Break): MuteError"
    assert error.inputs == {"thing": "<Mute>"}


def test_a_value_that_holds_itself_may_travel(bench: Bench) -> None:
    @node
    def Loop(value: int) -> dict:  # type: ignore[type-arg]
        """A dictionary in itself."""
        made: dict[str, object] = {}
        made["self"] = made
        return made

    bench.add(Loop)
    graph = {"l": {"type": "Loop", "inputs": {"value": 1}}}
    assert bench.run(graph).is_ok
    assert bench.run(graph).nodes["l"].status == "cached"


def test_a_list_output_that_is_no_list_is_a_fault(bench: Bench) -> None:
    @node
    def Numbers(value: int) -> list[int]:
        """A range is no list."""
        return range(value)  # type: ignore[return-value]

    bench.add(Numbers)
    result = bench.run({"n": {"type": "Numbers", "inputs": {"value": 3}}})
    assert "returned range(0, 3), but declares list[int]" in str(result.errors[0])


def test_a_mapped_sink_takes_its_items_in_order(bench: Bench) -> None:
    taken = []

    @node
    def Some() -> list[int]:
        """Numbers."""
        return list(range(20))

    @node(output=True, lane="io")
    def Take(a: int) -> None:
        """Take a number."""
        taken.append(a)

    bench.add(Some, Take)
    graph = {"s": {"type": "Some"}, "t": {"type": "Take", "inputs": {"a": link("s")}}}
    assert bench.run(graph).is_ok
    assert taken == list(range(20))


def test_an_engine_survives_a_loop_that_ends_in_the_middle_of_a_run(bench: Bench) -> None:
    deaf = Holder(bench)
    graph = {"d": {"type": "Deaf", "inputs": {"value": 1}}}
    loop = asyncio.new_event_loop()

    async def abandon() -> asyncio.Task[RunResult]:
        run = asyncio.create_task(bench.run_async(graph))
        await deaf.has_started()
        return run

    task = loop.run_until_complete(abandon())
    loop.close()
    deaf.go.set()
    assert bench.value(graph, "d.number") == 1
    assert bench.value({"d": {"type": "Deaf", "inputs": {"value": 2}}}, "d.number") == 2
    task.get_coro().close()
    # That late end of the run given up counts for nothing: other loops are welcome.
    assert bench.value({"d": {"type": "Deaf", "inputs": {"value": 3}}}, "d.number") == 3
    # The task can't end any more; nobody is to be told so.
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_closed_engine_says_so(bench: Bench) -> None:
    bench.engine.close()
    with raises(RuntimeError):
        bench.run({"x": number(1)})


@pytest.mark.filterwarnings("ignore:results of node")  # it captures the whole bench
def test_closing_the_engine_ends_what_waits(bench: Bench) -> None:
    @node(lane="gpu")
    def Close(value: int) -> int:
        """Close the engine that runs it."""
        bench.engine.close()
        return value

    bench.add(Close)
    graph = {name: {"type": "Close", "inputs": {"value": at}} for at, name in enumerate("abc")}
    result = bench.run(graph, *graph)
    assert result.status == "failed"
    assert {str(error) for error in result.errors} == {
        "node `b` (Close): the engine was closed",
        "node `c` (Close): the engine was closed",
    }


def test_paths_in_lists_reach_the_node_as_paths(bench: Bench) -> None:
    @node
    def Kinds(one: Path, several: list[Path], either: Path | str) -> str:
        """Names of types."""
        return " ".join(type(item).__name__ for item in (one, *several, either))

    bench.add(Kinds)
    graph = {"k": {"type": "Kinds", "inputs": {"one": "a", "several": ["b"], "either": "c"}}}
    assert bench.value(graph, "k.text") == f"{type(Path()).__name__} {type(Path()).__name__} str"


def test_pictures_of_pil_and_arrays_of_bytes_are_taken_for_images(bench: Bench) -> None:
    @node
    def Drawn(side: int) -> list[Image]:
        """Draw with other libraries."""
        picture = PIL.Image.new("RGB", (side, 8), (255, 0, 51))
        pixels = np.asarray(picture)
        return [picture, pixels, pixels / np.float32(255)]  # type: ignore[list-item]

    bench.add(Drawn)
    result = bench.run({"d": {"type": "Drawn", "inputs": {"side": 6}}})
    first, second, third = result["d.images"]
    assert first.shape == (1, 8, 6, 3)
    assert first[0, 0, 0].tolist() == pytest.approx([1.0, 0.0, 0.2])
    assert torch.equal(first, second)
    assert torch.equal(first, third)


@pytest.mark.parametrize("is_lazy", [False, True])
def test_what_comes_as_any_type_is_a_picture_where_one_is_taken(
    bench: Bench, is_lazy: bool
) -> None:
    levels = np.full((8, 6, 3), 51, np.uint8)
    values = {
        "array": levels,
        "floats": levels / np.float32(255),
        "bytes": torch.from_numpy(levels)[None],
        "text": "a.png",
    }

    @node
    def Anything(name: str) -> Any:
        """Give a value of some type."""
        return values[name]

    @node
    def Handing(name: str) -> Image:
        """Hand a value to another node."""
        inputs = {"image": Value(values[name])}
        return Expand({"same": {"type": "Same", "inputs": inputs}}, {"image": "same"})

    if is_lazy:

        @node
        async def Same(image: Lazy[Image]) -> Image:
            """The image."""
            return await image()

    else:

        @node
        def Same(image: Image) -> Image:
            """The image."""
            return image

    bench.add(Anything, Handing, Same)

    def run(name: str, kind: str) -> Any:
        source = {"type": kind, "inputs": {"name": name}}
        if kind == "Handing":
            return bench.run({"same": source})
        return bench.run(
            {"a": source, "same": {"type": "Same", "inputs": {"image": {"from": "a"}}}}
        )

    for kind in ("Anything", "Handing"):
        for name in ("array", "floats"):
            found = run(name, kind)["same.image"]
            assert torch.equal(found, torch.full((1, 8, 6, 3), 0.2))
        for name, told in (("bytes", "uint8 [1, 8, 6, 3], values 51 to 51"), ("text", "'a.png'")):
            (error,) = run(name, kind).errors
            assert (error.problem.port, error.problem.given) == ("image", told)


@pytest.mark.parametrize(
    ("declared", "given", "told"),
    [
        (Image, np.full((4, 4, 3), 9.0), "Return `torch.from_numpy(value)[None].float() / 255`"),
        (Image, torch.zeros(1, 3, 8, 8), "Return `value.permute(0, 2, 3, 1)`"),
        (int, 2.5, "returned 2.5, but declares int"),
        (str, None, "returned None, but declares str"),
        (Image, "picture.png", "returned 'picture.png', but declares Image (float tensor ["),
        (Image, torch.zeros(4, 4, 3), "returned float32 [4, 4, 3], values 0 to 0, but declares"),
        (
            Mask,
            torch.zeros(1, 4, 4, dtype=torch.uint8),
            "returned uint8 [1, 4, 4], values 0 to 0",
        ),
    ],
)
def test_a_value_of_another_type_than_declared_is_its_nodes_fault(
    bench: Bench, declared: type, given: object, told: str
) -> None:
    def wrong(a: int):  # type: ignore[no-untyped-def]
        """Break its word."""
        return given

    wrong.__annotations__["return"] = declared
    bench.add(node(id="Wrong_")(wrong))
    result = bench.run({"w": {"type": "Wrong_", "inputs": {"a": 1}}})
    assert told in str(result.errors[0])


@pytest.mark.parametrize(
    ("declared", "given", "plain"),
    [
        (float, np.float32(0.5), 0.5),
        (float, torch.tensor(0.5), 0.5),
        (int, np.int64(3), 3),
        (int, np.array(3), 3),
        (bool, np.bool_(True), True),
        (list[float], np.array([0.5, 1.0]), [0.5, 1.0]),
        (list[int], [np.int64(3), 4], [3, 4]),
    ],
)
def test_a_number_of_another_library_is_one_of_the_type_that_is_declared(
    bench: Bench, declared: type, given: object, plain: object
) -> None:
    def number() -> Any:
        """A number."""
        return given

    number.__annotations__["return"] = declared
    bench.add(node(id="Number_")(number))
    found = bench.run({"n": {"type": "Number_"}}, "n")["n"]
    assert (found, type(found)) == (plain, type(plain))
    assert not isinstance(plain, list) or type(found[0]) is type(plain[0])


def test_steps_and_messages_of_any_kind_are_told_as_plain_ones(bench: Bench) -> None:
    @node
    def Steps(ctx: Context, total: int) -> int:
        """Report progress by numbers of other libraries."""
        ctx.progress(np.int64(1), np.int64(2))  # type: ignore[arg-type]
        ctx.progress(torch.tensor(2), torch.tensor(2))  # type: ignore[arg-type]
        ctx.log(np.float32(0.5))  # type: ignore[arg-type]
        return total

    bench.add(Steps)
    bench.run({"s": {"type": "Steps", "inputs": {"total": 3}}})
    told = [event.data for event in bench.events if event.kind in ("node.progress", "log")]
    assert json.loads(json.dumps(told)) == [
        {"step": 1, "total": 2},
        {"step": 2, "total": 2},
        {"message": "0.5", "level": "info"},
    ]
