"""Node types for names of none: misspelt ones, those of other programs, and words.

What people look for a node type by are its tags; what other programs' are here is in a file of the
built-in pack, which ``python docs/generate_other_names.py`` makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache

from nodegraph.core.catalog import Catalog, loaded_node_types, other_names_of, usage_of
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggest import ValidNames, did_you_mean, split_words

OTHER_NAMES = "other_names.json"
"""Name of that file in the folder of the built-in pack."""
_SHOWN = 3
_CLOSE = 0.8
_CLOSE_TYPE = 0.7
"""Of a misspelt node type: below it, `Note` would be `ToText`."""
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
        return f"`nodegraph nodes` lists all; used most are {shown}."

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
        """The known words that are one with it but for an end, such as `load` and `loader`."""
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
