"""Hook types (inputs, findings, estimates), and calling infer and validate hooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from pathlib import Path
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
"""Facts about an output that are known before it is computed: ``width``, ``height``, ``batch``,
``channels``, ``frames``, ``family``, ``format``. Unknown facts are absent."""


WrittenInputs = Mapping[str, Mapping[str, "str | int | float | bool | None"]]
"""Input values as a workflow writes them, by node and input."""


@dataclass(frozen=True, slots=True)
class HookInputs:
    """Inputs of one node before it runs.

    Attributes:
        literals: Values of the inputs that are not linked, defaults included.
        facts: Facts of the linked inputs, by input name. Each linked input is in it, also one of
            which nothing is known.
        environment: Folders and permissions of the run.
        nodes: Inputs of all nodes of the workflow, by node, for a validate hook that checks
            placeholders such as ``%sample.seed%`` in file names. The values are plain; None for an
            input that is linked or not set. Empty for other hooks.
        types: Types of what is linked, by input name, for a validate hook. Empty for other hooks.
        files: The fingerprint hook of a node adds the files that it reads and that no input names:
            those of a folder, or weights that come with its pack, in a fixed order. Manifests of
            results name them.
    """

    literals: Mapping[str, Any]
    facts: Mapping[str, Facts]
    environment: Environment
    nodes: WrittenInputs = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        # A hook that changes what it is given must not change the graph.
        literals = dict(self.literals)
        for port, value in literals.items():
            if type(value) not in LEAVES:
                literals[port] = container_copy(value)
        object.__setattr__(self, "literals", literals)

    def fact(self, port: str, name: str) -> Any:
        """Return one fact of a linked input, or None if it is unknown."""
        return self.facts.get(port, {}).get(name)


@dataclass(frozen=True, slots=True)
class Finding:
    """Problem that a validate hook found in one input.

    Attributes:
        port: Name of the input. Empty if the problem concerns the whole node.
        message: What is wrong: one clause that starts with a lower-case letter.
        given: The value that was given.
        expected: The value that is expected.
        hint: What to do, as a sentence.
        code: Identifier of the kind of problem.
        is_warning: Whether it is only a warning. The node still runs.
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
    """Expected cost of one call of a node, as far as its inputs determine it.

    Attributes:
        seconds: Time of the call in seconds, without loading weights.
        memory: Memory on the node's device in bytes, without weights.
        work: Approximate amount of work: how often each parameter of the weights is used. Measured
            times of earlier calls are scaled by it; without such times, the measured speed of the
            machine is used. If it is None, the time is assumed to grow with pixels, images and
            ``steps``.
        weights: Bytes in memory of the weights behind each output that is a recipe, by output.
        shares: Input whose weights an output shares, by output. `weights` then gives only the bytes
            that are added to them.
        carries: Inputs whose weights an output that is not a recipe contains, by output. For
            example, a prompt with a control network: a sampler that uses it needs these weights.
        parts: Largest part of the weights, in bytes, that is on the device at once if they do not
            fit and are moved there in parts; by output.
        least: Bytes of memory at the smallest footprint, if they are fewer than `memory`.
        passes: How many times the call goes through all of its weights in turn. The cost of moving
            weights to the device in parts grows with it.
        alike: Key for batched computation. Calls with the same weights and an equal key may compute
            parts of their work in one batch. Empty if this is not possible. See `Context.seat`.
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
"""Hook that returns the facts of each output."""
AsyncFindings = Awaitable[Iterable[Finding]] | AsyncIterable[Finding]
ValidateHook = Callable[[HookInputs], Iterable[Finding] | AsyncFindings]
"""Hook that returns the problems of a node's inputs; ``async def`` and ``yield`` are allowed."""
FingerprintHook = Callable[[HookInputs], str]
"""Hook that returns a text that changes when something outside the inputs changes, such as the
content of a file."""
EstimateHook = Callable[[HookInputs], Estimate]
"""Hook that returns the expected cost of a call."""


MIXES_FAMILIES = "mixes-families"
"""Tag of node types whose inputs may come from models of different families."""

OutputFacts = Mapping[str, Facts]
"""Facts by output."""


def output_facts(
    node: str, spec: NodeSpec, inputs: HookInputs, catalog: Catalog
) -> tuple[OutputFacts, list[Problem]]:
    """Return the facts of a node's outputs: those of its spec, then those of its infer hook."""
    by_port = {port: _declared(wanted, inputs) for port, wanted in spec.facts.items()}
    inferred, problems = _inferred(node, spec, inputs, catalog)
    for port, facts in inferred.items():
        by_port[port] = by_port.get(port, {}) | facts
    return {port: by_port[port] for port in spec.outputs_by_name if by_port.get(port)}, problems


def _declared(wanted: Mapping[str, str], inputs: HookInputs) -> dict[str, Any]:
    """Return facts copied from a literal (``width``) or an input's fact (``latent.width``)."""
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
    """Return the problems and the warnings that a node type's validate hook finds."""
    if "validate" not in spec.hooks:
        return [], []
    try:
        hook = catalog.hook(spec.type, "validate")
        with watch_hook(node, spec.type, "validate"):
            findings: Any = hook(inputs) if hook else ()
            if hasattr(findings, "__await__") or hasattr(findings, "__aiter__"):
                return _defer(Validation(node, spec, findings))
            findings = list(findings or ())
    except Exception as error:  # noqa: BLE001 - the pack's code may raise anything
        return hook_problems(error, "validate", node, spec), []
    return _split(findings, node, spec)


def _split(
    findings: Iterable[Finding], node: str, spec: NodeSpec
) -> tuple[list[Problem], list[Problem]]:
    """Problems, and warnings."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for finding in findings:
        to = warnings if finding.is_warning else problems
        to.append(finding_problem(finding, node, spec.type))
    return problems, warnings


VALIDATION_LIMIT = 60.0
"""Seconds that an async validate hook may take."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What an async validate hook returned, which is still to be awaited."""

    node: str
    spec: NodeSpec
    findings: AsyncFindings

    def close(self) -> None:
        """Never await it."""
        close = getattr(self.findings, "close", None)  # a coroutine that nobody awaits complains
        if close is not None:
            close()

    async def result(self) -> tuple[list[Problem], list[Problem]]:
        """Problems and warnings, as of `hook_findings`."""
        import asyncio  # most checks have no use for it

        try:
            findings = await asyncio.wait_for(self._listed(), VALIDATION_LIMIT)
        except asyncio.TimeoutError:
            text = f"its type's validate function did not end within {VALIDATION_LIMIT:g} s"
            hint = "Try again later, or remove the node."
            return [Problem("hook-failed", text, self.node, self.spec.type, hint=hint)], []
        except Exception as error:  # noqa: BLE001 - the pack's code may raise anything
            return hook_problems(error, "validate", self.node, self.spec), []
        return _split(findings, self.node, self.spec)

    async def _listed(self) -> list[Finding]:
        if isinstance(self.findings, AsyncIterable):
            return [finding async for finding in self.findings]
        return list(await self.findings or ())


Validations = dict[str, Validation]
"""Validations that are still to be awaited, by node."""
_DEFERRED: ContextVar[Validations | None] = ContextVar("deferred_validations", default=None)


@contextmanager
def deferred_validations() -> Iterator[Validations]:
    """Collect async validations in the `with`, for the caller to await; none if it raises."""
    pending: Validations = {}
    token = _DEFERRED.set(pending)
    try:
        yield pending
    except BaseException:
        keep_validations(pending, ())
        raise
    finally:
        _DEFERRED.reset(token)


def keep_validations(pending: Validations, nodes: Container[str]) -> None:
    """Drop the validations of all nodes except these."""
    for name in [name for name in pending if name not in nodes]:
        pending.pop(name).close()


def settle_validations(pending: Validations) -> tuple[list[Problem], list[Problem]]:
    """Problems and warnings of validations; empty if whoever asked for the check awaits them."""
    outer = _DEFERRED.get()
    if outer is not None:
        for name, validation in pending.items():
            if name in outer:  # one that was asked twice
                outer.pop(name).close()
            outer[name] = validation
        return [], []
    return run_validations(pending) if pending else ([], [])


def _defer(validation: Validation) -> tuple[list[Problem], list[Problem]]:
    return settle_validations({validation.node: validation})


async def await_validations(pending: Validations) -> tuple[list[Problem], list[Problem]]:
    """Problems and warnings of validations, which run at the same time."""
    if not pending:
        return [], []
    import asyncio

    results = await asyncio.gather(*(each.result() for each in pending.values()))
    return [each for problems, _ in results for each in problems], [
        each for _, warnings in results for each in warnings
    ]


def run_validations(pending: Validations) -> tuple[list[Problem], list[Problem]]:
    """The same for callers that are not async; also in the thread of an event loop."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        run = copy_context().run
        return pool.submit(run, asyncio.run, await_validations(pending)).result()


def finding_problem(finding: Finding, node: str, node_type: str) -> Problem:
    """Return a finding as a problem of a node's input."""
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
    """Return a problem for each linked input whose model family or latent format differs from most.

    Inputs whose family or format is unknown match every other.
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
"""Facts that must be equal for all inputs of a node, with the message if they are not."""


ALSO_MATCHES = "_also"
"""Suffix of a fact that lists other values that match the input's value."""


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
