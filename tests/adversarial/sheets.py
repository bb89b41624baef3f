"""A workflow that is edited, with what it was before, and branches that are gone back to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from random import Random
from typing import Any

from tests.adversarial.texts import NodeType

_MOST = 6
_KEPT = 20
Nodes = dict[str, Any]


class Sheet:
    """A workflow of a few nodes.

    Args:
        types: Node types to take, by name.
    """

    def __init__(self, types: Mapping[str, NodeType]) -> None:
        self.types = types
        self.nodes: Nodes = {}
        self.past: list[Nodes] = []
        self._made = 0

    def change(self, what: str, random: Random) -> None:
        """Edit it in one of the ways in `CHANGES`."""
        self.past = [*self.past[-_KEPT:], deepcopy(self.nodes)]
        getattr(self, f"_{what}")(random)

    def undo(self) -> None:
        """As it was before the last edit."""
        if self.past:
            self.nodes = self.past.pop()

    def branch(self, random: Random) -> None:
        """Go back to some earlier state, and go on from there."""
        if self.past:
            self.nodes = deepcopy(random.choice(self.past))

    def targets(self, random: Random) -> list[str]:
        """Some nodes whose outputs are wanted."""
        names = list(self.nodes)
        return sorted(random.sample(names, min(len(names), random.randint(1, 2))))

    def digits(self) -> list[str]:
        """Names of those on which its results depend."""
        types = [self.types[entry["type"]] for entry in self.nodes.values()]
        return sorted({name for kind in types for name in kind.digits})

    def _add(self, random: Random) -> None:
        if len(self.nodes) >= _MOST:
            return self._remove(random)
        self._made += 1
        self.nodes[f"n{self._made}"] = self._entry(random, list(self.nodes))
        return None

    def _remove(self, random: Random) -> None:
        if not self.nodes:
            return
        away = random.choice(list(self.nodes))
        del self.nodes[away]
        for entry in self.nodes.values():
            for port, written in entry["inputs"].items():
                if written == {"from": away}:
                    entry["inputs"][port] = random.randint(0, 9)

    def _literal(self, random: Random) -> None:
        for entry, port in self._ports(random):
            entry["inputs"][port] = random.randint(0, 9)
            return

    def _relink(self, random: Random) -> None:
        names = list(self.nodes)
        for entry, port in self._ports(random):
            at = next(at for at, name in enumerate(names) if self.nodes[name] is entry)
            sources = self._giving(names[:at], ("number",))
            if sources:
                entry["inputs"][port] = {"from": random.choice(sources)}
                return

    def _rename(self, random: Random) -> None:
        if not self.nodes:
            return
        old = random.choice(list(self.nodes))
        self._made += 1
        new = f"n{self._made}"
        self.nodes = {new if name == old else name: entry for name, entry in self.nodes.items()}
        for entry in self.nodes.values():
            for port, written in entry["inputs"].items():
                if written == {"from": old}:
                    entry["inputs"][port] = {"from": new}

    def _ports(self, random: Random) -> Iterator[tuple[Any, str]]:
        found = [
            (entry, port)
            for entry in self.nodes.values()
            for port in self.types[entry["type"]].literals
        ]
        if found:
            start = random.randrange(len(found))
            yield from found[start:] + found[:start]

    def _entry(self, random: Random, before: list[str]) -> dict[str, Any]:
        anything = self._giving(before, ("number", "value", "text"))
        fitting = [name for name, kind in self.types.items() if anything or not kind.values]
        kind = random.choice(fitting)
        inputs: dict[str, Any] = {}
        numbers = self._giving(before, ("number",))
        for port in self.types[kind].literals:
            is_linked = bool(numbers) and random.random() < 0.4
            inputs[port] = {"from": random.choice(numbers)} if is_linked else random.randint(0, 9)
        values = self._giving(before, ("value",)) or anything
        for port in self.types[kind].values:
            inputs[port] = {"from": random.choice(values)}
        return {"type": kind, "inputs": inputs}

    def _giving(self, names: list[str], what: tuple[str, ...]) -> list[str]:
        return [name for name in names if self.types[self.nodes[name]["type"]].gives in what]


CHANGES = ("add", "remove", "literal", "relink", "rename")
"""What can be done to a sheet."""
