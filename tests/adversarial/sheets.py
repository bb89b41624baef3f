"""A workflow that is edited, with what it was before, and branches that are gone back to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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
        away: Those that aren't there at the moment.
    """

    def __init__(self, types: Mapping[str, NodeType], away: Collection[str] = ()) -> None:
        self.types = types
        self.away = set(away)
        self.nodes: Nodes = {}
        self.past: list[Nodes] = []
        self._made = 0

    def change(self, what: str, random: Random) -> None:
        """Edit it in one of the ways in `CHANGES`."""
        self.past = [*self.past[-_KEPT:], deepcopy(self.nodes)]
        getattr(self, f"_{what}")(random)

    def come(self, kind: str, random: Random) -> None:
        """A node type is there now, and tried."""
        self.past = [*self.past[-_KEPT:], deepcopy(self.nodes)]
        self.away.discard(kind)
        if len(self.nodes) < _MOST:
            self._made += 1
            self.nodes[f"n{self._made}"] = self._entry_of(kind, random, list(self.nodes))

    def go(self, kind: str, random: Random) -> None:
        """A node type is gone; often one takes its nodes out."""
        self.away.add(kind)
        if random.random() < 0.7:
            self.past = [*self.past[-_KEPT:], deepcopy(self.nodes)]
            for name in [name for name, entry in self.nodes.items() if entry["type"] == kind]:
                self._take_out(name, random)

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
        self._take_out(random.choice(list(self.nodes)), random)

    def _take_out(self, away: str, random: Random) -> None:
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
        fitting = [
            name
            for name, kind in self.types.items()
            if name not in self.away and (anything or not kind.values)
        ]
        return self._entry_of(random.choice(fitting), random, before)

    def _entry_of(self, kind: str, random: Random, before: list[str]) -> dict[str, Any]:
        anything = self._giving(before, ("number", "value", "text"))
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
