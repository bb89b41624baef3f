"""A run that is known: what its nodes gave, and around what; by its results' manifests, a record,
or the run itself.

Results depend on versions, device and numerics besides the workflow: its surroundings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.declarations import to_versioned_dict
from nodegraph.core.manifest import Manifest, ManifestModel, manifest_from_texts
from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.packs.installation.environments import (
    PLATFORM,
    canonical_name,
    host_versions,
)
from nodegraph.packs.pack import OWN_DISTRIBUTION
from nodegraph.session.bundles.bundle import BundlePack, ExpectedNode, Surroundings
from nodegraph.session.replay.recorded_files import recorded_models
from nodegraph.session.replay.verification import UNCOMPARED, carried_texts
from nodegraph.session.results.files import result_texts

if TYPE_CHECKING:
    from nodegraph.core.workflow import Workflow
    from nodegraph.engine.result import RunResult, WrittenFile
    from nodegraph.packs.registry import Registry
    from nodegraph.session.session import Session

_LIBRARIES = ("torch", "diffusers", "transformers", "safetensors", "numpy", "pillow")
"""Those whose versions may change results."""
_NAMED = re.compile(r"\b(torch|diffusers|transformers) (\d[\w.+-]*)")
"""Versions in a numerics profile."""
_MOST_RECORDS = 200
"""Recorded runs that are searched for one of the workflow."""
_MOST_MANIFESTS = 8
"""Result files whose manifests are read: those of one run name the same models."""
_NO_PROMPTS = (
    "the file was saved without its prompts, so the workflow lacks them, and what it gives is not "
    "stated"
)
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class WrittenResult:
    """A file that a run of the workflow wrote.

    Attributes:
        path: Where it is.
        name: Its name below the folder of outputs.
    """

    path: Path
    node: str
    name: str
    kind: str = "image"


@dataclass(frozen=True, slots=True)
class KnownRun:
    """What is known of a run of the workflow: what its nodes gave, and around what.

    Attributes:
        components: Model components as nodes used them.
        model_files: Digests of files of models that it used, by their names.
        notes: Why nothing is known, as text.
    """

    nodes: Mapping[str, ExpectedNode] = field(default_factory=dict)
    surroundings: Surroundings = field(default_factory=Surroundings)
    results: Sequence[WrittenResult] = ()
    components: tuple[ManifestModel, ...] = ()
    model_files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def run_of_result(
    session: Session, workflow: Workflow, result: RunResult, outputs: Path
) -> KnownRun:
    """What a run in this process gave.

    Args:
        outputs: Folder that it wrote to.
    Raises:
        InvalidValue: The run failed.
    """
    for error in result.errors:
        raise error
    if not result.is_ok:
        raise InvalidValue(f"the run ended as {result.status}, so there is no bundle of it")
    written = [
        WrittenResult(
            file.path,
            file.node.partition("[")[0],
            file.path.resolve().relative_to(outputs).as_posix(),
            file.kind,
        )
        for file in result.files
        if file.kind not in UNCOMPARED and file.path.resolve().is_relative_to(outputs)
    ]
    order = list(session.graph(workflow).nodes)
    manifests = list(_manifests([file.path for file in written]))
    return KnownRun(
        nodes_of_result(result, order, session.registry),
        surroundings_of(session),
        written,
        _components(manifests),
        {name: digest for each in manifests for name, digest in recorded_models(each).items()},
    )


def run_of_file(path: Path) -> KnownRun | None:
    """What the manifest of a result says of its run; None if it has none.

    Args:
        path: The result, or the manifest next to it.
    Raises:
        InvalidFile: The manifest is damaged.
    """
    texts = result_texts(path)
    manifest = None if texts is None else manifest_from_texts(texts)
    if manifest is None:
        return None
    if manifest.lacks_prompts:
        return KnownRun(notes=(_NO_PROMPTS,))
    # Of a manifest next to a result, that result.
    file = path.with_suffix("") if path.suffix == ".json" else path
    file = file if file.is_file() else path
    kind = "image" if file.suffix.lower() in _IMAGES else "file"
    return KnownRun(
        nodes_of_manifest(manifest),
        surroundings_of_manifest(manifest),
        [WrittenResult(file, manifest.node, file.name, kind)],
        manifest.models,
        recorded_models(manifest),
    )


def recorded_run(session: Session, workflow: Workflow) -> KnownRun | None:
    """The last good run of a workflow that is recorded; None without one."""
    runs = None if session.persistence is None else session.persistence.runs
    if runs is None:
        return None
    wanted = _content(to_versioned_dict(workflow, session.registry))
    for summary in runs.list(_MOST_RECORDS):
        if summary.status != "ok" or summary.title != workflow.title:
            continue
        record = runs.get(summary.id).record
        if record.get("targets") is None and _content(record.get("workflow", {})) == wanted:
            surroundings = surroundings_of_record(record.get("environment", {}))
            return KnownRun(nodes_of_record(record), surroundings)
    return None


def components_of(files: Sequence[WrittenFile]) -> tuple[ManifestModel, ...]:
    """Model components that the manifests of written files name."""
    return _components(_manifests([file.path for file in files if file.kind not in UNCOMPARED]))


def _manifests(paths: Sequence[Path]) -> Iterator[Manifest]:
    for path in paths[:_MOST_MANIFESTS]:
        try:
            texts = carried_texts(path)
            manifest = None if texts is None else manifest_from_texts(texts)
        except (InvalidFile, OSError):
            continue  # of no form that is read, or gone
        if manifest is not None:
            yield manifest


def _components(manifests: Iterable[Manifest]) -> tuple[ManifestModel, ...]:
    components: list[ManifestModel] = []
    for manifest in manifests:
        components += (model for model in manifest.models if model not in components)
    return tuple(components)


def _content(document: Mapping[str, Any]) -> tuple[Any, Any]:
    return document.get("nodes"), document.get("subgraphs")


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
