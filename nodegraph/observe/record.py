"""What is remembered of a run: plain values, to be looked at and compared long after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from nodegraph.core.version import VERSION
from nodegraph.errors import NodeFailed

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
