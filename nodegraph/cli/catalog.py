"""Looking up node types by the names that people type."""

from __future__ import annotations

from nodegraph.core.catalog import Catalog
from nodegraph.core.node_aliases import NodeAliases
from nodegraph.core.spec import NodeSpec
from nodegraph.errors import InvalidValue


def find_spec(catalog: Catalog, name: str) -> NodeSpec:
    """The spec of a node type; upper and lower case need not be right.

    Raises:
        InvalidValue: There is none of that name.
    """
    spec = catalog.spec(name) or _ignoring_case(catalog, name)
    if spec is None:
        raise InvalidValue(f"there is no node type `{name}`", hint=NodeAliases(catalog).hint(name))
    return spec


def _ignoring_case(catalog: Catalog, name: str) -> NodeSpec | None:
    matches = [other for other in catalog.node_types() if other.casefold() == name.casefold()]
    return catalog.spec(matches[0]) if len(matches) == 1 else None
