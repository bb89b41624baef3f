"""What was found about a node type, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nodegraph.errors import Problem

CheckName = Literal["runs", "types", "determinism", "mutation", "cancel", "kept"]
CheckState = Literal["passed", "failed", "not judged"]

CHECKS: Mapping[CheckName, str] = {
    "runs": "it runs to its end",
    "types": "it returns what its ports declare",
    "determinism": "equal inputs give equal outputs",
    "mutation": "it leaves its inputs as they are",
    "cancel": "it stops when its run is cancelled",
    "kept": "its outputs come back from the disk as they were",
}


@dataclass(frozen=True)
class Verdict:
    """What one check found.

    Attributes:
        reason: Why it isn't judged, or what was seen where it passed; may be empty.
        problem: The fault, where it failed.
        trace: Traceback through the pack's own code, where that raised.
    """

    check: CheckName
    state: CheckState
    reason: str = ""
    problem: Problem | None = None
    trace: str = ""

    def __str__(self) -> str:
        reason = str(self.problem) if self.problem else self.reason
        return f"{self.check}: {self.state}" + (f": {reason}" if reason else "")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = {"check": self.check, "state": self.state}
        if self.reason:
            document["reason"] = self.reason
        if self.trace:
            document["trace"] = self.trace
        return document | ({"problem": self.problem.as_dict()} if self.problem else {})


@dataclass(frozen=True)
class NodeVerdicts:
    """What all checks found about a node type.

    Attributes:
        source: Of the inputs: ``example``, ``generated``, ``given``; empty if there are none.
    """

    node_type: str
    source: str = ""
    verdicts: Mapping[CheckName, Verdict] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """What is wrong, in words; empty if nothing is."""
        return [str(verdict) for verdict in self.verdicts.values() if verdict.state == "failed"]

    def state(self, check: CheckName) -> CheckState:
        """How a check ended."""
        return self.verdicts[check].state

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        checks = [verdict.as_dict() for verdict in self.verdicts.values()]
        return {"type": self.node_type, "inputs": self.source, "checks": checks}


@dataclass(frozen=True)
class PackVerdicts:
    """What was found about a pack.

    Attributes:
        problems: What is wrong with the pack as a whole.
    """

    name: str
    root: str
    nodes: Sequence[NodeVerdicts] = ()
    problems: Sequence[str] = ()

    @property
    def is_passed(self) -> bool:
        return not self.problems and not any(node.faults for node in self.nodes)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "root": self.root,
            "passed": self.is_passed,
            "problems": list(self.problems),
            "nodes": [node.as_dict() for node in self.nodes],
        }
