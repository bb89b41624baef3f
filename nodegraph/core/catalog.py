"""How core meets whoever knows the node types: a registry, or a dictionary in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nodegraph.core.spec import HookName, NodeSpec
from nodegraph.core.types import TypeTable

if TYPE_CHECKING:
    from nodegraph.core.usage import Usage

OtherNames = Mapping[str, Mapping[str, Sequence[str] | str]]
"""Node types by program and its node type; a sentence where none does the same."""


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


@runtime_checkable
class KnowsCode(Protocol):
    """A catalog that can tell one state of a node type's code from another."""

    def code_digest(self, node_type: str) -> str:
        """Digest of the code behind a node type; may read its source, imports nothing."""


@runtime_checkable
class KnowsFaults(Protocol):
    """A catalog that can tell why a node type isn't there."""

    def faults(self, pack: str) -> Sequence[str]:
        """What of a pack was left out, and why."""


@runtime_checkable
class LazyCatalog(Protocol):
    """A catalog of which some packs are read only once somebody asks for them."""

    def loaded_node_types(self) -> Sequence[str]:
        """Names of the node types that are known by now."""


@runtime_checkable
class KnowsUsage(Protocol):
    """A catalog that can tell how often its node types are used, and how."""

    @property
    def usage(self) -> Usage:
        """Counts of the workflows that come with nodegraph."""


def usage_of(catalog: Catalog) -> Usage:
    """How often node types are used; nothing of a catalog that doesn't know."""
    from nodegraph.core.usage import NO_USAGE  # a workflow without faults has no use for it

    return catalog.usage if isinstance(catalog, KnowsUsage) else NO_USAGE


@runtime_checkable
class KnowsOtherNames(Protocol):
    """A catalog that can tell what other programs' node types are here."""

    @property
    def other_names(self) -> OtherNames:
        """Node types here, by program and its node type."""


def other_names_of(catalog: Catalog) -> OtherNames:
    """What other programs' node types are here; nothing of a catalog that doesn't know."""
    return catalog.other_names if isinstance(catalog, KnowsOtherNames) else {}


def loaded_node_types(catalog: Catalog) -> Sequence[str]:
    """Names of node types for a hint, for which no pack is read: that may take seconds."""
    if isinstance(catalog, LazyCatalog):
        return catalog.loaded_node_types()
    return catalog.node_types()


class ExtendedCatalog:
    """A catalog with some more node types, which have no code: they stand for values."""

    def __init__(self, catalog: Catalog, specs: Mapping[str, NodeSpec]) -> None:
        self._catalog = catalog
        self._specs = specs

    @property
    def types(self) -> TypeTable:
        return self._catalog.types

    def spec(self, node_type: str) -> NodeSpec | None:
        return self._specs.get(node_type) or self._catalog.spec(node_type)

    def node_types(self) -> Sequence[str]:
        return self._catalog.node_types()

    def loaded_node_types(self) -> Sequence[str]:
        return loaded_node_types(self._catalog)

    @property
    def usage(self) -> Usage:
        return usage_of(self._catalog)

    @property
    def other_names(self) -> OtherNames:
        return other_names_of(self._catalog)

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        return None if node_type in self._specs else self._catalog.hook(node_type, name)

    def migrations(self, node_type: str) -> dict[int, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {} if node_type in self._specs else self._catalog.migrations(node_type)

    def code_digest(self, node_type: str) -> str:
        """As `KnowsCode` says; empty where the catalog doesn't know."""
        if node_type in self._specs or not isinstance(self._catalog, KnowsCode):
            return ""
        return self._catalog.code_digest(node_type)
