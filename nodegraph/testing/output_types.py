"""Whether outputs hold what their types promise, beyond what a run looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.core.ports import BLOCKED
from nodegraph.core.spec import NodeSpec, OutputSpec
from nodegraph.core.summary import summarize
from nodegraph.core.types import TypeExpr
from nodegraph.errors import Problem


def output_fault(
    spec: NodeSpec, name: str, value: Any, classes: Mapping[str, type]
) -> Problem | None:
    """What is wrong with the value of an output; None if nothing is.

    Args:
        classes: Of the values of packs' own port types, by the types' names.
    """
    port = spec.outputs_by_name[name]
    if value is None and port.nullable:
        return None
    for item in _items(value, port.expr):
        found = _fault(item, _inner(port.expr), classes)
        if found:
            return _problem(spec, port, *found)
    return None


def _items(value: Any, expr: TypeExpr) -> list[Any]:
    """The values of which each is of the innermost type; a mapped node gives one for each call."""
    return [item for each in value for item in _items(each, expr)] if _is_list(value) else [value]


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _inner(expr: TypeExpr) -> TypeExpr:
    return _inner(expr.item) if expr.is_list else expr


def _fault(value: Any, expr: TypeExpr, classes: Mapping[str, type]) -> tuple[str, str, str] | None:
    """What was given, what is expected, and how to mend it."""
    if value is BLOCKED:
        return None
    kind = classes.get(expr.name)
    if kind is not None and not isinstance(value, kind):
        return summarize(value), f"a {kind.__name__}", f"Return a `{kind.__name__}`."
    return _levels_fault(value) if expr.name in ("Image", "Mask") else None


def _levels_fault(tensor: Any) -> tuple[str, str, str] | None:
    name = str(tensor.dtype).removeprefix("torch.")
    if name != "float32":
        return name, "float32", "Return `.float()` of it."
    if tensor.device.type != "cpu":
        return f"on {tensor.device}", "on the CPU", "Return `.cpu()` of it."
    if not tensor.numel():
        return None
    low, high = float(tensor.min()), float(tensor.max())
    if not low - low == high - high == 0.0:
        return (
            "not finite numbers",
            "numbers in 0..1",
            "Look for a division by zero or a logarithm.",
        )
    if low < 0 or high > 1:
        return f"{low:g} to {high:g}", "values in 0..1", "Return `.clamp(0, 1)` of it."
    return None


def _problem(spec: NodeSpec, port: OutputSpec, given: str, expected: str, hint: str) -> Problem:
    return Problem(
        "failed-check",
        f"output `{port.name}` isn't what {port.type} promises",
        node_type=spec.type,
        given=given,
        expected=expected,
        hint=hint,
    )
