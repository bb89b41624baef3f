"""Sweeps: what two inputs do, as a picture of pictures."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from nodegraph import Body, Expand, Image, InvalidValue, Range, Subgraph, Value, node

from ._loops import LoopBody
from ._shown import format_value

_MOST = 10_000


class SweptGrid(NamedTuple):
    image: Image
    images: list[Any]


@node(
    category="flow",
    tags=(
        "xy plot",
        "x/y",
        "grid",
        "sweep",
        "compare",
        "parameters",
        "efficiency",
        "script",
        "x/y/z plot",
        "prompt S/R",
    ),
)
def GridSweep(
    x: list[Any],
    y: list[Any],
    body: Annotated[Subgraph, Body({"x": "x", "y": "y", "index": ""}, {"image": ("images",)})],
    x_title: str = "",
    y_title: str = "",
    gap: Annotated[int, Range(0, 1000)] = 4,
    **inputs: Any,
) -> SweptGrid:
    """Run a subgraph for each pair of two lists' values, and put its pictures into a labelled grid.

    The subgraph takes `x` and `y`, which may lead to any two inputs, and gives an `image`. Its
    other inputs are inputs of this node. Each run is cached by itself.

    Args:
        x: Values from left to right: numbers, texts such as names of samplers, anything.
        y: Values from top to bottom.
        body: Name of the subgraph.
        x_title, y_title: What the values are of, written along the grid.
        gap: Pixels between pictures.
    """
    if not 0 < len(x) * len(y) <= _MOST:
        raise InvalidValue(
            "is empty" if not x else "leads to none or too many pictures",
            port="x" if not x else "y",
            given=f"{len(x)} x {len(y)}",
            expected=f"1 to {_MOST:,} pictures",
        )
    loop = LoopBody(body, inputs)
    pairs = [(across, down) for down in y for across in x]
    most = 1 if body.acts else loop.most_at_once  # in order where something is written
    drawn: dict[str, Any] = {
        "columns": len(x),
        "column_labels": Value([_label(value, at) for at, value in enumerate(x)]),
        "row_labels": Value([_label(value, at) for at, value in enumerate(y)]),
        "column_title": x_title,
        "row_title": y_title,
        "gap": gap,
    }

    def part(start: int, before: tuple[Value, ...]) -> Any:
        end = min(start + most, len(pairs))
        nodes = {
            str(at): loop.turn(at, {"x": Value(pairs[at][0]), "y": Value(pairs[at][1])})
            for at in range(start, end)
        }
        outputs = {name: f"{name}.image" for name in nodes}
        if end == len(pairs):
            every: dict[str, Any] = {"images": [*before, *outputs.values()]}
            return Expand(nodes, every, loop.definitions, lambda results: grid(results["images"]))
        then = lambda results: part(end, (*before, *results.values()))  # noqa: E731
        return Expand(nodes, outputs, loop.definitions, then)

    def grid(images: Value) -> Any:
        grid_inputs = {"images": images, **drawn}
        return Expand(
            {"grid": {"type": "ImageGrid", "inputs": grid_inputs}},
            {"image": "grid", "images": images},
        )

    answer: SweptGrid = part(0, ())
    return answer


def _label(value: Any, at: int) -> str:
    """A value in a few words; its number if it is none that can be written."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (bool, int, str)):
        return format_value(value)
    return f"{at + 1}"
