"""Small values for inputs, where a spec says enough to make one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from nodegraph.core.literals import check_literal
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.types import TypeExpr


class NoSample(Exception):
    """No value can be made up for an input; the message says which and why."""


def sample_inputs(spec: NodeSpec) -> dict[str, Any]:
    """A value for each input of a node type that needs one.

    Raises:
        NoSample: There is an input of a type that nobody can make up.
    """
    return {port.name: sample(port) for port in spec.inputs if port.required}


def sample(port: InputSpec) -> Any:
    """A value for an input.

    Raises:
        NoSample: Nobody can make one up.
    """
    if port.widget.startswith("file:"):
        raise NoSample(f"input `{port.name}` names a file")
    if port.body is not None:
        raise NoSample(f"input `{port.name}` names a subgraph")
    value = _of_schema(port.json_schema) if _has_constraint(port) else _of_type(port.expr, port)
    if port.json_schema is not None and any(check_literal(value, port)):
        raise NoSample(f"input `{port.name}` takes something special")
    return value


def _has_constraint(port: InputSpec) -> bool:
    return bool((port.json_schema or {}).keys() & {"enum", "minimum", "maximum", "multipleOf"})


def _of_schema(schema: Any) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    low, high = schema.get("minimum"), schema.get("maximum")
    step = schema.get("multipleOf", 1)
    if low is None:
        low = 1 if high is None or high >= 1 else high
    multiple = -(-low // step) * step  # the first multiple from there
    return multiple if schema.get("type") == "integer" else float(multiple)


def _of_type(expr: TypeExpr, port: InputSpec) -> Any:
    if expr.kind == "union":
        return _of_type(expr.members[0], port)
    if expr.is_list:
        return [_of_type(expr.item, port)] * 2
    make = _MAKERS.get(expr.name)
    if make is None:
        raise NoSample(f"input `{port.name}` is of type {expr}")
    return make()


def _ramp(*shape: int) -> Any:
    """Levels in 0..1, all different."""
    import torch

    count = 1
    for side in shape:
        count *= side
    return torch.linspace(0, 1, count).reshape(shape)


def _audio() -> Any:
    from nodegraph.core.values import Audio

    return Audio(_ramp(1, 1600) - 0.5, 16_000)


def _video() -> Any:
    from nodegraph.core.values import Video

    return Video(_ramp(3, 16, 16, 3), Fraction(8))


_MAKERS: Mapping[str, Callable[[], Any]] = {
    "Any": lambda: 1,
    "int": lambda: 1,
    "float": lambda: 0.5,
    "bool": lambda: True,
    "str": lambda: "text",
    "bytes": lambda: b"bytes",
    "dict": lambda: {"key": 1},
    "Image": lambda: _ramp(1, 16, 24, 3),
    "Mask": lambda: _ramp(1, 16, 24),
    "Audio": _audio,
    "Video": _video,
}
