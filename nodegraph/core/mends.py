"""How to mend a link that doesn't fit: what of the workflow, or which node type, would."""

from __future__ import annotations

from nodegraph.core.catalog import Catalog, types_at_hand
from nodegraph.core.flat import Flat, Output
from nodegraph.core.links import Link
from nodegraph.core.spec import NodeSpec
from nodegraph.core.types import ANY, TypeExpr, fit, named

_SHOWN = 3
_MOST_VISITED = 1000


class TypeMends:
    """Looks among node types; what is found once is remembered."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._between: dict[tuple[TypeExpr, TypeExpr], str | None] = {}

    def putting_between(self, source: TypeExpr, target: TypeExpr) -> str:
        """Which node type to put between an output and an input, as a sentence; empty if none."""
        between = self.converter(source, target)
        if not between:
            return ""
        article = "an" if between[0] in "AEIOaeio" else "a"
        return f"Put {article} {between} between."

    def converter(self, source: TypeExpr, target: TypeExpr) -> str | None:
        """A node type that takes the one and gives the other; the one that needs least besides.

        Of two that need as little it is the one with fewer settings: the plainer way.
        """
        key = (source, target)
        if key not in self._between:
            specs = [self._catalog.spec(name) for name in types_at_hand(self._catalog)]
            found = [spec for spec in specs if spec and self._converts(spec, source, target)]
            found.sort(key=_simplest)
            self._between[key] = found[0].type if found else None
        return self._between[key]

    def _converts(self, spec: NodeSpec, source: TypeExpr, target: TypeExpr) -> bool:
        if spec.deprecated:
            return False
        takes = any(port.required and self._plainly(source, port.expr) for port in spec.inputs)
        return takes and any(self._plainly(port.expr, target) for port in spec.outputs)

    def _plainly(self, source: TypeExpr, target: TypeExpr) -> bool:
        """Whether one fits the other for what it is, not because one of them takes anything."""
        if named(ANY) in (source, target):
            return False
        found = fit(source, target, self._catalog.types)
        return found is not None and not found.conversions and not found.map_depth

    def givers(self, target: TypeExpr) -> str:
        """Node types that give a type and don't need it, for a sentence."""
        specs = [self._catalog.spec(name) for name in types_at_hand(self._catalog)]
        found = [spec for spec in specs if spec and self._gives(spec, target)]
        found.sort(key=_simplest)
        return " or ".join(spec.type for spec in found[:_SHOWN])

    def _gives(self, spec: NodeSpec, target: TypeExpr) -> bool:
        if spec.deprecated or any(self._plainly(target, port.expr) for port in spec.inputs):
            return False
        return any(self._plainly(port.expr, target) for port in spec.outputs)


class Mends(TypeMends):
    """Looks in a workflow, too."""

    def __init__(self, flat: Flat, catalog: Catalog) -> None:
        super().__init__(catalog)
        self._flat = flat
        self._givers: dict[TypeExpr, list[Link]] = {}

    def wrong_type(self, link: Link, source: TypeExpr, target: TypeExpr) -> str:
        """The next step after linking a `source` output to a `target` input."""
        other = self.port_of(link, target)
        if other:
            return f"Link {other} instead."
        return self.putting_between(source, target)

    def port_of(self, link: Link, target: TypeExpr) -> str:
        """Outputs of the linked node that do fit, for a sentence; empty if none does."""
        name = link.node.rpartition("/")[2]
        found = [
            f"`{name}.{port}`"
            for port in self._flat.outputs_of(link.node)
            if port != link.port and self._fits(Link(link.node, port), target)
        ]
        return " or ".join(found)

    def _fits(self, link: Link, target: TypeExpr) -> bool:
        output = self._flat.output(link)
        return (
            isinstance(output, Output)
            and output.port is not None
            and output.port.expr != named(ANY)
            and fit(output.port.expr, target, self._catalog.types) is not None
        )

    def sources_for(self, node: str, at: str, target: TypeExpr) -> str:
        """Outputs in the workflow that could be linked to an input of a node, for a sentence.

        Args:
            at: The node, or the block around it, to whose input the link would be written.
        """
        scope = at.rpartition("/")[0]
        found: list[str] = []
        for link in self._outputs_that_fit(target):
            above, _, name = link.node.rpartition("/")
            if above == scope and link.node != node and not self._needs(link.node, node):
                found.append(f'{{"from": "{name}.{link.port}"}}')
            if len(found) == _SHOWN:
                break
        return " or ".join(found)

    def _outputs_that_fit(self, target: TypeExpr) -> list[Link]:
        if target not in self._givers:
            self._givers[target] = [
                Link(name, port.name)
                for name, node in self._flat.nodes.items()
                if node.spec is not None
                for port in node.spec.outputs
                if self._plainly(port.expr, target)
            ]
        return self._givers[target]

    def _needs(self, name: str, other: str) -> bool:
        """Whether a node gets to depend on another by its links; when in doubt, yes."""
        seen = {name}
        waiting = [name]
        while waiting:
            if len(seen) > _MOST_VISITED:
                return True
            for given in self._flat.nodes[waiting.pop()].inputs.values():
                output = self._flat.output(given.link) if given.link else None
                if isinstance(output, Output) and output.node not in seen:
                    seen.add(output.node)
                    waiting.append(output.node)
        return other in seen


def _simplest(spec: NodeSpec) -> tuple[int, bool, int, str]:
    needs = sum(port.required for port in spec.inputs)
    return needs, spec.experimental, len(spec.inputs), spec.type
