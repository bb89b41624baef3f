"""How to mend a link that doesn't fit: what of the workflow, or which node type, would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodegraph.core.catalog import Catalog, loaded_node_types, usage_of
from nodegraph.core.flat import FlatWorkflow, Output
from nodegraph.core.links import Link
from nodegraph.core.spec import NodeSpec
from nodegraph.core.types import ANY, TypeExpr, fit, named_type

if TYPE_CHECKING:
    from nodegraph.core.usage import Usage

_SHOWN = 3
_MOST_VISITED = 1000


@dataclass(frozen=True, slots=True)
class OpenInput:
    """An input that a node type is looked for.

    Attributes:
        expr: What it takes.
        port: With its node type, such as ``KSampler.latent``.
        family: The model family of what the node's other inputs carry; None if it isn't known.
    """

    expr: TypeExpr
    port: str
    family: str | None = None


class NodeTypeSuggestions:
    """Looks among node types, those first that are used most there; remembers what it found."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._between: dict[tuple[TypeExpr, TypeExpr], str | None] = {}
        self._plain: dict[tuple[TypeExpr, TypeExpr], bool] = {}
        self._giving: dict[OpenInput, str] = {}

    @property
    def _usage(self) -> Usage:
        return usage_of(self._catalog)

    def converter_hint(self, source: TypeExpr, target: TypeExpr) -> str:
        """Which node type to put between an output and an input, as a sentence; empty if none."""
        between = self.converter(source, target)
        if not between:
            return ""
        article = "an" if between[0] in "AEIOaeio" else "a"
        return f"Put {article} {between} between."

    def converter(self, source: TypeExpr, target: TypeExpr) -> str | None:
        """A node type that takes the one and gives the other; the one that is used most.

        Of two that are used as much it is the one that needs less besides, then the one with fewer
        settings: the plainer way.
        """
        key = (source, target)
        if key not in self._between:
            candidates = [
                (-used, _simplest(spec))
                for spec in self._specs()
                if (used := self._converts(spec, source, target)) is not None
            ]
            self._between[key] = min(candidates)[1][-1] if candidates else None
        return self._between[key]

    def _specs(self) -> Iterator[NodeSpec]:
        for name in loaded_node_types(self._catalog):
            spec = self._catalog.spec(name)
            if spec and not spec.deprecated:
                yield spec

    def _converts(self, spec: NodeSpec, source: TypeExpr, target: TypeExpr) -> int | None:
        """How often a node type is linked by the ports that would convert; None if it has none."""
        takes = [
            self._usage.input_count(f"{spec.type}.{port.name}")
            for port in spec.inputs
            if port.required and self._plainly(source, port.expr)
        ]
        gives = [
            self._usage.output_count(f"{spec.type}.{port.name}")
            for port in spec.outputs
            if self._plainly(port.expr, target)
        ]
        return min(max(takes), max(gives)) if takes and gives else None

    def _plainly(self, source: TypeExpr, target: TypeExpr) -> bool:
        """Whether one fits the other for what it is, not because one of them takes anything."""
        key = (source, target)
        if key not in self._plain:
            fitted = fit(source, target, self._catalog.types)
            self._plain[key] = (
                fitted is not None
                and not fitted.conversions
                and not fitted.map_depth
                and ANY not in {*source.type_names(), *target.type_names()}
            )
        return self._plain[key]

    def source_types(self, wanted: OpenInput) -> str:
        """Node types that give what an input takes and don't need it, for a sentence."""
        if wanted not in self._giving:
            self._giving[wanted] = self._find_source_types(wanted)
        return self._giving[wanted]

    def _find_source_types(self, wanted: OpenInput) -> str:
        ranks = [
            rank for spec in self._specs() if (rank := self._source_rank(spec, wanted)) is not None
        ]
        ranks.sort()
        # What is linked there in practice says more than what else could be.
        used = [rank for rank in ranks if rank[0] < 0] or [rank for rank in ranks if rank[1] < 0]
        return " or ".join(simplest[-1] for *_, simplest in (used or ranks)[:_SHOWN])

    def _source_rank(self, spec: NodeSpec, wanted: OpenInput) -> _Rank | None:
        """The rank of a node type that gives what an input takes, the best one least."""
        if any(self._takes(port.expr, wanted.expr) for port in spec.inputs):
            return None
        outputs = [
            f"{spec.type}.{port.name}"
            for port in spec.outputs
            if self._plainly(port.expr, wanted.expr)
        ]
        if not outputs:
            return None
        in_family, in_all = max(
            self._usage.rank(each, wanted.port, wanted.family) for each in outputs
        )
        anywhere = max(map(self._usage.output_count, outputs))
        return -in_family, -in_all, -anywhere, _simplest(spec)

    def sinks(self, source: str, expr: TypeExpr | None) -> str:
        """Node types that write a result, for a sentence: those that take an output before others.

        Args:
            source: The output with its node type, such as ``VAEDecode.image``; empty for none.
            expr: What it gives.
        """
        sinks = sorted(
            (self._sink_rank(spec, source, expr), spec.type)
            for spec in self._specs()
            if spec.output
        )
        fitting = [each for each in sinks if each[0][0] == 0]
        return " or ".join(name for _, name in (fitting or sinks)[:_SHOWN])

    def _sink_rank(
        self, spec: NodeSpec, source: str, expr: TypeExpr | None
    ) -> tuple[int, int, int, bool]:
        taking = [
            f"{spec.type}.{port.name}"
            for port in spec.inputs
            if expr is not None and self._takes(port.expr, expr)
        ]
        linked = max((self._usage.link(source, port) for port in taking), default=0)
        return not taking, -linked, -self._usage.types.get(spec.type, 0), bool(spec.pack)

    def _takes(self, expr: TypeExpr, source: TypeExpr) -> bool:
        """Whether an input takes values of a type, or lists of them."""
        return self._plainly(source, expr) or (expr.is_list and self._plainly(source, expr.item))


_Simplicity = tuple[int, bool, bool, int, str]
_Rank = tuple[int, int, int, _Simplicity]


class LinkSuggestions(NodeTypeSuggestions):
    """Looks in a workflow, too."""

    def __init__(self, flat: FlatWorkflow, catalog: Catalog) -> None:
        super().__init__(catalog)
        self._flat = flat
        self._givers: dict[TypeExpr, list[Link]] = {}

    def mismatch_hint(self, link: Link, source: TypeExpr, target: TypeExpr) -> str:
        """The next step after linking a `source` output to a `target` input; empty if unknown."""
        other = self.port_of(link, target)
        if other:
            return f"Link {other} instead."
        return self.converter_hint(source, target)

    def port_of(self, link: Link, target: TypeExpr) -> str:
        """Outputs of the linked node that do fit, for a sentence; empty if none does."""
        name = link.node.rpartition("/")[2]
        outputs = [
            f"`{name}.{port}`"
            for port in self._flat.outputs_of(link.node)
            if port != link.port and self._fits(Link(link.node, port), target)
        ]
        return " or ".join(outputs)

    def _fits(self, link: Link, target: TypeExpr) -> bool:
        output = self._flat.output(link)
        return (
            isinstance(output, Output)
            and output.port is not None
            and output.port.expr != named_type(ANY)
            and fit(output.port.expr, target, self._catalog.types) is not None
        )

    def sources_for(self, node: str, at: str, target: TypeExpr) -> str:
        """Outputs in the workflow that could be linked to an input of a node, for a sentence.

        Args:
            at: The node, or the block around it, to whose input the link would be written.
        """
        scope = at.rpartition("/")[0]
        links: list[str] = []
        for link in self._outputs_that_fit(target):
            above, _, name = link.node.rpartition("/")
            if above == scope and link.node != node and not self._needs(link.node, node):
                links.append(f'{{"from": "{name}.{link.port}"}}')
            if len(links) == _SHOWN:
                break
        return " or ".join(links)

    def _outputs_that_fit(self, target: TypeExpr) -> list[Link]:
        if target not in self._givers:
            self._givers[target] = [
                Link(name, port.name)
                for name, node in self._flat.nodes.items()
                if node.spec is not None and not node.is_value
                for port in node.spec.outputs
                if self._plainly(port.expr, target)
            ]
        return self._givers[target]

    def _needs(self, name: str, other: str) -> bool:
        """Whether a node gets to depend on another by its links; when in doubt, yes."""
        visited = {name}
        waiting = [name]
        while waiting:
            if len(visited) > _MOST_VISITED:
                return True
            for input_value in self._flat.nodes[waiting.pop()].inputs.values():
                output = self._flat.output(input_value.link) if input_value.link else None
                if isinstance(output, Output) and output.node not in visited:
                    visited.add(output.node)
                    waiting.append(output.node)
        return other in visited


def _simplest(spec: NodeSpec) -> _Simplicity:
    needs = sum(port.required for port in spec.inputs)
    return needs, spec.experimental, bool(spec.pack), len(spec.inputs), spec.type
