"""Required packs, node versions and parameters of a workflow, and inputs that are set as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from nodegraph.core.catalog import Catalog, pack_finder_of
from nodegraph.core.links import is_link, parse_target, read_link, read_literal
from nodegraph.core.literals import parse_literal
from nodegraph.core.spec import InputSpec
from nodegraph.core.subgraphs import input_names, node_spec
from nodegraph.core.suggest import did_you_mean, port_hint
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, InvalidWorkflow, Problem


def input_spec(workflow: Workflow, target: str, catalog: Catalog) -> InputSpec | None:
    """What the input ``node.input`` of a workflow takes; None if its node's type is unknown.

    Raises:
        InvalidWorkflow: There is no such node or input.
    """
    problem = workflow.target_problem(target)
    if problem is not None:
        raise InvalidWorkflow([problem])
    node, port = parse_target(target)
    entry = workflow.nodes[node]
    spec = node_spec(entry, workflow, catalog)
    if spec is None:
        return None
    if port in spec.inputs_by_name:
        return spec.inputs_by_name[port]
    hint = port_hint(port, spec.inputs_by_name) or None
    raise InvalidWorkflow(
        [Problem("unknown-input", "has no such input", node, entry.type, port, hint=hint)]
    )


def with_texts(
    workflow: Workflow,
    catalog: Catalog,
    *,
    parameters: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Workflow:
    """A copy with inputs given as text, each read as its input's type.

    Args:
        parameters: Texts by parameter.
        inputs: Texts by ``node.input``; they win where a parameter sets the same. A text such as
            ``{"from": "node.port"}`` links.
    Raises:
        InvalidWorkflow: Names that lead nowhere, texts that don't fit; all of them.
    """
    parameter_texts = parameters or {}
    problems = [
        problem for name in parameter_texts if (problem := workflow.parameter_problem(name))
    ]
    texts = {
        workflow.parameters[name].input: text
        for name, text in parameter_texts.items()
        if name in workflow.parameters
    }
    texts.update(inputs or {})
    values = {target: _read(workflow, target, text, catalog) for target, text in texts.items()}
    for value in values.values():
        if isinstance(value, _Refused):
            problems += value.problems
    if problems:
        raise InvalidWorkflow(problems)
    return workflow.with_inputs(values)


def parameter_values(
    workflow: Workflow, catalog: Catalog, texts: Mapping[str, str]
) -> tuple[Workflow, dict[str, Any]]:
    """Values of parameters that are given as text, each read as its input's type.

    Returns:
        The workflow, with links where texts such as ``{"from": "node.port"}`` are links, and the
        other values by parameter.
    Raises:
        InvalidWorkflow: Names that lead nowhere, texts that don't fit; all of them.
    """
    values: dict[str, Any] = {}
    filled = with_texts(workflow, catalog, parameters=texts)
    for name in texts:
        node, port = parse_target(workflow.parameters[name].input)
        written = filled.nodes[node].inputs[port]
        if is_link(written):
            workflow = workflow.with_inputs({f"{node}.{port}": read_link(written)})
        else:
            values[name] = read_literal(written)
    return workflow, values


@dataclass(frozen=True)
class _Refused:
    problems: Sequence[Problem]


def _read(workflow: Workflow, target: str, text: str, catalog: Catalog) -> Any:
    """The value, or the link, that a text means; or why it is refused."""
    try:
        port = input_spec(workflow, target, catalog)
        value = _json_or_text(text)
        if is_link(value):
            return read_link(value)
        return value if port is None else parse_literal(text, port)
    except InvalidValue as error:
        node, _ = parse_target(target)
        return _Refused([replace(error.problem, node=node, node_type=workflow.nodes[node].type)])
    except InvalidWorkflow as error:
        return _Refused(error.problems)
    except ValueError as error:
        return _Refused(
            [Problem("bad-link", f"`{target}` has a link that cannot be read: {error}")]
        )


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def with_versions(workflow: Workflow, catalog: Catalog) -> Workflow:
    """A copy in which every node says the version of its type; see `to_versioned_dict`."""
    return Workflow.from_dict(to_versioned_dict(workflow, catalog))


def to_versioned_dict(workflow: Workflow, catalog: Catalog) -> dict[str, Any]:
    """What a workflow's file says, every node with the version of its type.

    A node without one is taken for today's, whenever that is; what is to mean the same after an
    upgrade, such as the workflow in an image, needs the version. Nodes that have one keep it.
    """
    document = workflow.to_dict()
    # Not in copies of the nodes: large workflows have thousands.
    for part in (document, *document.get("subgraphs", {}).values()):
        part["nodes"] = {
            name: _versioned(node, workflow, catalog) for name, node in part["nodes"].items()
        }
    return document


def _versioned(node: dict[str, Any], workflow: Workflow, catalog: Catalog) -> Mapping[str, Any]:
    spec = None if node["type"] in workflow.subgraphs else catalog.spec(node["type"])
    if spec is None or "version" in node:
        return node
    return {"type": node["type"], "version": spec.version, **node}


@runtime_checkable
class KnowsPacks(Protocol):
    """A catalog that can tell whether a workflow's `requires` are met."""

    def pack_versions(self) -> Mapping[str, str]:
        """Versions of the installed packs by name; empty text where a version is unknown."""


def check_requirements(workflow: Workflow, catalog: Catalog) -> list[Problem]:
    """Packs that are missing or too old; none if the catalog knows no packs."""
    if not workflow.requires or not isinstance(catalog, KnowsPacks):
        return []
    installed = catalog.pack_versions()
    return [
        _with_command(problem, pack, wanted, catalog)
        for pack, wanted in workflow.requires.items()
        if (problem := _requirement(pack, wanted, installed)) is not None
    ]


def _with_command(problem: Problem, pack: str, wanted: str, catalog: Catalog) -> Problem:
    """The problem with the command that solves it, if the catalog knows one."""
    finder = pack_finder_of(catalog)
    if problem.code == "bad-requirement" or finder is None:
        return problem
    command = finder.pack_command(pack, wanted)
    return problem if command is None else replace(problem, hint=f"Run `{command}`.")


def _requirement(pack: str, wanted: str, installed: Mapping[str, str]) -> Problem | None:
    # Only here, as few workflows require packs and the import takes a while.
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    if pack not in installed:
        return Problem(
            "missing-pack",
            f"requires the pack `{pack}`, which is not loaded",
            expected=wanted or None,
            hint="Install it, or give its file or folder with --pack.",
        )
    try:
        specifier = SpecifierSet("" if wanted == "*" else wanted)
        is_met = not installed[pack] or specifier.contains(
            Version(installed[pack]), prereleases=True
        )
    except InvalidSpecifier:
        return Problem(
            "bad-requirement",
            f"requires the pack `{pack}`, but its version specifier cannot be read",
            given=wanted,
            expected="a specifier such as `>=1.2,<2`",
        )
    except InvalidVersion:
        return None  # the pack's own version has no order, so nothing can be said
    if is_met:
        return None
    return Problem(
        "wrong-pack-version",
        f"requires another version of the pack `{pack}`",
        given=installed[pack],
        expected=wanted,
        hint=f"Update `{pack}`.",
    )


def check_parameters(workflow: Workflow, catalog: Catalog) -> list[Problem]:
    """Parameters that lead to no input."""
    problems = [
        _parameter(name, parameter.input, workflow, catalog)
        for name, parameter in workflow.parameters.items()
    ]
    return [problem for problem in problems if problem is not None]


def _parameter(name: str, target: str, workflow: Workflow, catalog: Catalog) -> Problem | None:
    start = f"parameter `{name}` points to `{target}`"
    try:
        node, port = parse_target(target)
    except ValueError:
        return Problem("bad-parameter", f"{start}, which is not an input", expected="`node.input`")
    entry = workflow.nodes.get(node)
    if entry is None:
        return Problem(
            "bad-parameter",
            f"{start}, but there is no node `{node}`",
            hint=did_you_mean(node, workflow.nodes) or None,
        )
    names = input_names(entry, workflow, catalog)
    if names is None or port in names:
        return None
    return Problem(
        "bad-parameter",
        f"{start}, but `{node}` ({entry.type}) has no such input",
        hint=port_hint(port, names) or None,
    )
