"""What is to be computed, and the nodes that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nodegraph.core.catalog import Catalog
from nodegraph.core.flat import FlatWorkflow, Output
from nodegraph.core.graph import GraphNode
from nodegraph.core.hooks import Finding
from nodegraph.core.links import Link, parse_link
from nodegraph.core.suggest import did_you_mean, port_hint
from nodegraph.core.suggestions import NodeTypeSuggestions
from nodegraph.core.types import TypeExpr
from nodegraph.errors import Problem

_SHOWN = 3


def find_targets(
    flat: FlatWorkflow, catalog: Catalog, targets: Sequence[str] | None
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
        return tuple(sinks), [_no_sink(flat, catalog)] if not sinks and is_clear else []
    names: dict[str, None] = {}
    problems = []
    for target in targets:
        resolved = _target(flat, target)
        if isinstance(resolved, Problem):
            problems.append(resolved)
        else:
            names.update(dict.fromkeys(resolved))
    return tuple(names), problems


def _no_sink(flat: FlatWorkflow, catalog: Catalog) -> Problem:
    out = [
        node.name
        for node in flat.in_file_order
        if (node.name in flat.excluded or node.name in flat.bypassed)
        and (node.spec is None or node.spec.output)
    ]
    if out:
        cause = flat.excluded.get(out[0], out[0])
        return Problem(
            "no-output",
            "every node that writes a result is muted, bypassed or left out, so there is nothing "
            "to run",
            given=", ".join(out[:_SHOWN]) + (", …" if len(out) > _SHOWN else ""),
            hint=f"Take the `mode` of `{cause}` away.",
        )
    sinks = NodeTypeSuggestions(catalog).sinks(*_last_output(flat))
    return Problem(
        "no-output",
        "no node of the workflow writes a result, so there is nothing to run",
        hint=f"Add a node such as {sinks}, or say which node is to run."
        if sinks
        else "Say which node is to run.",
    )


def _last_output(flat: FlatWorkflow) -> tuple[str, TypeExpr | None]:
    """The last output of a workflow that no node takes, with its node type, and what it gives."""
    links = (each.link for node in flat.nodes.values() for each in node.inputs.values())
    outputs = (flat.output(link) for link in links if link)
    taken = {output.node for output in outputs if isinstance(output, Output)}
    for node in reversed(flat.in_file_order):
        if node.spec and node.spec.outputs and node.name not in taken:
            port = node.spec.outputs[0]
            return f"{node.spec.type}.{port.name}", port.expr
    return "", None


def _target(flat: FlatWorkflow, text: str) -> list[str] | Problem:
    try:
        link = parse_link(text)
    except ValueError:
        return Problem(
            "bad-target",
            f"the target `{text}` names no node or output",
            expected="`node` or `node.port`",
        )
    absent = _excluded_problem(flat, text, link.node)
    if absent is not None:
        return absent
    if link.node not in flat.nodes and link.node not in flat.blocks:
        if link.node in flat.bypassed:
            return _bypass_targets(flat, text, link)
        return Problem(
            "bad-target",
            f"the target `{text}`: there is no node `{link.node}`",
            hint=did_you_mean(link.node, [*flat.named_nodes(), *flat.blocks]) or None,
        )
    if link.port:
        return _output(flat, text, link)
    return [link.node] if link.node in flat.nodes else _block(flat, link.node)


def _output(flat: FlatWorkflow, text: str, link: Link) -> list[str] | Problem:
    output = flat.output(link)
    if isinstance(output, Finding):
        names = flat.outputs_of(link.node)
        hint = port_hint(link.port, names) or f"`{link.node}` has no outputs at all."
        return Problem("bad-target", f"the target `{text}`: there is no such output", hint=hint)
    if output is not None and output.node in flat.excluded:
        return _muted_problem(text, flat.excluded[output.node], is_itself=False)
    return [output.node] if output else []


def _excluded_problem(flat: FlatWorkflow, text: str, name: str) -> Problem | None:
    """Why a target isn't run at all, if it or a block around it is left out."""
    parts = name.split("/")
    for end in range(len(parts), 0, -1):
        outer = "/".join(parts[:end])
        if outer in flat.excluded:
            cause = flat.excluded[outer]
            return _muted_problem(text, cause, is_itself=cause == name)
        if outer in flat.bypassed and end < len(parts):
            return Problem(
                "bad-target",
                f"the target `{text}` isn't run: `{outer}` around it is bypassed",
                hint=f"Take the `mode` of `{outer}` away.",
            )
    return None


def _muted_problem(text: str, cause: str, *, is_itself: bool) -> Problem:
    reason = "is muted" if is_itself else f"is left out, as `{cause}` is muted"
    return Problem(
        "bad-target",
        f"the target `{text}` {reason}",
        hint=f"Take the `mode` of `{cause}` away, or ask for another node.",
    )


def _bypass_targets(flat: FlatWorkflow, text: str, link: Link) -> list[str] | Problem:
    """What stands for the outputs of a bypassed node."""
    ports = [link.port] if link.port else flat.outputs_of(link.node)
    outputs = [flat.output(Link(link.node, port)) for port in ports]
    names = [item.node for item in outputs if isinstance(item, Output)]
    there = [name for name in names if name not in flat.excluded]
    if there:
        return list(dict.fromkeys(there))
    if names:
        return _muted_problem(text, flat.excluded[names[0]], is_itself=False)
    return Problem(
        "bad-target",
        f"the target `{text}` is bypassed, and nothing stands for it",
        hint=f"Take the `mode` of `{link.node}` away, or ask for another node.",
    )


def _block(flat: FlatWorkflow, name: str) -> list[str]:
    outputs = [flat.output(Link(name, port)) for port in flat.outputs_of(name)]
    sources = [
        output.node
        for output in outputs
        if isinstance(output, Output) and output.node not in flat.excluded
    ]
    sinks = [
        inner
        for inner, node in flat.nodes.items()
        if inner.startswith(f"{name}/") and node.spec and node.spec.output
    ]
    return sources + sinks


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
