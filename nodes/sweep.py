"""Sweeps: a grid of images over the values of two inputs."""

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
    """Run a subgraph for each pair of values of two lists, and arrange the images in a labeled
    grid.

    The subgraph has the inputs `x` and `y`, which may be linked to any two inputs inside it, and
    returns an `image`. Its other inputs become inputs of this node. Each run is cached separately.

    Args:
        x: Values from left to right: numbers, texts, for example sampler names, or any others.
        y: Values from top to bottom.
        body: Name of the subgraph.
        x_title, y_title: Titles of the axes of the grid.
        gap: Gap between images in pixels.
    """
    if not 0 < len(x) * len(y) <= _MOST:
        raise InvalidValue(
            "the list is empty" if not x else "the grid has no images or too many",
            port="x" if not x else "y",
            given=f"{len(x)} x {len(y)}",
            expected=f"1 to {_MOST:,} images",
        )
    loop = LoopBody(body, inputs)
    pairs = [(across, down) for down in y for across in x]
    most = 1 if body.acts else loop.most_at_once  # in order if the subgraph writes files
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
    """Short text for a value, or its position if it has no short text."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (bool, int, str)):
        return format_value(value)
    return f"{at + 1}"
