"""Lists of outputs: what a Python list that is given to an input writes into a graph.

It becomes nodes of the type `List`, which takes so many items; of more, lists are made whose
items these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from nodegraph.core.links import Link
from nodegraph.core.types import ANY, TypeExpr, list_of, named_type
from nodegraph.python.builder.outputs import BuiltNode, Out, Owner

_MOST = 8
"""Items of a node."""


class OutputList(Out[Any]):
    """Values and outputs as one list; its nodes are added when something is linked to it."""

    def __init__(self, owner: Owner, items: Sequence[Any]) -> None:
        super().__init__(owner, Link(""))
        self.items = items
        self._node: Any = None

    def with_values(self, items: Sequence[Any]) -> OutputList:
        """The same list with items as an input takes them."""
        return OutputList(self._owner, items)

    @property
    def _identity(self) -> tuple[object, ...]:
        return (id(self),)

    @property
    def _known_type(self) -> TypeExpr:
        type_of = self._owner.type_of
        types = {type_of(item) if isinstance(item, Out) else named_type(ANY) for item in self.items}
        expr = types.pop() if len(types) == 1 else named_type(ANY)
        return expr if expr.is_list else list_of(expr)

    @property
    def _shown(self) -> str:
        return "a list"

    @property
    def _link(self) -> Link:
        if self._node is None:
            left = _with_values_together(self.items)
            while len(left) > _MOST:
                left = [
                    self._add_list_node(left[at : at + _MOST]) for at in range(0, len(left), _MOST)
                ]
            self._node = self._add_list_node(left)
        return Link(str(self._node))

    def _add_list_node(self, items: Sequence[Any]) -> Any:
        """A node that makes a list of a few."""
        inputs = {f"item_{at}": item for at, item in enumerate(items, start=1)}
        return self._owner.node("List", **inputs)


def _with_values_together(items: Sequence[Any]) -> list[Any]:
    """The items, with those that stand beside each other and are no outputs as one list."""
    grouped: list[Any] = []
    for are_outputs, part in groupby(items, is_output):
        if are_outputs:
            grouped += part
        else:
            grouped.append([inner_item for item in part for inner_item in _items_of(item)])
    return grouped


def _items_of(value: Any) -> Sequence[Any]:
    """What a node `List` makes of a value."""
    return value if isinstance(value, (list, tuple)) else (value,)


def to_output_list(owner: Owner, value: Any) -> Any:
    """A list of which an item is an output as one output; what else is given as it is."""
    if not isinstance(value, (list, tuple)):
        return value
    return OutputList(owner, value) if any(map(is_output, value)) else value


def is_output(value: object) -> bool:
    """Whether it is a node, or an output of one."""
    return isinstance(value, (Out, BuiltNode))


def has_outputs(value: object) -> bool:
    """Whether lists or dictionaries have outputs in them, however deep."""
    left, visited = [value], set[int]()
    while left:
        part = left.pop()
        if is_output(part):
            return True
        # What holds itself is looked at once; that it does is told where values are checked.
        if isinstance(part, (dict, list, tuple)) and id(part) not in visited:
            visited.add(id(part))
            left.extend(part.values() if isinstance(part, dict) else part)
    return False
