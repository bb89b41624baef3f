"""Flow: branches, gates, and loops over the workflow's subgraphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from nodegraph import BLOCKED, Body, Expand, InvalidValue, Lazy, Range, Subgraph, Value, node

from ._loops import LoopBody


@node(category="flow", tags=("if", "condition", "branch"))
async def Switch(
    condition: bool, on_true: Lazy[Any] | None = None, on_false: Lazy[Any] | None = None
) -> Any:
    """Choose one of two values by a condition. Nodes that only the other value needs do not run.

    Args:
        condition: True chooses on_true, false on_false.
        on_true, on_false: The two values. If the chosen one is not linked, nodes that depend on
            this node are skipped.
    """
    return await _branch(on_true if condition else on_false)


@node(category="flow", tags=("switch", "choose", "branch"))
async def Select(
    index: Annotated[int, Range(0, 7)] = 0,
    option_0: Lazy[Any] | None = None,
    option_1: Lazy[Any] | None = None,
    option_2: Lazy[Any] | None = None,
    option_3: Lazy[Any] | None = None,
    option_4: Lazy[Any] | None = None,
    option_5: Lazy[Any] | None = None,
    option_6: Lazy[Any] | None = None,
    option_7: Lazy[Any] | None = None,
) -> Any:
    """Choose one of several values by its number. Nodes that only the other values need do not run.

    Args:
        index: Number of the value, counted from 0.
        option_0, option_1, option_2, option_3, option_4, option_5, option_6, option_7: The values
            to choose from. If the chosen one is not linked, nodes that depend on this node are
            skipped.
    """
    options = (
        option_0,
        option_1,
        option_2,
        option_3,
        option_4,
        option_5,
        option_6,
        option_7,
    )
    if not 0 <= index < len(options):
        raise InvalidValue(
            "there is no option with this number",
            port="index",
            given=str(index),
            expected=f"0 to {len(options) - 1}",
        )
    return await _branch(options[index])


async def _branch(lazy: Lazy[Any] | None) -> Any:
    value = None if lazy is None else await lazy()
    return BLOCKED if value is None else value


@node(category="flow", tags=("block", "stop", "if"))
async def Gate(value: Lazy[Any], open: bool = True) -> Any:
    """Pass a value on, or block it. If it is blocked, nodes that depend on it are skipped silently.

    Args:
        value: The value to pass on. While the gate is closed, nodes that only this node needs do
            not run.
        open: Pass the value on.
    """
    return await value() if open else BLOCKED


class ForEachOutputs(NamedTuple):
    results: list[Any]


@node(category="flow", tags=("loop", "map", "batch"))
def ForEach(
    items: list[Any],
    body: Annotated[Subgraph, Body({"item": "items", "index": ""}, {"result": ("results",)})],
    **inputs: Any,
) -> ForEachOutputs:
    """Run a subgraph once for each item of a list.

    The subgraph takes an `item`, and optionally its number as `index`, and returns a `result`. Its
    other inputs become inputs of this node. Each run is cached separately.

    Args:
        items: The list.
        body: Name of the subgraph.
    """
    loop = LoopBody(body, inputs)
    # One run at a time if the body writes files, because files are numbered in the list's order.
    most = 1 if body.acts else loop.most_at_once

    def part(start: int, before: tuple[Value, ...]) -> Any:
        end = min(start + most, len(items))
        nodes = {str(at): loop.turn(at, {"item": Value(items[at])}) for at in range(start, end)}
        outputs = [f"{name}.result" for name in nodes]
        if end == len(items):
            return Expand(nodes, {"results": [*before, *outputs]}, loop.definitions)
        then = lambda results: part(end, (*before, *results.values()))  # noqa: E731
        return Expand(nodes, dict(zip(nodes, outputs, strict=True)), loop.definitions, then)

    answer: ForEachOutputs = part(0, ())
    return answer


class Folded(NamedTuple):
    result: Any
    results: list[Any]


@node(category="flow", tags=("loop", "reduce", "accumulate"))
def Fold(
    items: list[Any],
    initial: Any,
    body: Annotated[
        Subgraph,
        Body(
            {"item": "items", "accumulated": "initial", "index": ""},
            {"accumulated": ("result", "results")},
        ),
    ],
    **inputs: Any,
) -> Folded:
    """Run a subgraph for each item of a list, and pass its result on to the next run.

    The subgraph takes the value `accumulated` so far, an `item`, and optionally its number as
    `index`. It returns the new value of `accumulated`. Its other inputs become inputs of this node.
    The outputs are the final value, and the value after each item.

    Args:
        items: The list.
        initial: The accumulated value before the first item.
        body: Name of the subgraph.
    """
    turn_inputs = [{"item": Value(item)} for item in items]
    answer: Folded = _chain(
        LoopBody(body, inputs), "accumulated", initial, turn_inputs, "result", "results"
    )
    return answer


class Repeated(NamedTuple):
    state: Any
    states: list[Any]


@node(category="flow", tags=("loop", "iterate", "feedback"))
def Repeat(
    state: Any,
    body: Annotated[
        Subgraph, Body({"state": "state", "index": ""}, {"state": ("state", "states")})
    ],
    times: Annotated[int, Range(0, 100_000)] = 4,
    **inputs: Any,
) -> Repeated:
    """Run a subgraph several times, and pass its result on to the next run.

    The subgraph takes a `state`, and optionally its number as `index`, and returns the next
    `state`. Its other inputs become inputs of this node. The outputs are the last state, and all
    states.

    Args:
        state: The state of the first run.
        body: Name of the subgraph.
        times: Number of runs.
    """
    answer: Repeated = _chain(
        LoopBody(body, inputs), "state", state, [{}] * times, "state", "states"
    )
    return answer


def _chain(
    loop: LoopBody,
    carried: str,
    first: Any,
    turn_inputs: Sequence[Mapping[str, Any]],
    last: str,
    every: str,
    collected: str = "",
) -> Any:
    """Build runs that each take the output of the run before.

    Args:
        carried: The subgraph's input and output that pass the value from run to run.
        turn_inputs: Further inputs of each run.
        last, every: The node's outputs for the last carried value, and for all collected ones.
        collected: The subgraph's output that is collected; empty for `carried`.
    """
    result = collected or carried

    def part(start: int, before: Value, all_before: tuple[Value, ...]) -> Any:
        end = min(start + loop.most_at_once, len(turn_inputs))
        nodes = {}
        link: Any = before
        for at in range(start, end):
            nodes[str(at)] = loop.turn(at, {**turn_inputs[at], carried: link})
            link = {"from": f"{at}.{carried}"}
        outputs = {name: f"{name}.{result}" for name in nodes}
        state = f"{end - 1}.{carried}"
        if end == len(turn_inputs):
            ends: dict[str, Any] = {
                last: state if nodes else before,
                every: [*all_before, *outputs.values()],
            }
            return Expand(nodes, ends, loop.definitions)

        def then(results: Mapping[str, Value]) -> Any:
            collected_now = [results[name] for name in outputs]
            return part(end, results[carried], (*all_before, *collected_now))

        return Expand(nodes, {**outputs, carried: state}, loop.definitions, then)

    return part(0, Value(first), ())


class Scanned(NamedTuple):
    state: Any
    results: list[Any]


@node(category="flow", tags=("loop", "feedback", "map", "accumulate", "map accumulate"))
def Scan(
    items: list[Any],
    state: Any,
    body: Annotated[
        Subgraph,
        Body(
            {"item": "items", "state": "state", "index": ""},
            {"state": ("state",), "result": ("results",)},
        ),
    ],
    **inputs: Any,
) -> Scanned:
    """Run a subgraph for each item of a list, pass its state on, and collect its results.

    The subgraph takes a `state`, an `item`, and optionally its number as `index`. It returns the
    next `state`, and a `result`. Its other inputs become inputs of this node. The outputs are the
    last state, and the result of each run.

    Args:
        items: The list.
        state: The state of the first run.
        body: Name of the subgraph.
    """
    turn_inputs = [{"item": Value(item)} for item in items]
    answer: Scanned = _chain(
        LoopBody(body, inputs), "state", state, turn_inputs, "state", "results", "result"
    )
    return answer


class WhileOutputs(NamedTuple):
    state: Any
    iterations: int


@node(category="flow", tags=("loop", "until", "iterate"))
def While(
    state: Any,
    body: Annotated[
        Subgraph, Body({"state": "state", "index": ""}, {"state": ("state",), "continue": ()})
    ],
    max_iterations: Annotated[int, Range(1, 1_000_000)] = 1000,
    **inputs: Any,
) -> WhileOutputs:
    """Run a subgraph on its own result while it asks to continue.

    The subgraph takes a `state`, and optionally its number as `index`. It returns the next `state`,
    and `continue`: whether to run again. Its other inputs become inputs of this node.

    Args:
        state: The state of the first run.
        body: Name of the subgraph.
        max_iterations: Maximum number of runs. A loop that would continue after that many is an
            error.
    """
    loop = LoopBody(body, inputs)

    def turn(at: int, state: Value) -> Expand:
        outputs = {"state": f"{at}.state", "continue": f"{at}.continue"}
        nodes = {str(at): loop.turn(at, {"state": state})}
        return Expand(nodes, outputs, loop.definitions, lambda results: after(at + 1, results))

    def after(count: int, results: Mapping[str, Value]) -> Any:
        go_on = results["continue"]
        if go_on.is_blocked:
            return BLOCKED
        if not isinstance(go_on.value, bool):
            raise InvalidValue(
                "the subgraph's output `continue` is not true or false",
                port="body",
                given=repr(go_on.value)[:60],
            )
        if not go_on.value:
            return Expand({}, {"state": results["state"], "iterations": Value(count)})
        if count >= max_iterations:
            raise InvalidValue(
                f"the loop does not end after {count} iterations",
                port="max_iterations",
                hint="Raise max_iterations, or make the subgraph's `continue` become false.",
            )
        return turn(count, results["state"])

    answer: WhileOutputs = turn(0, Value(state))
    return answer
