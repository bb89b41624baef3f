"""Trial workflows of node types, sample input values, and verdicts of the checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from nodegraph.core.digests import LEAVES
from nodegraph.core.links import to_live, write_literal
from nodegraph.core.literals import check_literal
from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.types import TypeExpr
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem
from nodegraph.session.examples import NodeExample

CheckName = Literal["runs", "types", "determinism", "mutation", "cancel", "kept"]
CheckState = Literal["passed", "failed", "not judged"]

CHECKS: Mapping[CheckName, str] = {
    "runs": "it runs to the end",
    "types": "it returns what its ports declare",
    "determinism": "equal inputs give equal outputs",
    "mutation": "it does not change its inputs",
    "cancel": "it stops when its run is cancelled",
    "kept": "its outputs are the same after saving and loading",
}


@dataclass(frozen=True)
class Verdict:
    """Verdict of one check.

    Attributes:
        reason: Why there is no judgement, or a remark on a passed check; may be empty.
        problem: Problem of a failed check.
        trace: Traceback through the pack's own code, if that raised.
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
        """Return a dictionary for JSON."""
        document: dict[str, Any] = {"check": self.check, "state": self.state}
        if self.reason:
            document["reason"] = self.reason
        if self.trace:
            document["trace"] = self.trace
        return document | ({"problem": self.problem.as_dict()} if self.problem else {})


@dataclass(frozen=True)
class NodeVerdicts:
    """Verdicts of all checks of a node type.

    Attributes:
        source: Source of the inputs: ``example``, ``generated`` or ``given``; empty if there are
            none.
    """

    node_type: str
    source: str = ""
    verdicts: Mapping[CheckName, Verdict] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """Failed checks as text; empty if there are none."""
        return [str(verdict) for verdict in self.verdicts.values() if verdict.state == "failed"]

    def state(self, check: CheckName) -> CheckState:
        """Return the state of a check."""
        return self.verdicts[check].state

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        checks = [verdict.as_dict() for verdict in self.verdicts.values()]
        return {"type": self.node_type, "inputs": self.source, "checks": checks}


@dataclass(frozen=True)
class SamplerVerdict:
    """Verdict on the order of convergence of a sampler.

    Attributes:
        order: Stated order; 0 if it states none.
        measured: Measured order; None if it is not measured.
        reason: Why there is no judgement, or what is wrong; empty if it passed.
    """

    name: str
    order: int
    measured: float | None = None
    state: CheckState = "passed"
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class PackVerdicts:
    """Verdicts of all checks of a pack.

    Attributes:
        problems: Problems of the pack as a whole, and of its schedules and guiders.
        functions: Kind and name of each of its schedules and guiders that was tried.
    """

    name: str
    root: str
    nodes: Sequence[NodeVerdicts] = ()
    problems: Sequence[str] = ()
    samplers: Sequence[SamplerVerdict] = ()
    functions: Sequence[tuple[str, str]] = ()

    @property
    def fault_count(self) -> int:
        """Number of nodes and samplers with faults, plus problems of the pack."""
        faulty = sum(bool(node.faults) for node in self.nodes)
        faulty += sum(sampler.state == "failed" for sampler in self.samplers)
        return faulty + len(self.problems)

    @property
    def is_passed(self) -> bool:
        return self.fault_count == 0

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return {
            "name": self.name,
            "root": self.root,
            "passed": self.is_passed,
            "problems": list(self.problems),
            "nodes": [node.as_dict() for node in self.nodes],
            "samplers": [sampler.as_dict() for sampler in self.samplers],
            "functions": [{"kind": kind, "name": name} for kind, name in self.functions],
        }


class NoSample(Exception):
    """There is no sample value for an input; the message names the input and the reason."""


def sample_inputs(spec: NodeSpec) -> dict[str, Any]:
    """Return a sample value for each required input of a node type.

    Raises:
        NoSample: An input has a type without sample values.
    """
    return {port.name: sample(port) for port in spec.inputs if port.required}


def sample(port: InputSpec) -> Any:
    """Return a sample value for an input.

    Raises:
        NoSample: There is no sample value for the input.
    """
    if port.widget.startswith("file:"):
        raise NoSample(f"input `{port.name}` names a file")
    if port.body is not None:
        raise NoSample(f"input `{port.name}` names a subgraph")
    value = _of_schema(port.json_schema) if _has_constraint(port) else _of_type(port.expr, port)
    if port.json_schema is not None and any(check_literal(value, port)):
        raise NoSample(f"input `{port.name}` takes something special")
    return value


def _has_constraint(port: InputSpec) -> bool:
    return bool((port.json_schema or {}).keys() & {"enum", "minimum", "maximum", "multipleOf"})


def _of_schema(schema: Any) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    low, high = schema.get("minimum"), schema.get("maximum")
    step = schema.get("multipleOf", 1)
    if low is None:
        low = 1 if high is None or high >= 1 else high
    multiple = -(-low // step) * step  # the first multiple from there
    return multiple if schema.get("type") == "integer" else float(multiple)


def _of_type(expr: TypeExpr, port: InputSpec) -> Any:
    if expr.kind == "union":
        return _of_type(expr.members[0], port)
    if expr.is_list:
        return [_of_type(expr.item, port)] * 2
    make = _MAKERS.get(expr.name)
    if make is None:
        raise NoSample(f"input `{port.name}` is of type {expr}")
    return make()


def _ramp(*shape: int) -> Any:
    """Return a tensor of values from 0 to 1, all different."""
    import torch

    count = 1
    for side in shape:
        count *= side
    return torch.linspace(0, 1, count).reshape(shape)


def _audio() -> Any:
    from nodegraph.core.values import Audio

    return Audio(_ramp(1, 1600) - 0.5, 16_000)


def _video() -> Any:
    from nodegraph.core.values import Video

    return Video(_ramp(3, 16, 16, 3), Fraction(8))


_MAKERS: Mapping[str, Callable[[], Any]] = {
    "Any": lambda: 1,
    "int": lambda: 1,
    "float": lambda: 0.5,
    "bool": lambda: True,
    "str": lambda: "text",
    "bytes": lambda: b"bytes",
    "dict": lambda: {"key": 1},
    "Image": lambda: _ramp(1, 16, 24, 3),
    "Mask": lambda: _ramp(1, 16, 24),
    "Audio": _audio,
    "Video": _video,
}


_NODE = "node"


@dataclass(frozen=True)
class Trial:
    """A workflow that uses a node type.

    Attributes:
        nodes: Names of the nodes of that type in it.
        source: ``example``, ``generated`` or ``given``.
        inputs: Folder for relative paths.
    """

    workflow: Workflow
    nodes: tuple[str, ...]
    source: str
    inputs: Path | None = None


def example_trial(spec: NodeSpec, example: NodeExample) -> Trial:
    """Return the trial of a node type's example.

    Raises:
        InvalidFile, InvalidWorkflow: The example cannot be read.
    """
    workflow = Workflow.from_json(example.text.decode("utf-8", "replace"), name=example.file.name)
    nodes = [name for name, node in workflow.nodes.items() if node.type == spec.type]
    return Trial(workflow, tuple(nodes), "example", example.inputs)


def build_trial(spec: NodeSpec, values: Mapping[str, Any], source: str = "given") -> Trial:
    """Return a trial of a single node with input values, literal or live."""
    inputs: dict[str, Any] = {}
    for name, value in values.items():
        port = spec.inputs_by_name.get(name) or InputSpec(name=name, type="Any", json_schema={})
        literal = write_literal(value)
        is_literal = port.json_schema is not None and _is_plain(literal)
        inputs[name] = literal if is_literal else to_live(value)
    return Trial(
        Workflow(nodes={_NODE: NodeEntry(type=spec.type, inputs=inputs)}), (_NODE,), source
    )


def _is_plain(value: Any) -> bool:
    if type(value) is list:
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, (*value, *value.values())))
    return type(value) in LEAVES - {bytes}
