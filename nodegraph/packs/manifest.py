"""Manifests: what a pack declares, cached on disk, and its node types as list rows.

A pack made from other packages may declare hundreds of node types, of which a workflow uses a few.
So its file has one spec per line, below a first line with everything else, and only the specs that
are used are parsed. Lists need only the rows.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.catalog import OtherNames
from nodegraph.core.digests import digest_bytes, with_checksum, without_checksum
from nodegraph.core.files import write_file
from nodegraph.core.plugins import DeclaredPlugin
from nodegraph.core.spec import NodeSpec, from_document, to_document
from nodegraph.core.types import TypeInfo
from nodegraph.core.version import VERSION
from nodegraph.errors import OutputError, PackError
from nodegraph.packs.import_timeouts import ImportOverdue, ImportTimeouts
from nodegraph.packs.importer import is_foreign
from nodegraph.packs.pack import Pack, PackKind, points_stamp
from nodegraph.packs.snapshot import Snapshot, Stamp, stamp_of

if TYPE_CHECKING:
    from nodegraph.core.hints import Panel
    from nodegraph.packs.pack_host import PackHost
    from nodegraph.packs.source_files import SourceFiles

_WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class ListedType:
    """What a list shows of a node type.

    Attributes:
        start, end: Where its spec lies in the lines of the manifest; both 0 elsewhere.
    """

    type: str
    pack: str = ""
    label: str = ""
    category: str = ""
    summary: str = ""
    deprecated: str = ""
    experimental: bool = False
    tags: tuple[str, ...] = ()
    start: int = 0
    end: int = 0


def is_in_category(row: ListedType, category: str) -> bool:
    """Whether a node type is in a category or in one below it."""
    wanted = category.strip("/").casefold()
    return f"{row.category.casefold()}/".startswith(f"{wanted}/")


def search_types(
    rows: Sequence[ListedType], search: str, other_names: OtherNames
) -> list[ListedType]:
    """Node types that match a search, in the order of `rows`.

    A list shows each word of the search for them. If there are none, they are what another program
    has under that name.
    """
    matches = [row for row in rows if _has_words(row, search.casefold().split())]
    # Other tools name their nodes as one word of several: StringConcatenate.
    apart = _WORD_END.sub(" ", search).casefold().split()
    matches = matches or [row for row in rows if _has_words(row, apart)]
    if matches:
        return matches
    folded = search.casefold().strip()
    here = {
        native
        for names in other_names.values()
        for name, natives in names.items()
        if name.casefold() == folded and not isinstance(natives, str)
        for native in natives
    }
    return [row for row in rows if row.type in here]


def _has_words(row: ListedType, words: Sequence[str]) -> bool:
    places = [row.type, row.label, row.category, row.summary, *row.tags]
    return all(any(word in text.casefold() for text in places) for word in words)


def listed_type(spec: NodeSpec) -> ListedType:
    """What a list shows of a node type whose spec is known."""
    return ListedType(
        type=spec.type,
        pack=spec.pack,
        label=spec.label,
        category=spec.category,
        summary=spec.summary,
        deprecated=spec.deprecated,
        experimental=spec.experimental,
        tags=spec.tags,
    )


def encode_specs(specs: Sequence[NodeSpec]) -> tuple[tuple[ListedType, ...], bytes]:
    """Specs as lines, and where each of them lies there."""
    rows, lines, start = [], [], 0
    for spec in specs:
        lines.append(json.dumps(to_document(spec)).encode() + b"\n")
        end = start + len(lines[-1])
        rows.append(replace(listed_type(spec), start=start, end=end))
        start = end
    return tuple(rows), b"".join(lines)


class SpecLines(Mapping[str, NodeSpec]):
    """Specs by node type, each read when it is first asked for; then it stays the same object.

    Args:
        rows, lines: As `written` gave them.
    """

    def __init__(self, rows: Sequence[ListedType], lines: bytes) -> None:
        self._rows = {row.type: row for row in rows}
        self._lines = lines
        self._read: dict[str, NodeSpec] = {}

    def __getitem__(self, node_type: str) -> NodeSpec:
        known = self._read.get(node_type)
        if known is None:
            row = self._rows[node_type]
            spec = NodeSpec.from_dict(json.loads(self._lines[row.start : row.end]))
            known = self._read.setdefault(node_type, spec)
        return known

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def containing(self, text: bytes) -> list[NodeSpec]:
        """The specs whose lines contain a text; reads no other ones."""
        rows = self._rows.values()
        return [self[row.type] for row in rows if text in self._lines[row.start : row.end]]

    @property
    def rows(self) -> Sequence[ListedType]:
        """What a list shows of them; reads none."""
        return tuple(self._rows.values())


_MANY = 100
"""Of a pack with more node types most are seldom used: their specs are read one by one."""
FORMAT = 10
"""Raised when what is read from a pack, or how it is written, changes; part of the files' names."""
_READ: dict[tuple[str, Path], PackManifest] = {}
"""What was last read in this process, by package and place: a new home folder begins with it."""
_LAST_READ: dict[Path, tuple[Stamp, PackManifest]] = {}
"""What was last read from disk in this process, by file: a session that is opened anew reads little
again, and a server that takes up an edit nothing of other packs."""
_MOST_READ = 4096
_READ_HERE: dict[Pack, PackManifest] = {}
"""The same of packs that others had imported: it counts for this process alone, for each home."""


@dataclass(frozen=True)
class PackManifest:
    """A pack's declarations.

    Attributes:
        stamp: Of the files when they were last seen.
        digest: Of their content.
        also: Files elsewhere that the pack's modules import; they count too.
        data: Digests of its files that are no code, by their place in it.
        made_of: Stamp of the packages that its node types are made of.
        points: Stamps of the entry points that bring choices of its inputs, by group.
        specs: Node types, names with the pack's prefix; see `by_type`.
        listed: The node types whose specs are lines of the file.
        types: Port types of its own.
        panels: What it adds to the editor.
        plugins: What it adds to the choices of inputs, such as samplers.
        problems: Modules that could not be imported, and functions that can't be nodes; the
            others still count.
    """

    stamp: str
    digest: str
    also: tuple[str, ...] = ()
    data: dict[str, str] = field(default_factory=dict)
    made_of: str = ""
    points: dict[str, str] = field(default_factory=dict)
    specs: tuple[NodeSpec, ...] = ()
    listed: tuple[ListedType, ...] = ()
    types: tuple[TypeInfo, ...] = ()
    panels: tuple[Panel, ...] = ()
    plugins: tuple[DeclaredPlugin, ...] = ()
    problems: tuple[str, ...] = ()
    stored: SpecLines | None = field(default=None, compare=False)

    def by_type(self) -> Mapping[str, NodeSpec]:
        """The specs by node type."""
        return self.stored or {spec.type: spec for spec in self.specs}

    def as_file(self) -> bytes:
        """As it is written."""
        return with_checksum(self._head())

    def as_lines(self) -> bytes:
        """As it is written where it tells of many node types, and most are seldom used."""
        listed, lines = encode_specs(tuple(self.by_type().values()))
        return with_checksum(replace(self, specs=(), listed=listed)._head() + b"\n" + lines)

    def _head(self) -> bytes:
        try:
            return json.dumps(to_document(replace(self, stored=None))).encode()
        except TypeError as error:
            raise PackError(f"the declarations of a pack cannot be stored: {error}") from error

    @classmethod
    def from_file(cls, data: bytes) -> PackManifest:
        """The manifest in a file, of either kind.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: It isn't one, or damaged.
        """
        head, _, lines = without_checksum(data).partition(b"\n")
        manifest = cls(**{name: _read(name, value) for name, value in json.loads(head).items()})
        if not manifest.listed:
            return manifest
        return replace(manifest, stored=SpecLines(manifest.listed, lines))


def _read(name: str, value: Any) -> Any:
    """A field of a manifest, of what its file says."""
    if name == "specs":
        return tuple(map(NodeSpec.from_dict, value))
    if name == "listed":
        return tuple(from_document(ListedType, row, "tags") for row in value)
    if name == "types":
        return tuple(from_document(TypeInfo, info, "parents") for info in value)
    if name == "panels" and value:
        from nodegraph.core.hints import Panel  # hardly any pack has one

        return tuple(Panel(**panel) for panel in value)
    if name == "plugins":
        return tuple(DeclaredPlugin(**plugin) for plugin in value)
    return tuple(value) if isinstance(value, list) else value


class ManifestCache:
    """Manifests on disk, one file a pack.

    Args:
        folder: Where they lie; None reads packs anew each time.
        host: Returns what runs the code of isolated packs. Called when there is one.
        import_seconds: Seconds that their import may take there.
    """

    def __init__(
        self,
        folder: Path | None,
        host: Callable[[], PackHost] | None = None,
        import_seconds: float = math.inf,
    ) -> None:
        self._host = host
        self.import_timeouts = ImportTimeouts(folder, import_seconds)
        self._folder = folder
        self._own = _READ_HERE if folder is not None else {}

    @cached_property
    def sources(self) -> SourceFiles:
        """Reads what the modules of packs import."""
        from nodegraph.packs.source_files import source_files

        return source_files(self._folder)

    def manifest(self, pack: Pack) -> PackManifest:
        """What a pack declares, importing it only if its files changed."""
        snapshot = pack.snapshot()
        # Modules that others imported, perhaps before their files changed, aren't imported anew:
        # what they declare counts for this process alone.
        kept = self._own if is_foreign(snapshot) else None
        there = (kept and kept.get(pack)) or self.last(pack)
        known = there or self._read_before(pack)
        if known is not None and self.is_valid(known, pack):
            stamp = snapshot.listing.text(known.also)
            is_same = known.stamp == stamp and snapshot.listing.is_settled
            if is_same:
                snapshot.remember(known.data)
            if is_same or known.digest == _digest(snapshot, known.also):
                if there is None or known.stamp != stamp:
                    known = self._kept(pack, replace(known, stamp=stamp), kept)
                return known
        left_out = self.left_out(pack)
        if left_out is not None:
            return left_out
        with self.import_timeouts.importing(pack, pack.import_stamp()):
            try:
                new_manifest = self._read(pack)
            except ImportOverdue as error:
                self.import_timeouts.give_up(pack, error)
                raise
        return self._kept(pack, new_manifest, kept)

    def _read(self, pack: Pack) -> PackManifest:
        from nodegraph.packs.declarations import external_files, read_pack  # see `sources`

        snapshot, made_of = pack.snapshot(), pack.made_of()
        if pack.isolation is not None:
            declarations, also = self.host_of(pack).declarations(pack, snapshot)
            return PackManifest(
                stamp=snapshot.listing.text(also),
                digest=_digest(snapshot, also),
                also=also,
                data=dict(snapshot.data),
                made_of=made_of,
                **declarations._asdict(),
            )
        declarations = read_pack(pack, snapshot)
        declaring = {spec.module for spec in declarations.specs}
        declaring |= {plugin.module for plugin in declarations.plugins}
        also = external_files(pack, snapshot, declaring, self.sources)
        return PackManifest(
            stamp=snapshot.listing.text(also),
            digest=_digest(snapshot, also),
            also=also,
            data=dict(snapshot.data),
            made_of=made_of,
            points=self._points(_point_groups(declarations.specs)),
            **declarations._asdict(),
        )

    def host_of(self, pack: Pack) -> PackHost:
        """The host of an isolated pack.

        Raises:
            PackError: There is none here.
        """
        if self._host is None:
            raise PackError(
                f"pack `{pack.name}` has an environment of its own, and nothing runs it here",
                hint="Open a session: it starts the process of the pack.",
            )
        return self._host()

    def is_valid(self, manifest: PackManifest, pack: Pack) -> bool:
        """Whether a manifest counts as long as the pack's own files stay as they are."""
        if manifest.points != self._points(manifest.points):
            return False
        # A module that failed to import may fail for reasons outside the pack: it is tried again.
        # Of a pack that is made of packages it is known what those reasons are.
        if not (manifest.made_of or pack.is_generated or pack.isolation):
            return not manifest.problems
        has_any = bool(manifest.by_type() or manifest.plugins) or not manifest.problems
        return has_any and manifest.made_of == pack.made_of()

    def _points(self, groups: Iterable[str]) -> dict[str, str]:
        file = None if self._folder is None else self._folder / "entry-points.json"
        return {group: points_stamp(group, file) for group in groups}

    def left_out(self, pack: Pack) -> PackManifest | None:
        """What stands for a pack that isn't to be imported as it hangs; None for others."""
        problem = self.import_timeouts.problem(pack)
        if problem is None:
            return None
        return PackManifest(stamp="", digest="", specs=(), problems=(problem,))

    def _read_before(self, pack: Pack) -> PackManifest | None:
        return _READ.get((pack.package, pack.root)) if self._folder is not None else None

    def _kept(
        self, pack: Pack, manifest: PackManifest, own: dict[Pack, PackManifest] | None
    ) -> PackManifest:
        if own is not None:
            own[pack] = manifest
            return manifest
        if self._folder is not None and (manifest.made_of or len(manifest.by_type()) > _MANY):
            data = manifest.as_lines()
            # Most of them are never asked for, and as lines they take a tenth of the memory.
            manifest = PackManifest.from_file(data)
        else:
            data = manifest.as_file()
        _READ[pack.package, pack.root] = manifest
        self._write(pack, data)
        return manifest

    def _path(self, pack: Pack) -> Path | None:
        if self._folder is None:
            return None
        root_digest = digest_bytes(str(pack.root).encode("utf-8", "surrogateescape"))[:16]
        kind = "native" if pack.isolation is None else pack.isolation.kind
        return self._folder / f"{pack.package}-{reader_version(kind)}-{root_digest}.json"

    def last(self, pack: Pack) -> PackManifest | None:
        """What a pack declared when it was last read, by whatever process; imports nothing."""
        path = self._path(pack)
        if path is None:
            return None
        stamp = stamp_of(path)
        remembered = _LAST_READ.get(path)
        if remembered is not None and remembered[0] == stamp:
            return remembered[1]
        # The stamp is older than what is read, and tells of any later change.
        is_settled = stamp is not None and stamp.is_settled
        try:
            manifest = PackManifest.from_file(path.read_bytes())
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # missing, or written by another version: it is made anew
        if stamp is not None and is_settled:
            if len(_LAST_READ) >= _MOST_READ:
                _LAST_READ.clear()
            _LAST_READ[path] = stamp, manifest
        return manifest

    def _write(self, pack: Pack, data: bytes) -> None:
        path = self._path(pack)
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, data, durable=False)
        except (OSError, OutputError):
            return  # an unwritable cache costs time, not results


def _point_groups(specs: Sequence[NodeSpec]) -> list[str]:
    """The groups of entry points that bring choices of inputs; see `Choices`."""
    schemas = [port.json_schema or {} for spec in specs for port in spec.inputs]
    schemas += [schema["items"] for schema in schemas if isinstance(schema.get("items"), dict)]
    return sorted({schema["entryPoints"] for schema in schemas if "entryPoints" in schema})


_READERS: Mapping[str, str] = {"comfyui": "interop/comfyui/packs"}
"""Folder below nodegraph with the code that reads a kind of pack, in addition to `core`."""


@cache
def reader_version(kind: PackKind, code: Path = Path(__file__).parents[1]) -> str:
    """Changes with the code that turns the declarations of a kind of pack into specs.

    Args:
        code: Folder of nodegraph.
    """
    names = ("annotations.py", "hints.py", "node.py", "spec.py", "types.py")
    files = [code / "core" / name for name in names]
    if kind in _READERS:
        files += sorted((code / _READERS[kind]).rglob("*.py"))
    stamps = [file.stat() for file in files]
    text = " ".join(f"{status.st_size} {status.st_mtime_ns}" for status in stamps)
    return digest_bytes(f"{FORMAT} {VERSION} {text}".encode())[:12]


def _digest(snapshot: Snapshot, also: Sequence[str]) -> str:
    try:
        return snapshot.digest(also)
    except OSError:
        return ""  # a file is gone: that is a change
