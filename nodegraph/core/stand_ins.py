"""Node types that do what one does that isn't here: what other programs call theirs is a tag."""

from __future__ import annotations

from difflib import get_close_matches

from nodegraph.core.catalog import Catalog, types_at_hand, usage_of

_SHOWN = 3
_CLOSE = 0.8


class StandIns:
    """Looks for node types by what people know them by; what was found once is remembered."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, list[str]] = {}
        self._found: dict[str, tuple[str, ...]] = {}

    def of(self, node_type: str, *, only_same: bool = False) -> tuple[str, ...]:
        """Those of a type that isn't known, such as ``comfyui:KSamplerAdvanced``; best first.

        Args:
            only_same: None that are just called alike.
        """
        name = _folded(node_type.rpartition(":")[2])
        if not self._known:
            self._read()
        if name in self._known:
            return tuple(dict.fromkeys(self._known[name]))[:_SHOWN]
        if only_same or not name:
            return ()
        if name not in self._found:
            self._found[name] = self._like(name)
        return self._found[name]

    def _like(self, name: str) -> tuple[str, ...]:
        best = get_close_matches(name, self._known, n=_SHOWN, cutoff=_CLOSE)
        return tuple(dict.fromkeys(each for tag in best for each in self._known[tag]))[:_SHOWN]

    def _read(self) -> None:
        uses = usage_of(self._catalog).types
        # Of what is known by one name, first what is used most.
        for node_type in sorted(
            types_at_hand(self._catalog), key=lambda name: (-uses.get(name, 0), name)
        ):
            spec = self._catalog.spec(node_type)
            if spec is None or spec.deprecated:
                continue
            for tag in (node_type, spec.label, *spec.tags):
                if folded := _folded(tag):
                    self._known.setdefault(folded, []).append(node_type)


def _folded(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())
