"""Suggest node types for unknown names, and fixes for links that don't fit.

Node types are found by their tags, and by the names of other programs' node types. Those names are
in a file of the built-in pack, which ``python docs/generate_other_names.py`` makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from nodegraph.core.catalog import Catalog, loaded_node_types, other_names_of, usage_of
from nodegraph.core.flat_workflow import FlatWorkflow, Output
from nodegraph.core.links import Link
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggest import ValidNames, did_you_mean, split_words
from nodegraph.core.types import ANY, ANY_ITEM, TypeExpr, fit, is_recipe, named_type

if TYPE_CHECKING:
    from nodegraph.core.catalog import Usage

OTHER_NAMES = "other_names.json"
"""Name of that file in the folder of the built-in pack."""
_SHOWN = 3
_CLOSE = 0.8
_CLOSE_TYPE = 0.7
"""Of a misspelt node type: below it, `Note` would be `ToText`."""
_LEAST_WORTH = 4
"""Part of the best source's points that another one needs to be named beside it."""
_LEAST_SHARE = 0.1
_LEAST_SHARE_UNFED = 0.5
"""Where the workflow has nothing to link to what a converter needs besides."""
_LEAST_SHARE_DETOUR = 0.5
"""Of a converter of another output than the one that was linked."""
_FEW = 8
_USED_MOST = 6
_LEAST_WORDS = 2
"""Of a node type that is meant by a name with more words: `LoadModel` by `LoadTurboModel`."""
_LEAST_STEM = 4
_LONGEST_END = 3
"""Letters that words may have more: `Loader` and `images` are for `Load` and `Image`."""


class NodeAliases:
    """Looks for node types by what people know them by; what was found once is remembered."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, list[str]] = {}
        self._found: dict[str, tuple[str, ...]] = {}
        self._names: tuple[str, ...] = ()
        self._valid = ValidNames(())
        self._words = _WordIndex(catalog, ())

    def of(self, node_type: str) -> tuple[str, ...]:
        """Those of a type that isn't known, such as ``comfyui:KSamplerAdvanced``; best first."""
        name = _folded(node_type.rpartition(":")[2])
        if not self._known:
            self._read()
        if name in self._known:
            return tuple(dict.fromkeys(self._known[name]))[:_SHOWN]
        if not name:
            return ()
        if name not in self._found:
            self._found[name] = self._like(name)
        return self._found[name]

    def hint(self, name: str, others: Iterable[str] = ()) -> str:
        """What a name of no node type may mean, as a sentence.

        Args:
            others: Names that may be meant besides node types, such as those of subgraphs.
        """
        names = self._prepared(others)
        folded = _folded(name)
        same = self._words.same.get(folded) if folded else None
        if same is not None:
            return f"Did you mean `{same}`?"
        elsewhere = self._other_program_hint(folded)
        if elsewhere:
            return elsewhere
        meant = self._words.nearest(name) or self._valid.nearest(name, cutoff=_CLOSE_TYPE)
        if meant is not None:
            return f"Did you mean `{meant}`?"
        elsewhere = self._other_program_hint(folded, cutoff=_CLOSE)
        if elsewhere:
            return elsewhere
        within = self._words.nearest_contained(name)
        if within is not None:
            return f"Did you mean `{within}`?"
        most = self._words.used_most
        if len(names) <= _FEW or not most:
            return did_you_mean(name, names)
        shown = ", ".join(f"`{each}`" for each in most[:_USED_MOST])
        return f"`nodegraph nodes` lists all; the most used are {shown}."

    def _prepared(self, others: Iterable[str]) -> Sequence[str]:
        """All names that may be meant; what names are compared with is made of them once."""
        types = loaded_node_types(self._catalog)
        names = (*types, *others)
        if names != self._names:  # a pack may have been read since
            self._names, self._valid = names, ValidNames(names)
            self._words = _WordIndex(self._catalog, types, others)
        return names

    def _other_program_hint(self, folded: str, *, cutoff: float = 1.0) -> str:
        """What another program's node type is here, as a sentence; empty if none is known.

        Args:
            cutoff: How alike its spelling has to be, 0 to 1.
        """
        for program, known in self._programs.items():
            exact = [folded] if folded in known.types else []
            # Long names of classes have long parts in common: two letters may differ in those, too.
            most = max(cutoff, 1 - 2 / max(len(folded), 2))
            near = exact or (known.spellings.similar(folded, 1, most) if cutoff < 1 else [])
            for each in near:
                theirs, here = known.types[each]
                if isinstance(here, str):
                    return here
                types = [mine for mine in here if self._catalog.spec(mine)]
                if types:
                    names = " and ".join(f"`{mine}`" for mine in types)
                    of = f"{program}'" if program.endswith("s") else f"{program}'s"
                    return f"{of} {theirs} is {names} here."
        return ""

    @cached_property
    def _programs(self) -> Mapping[str, _Program]:
        return {
            program: _Program({_folded(theirs): (theirs, here) for theirs, here in types.items()})
            for program, types in other_names_of(self._catalog).items()
        }

    def _like(self, name: str) -> tuple[str, ...]:
        best = self._tags.similar(name, _SHOWN, _CLOSE)
        return tuple(dict.fromkeys(each for tag in best for each in self._known[tag]))[:_SHOWN]

    @cached_property
    def _tags(self) -> ValidNames:
        return ValidNames(self._known)

    def _read(self) -> None:
        uses = usage_of(self._catalog).types
        specs = _specs(self._catalog, loaded_node_types(self._catalog))
        # Of what is known by one name, first what is used most.
        for spec in sorted(specs, key=lambda spec: (-uses.get(spec.type, 0), spec.type)):
            for tag in (spec.type, spec.label, *spec.tags):
                if folded := _folded(tag):
                    self._known.setdefault(folded, []).append(spec.type)


class _Program:
    """What another program's node types are here, by their names without case and signs."""

    def __init__(self, types: Mapping[str, tuple[str, Sequence[str] | str]]) -> None:
        self.types = types
        self.spellings = ValidNames(types)


class _WordIndex:
    """Node types by the words of their names and tags.

    Attributes:
        same: Names by what they are without case and signs.
        used_most: Node types that are used, those most used first.
    """

    def __init__(self, catalog: Catalog, types: Sequence[str], others: Iterable[str] = ()) -> None:
        uses = usage_of(catalog).types
        self.same = {_folded(name): name for name in reversed([*types, *others])}
        used = (name for name in types if uses.get(name))
        self.used_most = sorted(used, key=lambda name: -uses[name])
        specs = [*_specs(catalog, types)]
        self._order = {
            spec.type: (-uses.get(spec.type, 0), len(split_words(spec.type)), spec.type)
            for spec in specs
        }
        """Of several that are meant alike, the least: what is used most."""
        self._folded = {spec.type: _folded(spec.type) for spec in specs}
        self._own = {spec.type: frozenset(_own_words(spec)) for spec in specs}
        self._tagged: dict[str, set[str]] = {}
        self._by_own: dict[str, set[str]] = {}
        self._by_any: dict[str, set[str]] = {}
        for spec in specs:
            tags = (spec.label, *spec.tags)
            for tag in tags:
                self._tagged.setdefault(_folded(tag), set()).add(spec.type)
            for word in self._own[spec.type]:
                self._by_own.setdefault(word, set()).add(spec.type)
            for word in {*self._own[spec.type], *(w for tag in tags for w in split_words(tag))}:
                self._by_any.setdefault(word, set()).add(spec.type)
        self._starts: dict[str, set[str]] = {}
        for word in self._by_any:
            for length in range(_LEAST_STEM, len(word) + 1)[-_LONGEST_END - 1 :]:
                self._starts.setdefault(word[:length], set()).add(word)

    def nearest(self, name: str) -> str | None:
        """The node type that has all of a name's words: in its name, or else in its tags.

        Of several, the one that is used most.
        """
        wanted, folded = split_words(name), _folded(name)
        if not wanted:
            return None
        long = len(folded) >= _LEAST_STEM
        within = {each for each, own in self._folded.items() if long and folded in own}
        return (
            self._best(within | self._with_all(wanted, self._by_own))
            or self._best(self._tagged.get(folded, set()))
            or self._best(self._with_all(wanted, self._by_any))
        )

    def nearest_contained(self, name: str) -> str | None:
        """The node type whose words are all among a name's, which has others besides: the one
        with most words."""
        wanted = {like for word in split_words(name) for like in self._like(word)}
        types = [
            each for each, own in self._own.items() if len(own) >= _LEAST_WORDS and own <= wanted
        ]
        return min(types, key=lambda each: (-len(self._own[each]), self._order[each]), default=None)

    def _best(self, types: Iterable[str]) -> str | None:
        return min(types, key=self._order.__getitem__, default=None)

    def _with_all(self, wanted: Sequence[str], types: Mapping[str, set[str]]) -> set[str]:
        meant: set[str] | None = None
        for word in wanted:
            has = {each for like in self._like(word) for each in types.get(like, ())}
            meant = has if meant is None else meant & has
            if not meant:
                return set()
        return meant or set()

    def _like(self, word: str) -> set[str]:
        """The known words that differ from it in their end alone, such as `load` and `loader`."""
        known = set(self._starts.get(word, ()))
        if word in self._by_any:
            known.add(word)
        for length in range(max(_LEAST_STEM, len(word) - _LONGEST_END), len(word)):
            if word[:length] in self._by_any:
                known.add(word[:length])
        return known


def _specs(catalog: Catalog, types: Iterable[str]) -> Iterator[NodeSpec]:
    for node_type in types:
        spec = catalog.spec(node_type)
        if spec is not None and not spec.deprecated:
            yield spec


def _own_words(spec: NodeSpec) -> list[str]:
    return split_words(spec.type.rpartition(":")[2])


@lru_cache(maxsize=8192)  # each unknown name is compared with all that there are
def _folded(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


_MOST_VISITED = 1000
_MOST_FEEDING = 30
"""Outputs of which it is asked whether they are behind a node: each may visit that many nodes."""


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


@dataclass(frozen=True, slots=True)
class Converter:
    """A node type that takes one type and gives another.

    Attributes:
        spec: The node type.
        needs: What it has to be linked besides, in the order of its inputs.
        used: How often workflows convert by it.
        share: The part that `used` is of the most used link from the one type or to the other.
    """

    spec: NodeSpec
    needs: Sequence[TypeExpr]
    used: int
    share: float


class NodeTypeSuggestions:
    """Looks among node types, those first that are used most there; remembers what it found."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._between: dict[tuple[TypeExpr, TypeExpr, str | None], list[Converter]] = {}
        self._plain: dict[tuple[TypeExpr, TypeExpr], bool] = {}
        self._giving: dict[OpenInput, str] = {}

    @property
    def _usage(self) -> Usage:
        return usage_of(self._catalog)

    def converter_hint(
        self, source: TypeExpr, target: TypeExpr, family: str | None = None, node: str = ""
    ) -> str:
        """Which node type to put between an output and an input, as a sentence; empty if none."""
        between = self.converter(source, target, family, node)
        return f"Put {_with_article(between)} between them." if between else ""

    def converter(
        self, source: TypeExpr, target: TypeExpr, family: str | None = None, node: str = ""
    ) -> str | None:
        """A node type that takes the one and gives the other; the one that is used most.

        Of two that are used as much it is the one that needs less besides, then the one with fewer
        settings: the plainer way. One that has to be linked more than this output is none where
        people hardly use it for that: many take a VAE, and few of those are what it is for. Nor is
        one that only outputs behind the node could be linked to, which would be a cycle.

        Args:
            node: The node whose input it is; empty if that isn't known.
        """
        for each in self._converters(source, target, family):
            fed = [self._can_feed(needed, node) for needed in each.needs]
            least = _LEAST_SHARE if all(fed) else _LEAST_SHARE_UNFED
            if not fed or (False not in fed and each.share >= least):
                return each.spec.type
        return None

    def _can_feed(self, needed: TypeExpr, node: str) -> bool | None:
        """Whether an output could be linked to what is put before a node; None if none is known."""
        return True

    def _converters(
        self, source: TypeExpr, target: TypeExpr, family: str | None
    ) -> Sequence[Converter]:
        key = (source, target, family)
        if key not in self._between:
            self._between[key] = self._find_converters(source, target, family)
        return self._between[key]

    def _find_converters(
        self, source: TypeExpr, target: TypeExpr, family: str | None
    ) -> list[Converter]:
        usage, most_taken, most_given = self._usage, 0, 0
        candidates: list[tuple[int, NodeSpec]] = []
        for spec in self._specs():
            takes = [
                usage.input_count(f"{spec.type}.{port.name}", family)
                for port in spec.inputs
                if port.required and self._plainly(source, port.expr)
            ]
            gives = [
                usage.output_count(f"{spec.type}.{port.name}", family)
                for port in spec.outputs[:1]  # the others are beside what the node is for
                if self._plainly(port.expr, target)
            ]
            most_taken, most_given = max([most_taken, *takes]), max([most_given, *gives])
            if takes and gives:
                candidates.append((min(max(takes), max(gives)), spec))
        candidates.sort(key=lambda each: (-each[0], _simplest(each[1])))
        # What nobody links yet, as the types of a new pack, says nothing against a node.
        least = min(most_taken, most_given)
        return [
            Converter(spec, self._needs_besides(spec, source), used, used / least if least else 1)
            for used, spec in candidates
        ]

    def _needs_besides(self, spec: NodeSpec, source: TypeExpr) -> Sequence[TypeExpr]:
        """What a node type has to be linked, apart from one input that takes the source."""
        required = [port.expr for port in spec.inputs if port.required and port.json_schema is None]
        fed = next((each for each in required if self._plainly(source, each)), None)
        if fed is not None:
            required.remove(fed)
        return required

    def _specs(self) -> Iterator[NodeSpec]:
        for name in loaded_node_types(self._catalog):
            spec = self._catalog.spec(name)
            if spec and not spec.deprecated:
                yield spec

    def _plainly(self, source: TypeExpr, target: TypeExpr) -> bool:
        """Whether one fits the other for what it is, not because one of them takes anything."""
        key = (source, target)
        if key not in self._plain:
            fitted = fit(source, target, self._catalog.types)
            self._plain[key] = (
                fitted is not None
                and not fitted.conversions
                and not fitted.map_depth
                and not {ANY, ANY_ITEM} & {*source.type_names(), *target.type_names()}
            )
        return self._plain[key]

    def source_types(self, wanted: OpenInput) -> str:
        """Node types that give what an input takes, for a sentence."""
        if wanted not in self._giving:
            self._giving[wanted] = self._find_source_types(wanted)
        return self._giving[wanted]

    def _find_source_types(self, wanted: OpenInput) -> str:
        ranks = [
            rank for spec in self._specs() if (rank := self._source_rank(spec, wanted)) is not None
        ]
        ranks.sort()
        # What is linked there in practice says more than what else could be.
        used = [rank for rank in ranks if not rank[0]] or ranks
        worth = [rank for rank in used if rank[1] <= used[0][1] / _LEAST_WORTH]
        return " or ".join(simplest[-1] for *_, simplest in worth[:_SHOWN])

    def _source_rank(self, spec: NodeSpec, wanted: OpenInput) -> _Rank | None:
        """The rank of a node type that gives what an input takes, the best one least."""
        outputs = [
            f"{spec.type}.{port.name}"
            for port in spec.outputs
            if self._plainly(port.expr, wanted.expr)
        ]
        if not outputs or any(self._takes_several(port.expr, wanted.expr) for port in spec.inputs):
            return None
        usage, family = self._usage, wanted.family
        # A node that needs such an output itself, as a sampler needs a latent, is a source only
        # where people link it.
        needs_it = any(self._plainly(wanted.expr, port.expr) for port in spec.inputs)
        if needs_it and not any(usage.link(each, wanted.port) for each in outputs):
            return None
        points = max(
            usage.points(each, wanted.port, family, anywhere=not needs_it) for each in outputs
        )
        of_family = bool(family) and usage.tells_families(wanted.port)
        in_family = of_family and any(usage.link(each, wanted.port, family) for each in outputs)
        return not in_family, -points, _simplest(spec)

    def sinks(self, source: str, expr: TypeExpr | None) -> str:
        """Node types that write a result, for a sentence: those that take an output before others.

        Args:
            source: The output with its node type, such as ``VAEDecode.image``; empty for none.
            expr: What it gives.
        """
        if expr is not None and is_recipe(expr):
            expr = None  # models are on the way to an image, which is what most graphs end with
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
        return self._plainly(source, expr) or self._takes_several(expr, source)

    def _takes_several(self, expr: TypeExpr, source: TypeExpr) -> bool:
        """Whether an input takes lists of values of a type."""
        return expr.is_list and self._plainly(source, expr.item)


_Simplicity = tuple[int, bool, bool, int, str]
_Rank = tuple[bool, float, _Simplicity]


class LinkSuggestions(NodeTypeSuggestions):
    """Looks in a workflow, too."""

    def __init__(self, flat: FlatWorkflow, catalog: Catalog) -> None:
        super().__init__(catalog)
        self._flat = flat
        self._givers: dict[TypeExpr, list[Link]] = {}

    def mismatch_hint(self, link: Link, source: TypeExpr, node: str, wanted: OpenInput) -> str:
        """The next step after linking a `source` output to an input of a node; empty if unknown."""
        other = self.port_of(link, wanted.expr)
        if other:
            return f"Link {other} instead."
        return self.converter_hint(source, wanted.expr, wanted.family, node)

    def detour_hint(self, link: Link, wanted: OpenInput) -> str:
        """Which node type people make what is wanted by, of another output of the linked node.

        Empty if there is none.
        """
        name = link.node.rpartition("/")[2]
        for port in self._flat.outputs_of(link.node):
            output = self._flat.output(Link(link.node, port)) if port != link.port else None
            if not isinstance(output, Output) or output.port is None:
                continue
            for each in self._converters(output.port.expr, wanted.expr, wanted.family):
                if each.used and not each.needs and each.share >= _LEAST_SHARE_DETOUR:
                    between = _with_article(each.spec.type)
                    return f"Link `{name}.{port}` to {between}, and link that here."
        return ""

    def _can_feed(self, needed: TypeExpr, node: str) -> bool | None:
        outputs = self._outputs_that_fit(needed)[:_MOST_FEEDING]
        if not outputs:
            return None
        return any(not self._needs(each.node, node) for each in outputs)

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


def _with_article(node_type: str) -> str:
    return f"{'an' if node_type[0] in 'AEIOaeio' else 'a'} {node_type}"


def _simplest(spec: NodeSpec) -> _Simplicity:
    needs = sum(port.required for port in spec.inputs)
    return needs, spec.experimental, bool(spec.pack), len(spec.inputs), spec.type
