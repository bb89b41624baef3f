"""How core meets whoever knows the node types: a registry, or a dictionary in a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nodegraph.core.spec import HookName, NodeSpec
from nodegraph.core.types import TypeTable


class Catalog(Protocol):
    """The node types there are. Asking for a spec imports no pack; asking for a hook may."""

    @property
    def types(self) -> TypeTable:
        """Port types, built-in ones and those of packs."""

    def spec(self, node_type: str) -> NodeSpec | None:
        """What a node type declares; None if there is no such type."""

    def node_types(self) -> Sequence[str]:
        """Every node type's name, sorted."""

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        """A hook function of a node type; None if it has none."""

    def migrations(self, node_type: str) -> dict[int, Callable[[dict[str, Any]], dict[str, Any]]]:
        """By older version: turns that version's inputs into the next one's."""
