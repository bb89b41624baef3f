"""Import packs from snapshots of their files instead of byte code.

Python takes compiled code for current if the source has the same size and whole seconds, so an
edit within a second may go unnoticed. Here a module is compiled from the bytes that are digested.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import resolve_name, spec_from_file_location
from itertools import count
from pathlib import Path
from threading import RLock
from types import CodeType, ModuleType
from typing import Any
from weakref import WeakSet, ref

from nodegraph.errors import PackError
from nodegraph.packs.snapshot import Snapshot

LOOSE = "nodegraph_packs"
"""Import name under which folders and files that aren't installed are loaded."""

_FOREIGN = frozenset({"site-packages", "dist-packages"})
_OURS = f"{Path(__file__).parents[1]}{os.sep}"
_LOCK = RLock()
_SNAPSHOTS: dict[tuple[str, Path], Snapshot] = {}
_ACTIVE: dict[str, Snapshot] = {}
_EXECUTED: set[ref[ModuleType]] = set()
_NAMES: set[str] = set()
_KEPT_OUT: WeakSet[Snapshot] = WeakSet()
_ORDER = count(1)
_CHANGED: dict[str, int] = {}
"""When a package's modules were last let go, counted like the beginnings of modules."""


def current_snapshot(package: str, code: Path, root: Path) -> Snapshot:
    """The snapshot of a pack's files as they are now; the one in use if nothing has changed.

    Args:
        package, code: Import name and place of the package that it lies in.
        root: Its folder or file.
    """
    with _LOCK:
        known = _SNAPSHOTS.get((package, root))
        if known is None:
            known = Snapshot(root, code, package)
        elif not known.is_current():
            known = known.refreshed()
        _SNAPSHOTS[package, root] = known
        return known


def keep_out(snapshots: Collection[Snapshot], *, is_out: bool = True) -> None:
    """Have packs of processes of their own not be found by imports in this one, or be again.

    Their files count here all the same.
    """
    for snapshot in snapshots:
        (_KEPT_OUT.add if is_out else _KEPT_OUT.discard)(snapshot)


@contextmanager
def importing(snapshots: Collection[Snapshot]) -> Iterator[None]:
    """Inside, packs are imported from these snapshots; another session of the process waits.

    Else it could have the next module come from files as they were before, or after.
    """
    with _LOCK:
        if snapshots and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())
        for snapshot in snapshots:
            known = _ACTIVE.get(snapshot.package)
            if known is not snapshot:
                _ACTIVE[snapshot.package] = snapshot
                _CHANGED[snapshot.package] = next(_ORDER)
                if known is not None:
                    unload({known})
        yield


def is_active(snapshot: Snapshot) -> bool:
    """Whether what its package imports now comes from a snapshot."""
    return _ACTIVE.get(snapshot.package) is snapshot


def retire(kept: Collection[str]) -> None:
    """Have packages no longer imported that have changed and that nobody looks after any more.

    Args:
        kept: Those that are in use.
    """
    with _LOCK:
        for package, snapshot in _ACTIVE.copy().items():
            if package not in kept and not snapshot.is_current():
                del _ACTIVE[package]
                unload({snapshot})


def roots() -> dict[str, Path]:
    """Where each package lies whose modules come from snapshots, by import name."""
    return {package: snapshot.code for package, snapshot in _ACTIVE.copy().items()}


def unload(snapshots: Collection[Snapshot]) -> None:
    """Have the modules that came from some snapshots imported anew."""
    if not snapshots:
        return
    packages = {snapshot.package for snapshot in snapshots}
    with _LOCK:
        for package in packages:
            _CHANGED[package] = next(_ORDER)
        for snapshot in snapshots:
            snapshot.modules = _taken_out(snapshot)
        importlib.invalidate_caches()


def _taken_out(snapshot: Snapshot) -> dict[str, ModuleType]:
    """The modules of a package that are imported; they are no longer."""
    names = {name for name, origin in _from_snapshots() if origin is snapshot}
    names.update(name for name in sys.modules.copy() if _loose_package(name) == snapshot.package)
    return {name: sys.modules.pop(name) for name in names if name in sys.modules}


def _loose_package(module: str) -> str:
    """The folder or file that isn't installed to which a module belongs; empty if none."""
    return ".".join(module.split(".", 2)[:2]) if module.startswith(f"{LOOSE}.") else ""


def loaded_modules(snapshots: Collection[Snapshot]) -> dict[Snapshot, list[str]]:
    """Names of the modules that came from each of some snapshots."""
    modules: dict[Snapshot, list[str]] = {snapshot: [] for snapshot in snapshots}
    for name, snapshot in _from_snapshots() if modules else ():
        if snapshot in modules:
            modules[snapshot].append(name)
    return modules


def _from_snapshots() -> list[tuple[str, Snapshot]]:
    """The names in `sys.modules` of all modules that came from snapshots."""
    # To look into each of thousands takes milliseconds: those under names of their own are known,
    # and whether one has others is told by what it is.
    ours = {id(reference()) for reference in _EXECUTED.copy()}
    names = {name for name, module in sys.modules.copy().items() if id(module) in ours}
    candidates = [(name, _loaded_from(sys.modules.get(name))) for name in names.union(_NAMES)]
    return [(name, snapshot) for name, snapshot in candidates if snapshot is not None]


def is_outdated(name: str, packages: Collection[str], variables: Collection[str]) -> bool:
    """Whether an imported module holds on to what isn't so any more.

    Args:
        packages: Those that it imports from; it may hold on to what they were.
        variables: Those of the environment that it may have read when it was imported.
    """
    loader = getattr(getattr(sys.modules.get(name), "__spec__", None), "loader", None)
    if not isinstance(loader, _Loader):
        return False
    return any(_CHANGED.get(package, 0) > loader.began for package in packages) or any(
        loader.environ.get(variable) != os.environ.get(variable) for variable in variables
    )


class OutdatedModules:
    """Finds modules that hold on to what other packs, or variables, were.

    Args:
        code: Returns the `CodeDigests` that read what modules import.
        owner: Returns the snapshot that a file belongs to.
    """

    def __init__(self, code: Callable[[], Any], owner: Callable[[Path], Snapshot | None]) -> None:
        self._code, self._owner = code, owner
        # By module, the packages and variables that it may hold on to.
        self._holds: dict[str, tuple[set[str], set[str]]] = {}

    def unload(self, followed: Collection[Snapshot]) -> None:
        """Have such modules imported anew.

        A registry lets go of what it sees change, but the last one may be of another session, or
        have ended before.
        """
        while outdated := {
            snapshot
            for snapshot, modules in loaded_modules(followed).items()
            if any(map(self._is_outdated, modules))
        }:
            unload(outdated)

    def _is_outdated(self, module: str) -> bool:
        if module not in self._holds:
            code = self._code()
            try:
                self._holds[module] = code.packages(module), code.variables(module)
            except PackError:
                return True
        return is_outdated(module, *self._holds[module])

    def depends(self, module: str, changed: Collection[int], variables: set[str]) -> bool:
        """Whether a module depends on snapshots, by their ids, or on variables."""
        code = self._code()
        try:
            files, used = code.files(module), code.variables(module)
        except PackError:
            return True
        return not variables.isdisjoint(used) or any(
            id(self._owner(path)) in changed for path in files
        )


def is_foreign(snapshot: Snapshot) -> bool:
    """Whether the package was imported by others, before it was known to be a pack."""
    if snapshot.package.startswith(f"{LOOSE}."):
        return False
    module = sys.modules.get(snapshot.package)
    return module is not None and _loaded_from(module) is None


def snapshot_of(path: str | Path) -> Snapshot | None:
    """The snapshot that a source file belongs to."""
    path_text = str(Path(path))
    if path_text.startswith(_OURS):
        return None
    reaches = _by_reach(tuple(_ACTIVE.copy().values()))
    end = len(path_text)
    while (end := path_text.rfind(os.sep, 0, end)) >= 0:
        near = reaches.get(path_text[: end + 1])
        if near is not None:
            is_own = _FOREIGN.isdisjoint(Path(path_text[end + 1 :]).parts)
            return near.get(path_text, next(iter(near.values()))) if is_own else None
    return None


@lru_cache(maxsize=1)
def _by_reach(active: Sequence[Snapshot]) -> Mapping[str, Mapping[str, Snapshot]]:
    """Snapshots by the folder that they reach, then by their code: hundreds are files of one."""
    reaches: dict[str, dict[str, Snapshot]] = {}
    for snapshot in active:
        reaches.setdefault(snapshot.reach, {}).setdefault(str(snapshot.code), snapshot)
    return reaches


def _loaded_from(module: ModuleType | None) -> Snapshot | None:
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    return loader.snapshot if isinstance(loader, _Loader) else None


class _Loader(SourceFileLoader):
    """Compiles a module from a snapshot's bytes."""

    def __init__(self, name: str, path: str, snapshot: Snapshot) -> None:
        super().__init__(name, path)
        self.snapshot = snapshot
        self.began = 0
        self.environ: dict[str, str] = {}

    def exec_module(self, module: ModuleType) -> None:
        _EXECUTED.add(ref(module, _EXECUTED.discard))
        _NAMES.add(self.name)
        self.began = next(_ORDER)
        self.environ = dict(os.environ)
        code = self.get_code(self.name)
        if _imports_own_later(code, self.snapshot.package):
            vars(module)["__builtins__"] = _Builtins(self.snapshot)
        exec(code, vars(module))  # noqa: S102 - that is what a loader does

    def get_data(self, path: str) -> bytes:
        return self.snapshot.text(path) if path.endswith(".py") else super().get_data(path)

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _Builtins(dict[str, Any]):
    """Built-in names, for modules whose functions import as they run: `import` is another."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(vars(builtins), __import__=partial(_imported, snapshot))

    def __missing__(self, name: str) -> Any:
        return vars(builtins)[name]  # some are made later, such as `_` by gettext


def _imports_own_later(code: CodeType, package: str) -> bool:
    """Whether functions of a module import from its own package."""
    from nodegraph.packs.code_reader import imports_in  # of use only where code is loaded

    waiting = [code]
    while waiting:
        inner = [item for item in waiting.pop().co_consts if isinstance(item, CodeType)]
        waiting += inner
        if any(
            level or name == package or name.startswith(f"{package}.")
            for each in inner
            for level, name in imports_in(each)
        ):
            return True
    return False


def _imported(
    snapshot: Snapshot,
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """What an import statement in a module of a snapshot gives, whenever it is run.

    A function may run it while another session of the process has taken up an edit; of its own
    package it gets what was there with it.
    """
    package, arguments = snapshot.package, (name, globals, locals, fromlist, level)
    is_own = level or name == package or name.startswith(f"{package}.")
    # Whoever imports the module itself looks after what it imports.
    spec = (globals or {}).get("__spec__")
    if not is_own or not globals or spec is None or _is_unfinished(spec):
        return builtins.__import__(*arguments)
    full_name = resolve_name("." * level + name, globals["__package__"])
    return _known(snapshot, full_name, fromlist or ()) or _imported_alone(snapshot, arguments)


def _known(snapshot: Snapshot, name: str, wanted: Sequence[str]) -> ModuleType | None:
    """A module of a snapshot that needn't be imported any more, nor what is wanted of it."""
    module = sys.modules.get(name)
    if not wanted or module is None or _loaded_from(module) is not snapshot:
        return None
    is_whole = not _is_unfinished(module.__spec__)
    return module if is_whole and all(map(vars(module).__contains__, wanted)) else None


def _is_unfinished(spec: ModuleSpec | None) -> bool:
    """Whether a module is just being imported."""
    return bool(getattr(spec, "_initializing", False))


def _imported_alone(snapshot: Snapshot, arguments: tuple[Any, ...]) -> ModuleType:
    """Import while nobody else has packs imported; what is in use instead comes back after it."""
    package = snapshot.package
    with _LOCK:
        used = _ACTIVE.get(package)
        if used is snapshot:
            return builtins.__import__(*arguments)
        others = {} if used is None else _taken_out(used)
        sys.modules.update(snapshot.modules)
        _ACTIVE[package] = snapshot
        try:
            return builtins.__import__(*arguments)
        finally:
            snapshot.modules = _taken_out(snapshot)
            sys.modules.update(others)
            del _ACTIVE[package]
            if used is not None:
                _ACTIVE[package] = used


class _Finder:
    """Finds what the others find, and has the modules of packs loaded from snapshots.

    Its base would be `importlib.abc.MetaPathFinder`, which brings nothing but ten modules.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == LOOSE:
            return ModuleSpec(LOOSE, None, is_package=True)
        own = None if path and not fullname.startswith(f"{LOOSE}.") else _ACTIVE.get(fullname)
        snapshot = None if own in _KEPT_OUT else own
        if fullname.startswith(f"{LOOSE}.") and own is not None:
            return None if snapshot is None else _loose_spec(fullname, snapshot)
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                return _exact(spec)
        return None if snapshot is None else _spec_beside_path(fullname, snapshot)


def find_outside_packs(module: str) -> ModuleSpec | None:
    """Find a top-level module as Python does where no pack is loaded."""
    specs = (
        finder.find_spec(module, None, None)
        for finder in sys.meta_path
        if not isinstance(finder, _Finder)
    )
    return next((spec for spec in specs if spec is not None), None)


def _spec_beside_path(package: str, snapshot: Snapshot) -> ModuleSpec | None:
    """Find the package of an installed pack that is in no folder of the import path."""
    spec = PathFinder.find_spec(package, [str(snapshot.code.parent)])
    return None if spec is None else _exact(spec)


def _exact(spec: ModuleSpec) -> ModuleSpec:
    if type(spec.loader) is SourceFileLoader and spec.origin is not None:
        snapshot = snapshot_of(spec.origin)
        if snapshot is not None:
            spec.loader = _Loader(spec.name, spec.origin, snapshot)
            spec.cached = None
    return spec


def _loose_spec(package: str, snapshot: Snapshot) -> ModuleSpec | None:
    root = snapshot.root
    entry = root if root.suffix == ".py" else root / "__init__.py"
    inner = None if root.suffix == ".py" else [str(root)]
    if str(entry) in snapshot.listing.files:
        loader = _Loader(package, str(entry), snapshot)
        return spec_from_file_location(
            package, entry, loader=loader, submodule_search_locations=inner
        )
    bare = ModuleSpec(package, None, is_package=True)
    bare.submodule_search_locations = inner
    return bare
