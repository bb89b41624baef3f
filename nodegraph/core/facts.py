"""What is known of values before anything runs, and the checks that build on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.graph import LinkSource
from nodegraph.core.hooks import Facts, Finding, HookInputs
from nodegraph.core.pack_faults import hook_problems
from nodegraph.core.patience import watch_hook
from nodegraph.core.spec import NodeSpec
from nodegraph.errors import Problem

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
    "family": "comes from another model family than the node's other inputs",
    "format": "is for latents of another format than the node's other inputs",
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
