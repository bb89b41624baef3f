"""Node types for names of none: misspelt ones, those of other programs, and words.

What people look for a node type by are its tags; what ComfyUI's are here is in a file of the
built-in pack, which ``python docs/generate_other_names.py`` makes of the table of imports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache

from nodegraph.core.catalog import Catalog, other_names_of, types_at_hand, usage_of
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggest import did_you_mean, nearest, words_of

OTHER_NAMES = "other_names.json"
"""Name of that file in the folder of the built-in pack."""
_SHOWN = 3
_CLOSE = 0.8
_CLOSE_TYPE = 0.7
"""Of a misspelt node type: below it, `Note` would be `ToText`."""
_FEW = 8
_USED_MOST = 6
_LEAST_STEM = 4
_LONGEST_END = 3
"""Letters that words may have more: `Loader` and `images` are for `Load` and `Image`."""


class StandIns:
    """Looks for node types by what people know them by; what was found once is remembered."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, list[str]] = {}
        self._found: dict[str, tuple[str, ...]] = {}

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
        types = types_at_hand(self._catalog)
        names = [*types, *others]
        folded = _folded(name)
        same = next((each for each in names if _folded(each) == folded), None) if folded else None
        if same is not None:
            return f"Did you mean `{same}`?"
        elsewhere = self._elsewhere(folded)
        if elsewhere:
            return elsewhere
        meant = self._by_words(name) or nearest(name, names, cutoff=_CLOSE_TYPE)
        if meant is not None:
            return f"Did you mean `{meant}`?"
        elsewhere = self._elsewhere(folded, cutoff=_CLOSE)
        if elsewhere:
            return elsewhere
        uses = usage_of(self._catalog).types
        most = sorted((each for each in types if uses.get(each)), key=lambda each: -uses[each])
        if len(names) <= _FEW or not most:
            return did_you_mean(name, names)
        shown = ", ".join(f"`{each}`" for each in most[:_USED_MOST])
        return f"`nodegraph nodes` lists all; used most are {shown}."

    def _elsewhere(self, folded: str, *, cutoff: float = 1.0) -> str:
        """What another program's node type is here, as a sentence; empty if none is known.

        Args:
            cutoff: How alike its spelling has to be, 0 to 1.
        """
        for program, types in other_names_of(self._catalog).items():
            known = {_folded(theirs): theirs for theirs in types}
            near = [folded] if folded in known else get_close_matches(folded, known, 1, cutoff)
            for each in near:
                here = [mine for mine in types[known[each]] if self._catalog.spec(mine)]
                if here:
                    names = " and ".join(f"`{mine}`" for mine in here)
                    return f"{program}'s {known[each]} is {names} here."
        return ""

    def _by_words(self, name: str) -> str | None:
        """The node type that has all of a name's words: in its name, or else in its tags.

        Of several, the one that is used most.
        """
        wanted = words_of(name)
        uses = usage_of(self._catalog).types
        ranked = [
            (rank, -uses.get(spec.type, 0), len(words_of(spec.type)), spec.type)
            for spec in self._specs()
            if (rank := _rank(wanted, _folded(name), spec)) is not None
        ]
        return min(ranked)[-1] if ranked else None

    def _specs(self) -> Iterator[NodeSpec]:
        for node_type in types_at_hand(self._catalog):
            spec = self._catalog.spec(node_type)
            if spec is not None and not spec.deprecated:
                yield spec

    def _like(self, name: str) -> tuple[str, ...]:
        best = get_close_matches(name, self._known, n=_SHOWN, cutoff=_CLOSE)
        return tuple(dict.fromkeys(each for tag in best for each in self._known[tag]))[:_SHOWN]

    def _read(self) -> None:
        uses = usage_of(self._catalog).types
        # Of what is known by one name, first what is used most.
        for spec in sorted(self._specs(), key=lambda spec: (-uses.get(spec.type, 0), spec.type)):
            for tag in (spec.type, spec.label, *spec.tags):
                if folded := _folded(tag):
                    self._known.setdefault(folded, []).append(spec.type)


def _rank(wanted: Sequence[str], folded: str, spec: NodeSpec) -> int | None:
    """How near a node type's words are to a name's, 0 the nearest; None if one of them lacks."""
    if not wanted:
        return None
    own = words_of(spec.type.rpartition(":")[2])
    is_within = len(folded) >= _LEAST_STEM and folded in _folded(spec.type)
    if is_within or _are_among(wanted, own):
        return 0
    tags = (spec.label, *spec.tags)
    if folded in map(_folded, tags):
        return 1
    return 2 if _are_among(wanted, [*own, *(w for tag in tags for w in words_of(tag))]) else None


def _are_among(wanted: Sequence[str], words: Sequence[str]) -> bool:
    return all(any(_is_like(word, other) for other in words) for word in wanted)


def _is_like(word: str, other: str) -> bool:
    """Whether two words are one but for an end, such as `load` and `loader`."""
    short, long = sorted((word, other), key=len)
    if short == long:
        return True
    is_stem = len(short) >= _LEAST_STEM and len(long) - len(short) <= _LONGEST_END
    return is_stem and long.startswith(short)


@lru_cache(maxsize=8192)  # each unknown name is compared with all that there are
def _folded(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())
