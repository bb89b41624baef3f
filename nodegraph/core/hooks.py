"""Hook types (inputs, findings, estimates), and calling infer and validate hooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.context import Environment
from nodegraph.core.copies import container_copy
from nodegraph.core.digests import LEAVES
from nodegraph.core.graph import LinkSource
from nodegraph.core.links import plain_number
from nodegraph.core.pack_faults import hook_problems, watch_hook
from nodegraph.core.spec import NodeSpec
from nodegraph.errors import Problem

Facts = Mapping[str, Any]
"""What is known of an output before it is computed: ``width``, ``height``, ``batch``,
``channels``, ``frames``, ``family``, ``format``; absent where unknown."""


WrittenInputs = Mapping[str, Mapping[str, "str | int | float | bool | None"]]
"""Values of nodes' inputs as a workflow writes them, by node and input."""


@dataclass(frozen=True, slots=True)
class HookInputs:
    """The inputs of one node before it runs.

    Attributes:
        literals: Values of the inputs that are not linked, defaults included.
        facts: Facts of the linked inputs, by input name.
        environment: Folders and permissions.
        nodes: For a validate hook, what names may speak of, such as ``%sample.seed%`` in that of a
            file: the workflow's own nodes, of each its inputs with the plain values that are
            written there; None for one that is linked or not written. Else empty.
    """

    literals: Mapping[str, Any]
    facts: Mapping[str, Facts]
    environment: Environment
    nodes: WrittenInputs = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A hook that changes what it is given must not change the graph.
        literals = dict(self.literals)
        for port, value in literals.items():
            if type(value) not in LEAVES:
                literals[port] = container_copy(value)
        object.__setattr__(self, "literals", literals)

    def fact(self, port: str, name: str) -> Any:
        """One fact of a linked input; None if unknown."""
        return self.facts.get(port, {}).get(name)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a validate hook found wrong with one input.

    Attributes:
        is_warning: The node runs all the same: it is told, and keeps nothing from running.
    """

    port: str
    message: str
    given: str | None = None
    expected: str | None = None
    hint: str | None = None
    code: str = "invalid-input"
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected cost of one call of a node, as far as its inputs tell.

    Attributes:
        seconds: Besides loading weights.
        memory: Bytes on its device, besides weights.
        work: How much there is to do, about: how often each parameter of its weights is used. What
            calls were seen to take is scaled by it, or the speed of the machine where none was
            seen. Without it, the time is taken to grow with pixels, images and ``steps``.
        weights: Bytes in memory of the weights behind its outputs, by port, for a node that gives
            recipes.
        shares: Inputs whose weights outputs share, by output: `weights` then says what is added to
            those.
        carries: Inputs whose weights an output brings along that is no recipe, by output, such as a
            prompt with a control network beside it: whoever samples by it computes with them.
        parts: Of the weights, the most that is on a device at once where there is too little room
            for all and they are brought in parts; by port.
        least: Bytes of memory at the smallest footprint, where that is fewer.
        passes: How often all of its weights are gone through, one after the other: what it takes to
            bring them to a device in parts grows with it.
        alike: What a call's parts of work must agree in with those of another one by the same
            weights to be computed in common; empty where they can't be. See `Context.seat`.
    """

    seconds: float | None = None
    memory: int | None = None
    work: float | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, str] = field(default_factory=dict)
    carries: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    least: int | None = None
    passes: int | None = None
    alike: str = ""

    def __post_init__(self) -> None:
        # Plans go to other processes, which know no numbers of numpy's.
        for name in ("seconds", "memory", "work", "least", "passes"):
            object.__setattr__(self, name, plain_number(getattr(self, name)))
        for name in ("weights", "parts"):
            known = {port: plain_number(size) for port, size in getattr(self, name).items()}
            object.__setattr__(self, name, known)


InferHook = Callable[[HookInputs], Mapping[str, Facts]]
"""Facts of each output."""
ValidateHook = Callable[[HookInputs], Iterable[Finding]]
FingerprintHook = Callable[[HookInputs], str]
"""Text that changes when something outside the inputs does, such as a file's content."""
EstimateHook = Callable[[HookInputs], Estimate]


MIXES_FAMILIES = "mixes-families"
"""Tag of node types whose inputs may come from models of different families."""

OutputFacts = Mapping[str, Facts]
"""Facts by output."""


def output_facts(
    node: str, spec: NodeSpec, inputs: HookInputs, catalog: Catalog
) -> tuple[OutputFacts, list[Problem]]:
    """Facts of a node's outputs: those that its spec declares, then those its infer hook adds."""
    by_port = {port: _declared(wanted, inputs) for port, wanted in spec.facts.items()}
    inferred, problems = _inferred(node, spec, inputs, catalog)
    for port, facts in inferred.items():
        by_port[port] = by_port.get(port, {}) | facts
    return {port: by_port[port] for port in spec.outputs_by_name if by_port.get(port)}, problems


def _declared(wanted: Mapping[str, str], inputs: HookInputs) -> dict[str, Any]:
    """Facts that are copies of a literal (``width``) or of an input's fact (``latent.width``)."""
    facts = {}
    for fact, source in wanted.items():
        port, dot, name = source.partition(".")
        value = inputs.fact(port, name) if dot else inputs.literals.get(port)
        if value is not None:
            facts[fact] = value
    return facts


def _inferred(
    node: str, spec: NodeSpec, inputs: HookInputs, catalog: Catalog
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    if "infer" not in spec.hooks:
        return {}, []
    try:
        hook = catalog.hook(spec.type, "infer")
        with watch_hook(node, spec.type, "infer"):
            inferred = hook(inputs) if hook else {}
        return {port: dict(facts) for port, facts in (inferred or {}).items()}, []
    except Exception as error:  # noqa: BLE001 - the pack's code may raise anything
        return {}, hook_problems(error, "infer", node, spec)


def hook_findings(
    node: str, spec: NodeSpec, inputs: HookInputs, catalog: Catalog
) -> tuple[list[Problem], list[Problem]]:
    """What a node type's own validate hook finds wrong with its inputs, and what it warns of."""
    if "validate" not in spec.hooks:
        return [], []
    try:
        hook = catalog.hook(spec.type, "validate")
        with watch_hook(node, spec.type, "validate"):
            findings = list(hook(inputs) or ()) if hook else []
        problems, warnings = (
            [
                finding_problem(finding, node, spec.type)
                for finding in findings
                if finding.is_warning is is_warning
            ]
            for is_warning in (False, True)
        )
    except Exception as error:  # noqa: BLE001 - the pack's code may raise anything
        return hook_problems(error, "validate", node, spec), []
    return problems, warnings


def finding_problem(finding: Finding, node: str, node_type: str) -> Problem:
    """A finding about one input, with its place."""
    return Problem(
        finding.code,
        finding.message,
        node,
        node_type,
        finding.port or None,
        finding.given,
        finding.expected,
        finding.hint or None,
    )


def family_problems(
    node: str, spec: NodeSpec, links: Mapping[str, LinkSource], inputs: HookInputs
) -> list[Problem]:
    """Linked inputs of another model family, or latent format, than most.

    Those that aren't known agree.
    """
    if MIXES_FAMILIES in spec.tags:
        return []
    return [
        problem
        for fact, what in _MUST_MATCH.items()
        for problem in _mismatched_inputs(node, spec, links, inputs, fact, what)
    ]


_MUST_MATCH = {
    "family": "comes from a different model family than the node's other inputs",
    "format": "is for latents of a different format than the node's other inputs",
}
"""Facts that all inputs of a node have to agree on."""


ALSO_MATCHES = "_also"
"""Ends the name of a fact that lists other values with which an input's agrees."""


def _other_values(inputs: HookInputs, fact: str, ports: Iterable[str]) -> set[Any]:
    return {value for port in ports for value in inputs.fact(port, fact + ALSO_MATCHES) or ()}


def _mismatched_inputs(
    node: str,
    spec: NodeSpec,
    links: Mapping[str, LinkSource],
    inputs: HookInputs,
    fact: str,
    what: str,
) -> Iterator[Problem]:
    known = {
        port: fact_value for port in links if (fact_value := inputs.fact(port, fact)) is not None
    }
    if len(set(known.values())) < 2:
        return
    usual, _ = Counter(known.values()).most_common(1)[0]
    example = next(port for port, value in known.items() if value == usual)
    agreeing = {
        usual,
        *_other_values(inputs, fact, (port for port in known if known[port] == usual)),
    }
    for port, value in known.items():
        if value not in agreeing and usual not in _other_values(inputs, fact, [port]):
            yield Problem(
                "family-conflict",
                what,
                node,
                spec.type,
                port,
                given=f"{value} from `{links[port].node}`",
                expected=f"{usual}, as `{example}` from `{links[example].node}`",
                hint="Take both from the same model.",
            )
