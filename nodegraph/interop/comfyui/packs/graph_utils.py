"""Names that ComfyUI's packs import from ``comfy_execution``: blockers, graphs, running calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

_CALL = re.compile(r"\[(\d+)\]$")


class ExecutionBlocker:
    """Value for an output that has none; nodes that depend on it do not run.

    Attributes:
        message: Why, shown to the user; None for silence.
    """

    def __init__(self, message: str | None) -> None:
        self.message = message


class ExecutingContext(NamedTuple):
    """The call that runs, as ``comfy_execution.utils.get_executing_context`` returns it."""

    prompt_id: str
    node_id: str
    list_index: int | None


_EXECUTING: ContextVar[ExecutingContext | None] = ContextVar("comfyui_executing", default=None)


def get_executing_context() -> ExecutingContext | None:
    """Return the call that runs; None outside of nodes."""
    return _EXECUTING.get()


class _Prefix(NamedTuple):
    root: str = ""
    call: int = 0
    graph: int = 0


_PREFIX: ContextVar[list[_Prefix] | None] = ContextVar("comfyui_prefix", default=None)


def is_prompt_link(value: object) -> bool:
    """Whether a value is a link: a list of a node id and a slot. ``is_link`` there."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], (int, float))
        and not isinstance(value[1], bool)
    )


class ExpansionNode:
    """A node of a graph that is built; ``Node`` there."""

    def __init__(self, id: str, class_type: str, inputs: dict[str, Any]) -> None:
        self.id = id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """Return a link to an output."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set an input; None removes it."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key: str) -> Any:
        """Return an input; None if it is not set."""
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id: str) -> None:
        """Show another node in place of this one."""
        self.override_display_id = override_display_id

    def serialize(self) -> dict[str, Any]:
        """Return the node as a prompt has it."""
        entry: dict[str, Any] = {"class_type": self.class_type, "inputs": self.inputs}
        if self.override_display_id is not None:
            entry["override_display_id"] = self.override_display_id
        return entry


class ExpansionBuilder:
    """Builds a graph for an expansion; ``GraphBuilder`` there.

    Args:
        prefix: Text before the ids of the nodes. Without it, ids are unique in the run.
    """

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = self.alloc_prefix() if prefix is None else prefix
        self.nodes: dict[str, ExpansionNode] = {}
        self.id_gen = 1

    @classmethod
    def set_default_prefix(cls, prefix_root: str, call_index: int, graph_index: int = 0) -> None:
        """Set the prefix of the next builders."""
        _PREFIX.set([_Prefix(prefix_root, call_index, graph_index)])

    @classmethod
    def alloc_prefix(
        cls, root: str | None = None, call_index: int | None = None, graph_index: int | None = None
    ) -> str:
        """Return the prefix of a new builder."""
        held = _PREFIX.get() or [_Prefix()]
        known = held[0]
        root = known.root if root is None else root
        call_index = known.call if call_index is None else call_index
        graph_index = known.graph if graph_index is None else graph_index
        held[0] = known._replace(graph=known.graph + 1)
        return f"{root}.{call_index}.{graph_index}."

    def node(self, class_type: str, id: str | None = None, **kwargs: Any) -> ExpansionNode:
        """Add a node, or return the one of this id."""
        if id is None:
            node_id, self.id_gen = str(self.id_gen), self.id_gen + 1
        else:
            node_id = id
        full = self.prefix + node_id
        if full not in self.nodes:
            self.nodes[full] = ExpansionNode(full, class_type, kwargs)
        return self.nodes[full]

    def lookup_node(self, id: str) -> ExpansionNode | None:
        """Return the node of an id without the prefix; None if there is none."""
        return self.nodes.get(self.prefix + id)

    def finalize(self) -> dict[str, Any]:
        """Return the graph as a prompt."""
        return {name: node.serialize() for name, node in self.nodes.items()}

    def replace_node_output(self, node_id: str, index: int, new_value: Any) -> None:
        """Put a value, or for None nothing, where an output of a node is linked to."""
        old = [self.prefix + node_id, index]
        for node in self.nodes.values():
            for key in [key for key, value in node.inputs.items() if value == old]:
                node.set_input(key, new_value)

    def remove_node(self, id: str) -> None:
        """Remove a node."""
        del self.nodes[self.prefix + id]


def add_graph_prefix(
    graph: Mapping[str, Any], outputs: Sequence[Any], prefix: str
) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Return a graph and its outputs with a text before all ids."""

    def moved(value: Any) -> Any:
        return [prefix + value[0], value[1]] if is_prompt_link(value) else value

    nodes = {
        prefix + name: {
            **node,
            "inputs": {key: moved(value) for key, value in node.get("inputs", {}).items()},
        }
        for name, node in graph.items()
    }
    return nodes, tuple(moved(value) for value in outputs)


class CurrentNodeContext:
    """Sets the call that runs inside a `with`, for a pack's own threads."""

    def __init__(self, prompt_id: str, node_id: str, list_index: int | None = None) -> None:
        self._context = ExecutingContext(prompt_id, node_id, list_index)
        self._token: Token[ExecutingContext | None] | None = None

    def __enter__(self) -> None:
        self._token = _EXECUTING.set(self._context)

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        _EXECUTING.reset(self._token)


@contextmanager
def executing(node_id: str, call: str, prompt_id: str) -> Iterator[None]:
    """Note the call that runs inside the `with`, for what packs import.

    Args:
        node_id: Id of the node.
        call: Name of the call: that of a list's item ends with its index.
    """
    index = call_index(call)
    prefix = _PREFIX.set([_Prefix(node_id, index or 0)])
    token = _EXECUTING.set(ExecutingContext(prompt_id, node_id, index))
    try:
        yield
    finally:
        _EXECUTING.reset(token)
        _PREFIX.reset(prefix)


def call_index(call: str) -> int | None:
    """Return the index of a call of a mapped node; None if the node is not mapped."""
    matched = _CALL.search(call)
    return None if matched is None else int(matched[1])
