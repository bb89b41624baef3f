"""Packs of a bundle: what stands for each where it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.errors import InvalidFile, InvalidValue, PackError
from nodegraph.packs.installation.installed import PackFolder
from nodegraph.packs.installation.operations import PackOperations
from nodegraph.packs.installation.sources import (
    LARGEST_UNPACKED,
    MOST_FILES,
    check_links,
    iter_files,
)
from nodegraph.packs.pack import OWN_DISTRIBUTION, Pack
from nodegraph.session.bundles.bundle import BundleFile, BundlePack

if TYPE_CHECKING:
    from nodegraph.core.graph import CheckedGraph
    from nodegraph.packs.installation.index import PackIndexes
    from nodegraph.packs.installation.installed import InstalledPack
    from nodegraph.packs.registry import Registry
    from nodegraph.session.settings import Settings

_LICENSES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING", "LICENCE")
_LONGEST_LICENSE = 200


class PackCollector:
    """Finds the packs of node types, and what stands for each in a bundle.

    Args:
        registry: Of the session that checked the workflow.
    """

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._registry = registry
        self._folder = PackFolder(settings.data_folder.absolute() / "packs")
        self._installed = self._folder.read()

    def collect(
        self, node_types: Sequence[str], graph: CheckedGraph, sources: dict[str, Path]
    ) -> list[BundlePack]:
        """The packs by name.

        Args:
            graph: Whose nodes may name plugins of packs, such as samplers.
            sources: Gets the place of each file in the bundle.
        Raises:
            InvalidFile: A pack has a link that leads outside, or cannot be read.
            InvalidValue: A pack is too large.
        """
        packs = {
            pack.name or OWN_DISTRIBUTION: pack
            for node_type in node_types
            if self._registry.spec(node_type) is not None
            and (pack := self._registry.pack_of(node_type)) is not None
        }
        for name in self._plugin_packs(graph):
            packs |= {pack.name: pack for pack in self._registry.packs if pack.name == name}
        return [self._described(name, packs[name], sources) for name in sorted(packs)]

    def _plugin_packs(self, graph: CheckedGraph) -> Iterator[str]:
        from nodegraph.core.plugins import plugin_release

        for node in graph.nodes.values():
            for port, (group, names) in node.spec.plugin_ports.items():
                value = node.literals.get(port)
                for name in value if isinstance(value, (list, tuple)) else (value,):
                    if isinstance(name, str) and name in names:
                        yield plugin_release(group, name).partition(" ")[0]

    def _described(self, name: str, pack: Pack, sources: dict[str, Path]) -> BundlePack:
        if pack.distribution == OWN_DISTRIBUTION:
            return BundlePack(name, "own", pack.version)
        installed = self._installed.get(pack.distribution or name)
        if installed is not None:
            return self._installed_pack(installed, sources)
        if pack.distribution:
            license_ = _distribution_license(pack.distribution)
            return BundlePack(name, "package", pack.version, pack.distribution, license=license_)
        return _source_pack(name, pack.root, sources)

    def _installed_pack(self, pack: InstalledPack, sources: dict[str, Path]) -> BundlePack:
        version = pack.current
        if version.source.is_local:
            root = self._folder.project_folder(version)
            source = _source_pack(pack.name, root, sources)
            license_ = version.license or source.license
            return replace(source, version=version.version, license=license_, project=version.kind)
        lock = PackOperations(self._folder, cast("PackIndexes", None)).lock([pack.name])
        return BundlePack(
            pack.name, "installed", version.version, license=version.license, lock=lock
        )


def _source_pack(name: str, root: Path, sources: dict[str, Path]) -> BundlePack:
    """A pack whose files go into the bundle."""
    is_file = root.is_file()
    if not is_file:
        check_links(root)
    paths = [root] if is_file else [*_bounded(root)]
    files = []
    for path in paths:
        inner = path.name if is_file else path.relative_to(root).as_posix()
        try:
            file = BundleFile(inner, FILE_DIGESTS.digest(path), path.stat().st_size)
        except OSError as error:
            raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
        sources[f"packs/{name}/{inner}"] = path
        files.append(file)
    files.sort(key=lambda file: file.name)
    license_ = "" if is_file else _license_of(root)
    return BundlePack(
        name,
        "source",
        digest=digest_of_pack(files),
        license=license_,
        is_file=is_file,
        files=tuple(files),
    )


def _bounded(root: Path) -> Iterator[Path]:
    count = size = 0
    for path in iter_files(root):
        if path.suffix == ".pyc" or path.is_symlink():
            continue
        count += 1
        size += path.stat().st_size
        if count > MOST_FILES or size > LARGEST_UNPACKED:
            raise InvalidValue(
                f"the pack {root} is too large for a bundle",
                expected=f"at most {MOST_FILES:,} files of {LARGEST_UNPACKED >> 30} GiB",
            )
        yield path


def digest_of_pack(files: Sequence[BundleFile]) -> str:
    """Digest of the names and contents of a pack's files."""
    rows = sorted(f"{file.name} {file.digest}" for file in files)
    return digest_bytes("\n".join(rows).encode())


def digest_of_pack_at(root: Path) -> str:
    """Digest of a pack's files as they are; empty if they cannot be read, or are too many."""
    try:
        return _source_pack("", root, {}).digest
    except (InvalidFile, InvalidValue, OSError):
        return ""


def _license_of(root: Path) -> str:
    """The license of a pack, as its project states it, or the first line of its text."""
    from nodegraph.packs.installation.projects import ProjectReader

    try:
        stated = ProjectReader(root, root.name).read().license
    except (PackError, InvalidFile):
        stated = ""  # a plain folder of modules
    if stated:
        return stated[:_LONGEST_LICENSE]
    for name in _LICENSES:
        try:
            lines = (root / name).read_text("utf-8", "replace").splitlines()
        except OSError:
            continue  # it has none of this name
        return next((line.strip() for line in lines if line.strip()), "")[:_LONGEST_LICENSE]
    return ""


def _distribution_license(distribution: str) -> str:
    try:
        about: Any = metadata(distribution)
    except PackageNotFoundError:
        return ""
    stated = about.get("License-Expression") or about.get("License") or ""
    return str(stated).partition("\n")[0][:_LONGEST_LICENSE]
