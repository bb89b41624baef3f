"""What is to be computed, and the nodes that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nodegraph.core.catalog import Catalog
from nodegraph.core.flat import Flat, Output
from nodegraph.core.graph import GraphNode
from nodegraph.core.hooks import Finding
from nodegraph.core.links import Link, parse_link
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import Problem

_SHOWN = 3


def find_targets(
    flat: Flat, catalog: Catalog, targets: Sequence[str] | None
) -> tuple[tuple[str, ...], list[Problem]]:
    """Names of the nodes to compute, and what is wrong with the wish.

    Args:
        targets: ``node``, ``node.port`` or a block, which stands for its outputs and sinks; None
            for all sinks of the workflow.
    """
    if targets is None:
        sinks = [name for name, node in flat.nodes.items() if node.spec and node.spec.output]
        # A node of unknown type may well be the sink.
        is_clear = all(node.spec is not None for node in flat.nodes.values())
        return tuple(sinks), [_no_sink(catalog)] if not sinks and is_clear else []
    names: dict[str, None] = {}
    problems = []
    for target in targets:
        found = _target(flat, target)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            names.update(dict.fromkeys(found))
    return tuple(names), problems


def _no_sink(catalog: Catalog) -> Problem:
    specs = [catalog.spec(name) for name in catalog.node_types()]
    sinks = [spec.type for spec in specs if spec and spec.output and not spec.deprecated]
    return Problem(
        "no-output",
        "no node of the workflow writes a result, so there is nothing to run",
        hint=f"Add a node such as {' or '.join(sinks[:_SHOWN])}." if sinks else None,
    )


def _target(flat: Flat, text: str) -> list[str] | Problem:
    try:
        link = parse_link(text)
    except ValueError:
        return Problem(
            "bad-target",
            f"the target `{text}` names no node or output",
            expected="`node` or `node.port`",
        )
    if link.node not in flat.nodes and link.node not in flat.blocks:
        return Problem(
            "bad-target",
            f"the target `{text}`: there is no node `{link.node}`",
            hint=did_you_mean(link.node, [*flat.nodes, *flat.blocks]) or None,
        )
    if link.port:
        return _output(flat, text, link)
    return [link.node] if link.node in flat.nodes else _block(flat, link.node)


def _output(flat: Flat, text: str, link: Link) -> list[str] | Problem:
    output = flat.output(link)
    if isinstance(output, Finding):
        names = flat.outputs_of(link.node)
        hint = did_you_mean(link.port, names) or f"`{link.node}` has no outputs at all."
        return Problem("bad-target", f"the target `{text}`: there is no such output", hint=hint)
    return [output.node] if output else []


def _block(flat: Flat, name: str) -> list[str]:
    outputs = [flat.output(Link(name, port)) for port in flat.outputs_of(name)]
    found = [output.node for output in outputs if isinstance(output, Output)]
    sinks = [
        inner
        for inner, node in flat.nodes.items()
        if inner.startswith(f"{name}/") and node.spec and node.spec.output
    ]
    return found + sinks


def needed_by(nodes: Mapping[str, GraphNode], targets: Iterable[str]) -> set[str]:
    """The targets and every node that they depend on."""
    needed = set(targets)
    waiting = list(needed)
    while waiting:
        for source in nodes[waiting.pop()].links.values():
            if source.node not in needed:
                needed.add(source.node)
                waiting.append(source.node)
    return needed
