"""Indexes of packs: JSON files at addresses or in folders, whose entries are pinned by digests.

No address is contacted unless the setting `pack_index` names one. What was read from an address is
kept below the home folder; checks of workflows only read that copy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from nodegraph.core.digests import digest_bytes
from nodegraph.core.files import make_folder, write_file
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue, PackError
from nodegraph.packs.installation.installed import PackFolder
from nodegraph.packs.installation.projects import Project, ProjectReader, pack_name
from nodegraph.packs.installation.sources import PackSource, fetch, parse_source, read_address
from nodegraph.packs.pack import PackKind
from nodegraph.packs.snapshot import stamp_of

FORMAT = "nodegraph-pack-index/1"
INDEX_FILE = "index.json"
_LARGEST = 64 << 20
_COPIES = "indexes"
_LONGEST_TEXT = 1000
_LONGEST_NAME = 100
_MOST_TEXTS = 5000
"""Needs or node types of one pack; the largest packs of ComfyUI have some hundreds."""


@dataclass(frozen=True)
class IndexEntry:
    """A version of a pack in an index.

    Attributes:
        source: With the commit or the digest that its files must have.
        requires: Its needs, for a listing; its own files count when it is installed.
        index: The index that it comes from, as the settings name it.
    """

    name: str
    version: str
    source: PackSource
    summary: str = ""
    kind: PackKind = "native"
    license: str = ""
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    node_types: tuple[str, ...] = ()
    index: str = ""

    def to_dict(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if value and name not in ("name", "index", "source")
        }
        source = replace(self.source, index="")
        return {"version": self.version, **document, "source": source.to_dict()}


def _version_key(entry: IndexEntry) -> Any:
    from packaging.version import InvalidVersion, Version

    try:
        return (1, Version(entry.version))
    except InvalidVersion:
        return (0, Version("0"))


@dataclass
class PackIndexes:
    """The indexes of the settings, the first one first.

    Args:
        addresses: Folders, files, or HTTP addresses of index files.
        folder: Keeps copies of those at addresses.
    """

    addresses: Sequence[str]
    folder: PackFolder
    _entries: dict[str, list[IndexEntry]] | None = field(default=None, init=False)
    _refused: dict[str, str] = field(default_factory=dict, init=False)
    """Why entries are left out, by name."""

    def refresh(self) -> None:
        """Read the indexes at addresses anew.

        Raises:
            PackError: One cannot be reached, or is none.
        """
        for address in filter(_is_remote, self.addresses):
            data = read_address(address, _LARGEST)
            _parse(data, address)
            make_folder(self.folder.root / _COPIES)
            write_file(self._copy(address), data)
        self._entries = None

    def _copy(self, address: str) -> Path:
        return self.folder.root / _COPIES / f"{digest_bytes(address.encode())[:24]}.json"

    def _file(self, address: str) -> Path:
        if _is_remote(address):
            return self._copy(address)
        path = Path(address).expanduser()
        return path / INDEX_FILE if path.is_dir() else path

    def stamps(self) -> list[Any]:
        """Changes when one of the files does; cheap."""
        return [stamp_of(self._file(address)) for address in self.addresses]

    def entries(self) -> Mapping[str, list[IndexEntry]]:
        """Entries by name, the newest version first. Of one name the first index counts.

        Raises:
            PackError: A file cannot be read.
        """
        if self._entries is None:
            known: dict[str, list[IndexEntry]] = {}
            for address in self.addresses:
                file = self._file(address)
                if _is_remote(address) and not file.is_file():
                    continue  # not asked yet; `pack search` and `pack add` do
                own: dict[str, list[IndexEntry]] = {}
                entries, refused = _parse(read_address(str(file), _LARGEST), address)
                self._refused |= refused
                for entry in entries:
                    own.setdefault(entry.name, []).append(entry)
                for name, rows in own.items():
                    known.setdefault(name, sorted(rows, key=_version_key, reverse=True))
            self._entries = known
        return self._entries

    def find(self, name: str, version: str = "") -> IndexEntry:
        """The newest version of a pack, or the one that is wanted.

        Args:
            version: A specifier such as ``>=1.2``; empty for any.
        Raises:
            InvalidValue: No index lists it.
            InvalidFile: Its entries are not pinned, or name what an index may not name.
        """
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        known = self.entries()
        if name not in known and name in self._refused:
            raise InvalidFile(f"the index has an entry that is refused: {self._refused[name]}")
        if name not in known:
            where = "" if self.addresses else " Set `pack_index` to the address of an index."
            hint = did_you_mean(name, known)
            raise InvalidValue(
                f"no index lists a pack `{name}`",
                hint=f"{hint} To take a package of pip's index, give its version: "
                f"`nodegraph pack add '{name}==1.0'`.{where}".strip(),
            )
        try:
            wanted = SpecifierSet("" if version == "*" else version)
        except InvalidSpecifier as error:
            raise InvalidValue("this is not a version", given=version) from error
        for entry in known[name]:
            kind, parsed = _version_key(entry)
            if not version or (kind and wanted.contains(parsed, prereleases=True)):
                return entry
        raise InvalidValue(
            f"no index has this version of `{name}`",
            given=version,
            expected=", ".join(entry.version for entry in known[name]),
        )

    def search(self, text: str) -> list[IndexEntry]:
        """Newest versions of packs whose name, summary or node types contain all words."""
        words = text.casefold().split()
        return [
            entries[0]
            for name, entries in sorted(self.entries().items())
            if all(
                word in f"{name} {entries[0].summary} {' '.join(entries[0].node_types)}".casefold()
                for word in words
            )
        ]


def _is_remote(address: str) -> bool:
    return address.startswith(("https://", "http://"))


def _parse(data: bytes, address: str) -> tuple[list[IndexEntry], dict[str, str]]:
    """The entries of an index, and why others are left out, by name.

    Raises:
        InvalidFile: It is no index.
    """
    entries, refused = [], {}
    try:
        document: Any = json.loads(data)
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}")
        rows = [(str(n), row) for n, pack in document["packs"].items() for row in pack["versions"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidFile(
            f"{address} is not an index of packs: {error}", expected=f'"format": "{FORMAT}"'
        ) from error
    for name, row in rows:
        try:
            entries.append(_entry(name, row, address))
        except (ValueError, TypeError, KeyError, InvalidFile, InvalidValue) as error:
            refused[name] = plain_text(f"`{name}`: {error}")
    return entries, refused


def plain_text(text: Any) -> str:
    """A text of an index on one line, for terminals and answers in UTF-8.

    Control characters, such as those that begin a terminal's commands, and halves of surrogate
    pairs become spaces. The end of a long text is left out.
    """
    shown = str(text)[:_LONGEST_TEXT]
    return "".join(each if each.isprintable() else " " for each in shown).strip()


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(plain_text(each) for each in row.get(key, ())[:_MOST_TEXTS])


def _entry(name: str, row: Mapping[str, Any], address: str) -> IndexEntry:
    if name != pack_name(name) or len(name) > _LONGEST_NAME:
        raise ValueError("a pack cannot have this name")
    source = PackSource.from_dict({**row["source"], "index": address, "listed": ""})
    if source.kind not in ("git", "wheel", "copy"):
        raise ValueError(f"its source has the kind {source.kind}")
    if not (source.commit if source.kind == "git" else source.digest):
        raise ValueError(f"version {row['version']} is not pinned by a commit or digest")
    if source.kind == "git":
        checked = parse_source(source.address)
        is_local = source.address.startswith("file://") and _is_remote(address)
        if checked is None or checked.kind != "git" or is_local:
            raise ValueError("git must not get its address")
    else:
        source = replace(source, address=_resolved(source, address))
    return IndexEntry(
        name,
        plain_text(row["version"]),
        source,
        plain_text(row.get("summary", "")),
        "comfyui" if row.get("kind") == "comfyui" else "native",
        plain_text(row.get("license", "")),
        _texts(row, "requires"),
        plain_text(row.get("requires_python", "")),
        _texts(row, "node_types"),
        address,
    )


def _resolved(source: PackSource, address: str) -> str:
    """Address of a wheel or folder, which an index may name relative to itself."""
    if _is_remote(address):
        target = urljoin(address, source.address)
        if source.kind == "copy" or not _is_remote(target):
            raise ValueError(f"an index at an address names a local path, {source.address}")
        return target
    if _is_remote(source.address):
        return source.address
    base = Path(address).expanduser()
    base = base if base.is_dir() else base.parent
    return os.path.normpath(base / source.address)


# Publishing


def write_index(
    folder: Path, git: Sequence[str] = (), report: Callable[[str], None] = lambda line: None
) -> Path:
    """Write the index of a folder: its wheels, its packs in sub-folders, and git repositories.

    Git entries that stand in the index stay in it.

    Args:
        git: Addresses with revisions to add; each is pinned to the commit that it has now.
        report: Receives a line for each entry, and for what is no pack.
    Returns:
        The file.
    Raises:
        PackError: A repository cannot be cloned or has no node types.
    """
    entries = []
    for path in sorted(folder.iterdir()):
        is_project = path.is_dir() and not path.name.startswith((".", "_"))
        if path.suffix != ".whl" and not is_project:
            continue
        source = PackSource("wheel" if path.suffix == ".whl" else "copy", str(path))
        try:
            entries.append(_index_entry(source, path.name))
        except (PackError, InvalidFile) as error:
            report(f"left out: {path.name}: {error}")
    for text in git:
        git_source = parse_source(text)
        if git_source is None or git_source.kind != "git":
            raise InvalidValue("this is not an address of a git repository", given=text)
        entries.append(_index_entry(git_source, ""))
    file = folder / INDEX_FILE
    known = {(entry.name, entry.version) for entry in entries}
    if file.is_file():
        kept, _ = _parse(file.read_bytes(), str(folder))
        entries += [
            each
            for each in kept
            if each.source.kind == "git" and (each.name, each.version) not in known
        ]
    packs: dict[str, Any] = {}
    for entry in sorted(entries, key=lambda each: (each.name, _version_key(each))):
        report(f"{entry.name} {entry.version or '(no version)'}: {entry.source}")
        packs.setdefault(entry.name, {"versions": []})["versions"].append(entry.to_dict())
    write_file(file, json.dumps({"format": FORMAT, "packs": packs}, indent=1).encode())
    return file


def _index_entry(source: PackSource, inner: str) -> IndexEntry:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="nodegraph-index-") as temporary:
        name = source.base_name
        root, pinned = fetch(source, Path(temporary) / name)
        project: Project = ProjectReader(root, name).read()
    if pinned.kind != "git":
        pinned = replace(pinned, address=inner)
    return IndexEntry(
        project.name,
        project.version,
        pinned,
        project.summary,
        project.kind,
        project.license,
        project.requires,
        project.requires_python,
        project.node_types,
    )


# Hints


@dataclass
class PackCommands:
    """Finds the command that brings a pack or a node type which a workflow lacks.

    It reads the copies of indexes and the list of installed packs, and contacts no address.
    """

    indexes: PackIndexes

    def pack_command(self, name: str, wanted: str = "") -> str | None:
        """The command that brings a pack.

        Args:
            wanted: Versions that suit, such as ``>=1.2``.
        """
        try:
            installed = self.indexes.folder.read().get(name)
            if installed is not None and not installed.enabled:
                return f"nodegraph pack enable {name}"
            entry = self.indexes.find(name, wanted)
        except (PackError, InvalidValue, InvalidFile):
            return None
        verb = "update" if installed is not None else "add"
        return f"nodegraph pack {verb} {entry.name}"

    def type_command(self, node_type: str) -> str | None:
        """The command that brings a node type: of its prefix, or of a pack that lists its name."""
        prefix, colon, _ = node_type.rpartition(":")
        if colon:
            return self.pack_command(prefix)
        try:
            entries = self.indexes.entries()
        except (PackError, InvalidFile):
            return None
        name = next((name for name, rows in entries.items() if node_type in rows[0].node_types), "")
        return self.pack_command(name) if name else None
