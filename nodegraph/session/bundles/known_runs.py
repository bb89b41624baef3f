"""What is known of a run of a workflow: by its results' manifests, a record, or the run itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.declarations import to_versioned_dict
from nodegraph.core.manifest import Manifest, ManifestModel, manifest_from_texts
from nodegraph.errors import InvalidFile
from nodegraph.session.bundles.bundle import ExpectedNode, Surroundings
from nodegraph.session.bundles.surroundings import (
    nodes_of_manifest,
    nodes_of_record,
    nodes_of_result,
    surroundings_of,
    surroundings_of_manifest,
    surroundings_of_record,
)
from nodegraph.session.replay.recorded_files import recorded_models
from nodegraph.session.replay.verification import UNCOMPARED, carried_texts
from nodegraph.session.results.files import result_texts

if TYPE_CHECKING:
    from nodegraph.core.workflow import Workflow
    from nodegraph.engine.result import RunResult, WrittenFile
    from nodegraph.session.session import Session

_MOST_RECORDS = 200
"""Recorded runs that are searched for one of the workflow."""
_MOST_MANIFESTS = 8
"""Result files whose manifests are read: those of one run name the same models."""
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
    """

    nodes: Mapping[str, ExpectedNode] = field(default_factory=dict)
    surroundings: Surroundings = field(default_factory=Surroundings)
    results: Sequence[WrittenResult] = ()
    components: tuple[ManifestModel, ...] = ()
    model_files: Mapping[str, str] = field(default_factory=dict)


def run_of_result(
    session: Session, workflow: Workflow, result: RunResult, outputs: Path
) -> KnownRun:
    """What a run in this process gave.

    Args:
        outputs: Folder that it wrote to.
    """
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


def _components(manifests: Sequence[Manifest] | Iterator[Manifest]) -> tuple[ManifestModel, ...]:
    components: list[ManifestModel] = []
    for manifest in manifests:
        components += (model for model in manifest.models if model not in components)
    return tuple(components)


def _content(document: Mapping[str, Any]) -> tuple[Any, Any]:
    return document.get("nodes"), document.get("subgraphs")
