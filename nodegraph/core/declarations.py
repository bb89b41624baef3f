"""What a workflow says of itself: the packs that it requires and the inputs that people vary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from nodegraph.core.catalog import Catalog
from nodegraph.core.links import parse_target
from nodegraph.core.subgraphs import input_names
from nodegraph.core.suggest import did_you_mean, port_hint
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem


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
    problems = [_requirement(pack, wanted, installed) for pack, wanted in workflow.requires.items()]
    return [problem for problem in problems if problem is not None]


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
            f"requires the pack `{pack}` in a version that can't be read",
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
    start = f"parameter `{name}` leads to `{target}`"
    try:
        node, port = parse_target(target)
    except ValueError:
        return Problem("bad-parameter", f"{start}, which names no input", expected="`node.input`")
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
