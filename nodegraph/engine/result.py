"""What a run gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nodegraph.errors import NodeFailed

JobStatus = Literal["ok", "failed", "cancelled"]
NodeStatus = Literal["ran", "cached", "failed", "skipped", "cancelled"]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that a sink wrote.

    Attributes:
        existed: It was there already with the same content, and was left as it is.
    """

    path: Path
    node: str
    kind: str = "image"
    existed: bool = False


@dataclass(slots=True)
class NodeReport:
    """How one node fared.

    Attributes:
        seconds: Spent in the node's own calls.
        calls: How often it was called; 1 unless it was mapped over a list.
        cached: How many of the calls came from the cache.
    """

    status: NodeStatus
    seconds: float = 0.0
    calls: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run.

    Attributes:
        outputs: Values of the targets that have outputs, by ``node.port``.
        nodes: How each node fared, in the order in which they ended.
        errors: What the failed nodes raised.
    """

    status: JobStatus
    outputs: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[WrittenFile, ...] = ()
    nodes: Mapping[str, NodeReport] = field(default_factory=dict)
    errors: tuple[NodeFailed, ...] = ()
    seconds: float = 0.0

    @property
    def is_ok(self) -> bool:
        return self.status == "ok"

    def __getitem__(self, output: str) -> Any:
        return self.outputs[output]
