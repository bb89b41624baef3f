"""What a pack declares, read once by importing it and cached on disk by the pack's digest.

The manifest of a pack that is made of what other packages hold may tell of hundreds of node types:
its file has their specs a line each, below a line with all else, and only what is used is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nodegraph.core.digests import digest_bytes, sealed, unsealed
from nodegraph.core.files import write_file
from nodegraph.core.pack_faults import faults_in
from nodegraph.core.spec import NodeSpec, record, said
from nodegraph.core.types import TypeInfo
from nodegraph.errors import NodegraphError, OutputError, PackError
from nodegraph.packs.hanging import Hanging
from nodegraph.packs.listing import ListedType, SpecLines, written
from nodegraph.packs.loading import is_foreign, owner, roots
from nodegraph.packs.pack import Pack
from nodegraph.packs.snapshot import Snapshot, Stamp, stamp_of

if TYPE_CHECKING:
    # Only a pack that has changed is read, and that needs what reads signatures.
    from nodegraph.core.node import NodeDefinition
    from nodegraph.packs.source_files import SourceFiles

_MANY = 100
"""Of a pack with more node types most are seldom used: their specs are read one by one."""
FORMAT = 6
"""Raised when what is read from a pack, or how it is written, changes; part of the files' names."""


@dataclass(frozen=True)
class Manifest:
    """A pack's declarations.

    Attributes:
        stamp: Of the files when they were last seen.
        digest: Of their content.
        also: Files elsewhere that the pack's modules import; they count too.
        data: Digests of its files that are no code, by their place in it.
        made_of: Stamp of the packages that its node types are made of.
        specs: Node types, names with the pack's prefix; see `by_type`.
        listed: The node types whose specs are lines of the file.
        types: Port types of its own.
        problems: Modules that could not be imported, and functions that can't be nodes; the
            others still count.
    """

    stamp: str
    digest: str
    also: tuple[str, ...] = ()
    data: dict[str, str] = field(default_factory=dict)
    made_of: str = ""
    specs: tuple[NodeSpec, ...] = ()
    listed: tuple[ListedType, ...] = ()
    types: tuple[TypeInfo, ...] = ()
    problems: tuple[str, ...] = ()
    stored: SpecLines | None = field(default=None, compare=False)

    def by_type(self) -> Mapping[str, NodeSpec]:
        """The specs by node type."""
        return self.stored or {spec.type: spec for spec in self.specs}

    def as_file(self) -> bytes:
        """As it is written."""
        return sealed(self._head())

    def as_lines(self) -> bytes:
        """As it is written where it tells of many node types, and most are seldom used."""
        listed, lines = written(tuple(self.by_type().values()))
        return sealed(replace(self, specs=(), listed=listed)._head() + b"\n" + lines)

    def _head(self) -> bytes:
        try:
            return json.dumps(said(replace(self, stored=None))).encode()
        except TypeError as error:
            raise PackError(f"what a pack declares can't be kept: {error}") from error

    @classmethod
    def from_file(cls, data: bytes) -> Manifest:
        """The manifest in a file, of either kind.

        Raises:
            ValueError: It isn't one, or damaged.
        """
        head, _, lines = unsealed(data).partition(b"\n")
        found = cls(**{name: _read(name, value) for name, value in json.loads(head).items()})
        if not found.listed:
            return found
        return replace(found, stored=SpecLines(found.listed, lines))


def _read(name: str, value: Any) -> Any:
    """A field of a manifest, of what its file says."""
    if name == "specs":
        return tuple(map(NodeSpec.from_dict, value))
    if name == "listed":
        return tuple(record(ListedType, row, "tags") for row in value)
    if name == "types":
        return tuple(record(TypeInfo, info, "parents") for info in value)
    return tuple(value) if isinstance(value, list) else value


class ManifestCache:
    """Manifests on disk, one file a pack.

    Args:
        folder: Where they lie; None reads packs anew each time.
    """

    def __init__(self, folder: Path | None) -> None:
        self.hanging = Hanging(folder)
        self._folder = folder
        self._seen: dict[Path, tuple[Stamp, Manifest]] = {}
        self._own: dict[Pack, Manifest] = {}

    @cached_property
    def sources(self) -> SourceFiles:
        """Reads what the modules of packs import."""
        from nodegraph.packs.source_files import SourceFiles

        return SourceFiles(self._folder)

    def manifest(self, pack: Pack) -> Manifest:
        """What a pack declares, importing it only if its files changed."""
        snapshot = pack.snapshot()
        # Modules that others imported, perhaps before their files changed, aren't imported anew:
        # what they declare counts for this process alone.
        kept = self._own if is_foreign(snapshot) else None
        known = (kept and kept.get(pack)) or self.last(pack)
        if known is not None and is_worth(known, pack):
            stamp = snapshot.listing.text(known.also)
            if known.stamp == stamp and snapshot.listing.is_settled:
                snapshot.remember(known.data)
                return known
            if known.digest == _digest(snapshot, known.also):
                if known.stamp != stamp:
                    known = self._kept(pack, replace(known, stamp=stamp), kept)
                return known
        left_out = self.left_out(pack)
        if left_out is not None:
            return left_out
        with self.hanging.importing(pack, snapshot.listing.text()):
            found = read_pack(pack, self.sources)
        return self._kept(pack, found, kept)

    def left_out(self, pack: Pack) -> Manifest | None:
        """What stands for a pack that isn't to be imported as it hangs; None for others."""
        problem = self.hanging.problem(pack, pack.stamp)
        if problem is None:
            return None
        return Manifest(stamp="", digest="", specs=(), problems=(problem,))

    def _kept(self, pack: Pack, manifest: Manifest, own: dict[Pack, Manifest] | None) -> Manifest:
        if own is None:
            self._write(pack, manifest)
        else:
            own[pack] = manifest
        return manifest

    def _path(self, pack: Pack) -> Path | None:
        if self._folder is None:
            return None
        place = digest_bytes(str(pack.root).encode("utf-8", "surrogateescape"))[:16]
        return self._folder / f"{pack.package}-{_reader_version()}-{place}.json"

    def last(self, pack: Pack) -> Manifest | None:
        """What a pack declared when it was last read, by whatever process; imports nothing."""
        path = self._path(pack)
        if path is None:
            return None
        stamp = stamp_of(path)
        seen = self._seen.get(path)
        if seen is not None and seen[0] == stamp:
            return seen[1]
        try:
            found = Manifest.from_file(path.read_bytes())
        except (OSError, ValueError):
            return None  # missing, or written by another version: it is made anew
        # The stamp is older than what was read, and tells of any later change.
        if stamp is not None and stamp.is_settled:
            self._seen[path] = stamp, found
        return found

    def _write(self, pack: Pack, manifest: Manifest) -> None:
        path = self._path(pack)
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            has_many = bool(manifest.made_of) or len(manifest.by_type()) > _MANY
            data = manifest.as_lines() if has_many else manifest.as_file()
            write_file(path, data, durable=False)
        except (OSError, OutputError):
            return  # an unwritable cache costs time, not results


def is_worth(manifest: Manifest, pack: Pack) -> bool:
    """Whether a manifest counts as long as the pack's own files stay as they are."""
    # A module that failed to import may fail for reasons outside the pack: it is tried again. Of a
    # pack that is made of packages it is known what those reasons are.
    if not (manifest.made_of or pack.is_made):
        return not manifest.problems
    has_any = bool(manifest.by_type()) or not manifest.problems
    return has_any and manifest.made_of == pack.made_of()


@cache
def _reader_version() -> str:
    """Changes with the code that turns signatures into specs."""
    core = Path(__file__).parents[1] / "core"
    names = ("annotations.py", "hints.py", "node.py", "node_options.py", "spec.py", "types.py")
    stamps = [(core / name).stat() for name in names]
    text = " ".join(f"{status.st_size} {status.st_mtime_ns}" for status in stamps)
    return digest_bytes(f"{FORMAT} {text}".encode())[:12]


def _digest(snapshot: Snapshot, also: Sequence[str]) -> str:
    try:
        return snapshot.digest(also)
    except OSError:
        return ""  # a file is gone: that is a change


def read_pack(pack: Pack, sources: SourceFiles) -> Manifest:
    """Import a pack's modules and collect what they declare.

    Args:
        sources: Reads what its modules import.
    """

    found: dict[str, NodeDefinition] = {}
    twice: set[str] = set()
    problems = []
    snapshot = pack.snapshot()
    made_of = pack.made_of()
    for name in pack.modules():
        try:
            module = pack.import_module(name, snapshot)
        except PackError as error:
            problems.append(str(error))
            continue
        made, faults = _made_in(module)
        for fault in (*faults_in(module), *faults):
            problems.append(f"pack `{pack.name or pack.package}`: {fault}")
        for definition in (*definitions_in(module), *made):
            node_type = qualified(pack, definition.spec.type)
            if found.get(node_type) is definition:
                continue  # the same function under a second name
            if node_type in found:
                twice.add(node_type)
                problems.append(_told_twice(pack, found[node_type], definition))
            found[node_type] = definition
    # Which of them a workflow means can't be told.
    for node_type in twice:
        del found[node_type]
    specs = tuple(
        replace(definition.spec, type=node_type, pack=pack.name)
        for node_type, definition in found.items()
    )
    also = _code_elsewhere(pack, specs, sources)
    return Manifest(
        stamp=snapshot.listing.text(also),
        digest=_digest(snapshot, also),
        also=also,
        data=dict(snapshot.data),
        made_of=made_of,
        specs=specs,
        types=_types(found),
        problems=tuple(problems),
    )


def _told_twice(pack: Pack, first: NodeDefinition, second: NodeDefinition) -> str:
    places = [
        f"{Path(code.co_filename).name}, line {code.co_firstlineno}"
        for code in (first.function.__code__, second.function.__code__)
    ]
    return str(
        PackError(
            f"pack `{pack.name or pack.package}`: node type `{first.spec.type}` is declared in "
            f"{' and in '.join(places)}; neither is taken",
            hint="Rename one of them.",
        )
    )


def _code_elsewhere(pack: Pack, specs: Sequence[NodeSpec], sources: SourceFiles) -> tuple[str, ...]:
    """Files outside the pack that its modules import, such as a list of choices."""
    from nodegraph.packs.code import CodeDigests

    package, root = pack.code_root()
    code = CodeDigests({package: root, **roots()}, sources, owner)
    files = {path for module in {spec.module for spec in specs} for path in code.files(module)}
    sources.save()
    inside = pack.snapshot().listing.files
    return tuple(sorted(str(path) for path in files if str(path) not in inside))


def _types(found: dict[str, NodeDefinition]) -> tuple[TypeInfo, ...]:
    infos = [port.info for definition in found.values() for port in definition.ports]
    return tuple(dict.fromkeys(infos))


def definitions_in(module: ModuleType) -> Iterator[NodeDefinition]:
    """The node types that a module defines itself; imported ones belong elsewhere."""
    for value in list(vars(module).values()):
        definition = _definition(value, module)
        if definition is not None:
            yield definition


def definition_in(module: ModuleType, spec: NodeSpec) -> NodeDefinition | None:
    """The node type of a module that has this spec; None if it declares none of its name."""
    found = _definition(getattr(module, spec.qualname, None), module)
    own = spec.type.rpartition(":")[2]
    if found is not None and found.spec.type == own:
        return found
    return next((each for each in definitions_in(module) if each.spec.type == own), None)


def _definition(value: object, module: ModuleType) -> NodeDefinition | None:
    from nodegraph.core.node import NODE_ATTRIBUTE, NodeDefinition

    found = getattr(value, NODE_ATTRIBUTE, None)
    is_own = isinstance(found, NodeDefinition) and found.spec.module == module.__name__
    return found if is_own else None


def _made_in(module: ModuleType) -> tuple[list[NodeDefinition], list[str]]:
    """The node types that a module makes as they are asked for, and what is wrong with others.

    It has a function `__getattr__` that makes them, and `__dir__` that names them: see PEP 562.
    """
    found: list[NodeDefinition] = []
    faults: list[str] = []
    tell = vars(module).get("__dir__")
    for name in [] if tell is None else tell():
        if name in vars(module):
            continue
        try:
            definition = _definition(getattr(module, name), module)
        except Exception as error:  # noqa: BLE001 - the border with pack code: it may raise anything
            is_told = isinstance(error, NodegraphError)
            faults.append(str(error) if is_told else f"{name}: {type(error).__name__}: {error}")
            continue
        if definition is not None:
            found.append(definition)
    return found, faults


def qualified(pack: Pack, name: str) -> str:
    """A node type's name in workflows."""
    return f"{pack.name}:{name}" if pack.name else name
