"""How two runs differ: what was changed, what that did, and what each took."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

Record = Mapping[str, Any]
"""Of a run; see `nodegraph.observe.record`."""

_SHOWN_ONLY = {"label", "note"}
"""Keys of a node's entry that change nothing about a run."""


@dataclass(frozen=True, slots=True)
class RunDifference:
    """Something that is one thing in the first run and another in the second.

    Attributes:
        what: Such as ``sample.cfg`` or ``libraries.torch``.
        first, second: None where a run hasn't got it.
    """

    what: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class NodePair:
    """One node in both runs.

    Attributes:
        first, second: How it fared: its part of the records; None where a run hasn't got it.
        same_outputs: None where one of the runs has no outputs of it.
    """

    name: str
    type: str
    first: Mapping[str, Any] | None
    second: Mapping[str, Any] | None

    @property
    def same_outputs(self) -> bool | None:
        first, second = self.outputs
        return first == second if first and second else None

    @property
    def outputs(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Digests by port, in either run."""
        return (self.first or {}).get("outputs", {}), (self.second or {}).get("outputs", {})

    @property
    def ratio(self) -> float | None:
        """Seconds of the second run for one of the first; None unless both ran it."""
        if not (self.first and self.second):
            return None
        if self.first["status"] != "ran" or self.second["status"] != "ran":
            return None
        seconds = float(self.first["seconds"])
        return float(self.second["seconds"]) / seconds if seconds > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON output."""
        return {
            "node": self.name,
            "type": self.type,
            "first": self.first,
            "second": self.second,
            "ratio": self.ratio,
            "same_outputs": self.same_outputs,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two runs differ.

    Attributes:
        inputs: What differs between the workflows.
        environment: What differs around them: versions, devices, packs.
        nodes: Every node of either run, in the order of the first.
    """

    inputs: tuple[RunDifference, ...]
    environment: tuple[RunDifference, ...]
    nodes: tuple[NodePair, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON output."""
        return {
            "inputs": [asdict(change) for change in self.inputs],
            "environment": [asdict(change) for change in self.environment],
            "nodes": [pair.as_dict() for pair in self.nodes],
        }


def compare(first: Record, second: Record) -> Comparison:
    """How the second run differs from the first."""
    here, there = (dict(_flat(record.get("environment", {}))) for record in (first, second))
    return Comparison(
        tuple(_workflow_changes(first.get("workflow", {}), second.get("workflow", {}))),
        tuple(_changes(here, there)),
        tuple(_pairs(first.get("nodes", {}), second.get("nodes", {}))),
    )


def _pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[NodePair]:
    for name in {**first, **second}:
        first_entry, other = first.get(name), second.get(name)
        yield NodePair(name, (other or first_entry or {}).get("type", ""), first_entry, other)


def _workflow_changes(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> Iterator[RunDifference]:
    yield from _node_changes(first.get("nodes", {}), second.get("nodes", {}), "")
    blocks, others = first.get("subgraphs", {}), second.get("subgraphs", {})
    for name in {**blocks, **others}:
        old, new = blocks.get(name, {}), others.get(name, {})
        yield from _node_changes(old.get("nodes", {}), new.get("nodes", {}), f"{name}/")
        yield from _changes(old.get("outputs", {}), new.get("outputs", {}), f"{name}, output ")


def _node_changes(
    first: Mapping[str, Any], second: Mapping[str, Any], prefix: str
) -> Iterator[RunDifference]:
    for name in {**first, **second}:
        if name in first and name in second:
            old, new = (dict(_settings(entry)) for entry in (first[name], second[name]))
            yield from _changes(old, new, f"{prefix}{name}")
        else:
            types = [(nodes.get(name) or {}).get("type") for nodes in (first, second)]
            yield RunDifference(f"{prefix}{name}", *types)


def _settings(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All that a node's entry sets: ``.port`` for inputs, `` (key)`` for the rest."""
    for key, value in entry.items():
        if key == "inputs":
            yield from ((f".{port}", input_value) for port, input_value in value.items())
        elif key not in _SHOWN_ONLY:
            yield f" ({key})", value


def _changes(
    first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = ""
) -> Iterator[RunDifference]:
    for what in {**first, **second}:
        old, new = first.get(what), second.get(what)
        if (what in first) != (what in second) or _text(old) != _text(new):
            yield RunDifference(f"{prefix}{what}", old, new)


def _text(value: Any) -> str:
    # To Python, 1, 1.0 and True are equal, and objects in any order; to a node they may not be.
    return json.dumps(value, default=str)


def _flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
