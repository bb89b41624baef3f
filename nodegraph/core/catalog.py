"""The catalogue protocol: node types by name, and how often shipped workflows use them.

The counts ship with the built-in pack; ``python docs/generate_usage.py`` makes them. They count
workflows, not nodes, so that one workflow with many samplers doesn't outweigh the others.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from nodegraph.core.spec import HookName, NodeSpec
from nodegraph.core.types import TypeTable

USAGE_FILE = "usage.json"
"""Its name in the folder of the built-in pack."""
ANY_FAMILY = ""
"""Stands for links of which no model family is known."""

Counts = Mapping[str, int]
"""Numbers of workflows, by model family."""


@dataclass(frozen=True)
class Usage:
    """Counts of workflows.

    Attributes:
        types: By node type.
        links: By output, then by input, then by the model family of what the link carries. A port
            is written ``KSampler.latent``.
    """

    types: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, Counts]] = field(default_factory=dict)

    @classmethod
    @cache
    def load(cls, path: Path) -> Usage:
        """Read the counts of a file, once in a process.

        Raises:
            OSError: It can't be read.
        """
        counts: Any = json.loads(path.read_bytes())
        return cls(counts["types"], counts["links"])

    def link(self, source: str, target: str, family: str | None = None) -> int:
        """How many workflows link an output to an input.

        Args:
            family: Count only links that carry what belongs to this model family.
        """
        counts = self.links.get(source, {}).get(target, {})
        return sum(counts.values()) if family is None else counts.get(family, 0)

    def output_count(self, source: str, family: str | None = None) -> int:
        """How often an output is linked: all, or with models of one family and of no family."""
        return sum(_count(counts, family) for counts in self.links.get(source, {}).values())

    def input_count(self, target: str, family: str | None = None) -> int:
        """How often an input is linked, likewise."""
        return _count(self._into.get(target, {}), family)

    @cached_property
    def _into(self) -> Mapping[str, Counter[str]]:
        """By input, then by family."""
        by_input: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for targets in self.links.values():
            for target, counts in targets.items():
                by_input[target].update(counts)
        return dict(by_input)

    def points(
        self, source: str, target: str, family: str | None = None, *, anywhere: bool = True
    ) -> float:
        """What a link is worth among others into an input: its use in the family, then in all, then
        the output's use with any input.

        The search of the editor ranks alike: `pointsOfLink` in editor/src/model/usage.ts.

        Args:
            anywhere: Count the output's use with other inputs, too.
        """
        own = family if family and self.tells_families(target) else None
        in_family = 0 if own is None else self.link(source, target, own)
        in_all = self.link(source, target)
        used = self.output_count(source, own) if anywhere else 0
        return 8 * _bits(in_family) + 4 * _bits(in_all) + _bits(used)

    def tells_families(self, target: str) -> bool:
        """Whether families say what to link to an input.

        They don't where most links are of none, as those of a VAE: few of the nodes that take one
        take a model too, and with the family those alone would be offered.
        """
        counts = self._into.get(target, Counter())
        return 2 * counts[ANY_FAMILY] <= counts.total()


NO_USAGE = Usage()


def _count(counts: Counts, family: str | None) -> int:
    if family is None:
        return sum(counts.values())
    return sum(counts.get(each, 0) for each in {family, ANY_FAMILY})


def _bits(count: int) -> float:
    """Ten times as many uses are worth about three points more, whatever the gallery's size."""
    return math.log2(1 + count)


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


class PackFinder(Protocol):
    """Finds the commands that install packs which a workflow lacks."""

    def pack_command(self, name: str, wanted: str = "") -> str | None:
        """The command that installs or updates a pack; None if it is not known.

        Args:
            wanted: Versions that suit, such as ``>=1.2``.
        """

    def type_command(self, node_type: str) -> str | None:
        """The command that installs the pack of a node type; None if it is not known."""


@runtime_checkable
class FindsPacks(Protocol):
    """A catalog that knows where more packs are."""

    @property
    def pack_finder(self) -> PackFinder | None: ...


def pack_finder_of(catalog: Catalog) -> PackFinder | None:
    """What finds packs that a catalog lacks; None if nothing does."""
    return catalog.pack_finder if isinstance(catalog, FindsPacks) else None


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

    def faults(self, pack: str) -> Sequence[str]:
        """As `KnowsFaults` says; empty where the catalog doesn't know."""
        return self._catalog.faults(pack) if isinstance(self._catalog, KnowsFaults) else ()

    @property
    def pack_finder(self) -> PackFinder | None:
        return pack_finder_of(self._catalog)

    def code_digest(self, node_type: str) -> str:
        """As `KnowsCode` says; empty where the catalog doesn't know."""
        if node_type in self._specs or not isinstance(self._catalog, KnowsCode):
            return ""
        return self._catalog.code_digest(node_type)
