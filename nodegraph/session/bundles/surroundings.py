"""What results depend on besides the workflow: versions, device and numerics, for bundles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires
from typing import TYPE_CHECKING, Any

from nodegraph.core.manifest import Manifest
from nodegraph.core.version import VERSION
from nodegraph.packs.installation.environments import (
    PLATFORM,
    canonical_name,
    host_versions,
)
from nodegraph.packs.pack import OWN_DISTRIBUTION
from nodegraph.session.bundles.bundle import BundlePack, ExpectedNode, Surroundings

if TYPE_CHECKING:
    from nodegraph.engine.result import RunResult
    from nodegraph.packs.registry import Registry
    from nodegraph.session.session import Session

_LIBRARIES = ("torch", "diffusers", "transformers", "safetensors", "numpy", "pillow")
"""Those whose versions may change results."""
_NAMED = re.compile(r"\b(torch|diffusers|transformers) (\d[\w.+-]*)")
"""Versions in a numerics profile."""


def surroundings_of(session: Session) -> Surroundings:
    """The versions and the numerics of this process."""
    import platform

    from nodegraph.weights.numerics import LibraryNumerics

    versions = host_versions()
    is_merged = session.settings.merge_steps == "tolerance"
    return Surroundings(
        VERSION,
        platform.python_version(),
        PLATFORM,
        LibraryNumerics(is_merged=is_merged).profile(session.environment.device),
        {name: versions[name] for name in _LIBRARIES if name in versions},
    )


def surroundings_of_manifest(manifest: Manifest) -> Surroundings:
    """Those of a result, as far as its manifest states them."""
    return Surroundings(
        manifest.nodegraph,
        numerics=manifest.numerics,
        libraries=dict(_NAMED.findall(manifest.numerics)),
    )


def surroundings_of_record(environment: Mapping[str, Any]) -> Surroundings:
    """Those of a recorded run; see `observe.record.describe_environment`."""
    system, _, release = str(environment.get("system", "")).partition(" ")
    machine = release.rpartition(" ")[2]
    return Surroundings(
        str(environment.get("nodegraph", "")),
        str(environment.get("python", "")),
        f"{system}-{machine}".lower() if system else "",
        str(environment.get("numerics", "")),
        {str(name): str(each) for name, each in environment.get("libraries", {}).items()},
    )


def nodes_of_manifest(manifest: Manifest) -> dict[str, ExpectedNode]:
    """What the nodes of a result gave."""
    return {
        name: ExpectedNode(node.type, node.pack, node.code, dict(node.outputs))
        for name, node in manifest.nodes.items()
    }


def nodes_of_record(record: Mapping[str, Any]) -> dict[str, ExpectedNode]:
    """What the nodes of a recorded run gave."""
    return {
        name: ExpectedNode(str(node.get("type", "")), outputs=dict(node.get("outputs", {})))
        for name, node in record.get("nodes", {}).items()
        if node.get("status") in ("ran", "cached")
    }


def nodes_of_result(
    result: RunResult, order: Sequence[str], registry: Registry
) -> dict[str, ExpectedNode]:
    """What the nodes of a run in this process gave.

    Args:
        order: Names of nodes, each after what it needs; others follow.
    """
    nodes = {}
    for name in dict.fromkeys([*order, *result.nodes]):
        report = result.nodes.get(name)
        if report is None or report.status not in ("ran", "cached"):
            continue
        known = registry.spec(report.type) is not None
        pack = registry.pack_of(report.type) if known else None
        nodes[name] = ExpectedNode(
            report.type,
            "" if pack is None else pack.name or OWN_DISTRIBUTION,
            registry.code_digest(report.type) if known else "",
            dict(report.outputs),
        )
    return nodes


def requirements_of(packs: Sequence[BundlePack]) -> tuple[str, ...]:
    """Lines for pip: nodegraph, what it and the packs need, and the libraries, as installed here.

    Only the version itself counts: of ``2.9.0+cpu`` pip's index has only ``2.9.0``.
    """
    versions = host_versions()
    names = {OWN_DISTRIBUTION, *_LIBRARIES, *_needs(OWN_DISTRIBUTION)}
    for pack in packs:
        if pack.distribution:
            names |= {canonical_name(pack.distribution), *_needs(pack.distribution)}
    pinned = {OWN_DISTRIBUTION: VERSION}
    pinned |= {name: versions[name].partition("+")[0] for name in names if name in versions}
    return tuple(f"{name}=={pinned[name]}" for name in sorted(pinned))


def _needs(distribution: str) -> Iterator[str]:
    """Names of what a distribution requires without its extras."""
    try:
        lines = requires(distribution) or ()
    except PackageNotFoundError:
        return
    for line in lines:
        if "extra ==" not in line:
            yield canonical_name(re.split(r"[^\w.-]", line, maxsplit=1)[0])
