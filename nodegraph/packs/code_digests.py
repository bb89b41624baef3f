"""Digest of the code behind a pack's node: its module and everything that this imports.

Imports are read from the source, nothing is executed. An edit elsewhere in the pack, or an
upgrade that doesn't touch these modules, leaves the digest as it was. A pack's files that are no
code count for all of its nodes, as do the environment variables that the modules read by name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path

from nodegraph.core.digests import STARTED, THIS_PROCESS, Digest, digest_bytes
from nodegraph.core.files import Import
from nodegraph.errors import PackError
from nodegraph.packs.importer import LOOSE
from nodegraph.packs.snapshot import Snapshot, Stamp, now, stamp_of
from nodegraph.packs.source_files import (
    EVERYTHING,
    CodeDigest,
    ModuleSource,
    SourceFiles,
    cached_module,
    parse_module,
)

API_VERSION = "2"
"""Raised when a change to the API changes what nodes compute."""

_CONTRACT = ("nodegraph", "nodegraph.api", "nodegraph.errors", "nodegraph.core")
# These declare, they don't compute: API_VERSION stands for them in every digest.
_PACKAGE = "__init__.py"
_MOST_NAMED = 200
"""Data files of a pack that are told apart where it is told what changed."""

Owner = Callable[[Path], "Snapshot | None"]


class CodeDigests:
    """Digests of modules with all that they import, each file read once.

    Args:
        roots: Where each package that counts as code lies, by import name: a folder or a file.
        files: Reads them, and remembers what they say; None reads all anew.
        owner: Finds the snapshot that a file's module is loaded from. Others are imported as Python
            does, once: a file that changed after that isn't what runs.
    """

    def __init__(
        self,
        roots: Mapping[str, Path],
        files: SourceFiles | None = None,
        owner: Owner = lambda path: None,
    ) -> None:
        self._roots = {"nodegraph": Path(__file__).parents[1], **roots}
        for package, root in roots.items():
            if package.startswith(f"{LOOSE}."):
                self._roots[_folder_marker(package)] = root.parent
        self._reaches = [
            (package, f"{root}{os.sep}") for package, root in self._roots.items() if root.is_dir()
        ]
        self._files = files or SourceFiles(None)
        self._owner = owner
        self._owners: dict[Path, Snapshot | None] = {}
        self._sources: dict[Path, ModuleSource] = {}
        self._paths: dict[str, Path | None] = {}
        self._brought: dict[Path, tuple[str, ...]] = {}
        self._closures: dict[str, tuple[tuple[str, Path], ...]] = {}
        self._digests: dict[str, Digest] = {}
        # Before any of these is taken.
        self._since = now()
        self._stamps: dict[Path, Stamp | None] = {}
        self._folders: dict[Path, Stamp | None] = {}
        self._variables: dict[str, str | None] = {}

    def digest(self, module: str) -> Digest:
        """Digest of a module's code.

        Raises:
            PackError: Its source can't be read.
        """
        known = self._digests.get(module)
        if known is None:
            known = self._remembered(module) or self._computed(module)
            self._digests[module] = known
        return known

    def _computed(self, module: str) -> Digest:
        parts = self.parts(module)
        text = "\n".join([API_VERSION, *(f"{name} {digest}" for name, digest in parts.items())])
        digest = digest_bytes(text.encode("utf-8", "surrogateescape"))
        paths = self.files(module)
        # What lies in a snapshot, and what isn't what runs, counts for this process alone.
        if THIS_PROCESS not in parts.values() and not any(map(self._owner_of, paths)):
            stamps = {str(path): self._stamps[path] for path in paths}
            stamps |= {str(path): stamp for path, stamp in self._folders.copy().items()}
            variables = {name: self._variables[name] for name in self.variables(module)}
            self._files.remember(
                self._code(module), CodeDigest(digest, stamps, variables), self._since
            )
        self._files.save()
        return digest

    def _remembered(self, module: str) -> Digest | None:
        """A digest that another process found, if nothing of what it was made of has changed."""
        known = self._files.digest(self._code(module))
        path = self._locate(module)
        if known is None or path is None or self._owner_of(path) is not None:
            return None
        stamps = {Path(path): stamp for path, stamp in known.stamps.items()}
        if any(os.environ.get(name) != value for name, value in known.variables.items()) or any(
            self._stamp(path) != stamp or not self._is_stamp_as_loaded(path, stamp)
            for path, stamp in stamps.items()
        ):
            return None
        self._variables |= known.variables
        return known.digest

    def _code(self, module: str) -> str:
        """Names a module's code where it is remembered: where its packages lie counts, too."""
        return f"{API_VERSION} {self._places} {module}"

    @cached_property
    def _places(self) -> Digest:
        text = "\n".join(f"{package} {root}" for package, root in self._roots.items())
        return digest_bytes(text.encode("utf-8", "surrogateescape"))

    def _stamp(self, path: Path) -> Stamp | None:
        stamps = self._stamps if path.suffix == ".py" else self._folders
        if path not in stamps:
            stamps[path] = stamp_of(path)
        return stamps[path]

    def _is_stamp_as_loaded(self, path: Path, stamp: Stamp | None) -> bool:
        if path.suffix != ".py" or (stamp is not None and stamp.ctime_ns < STARTED):
            return True
        return self.module_at(path) not in sys.modules

    def parts(self, module: str) -> dict[str, Digest]:
        """What enters the digest, by name, sorted: modules, a pack's data files, variables."""
        digests: dict[str, Digest] = {}
        owners: dict[int, Snapshot] = {}
        for name, path in self._closure(module):
            source = self._source(path)
            digests[name] = source.digest if self._is_as_loaded(name, path) else THIS_PROCESS
            for variable in source.variables:
                digests[f"${variable}"] = self._variable(variable)
            snapshot = self._owner_of(path)
            if snapshot is not None:
                owners[id(snapshot)] = snapshot
        for snapshot in owners.values():
            digests |= _data(snapshot)
        return dict(sorted(digests.items()))

    def _variable(self, name: str) -> Digest:
        value = self._variables.setdefault(name, os.environ.get(name))
        return "" if value is None else digest_bytes(value.encode("utf-8", "surrogateescape"))

    def modules(self, module: str) -> list[str]:
        """Names of the modules whose code enters the digest."""
        return sorted(name for name, _ in self._closure(module))

    def files(self, module: str) -> list[Path]:
        """Where the modules lie whose code enters the digest."""
        return sorted(path for _, path in self._closure(module))

    def variables(self, module: str) -> set[str]:
        """Environment variables whose values enter the digest."""
        return {name for _, path in self._closure(module) for name in self._source(path).variables}

    def expandable_types(self, module: str) -> set[str]:
        """Texts that may name the node types of what the module's nodes add to a run."""
        return {text for _, path in self._closure(module) for text in self._source(path).texts}

    def packages(self, module: str) -> set[str]:
        """Packages that the module and those behind it import from, or would if they could."""
        package_names: set[str] = set()
        for name, path in self._closure(module):
            imports = (f"{each.module}.{each.name}" for each in self._source(path).imports)
            for text in (name, *imports):
                depth = 2 if text.startswith(f"{LOOSE}.") else 1
                package_names.add(".".join(text.split(".")[:depth]))
            snapshot = self._owner_of(path)
            if snapshot is not None:
                package_names.add(snapshot.package)
        return package_names

    def changed_variables(self) -> set[str]:
        """Those that have other values than when they entered a digest."""
        return {
            name for name, value in self._variables.copy().items() if os.environ.get(name) != value
        }

    def is_current(self) -> bool:
        """Whether what isn't loaded from snapshots is still what it was; cheap."""
        return not self.changed_variables() and all(
            stamp_of(path) == stamp for path, stamp in self._stamps.copy().items()
        )

    def _is_as_loaded(self, name: str, path: Path) -> bool:
        """Whether what runs is what the file says; if not, nobody else can have the same."""
        if name not in sys.modules or self._owner_of(path) is not None:
            return True
        stamp = self._stamps[path]
        return stamp is not None and stamp.ctime_ns < STARTED

    def _closure(self, module: str) -> tuple[tuple[str, Path], ...]:
        """The modules that a module executes, itself first, and where they lie."""
        known = self._closures.get(module)
        if known is None:
            known = self._closures[module] = tuple(self._walk(module))
        return known

    def _walk(self, module: str) -> Iterator[tuple[str, Path]]:
        visited: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            path = self._locate(name)
            if name in visited or path is None:
                continue
            visited.add(name)
            yield name, path
            waiting.extend(self._brought_in(path))
            yield from self._parent_packages(name, visited, waiting)

    def _parent_packages(
        self, name: str, visited: set[str], waiting: list[str]
    ) -> Iterator[tuple[str, Path]]:
        """The packages that are executed before a module is.

        What they only hand on to others doesn't count, only what they use themselves.
        """
        while "." in name:
            name = name.rpartition(".")[0]
            path = self._locate(name)
            if name in visited or path is None or name.split(".")[0] == "nodegraph":
                continue
            visited.add(name)
            yield name, path
            source = self._source(path)
            for statement in source.imports:
                if statement.bound in source.used:
                    waiting.extend(self._imported(statement, path))

    def _brought_in(self, path: Path) -> tuple[str, ...]:
        """The modules that all imports in a file bring in; most files are behind many modules."""
        known = self._brought.get(path)
        if known is None:
            brought = (self._imported(statement, path) for statement in self._source(path).imports)
            known = self._brought[path] = tuple(name for names in brought for name in names)
        return known

    def _imported(self, statement: Import, path: Path) -> Iterator[str]:
        """The modules that an import in a file brings in."""
        if statement.module == EVERYTHING:
            yield from self._everything(path)
            return
        targets = list(self._targets(statement))
        yield from targets
        top = statement.module.partition(".")[0]
        is_elsewhere = top in sys.stdlib_module_names or is_contract(top)
        if top and not targets and not is_elsewhere and self._owner_of(path) is not None:
            for package in self._sibling_packages(path):
                yield from self._targets(
                    Import(f"{package}.{statement.module}", statement.name, statement.bound)
                )

    def _sibling_packages(self, path: Path) -> Iterator[str]:
        """Packages in whose folders a pack's module may find others, by way of `sys.path`."""
        for package, root in self._roots.items():
            if package == "nodegraph" or package.startswith("@"):
                continue
            if path.is_relative_to(root) and root.is_dir():
                inner = path.parent.relative_to(root).parts
                yield from (".".join((package, *inner[:depth])) for depth in range(len(inner) + 1))
                yield from (f"{package}.{name}" for name in _folders(root))
            if _folder_marker(package) in self._roots and path.is_relative_to(root.parent):
                yield _folder_marker(package)

    def _everything(self, path: Path) -> Iterator[str]:
        """All modules of the pack that a file belongs to."""
        for package, root in self._roots.items():
            if package == "nodegraph" or package.startswith("@") or not path.is_relative_to(root):
                continue
            snapshot = self._owner_of(path)
            files = [root] if snapshot is None else map(Path, snapshot.listing.files)
            for file in files:
                if file.suffix == ".py" and root.is_dir() and file.is_relative_to(root):
                    inner = file.relative_to(root).with_suffix("").parts
                    yield ".".join((package, *(part for part in inner if part != "__init__")))

    def _targets(
        self, statement: Import, visited: frozenset[Import] = frozenset()
    ) -> Iterator[str]:
        """The modules that an import brings in; contract modules aside."""
        path = self._locate(statement.module)
        if statement.name and (path is None or path.name == _PACKAGE):
            inner = f"{statement.module}.{statement.name}"
            if not is_contract(inner) and self._locate(inner) is not None:
                yield inner  # ``from package import module``
                return
        if is_contract(statement.module) or path is None:
            return
        if statement.name in ("", "*") or path.name != _PACKAGE or statement in visited:
            yield statement.module
        else:
            yield from self._reexported(statement, path, visited | {statement})

    def _reexported(
        self, statement: Import, path: Path, visited: frozenset[Import]
    ) -> Iterator[str]:
        """Follow a name through a package's ``__init__`` to where it comes from."""
        source = self._source(path)
        origins = [item for item in source.imports if item.bound == statement.name]
        # Made or changed there, or brought in by a star: then the file itself counts.
        if not origins or statement.name in source.rebound:
            yield statement.module
        for origin in origins:
            yield from self._targets(origin, visited)

    def _owner_of(self, path: Path) -> Snapshot | None:
        if path not in self._owners:
            self._owners[path] = self._owner(path)
        return self._owners[path]

    def _locate(self, module: str) -> Path | None:
        if module not in self._paths:
            self._paths[module] = self._find_file(module)
        return self._paths[module]

    def module_at(self, path: Path) -> str | None:
        """The module that a file of a package is, by the name that it is digested by."""
        # What lies in a package isn't named by what lies beside it.
        for package, root in sorted(self._roots.items(), key=lambda item: item[0].startswith("@")):
            if path == root:
                return package
            if path.suffix == ".py" and path.is_relative_to(root):
                inner = path.relative_to(root).with_suffix("").parts
                return ".".join((package, *(part for part in inner if part != "__init__")))
        return None

    def _find_file(self, module: str) -> Path | None:
        package = module
        while package:
            root = self._roots.get(package)
            if root is not None:
                return self._file(root, module[len(package) + 1 :])
            package = package.rpartition(".")[0]
        return None

    def _file(self, root: Path, inner: str) -> Path | None:
        """The file of a module, given as dotted path below its package's root."""
        if root.is_file():
            return None if inner else root
        folder = root.joinpath(*inner.split(".")) if inner else root
        package, file = folder / _PACKAGE, folder.with_suffix(".py")
        # Another file that would be this module changes one of these folders.
        if folder.is_dir():
            self._stamp(folder)
            if package.is_file():
                return package
        self._stamp(folder.parent)
        return file if file.is_file() else None

    def _source(self, path: Path) -> ModuleSource:
        known = self._sources.get(path)
        if known is None:
            known = self._sources[path] = self._read(path)
        return known

    def _read(self, path: Path) -> ModuleSource:
        package = self._package_of(path)
        snapshot = self._owner_of(path)
        if snapshot is None:
            self._stamp(path)
            return self._files.source(path, package, partial(_parsed, path, package))
        try:
            data = snapshot.text(path)
        except OSError as error:
            raise PackError(f"cannot read the code of {path}: {error}") from error
        digest = digest_bytes(data)
        known = cached_module(digest, package)
        if known is not None:
            return known
        return self._files.parsed(path, package, digest, partial(_parsed, path, package, data))

    def _package_of(self, path: Path) -> str:
        """Dotted name of the package that relative imports in a file start from."""
        path_text = str(path)
        for package, reach in self._reaches:
            if path_text.startswith(reach):
                return ".".join((package, *Path(path_text[len(reach) :]).parent.parts))
        return ""


def _parsed(path: Path, package: str, data: bytes | None = None) -> ModuleSource:
    try:
        data = path.read_bytes() if data is None else data
    except OSError as error:
        raise PackError(f"cannot read the code of {path}: {error}") from error
    try:
        return parse_module(data, package)
    except (SyntaxError, ValueError):
        # It can't run, so it imports nothing; whoever imports it is told by Python.
        return ModuleSource(digest_bytes(data), (), frozenset())


def _data(snapshot: Snapshot) -> dict[str, Digest]:
    """A pack's files that are no code; its nodes may read them."""
    try:
        data = snapshot.data
    except OSError as error:
        raise PackError(f"cannot read a file of the pack at {snapshot.root}: {error}") from error
    name = snapshot.root.stem
    if len(data) <= _MOST_NAMED:
        return {f"{name}/{path}": digest for path, digest in data.items()}
    lines = [f"{path} {digest}" for path, digest in data.items()]
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    return {f"{len(data)} files of {name}": digest_bytes(text)}


def _folder_marker(package: str) -> str:
    """Stands for the folder that a package lies in."""
    return f"@{package}"


def _folders(root: Path) -> list[str]:
    with os.scandir(root) as entries:
        return sorted(item.name for item in entries if item.is_dir() and item.name.isidentifier())


def is_contract(module: str) -> bool:
    """Whether a module of nodegraph declares and computes nothing: `API_VERSION` stands for it."""
    return module in _CONTRACT or module.startswith("nodegraph.core.")
