"""Note in the store what result files were made from, by the manifests that they carry."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.manifest import Manifest, manifest_from_texts
from nodegraph.core.weight_files import HEADED, PICKLES, file_suffix
from nodegraph.errors import InvalidFile
from nodegraph.session.results.files import result_texts
from nodegraph.store.lineage import Lineage, LineageFile, LineageSource

_MANIFEST = "manifest"
"""Kind of a manifest that is written next to a result."""
_SIDECAR = ".json"
"""Ending of a manifest that stands in a file next to a result."""


@dataclass(slots=True)
class ScanCounts:
    """What came of a scan.

    Attributes:
        files: Files that were looked at.
        results: Files with a manifest, which are known now.
        damaged: Files that could not be read.
    """

    files: int = 0
    results: int = 0
    damaged: int = 0


def manifest_of_file(path: Path) -> Manifest | None:
    """The manifest of a result: in the file, or in a file next to it; None without one.

    Raises:
        InvalidFile: It is damaged.
        OSError: It cannot be read.
    """
    texts = result_texts(path)
    manifest = None if texts is None else manifest_from_texts(texts)
    if manifest is not None:
        return manifest
    sidecar = path.with_name(f"{path.name}{_SIDECAR}")
    if path.suffix == _SIDECAR or not sidecar.is_file():
        return None
    texts = result_texts(sidecar)
    return None if texts is None else manifest_from_texts(texts)


def index_result(
    lineage: Lineage, path: Path, *, kind: str = "", run: str = "", created: float | None = None
) -> Digest | None:
    """Note what a result file was made from.

    Args:
        kind: What it holds.
        run: Id of the run that wrote it.
        created: Unix time; that of the file's last change, if not given.
    Returns:
        The digest of its bytes; None if it has no manifest.
    Raises:
        InvalidFile: It is damaged.
        OSError: It cannot be read.
        sqlite3.Error: The index cannot be written.
    """
    manifest = manifest_of_file(path)
    if manifest is None:
        return None
    digest = FILE_DIGESTS.digest(path)
    file = LineageFile(
        digest,
        path.name,
        str(path.absolute()),
        kind,
        manifest.node,
        str((manifest.workflow or {}).get("title", "")),
        manifest.content,
        run,
        path.stat().st_mtime if created is None else created,
    )
    lineage.add(file, sources_of(manifest))
    return digest


def index_run(lineage: Lineage, files: Iterator[tuple[Path, str]], run: str) -> list[str]:
    """Note what the files of a run were made from.

    Args:
        files: Paths and kinds.
    Returns:
        Files that could not be read, each with the reason.
    Raises:
        sqlite3.Error: The index cannot be written.
    """
    now, problems = time.time(), []
    for path, kind in files:
        if kind == _MANIFEST:
            continue  # it stands next to a result, which has its lineage from it
        try:
            index_result(lineage, path, kind=kind, run=run, created=now)
        except (InvalidFile, OSError) as error:
            problems.append(f"the lineage of {path.name} is not known: {error}")
    return problems


def scan_folder(lineage: Lineage, folder: Path) -> ScanCounts:
    """Note what all result files below a folder were made from.

    Raises:
        InvalidFile: There is no such folder.
        sqlite3.Error: The index cannot be written.
    """
    if not folder.is_dir():
        raise InvalidFile(f"there is no folder {folder}")
    counts = ScanCounts()
    for root, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            path = Path(root) / name
            if name.startswith(".") or not path.is_file() or _is_beside_result(path):
                continue
            counts.files += 1
            try:
                counts.results += index_result(lineage, path) is not None
            except (InvalidFile, OSError):
                counts.damaged += 1
    return counts


def _is_beside_result(path: Path) -> bool:
    """Whether a file is the manifest of a result next to it."""
    return path.suffix == _SIDECAR and path.with_suffix("").is_file()


def sources_of(manifest: Manifest) -> Iterator[LineageSource]:
    """What a result was made from, as its manifest states it."""
    for each in manifest.inputs:
        yield LineageSource("input", each.digest, each.name)
    for model in manifest.models:
        for file in model.files:
            if file_suffix(Path(file.name)) in HEADED | PICKLES:
                yield LineageSource("model", file.digest, file.name, model.kind)
        for adapter in model.adapters:
            name = PurePosixPath(adapter.name).name or adapter.name
            yield LineageSource("adapter", adapter.digest, name, adapter.kind)
    for pack_name, pack in manifest.packs.items():
        yield LineageSource("pack", pack.digest, pack_name, pack.version)
    for port, seed in manifest.seeds.items():
        yield LineageSource("seed", str(seed), port)
