"""Common parts of the loop nodes: an iteration is one use of the subgraph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph import Subgraph, Value

_MOST = 256
_LARGEST = 20_000
"""Maximum iterations, and approximate nodes, that join the run at once."""


class LoopBody:
    """A subgraph that runs once per iteration.

    Args:
        inputs: Inputs that are the same in all iterations.

    Attributes:
        definitions: Subgraphs that the loop body uses.
        most_at_once: Maximum number of iterations to expand at once, so that a huge subgraph does
            not flood the run.
    """

    def __init__(self, body: Subgraph, inputs: Mapping[str, Any]) -> None:
        self._body = body
        self._inputs: dict[str, Any] = {}
        self.definitions = dict(body.definitions)
        for name, value in inputs.items():
            if isinstance(value, Subgraph):
                # By name, so that it is checked and resolved like a subgraph of the workflow.
                self.definitions.update(value.definitions)
                self._inputs[name] = value.name
            else:
                self._inputs[name] = Value(value)
        self.most_at_once = max(1, min(_MOST, _LARGEST // _size(body)))

    def turn(self, index: int, turn_inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The node of one iteration.

        Args:
            turn_inputs: Inputs of this iteration: a `Value`, or a link to another iteration.
        """
        number = {"index": index} if "index" in self._body.inputs else {}
        return {"type": self._body.name, "inputs": {**self._inputs, **number, **turn_inputs}}


def _size(body: Subgraph) -> int:
    """Number of nodes of a subgraph with its blocks inlined, at least 1."""
    sizes: dict[str, int] = {}

    def size(name: str) -> int:
        if name not in body.definitions:
            return 1
        if name not in sizes:
            sizes[name] = 1
            nodes = body.definitions[name]["nodes"].values()
            sizes[name] += sum(size(item["type"]) for item in nodes)
        return sizes[name]

    return size(body.name)
