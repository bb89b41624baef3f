"""Record of a finished run, and the comparison of two records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from nodegraph.core.version import VERSION
from nodegraph.errors import NodeFailed

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


_LIBRARIES = ("torch", "diffusers", "transformers", "safetensors", "numpy")
"""Those whose versions may change what a run gives, or how fast."""


class NodeOutcome(Protocol):
    """How a node fared; `nodegraph.engine.result.NodeReport` is one."""

    @property
    def status(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def calls(self) -> int: ...
    @property
    def cached(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def saved(self) -> float: ...
    @property
    def lane(self) -> str: ...
    @property
    def memory(self) -> int | None: ...
    @property
    def key(self) -> str: ...
    @property
    def outputs(self) -> Mapping[str, Any]: ...
    @property
    def type(self) -> str: ...
    @property
    def warnings(self) -> Sequence[str]: ...


class FileOutcome(Protocol):
    """A file that was written; `nodegraph.engine.result.WrittenFile` is one."""

    @property
    def path(self) -> Path: ...
    @property
    def node(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def existed(self) -> bool: ...
    @property
    def digest(self) -> str: ...


class Outcome(Protocol):
    """How a run fared; `nodegraph.engine.result.RunResult` is one."""

    @property
    def status(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def nodes(self) -> Mapping[str, NodeOutcome]: ...
    @property
    def files(self) -> Sequence[FileOutcome]: ...
    @property
    def errors(self) -> Sequence[NodeFailed]: ...


def record_of(
    result: Outcome,
    workflow: Mapping[str, Any],
    environment: Mapping[str, Any],
    *,
    targets: Sequence[str] | None = None,
    client: str = "",
) -> dict[str, Any]:
    """The record of a finished run.

    Args:
        workflow: The document that was run, with its values set.
        environment: See `describe_environment`.
        targets: Nodes that were asked for; None for all sinks.
        client: Who asked for the run, where there are several.
    """
    return {
        "status": result.status,
        "seconds": result.seconds,
        "targets": None if targets is None else list(targets),
        "client": client,
        "nodes": {name: _node(report) for name, report in result.nodes.items()},
        "files": [_file(file) for file in result.files],
        "errors": [error.problem.as_dict() for error in result.errors],
        "environment": dict(environment),
        "workflow": dict(workflow),
    }


def _node(report: NodeOutcome) -> dict[str, Any]:
    return {
        "type": report.type,
        "status": report.status,
        "key": report.key,
        "seconds": report.seconds,
        "calls": report.calls,
        "cached": report.cached,
        "source": report.source,
        "saved": report.saved,
        "lane": report.lane,
        "memory": report.memory,
        "outputs": dict(report.outputs),
        **({"warnings": list(report.warnings)} if report.warnings else {}),
    }


def _file(file: FileOutcome) -> dict[str, Any]:
    return {
        "path": str(file.path.absolute()),
        "node": file.node,
        "kind": file.kind,
        "existed": file.existed,
        **({"digest": file.digest} if file.digest else {}),
    }


def describe_environment(
    *, device: str, numerics: str = "", packs: Mapping[str, str] | Iterable[str] = ()
) -> dict[str, Any]:
    """What a run's results and times may depend on besides its workflow; imports no library.

    Args:
        device: That the ``gpu`` lane computes on.
        numerics: The profile in the keys of nodes whose last bits depend on libraries.
        packs: Names of node packs, with their versions where they have any.
    """
    named = packs if isinstance(packs, Mapping) else dict.fromkeys(packs, "")
    return {
        "nodegraph": VERSION,
        **_machine(),
        "device": device,
        "numerics": numerics,
        "libraries": dict(_libraries()),
        "packs": dict(named),
    }


@lru_cache
def _machine() -> dict[str, str]:
    import platform

    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "host": platform.node(),
    }


@lru_cache
def _libraries() -> tuple[tuple[str, str], ...]:
    versions = []
    for name in _LIBRARIES:
        try:
            versions.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(versions)
