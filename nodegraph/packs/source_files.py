"""Parse a module's imports and environment variables, cached between processes.

Without the cache, parsing all modules behind a pack would take noticeable time in a run that finds
all results in the cache.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgpack

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.files import Import, imports_of, parse_source, write_file
from nodegraph.errors import OutputError
from nodegraph.packs.snapshot import Stamp, stamp_of

EVERYTHING = "*"
"""As an import's module: it can't be told which one, so it may be any of the pack."""

_IMPORTERS = ("import_module", "__import__")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
"""As variables of the environment are called."""
_NODE_TYPE = re.compile(r"[\w-]+(:\w+)?")
_MOST_KNOWN = 4096
_KNOWN: dict[tuple[Digest, str], ModuleSource] = {}
"""What was parsed in this process, for all its sessions: a text says the same each time."""


def parse_module(data: bytes, package: str) -> ModuleSource:
    """What a source says.

    Args:
        package: Dotted name that relative imports start from.
    Raises:
        SyntaxError, ValueError: It is no Python.
    """
    key = digest_bytes(data), package
    known = _KNOWN.get(key)
    if known is None:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        known = _KNOWN[key] = _parsed(data, package)
    return known


def cached_module(digest: Digest, package: str) -> ModuleSource | None:
    """What a source of this digest says, if it was parsed in this process before."""
    return _KNOWN.get((digest, package))


def _parsed(data: bytes, package: str) -> ModuleSource:
    items = parse_source(data)
    imports = tuple(dict.fromkeys(_imports(_only(items, *_IMPORTING), package)))
    bound = frozenset(item.bound for item in imports)
    texts = frozenset(_texts(items) if _gives_graph(items, package) else ())
    made = bound.intersection(_made(_only(items, ast.Name, *_DEFINING)))
    used = bound.intersection(_used(_only(items, ast.Name, ast.Call)))
    variables = frozenset(_variables(items, package))
    return ModuleSource(digest_bytes(data), imports, made, used, variables, texts)


_IMPORTING = (ast.Import, ast.ImportFrom, ast.Call)
_DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _only(items: Sequence[ast.AST], *kinds: type[ast.AST]) -> list[ast.AST]:
    """The nodes of some kinds: what asks each node for more would take most of the time."""
    wanted = frozenset(kinds)
    return [item for item in items if type(item) in wanted]


def _imports(items: Sequence[ast.AST], package: str) -> Iterator[Import]:
    for item in items:
        for each in imports_of(item) or _imported(item):
            yield Import(_absolute(each.module, package), each.name, each.bound)


def _imported(item: ast.AST) -> Iterator[Import]:
    """What ``importlib.import_module(...)`` imports; nothing of any other node."""
    if isinstance(item, ast.Call) and _name(item.func) in _IMPORTERS:
        name = item.args[0] if item.args else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            # Bound to a name that is always used, as the call itself uses it.
            yield Import(name.value, "", _name(item.func))
        else:
            yield Import(EVERYTHING, "", EVERYTHING)


def _made(items: Sequence[ast.AST]) -> Iterator[str]:
    for item in items:
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            yield item.id
        elif isinstance(item, _DEFINING):
            yield item.name


def _used(items: Sequence[ast.AST]) -> Iterator[str]:
    for item in items:
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load):
            yield item.id
        elif isinstance(item, ast.Call) and _name(item.func) in _IMPORTERS:
            yield _name(item.func)
            yield EVERYTHING


def _variables(items: Sequence[ast.AST], package: str) -> Iterator[str]:
    """Environment variables that are read by a name that stands there, wherever in the module."""
    is_elsewhere = False
    for item in _only(items, ast.Subscript, ast.Call):
        key: ast.expr | None = None
        if isinstance(item, ast.Subscript) and _name(item.value) == "environ":
            key = item.slice
        elif isinstance(item, ast.Call) and item.args:
            function = item.func
            holder = function.value if isinstance(function, ast.Attribute) else function
            is_get = _name(function) == "get" and _name(holder) == "environ"
            if is_get or _name(function) == "getenv":
                key = item.args[0]
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value
        elif key is not None and not (
            isinstance(item, ast.Subscript) and isinstance(item.ctx, ast.Store)
        ):
            is_elsewhere = True  # such as in a constant of the module
    if is_elsewhere and package.partition(".")[0] != "nodegraph":  # which sets some itself
        texts = (item.value for item in items if isinstance(item, ast.Constant))
        yield from (text for text in texts if isinstance(text, str) and _VARIABLE.fullmatch(text))


def _gives_graph(items: Sequence[ast.AST], package: str) -> bool:
    """Whether the code may add nodes to a run; what nodegraph itself adds is in a workflow."""
    return package.partition(".")[0] != "nodegraph" and any(
        (isinstance(item, (ast.Name, ast.Attribute)) and _name(item) == "Expand")
        or (isinstance(item, ast.alias) and item.name == "Expand")  # under another name
        for item in items
    )


def _texts(items: Sequence[ast.AST]) -> Iterator[str]:
    """What may name a node type."""
    texts = (item.value for item in items if isinstance(item, ast.Constant))
    return (text for text in texts if isinstance(text, str) and _NODE_TYPE.fullmatch(text))


def _name(item: ast.expr) -> str:
    """The last part of a dotted name."""
    if isinstance(item, ast.Attribute):
        return item.attr
    return item.id if isinstance(item, ast.Name) else ""


def _absolute(module: str, package: str) -> str:
    inner = module.lstrip(".")
    level = len(module) - len(inner)
    if not level:
        return module
    parts = package.split(".")
    base = parts[: len(parts) - level + 1]
    return ".".join([*base, *([inner] if inner else [])])


FORMAT = 6
"""Raised when what is read from a source file, or how it is written down, changes."""

_CHECKSUM = 64
_ANY = Stamp(-1, 0, 0, 0)
"""Of no file: what is remembered counts by its digest alone."""


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module's text.

    Attributes:
        rebound: Those of the names it imports that it also binds in other ways, at whatever level.
        used: Those of the names it imports that it reads itself.
        variables: Environment variables that it reads by a name that stands in it.
        texts: Of a module that uses `Expand`: those that may name node types.
    """

    digest: Digest
    imports: tuple[Import, ...]
    rebound: frozenset[str]
    used: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CodeDigest:
    """A digest of code, and what it was made of: as long as that is the same, it holds.

    Attributes:
        stamps: Of its files, and of the folders where a file could come between; None of what isn't
            there.
        variables: Of the environment, by name.
    """

    digest: Digest
    stamps: Mapping[str, Stamp | None]
    variables: Mapping[str, str | None]


_Key = tuple[str, str]
"""Path, and the package that relative imports start from."""
_Known = tuple[Stamp, ModuleSource]


@dataclass(frozen=True, slots=True)
class _Stored:
    """What lies in the file, little of which a process asks for, and what is to be added.

    Attributes:
        rows: As they are written; see `_as_row`.
    """

    rows: dict[_Key, Sequence[Any]] = field(default_factory=dict)
    stamps: Sequence[tuple[str, Stamp | None]] = ()
    digests: Mapping[str, list[Any]] = field(default_factory=dict)

    def digest(self, code: str) -> CodeDigest:
        _, digest, places, variables = self.digests[code]
        return CodeDigest(digest, dict(self.stamps[at] for at in places), variables)


class SourceFiles:
    """Reads source files that it doesn't remember from an earlier process.

    Args:
        folder: Where it remembers; None reads each file anew. A folder that can't be written and
            a file there that is damaged cost time, not results.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / _file_name() if folder is not None else None
        self._known: dict[_Key, _Known] = {}
        """New, or made of a row: a session asks for few of those that are remembered."""
        self._digests: dict[str, CodeDigest] = {}
        self._has_news = False

    def digest(self, code: str) -> CodeDigest | None:
        """What was remembered last, which may not hold any more.

        Args:
            code: Names it.
        """
        known = self._digests.get(code)
        if known is None and code in self._stored.digests:
            known = self._digests[code] = self._stored.digest(code)
        return known

    def remember(self, code: str, digest: CodeDigest, since: int) -> None:
        """Remember a digest, if its stamps tell of any later change.

        Args:
            since: Unix time in ns, before they were taken.
        """
        stamps = digest.stamps.values()
        is_settled = all(stamp is None or stamp.was_settled(since) for stamp in stamps)
        if self._path is not None and is_settled:
            self._digests[code] = digest
            self._has_news = True

    @cached_property
    def _stored(self) -> _Stored:
        return _Stored() if self._path is None else _read(self._path)

    def parsed(
        self, path: Path, package: str, digest: Digest, read: Callable[[], ModuleSource]
    ) -> ModuleSource:
        """What the bytes of a file say that have this digest; other arguments as for `source`."""
        if self._path is None:
            return read()
        known = self._remembered((str(path), package))
        if known is not None and known[1].digest == digest:
            return known[1]
        module_text = read()
        self._add((str(path), package), (_ANY, module_text))
        return module_text

    def source(self, path: Path, package: str, read: Callable[[], ModuleSource]) -> ModuleSource:
        """What a file says.

        Args:
            package: Where its relative imports start.
            read: Reads it, if it isn't remembered or has changed.
        """
        if self._path is None:
            return read()
        stamp = stamp_of(path)
        key = str(path), package
        known = self._remembered(key)
        if known is not None and known[0] == stamp:
            return known[1]
        # The stamp is older than what is read: a change in between makes it worthless, not wrong.
        is_settled = stamp is not None and stamp.is_settled
        module_text = read()
        if stamp is not None and is_settled:
            self._add(key, (stamp, module_text))
        return module_text

    def _add(self, key: _Key, known: _Known) -> None:
        self._known[key] = known
        self._stored.rows[key] = _as_row(key, known)
        self._has_news = True

    def _remembered(self, key: _Key) -> _Known | None:
        known = self._known.get(key)
        if known is not None:
            return known
        row = self._stored.rows.get(key)
        if row is not None:
            known = self._known[key] = _of_row(row)
        return known

    def save(self) -> None:
        """Write down what is new."""
        if not self._has_news or self._path is None:
            return
        self._has_news = False
        stored = self._stored
        # Others may read more meanwhile.
        rows, digests = stored.rows.copy(), self._digests.copy()
        digests = {code: stored.digest(code) for code in stored.digests} | digests
        there = [row for (path, _), row in rows.items() if stamp_of(path) is not None]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._path, _packed(there, _current(digests)), durable=False)
        except (OSError, OutputError, ValueError):
            return


@lru_cache(maxsize=16)
def source_files(folder: Path | None) -> SourceFiles:
    """The reader of all sessions of a process that remember in one folder."""
    return SourceFiles(folder)


def _file_name() -> str:
    # Another version must not come upon rows that it can't read, and another Python may read the
    # same text differently.
    major, minor = sys.version_info[:2]
    return f"sources-{FORMAT}-py{major}.{minor}.msgpack"


def _current(digests: dict[str, CodeDigest]) -> dict[str, CodeDigest]:
    """Those of what is still there: others would be remembered for ever."""
    stamps = {path: stamp_of(path) for each in digests.values() for path in each.stamps}
    return {
        code: each
        for code, each in digests.items()
        if all(stamps[path] == stamp for path, stamp in each.stamps.items())
    }


def _packed(rows: Sequence[Sequence[Any]], digests: dict[str, CodeDigest]) -> bytes:
    # Most files are behind many digests, and have one stamp.
    table: dict[tuple[str, Stamp | None], int] = {}
    digest_rows = [
        (
            code,
            each.digest,
            [table.setdefault(item, len(table)) for item in each.stamps.items()],
            dict(each.variables),
        )
        for code, each in digests.items()
    ]
    content = [rows, list(table), digest_rows]
    payload: bytes = msgpack.packb(content, unicode_errors="surrogateescape")
    return digest_bytes(payload).encode() + payload


def _as_row(key: _Key, known: _Known) -> Sequence[Any]:
    stamp, source = known
    imports = [(item.module, item.name, item.bound) for item in source.imports]
    names = map(sorted, (source.rebound, source.used, source.variables, source.texts))
    return [key, stamp, source.digest, imports, *names]


def _read(file: Path) -> _Stored:
    try:
        data = file.read_bytes()
    except OSError:
        return _Stored()
    payload = data[_CHECKSUM:]
    if digest_bytes(payload).encode() != data[:_CHECKSUM]:
        return _Stored()
    rows, stamps, digests = msgpack.unpackb(payload, unicode_errors="surrogateescape")
    return _Stored(
        {(row[0][0], row[0][1]): row for row in rows},
        [(path, None if stamp is None else Stamp(*stamp)) for path, stamp in stamps],
        {row[0]: row for row in digests},
    )


def _of_row(row: Sequence[Any]) -> _Known:
    _, stamp, digest, imports, *names = row
    source = ModuleSource(digest, tuple(Import(*item) for item in imports), *map(frozenset, names))
    return Stamp(*stamp), source
