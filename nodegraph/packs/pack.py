"""Packs: installed packages, folders and files that declare node types.

Three kinds: an installed package with an entry point in the group ``nodegraph.nodes``; a folder
of modules; a single file. The built-in pack is of the first kind and gets no special treatment,
except that its node names need no prefix. Some packs are made from other packages (`packages_of`).

Finding entry points opens a file of every installed distribution, so the result is cached.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nodegraph.core.digests import digest_bytes
from nodegraph.core.files import package_files, write_file
from nodegraph.core.pack_faults import lenient
from nodegraph.errors import OutputError, PackError
from nodegraph.packs.importer import LOOSE, current_snapshot, importing, keep_out
from nodegraph.packs.snapshot import Snapshot, list_files, stamp_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_LAST: dict[str, tuple[Pack, ...]] = {}
"""What was last found in this process, by its stamp: a new home folder begins with it."""


def remembered_packs(file: Path) -> list[Pack]:
    """What `installed_packs` finds, without looking again if nothing was installed since.

    Args:
        file: Where it is remembered.
    Raises:
        PackError: See `installed_packs`.
    """
    stamp = _distributions_stamp()
    known = _read(file, stamp)
    if known is not None:
        return known
    packs = list(_LAST.get(stamp, ()))
    if not (packs and _are_there(packs)):
        packs = installed_packs()
        _LAST.clear()
        # A copy, as callers add packs to theirs: what is remembered is read without processes.
        _LAST[stamp] = tuple(packs)
    rows = [
        [pack.name, pack.package, str(pack.root), pack.version, pack.distribution]
        for pack in packs
        if pack.isolation is None
    ]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps({"stamp": stamp, "packs": rows}).encode()
        write_file(file, data, durable=False)
    except (OSError, OutputError):
        pass  # an unwritable cache costs time, not results
    return packs


@cache
def points_stamp(group: str, file: Path | None) -> str:
    """Changes with the entry points of a group, their packages' versions and these packages' code.

    Empty if there are none. A process keeps the first answer, as it also keeps the modules that it
    has imported of these packages.

    Args:
        file: Where the entry points are remembered; None looks for them again.
    """
    lines = [
        f"{point} {value} {_code_stamp(value.partition(':')[0])}"
        for point, value in _remembered_points(group, file)
    ]
    return digest_bytes("\n".join(lines).encode("utf-8", "surrogateescape")) if lines else ""


def _remembered_points(group: str, file: Path | None) -> list[_Point]:
    """The entry points of a group."""
    stamp = _distributions_stamp()
    groups: dict[str, list[_Point]] = {}
    try:
        known: Any = json.loads(file.read_bytes()) if file is not None else {}
        if known["stamp"] == stamp:
            groups = {
                name: [_Point(*row) for row in rows] for name, rows in known["groups"].items()
            }
            return groups[group]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass  # missing, of other packages, or written by another version: it is made anew
    from nodegraph.core.plugins import entry_points, package_of

    points = [
        _Point(" ".join((point.name, *package_of(point))), point.value)
        for point in entry_points(group)
    ]
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            data = json.dumps({"stamp": stamp, "groups": {**groups, group: points}}).encode()
            write_file(file, data, durable=False)
        except (OSError, OutputError):
            pass  # an unwritable cache costs time, not results
    return points


class _Point(NamedTuple):
    """An entry point.

    Attributes:
        label: Its name and its package's, with the version.
        value: What it names.
    """

    label: str
    value: str


def _code_stamp(module: str) -> str:
    """Changes when a Python file of the package that a module lies in does."""
    return " ".join(f"{file} {tuple(stamp_of(file) or ())}" for file in package_files(module))


def _are_there(packs: list[Pack]) -> bool:
    return all(pack.root.exists() for pack in packs)


def _distributions_stamp() -> str:
    """Changes when a distribution comes or goes where Python looks for them, and when the entry
    points of one are written anew in place, as by hand."""
    parts = [sys.version, *(f"{folder} {_changed(folder)}" for folder in sys.path)]
    return digest_bytes("\n".join(parts).encode("utf-8", "surrogateescape"))


def _changed(folder: str) -> str:
    """Changes when something is added to a folder or removed from it, and with the entry points
    of the distributions in it."""
    lines = [str(_mtime(folder or "."))]
    try:
        with os.scandir(folder or ".") as items:
            for item in items:
                name = item.name.lower()
                if name.endswith((".dist-info", ".egg-info")) or name == "egg-info":
                    lines.append(f"{name} {stamp_of(f'{item.path}/entry_points.txt')}")
    except OSError:
        pass  # an archive, or nothing
    return " ".join(sorted(lines))


def _mtime(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _read(file: Path, stamp: str) -> list[Pack] | None:
    try:
        document: Any = json.loads(file.read_bytes())
        if document["stamp"] != stamp:
            return None
        packs = [
            Pack(name, package, Path(root), version, distribution)
            for name, package, root, version, distribution in document["packs"]
        ]
    except (OSError, ValueError, TypeError, KeyError):
        return None  # missing, or written by another version: it is made anew
    return packs if _are_there(packs) else None


FILE = "made_of.txt"


def packages_of(root: Path) -> tuple[str, ...]:
    """Import names of the packages that a pack's node types are made of; none for most packs.

    Args:
        root: The pack's folder or file.
    """
    if root.suffix == ".py":
        return ()
    try:
        text = (root / FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ()
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def stamp_of_packages(names: tuple[str, ...]) -> str:
    """Changes when one of some packages comes, goes or is replaced; imports none of them.

    An installer writes all of a package's files, so the one that it begins with stands for them.
    """
    return " ".join(_stamp(name) for name in names)


def _stamp(name: str) -> str:
    try:
        spec = find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        return f"{name} absent"
    return f"{name} {spec.origin} {tuple(stamp_of(spec.origin) or ())}"


GROUP = "nodegraph.nodes"
OWN_DISTRIBUTION = "nodegraph"
BUILT_IN = "builtin"
"""The one pack of our own distribution whose node types need no prefix."""


PackKind = Literal["native", "comfyui"]
"""Form of a pack's declarations: functions with ``@node``, or classes as ComfyUI's packs have."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """The process that runs a pack's code.

    Attributes:
        python: Interpreter of the pack's environment.
        lock: Digest of everything that is installed there. It enters the keys of the pack's nodes.
        kind: Form of the pack's declarations.
        trusted: Whether the process has the rights of the user; else it runs in a sandbox.
        search_path: Folders at the beginning of ``sys.path`` there.
        allowed: Scripts of the pack that may run, such as ``prestartup_script.py``.
        weights: Where weights of models are loaded: ``own`` process, or only in the ``main`` one,
            which the pack then asks to compute with them.
        attempt: Raised where a failed import is to be tried again.
        module: Of a pack of ComfyUI, the module that has its classes; empty for the pack itself.
    """

    python: str
    lock: str
    kind: PackKind = "native"
    trusted: bool = True
    search_path: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    weights: Literal["own", "main"] = "own"
    attempt: int = 0
    module: str = ""

    @property
    def stamp(self) -> str:
        """Changes when the environment or the way of running in it does."""
        text = f"{self.kind} {self.python} {self.lock} {self.trusted} {self.search_path}"
        return f"{text} {self.allowed} {self.weights} {self.module}"


_PROCESS_OF: set[Isolation] = set()
"""Whose packs may be imported in this process: empty except in the process of a pack."""


def import_here(isolation: Isolation) -> None:
    """Let a pack be imported in this process, which was started for it."""
    _PROCESS_OF.add(isolation)


@dataclass(frozen=True, slots=True)
class Pack:
    """A source of node types.

    Attributes:
        name: Prefix of its node types; empty for the built-in pack.
        package: Import name of its package or single module.
        root: Its folder or file.
        version: Of its distribution; empty for folders and files, which have none.
        distribution: That installed it.
        isolation: The process that runs its code; None for this process.
    """

    name: str
    package: str
    root: Path
    version: str = ""
    distribution: str = ""
    isolation: Isolation | None = None

    def modules(self) -> Iterator[str]:
        """Import names of the modules that may declare nodes, the package itself first.

        Those whose name begins with an underscore are the others' helpers.
        """
        if self.root.is_file():
            yield self.package
            return
        for path in map(Path, self.snapshot().listing.files):
            if path.suffix == ".py":
                parts = path.relative_to(self.root).with_suffix("").parts
                inner = parts[:-1] if parts[-1] == "__init__" else parts
                if not any(part.startswith("_") for part in inner):
                    yield ".".join((self.package, *inner))

    def snapshot(self) -> Snapshot:
        """Its files as they are now; the snapshot in use, if nothing has changed."""
        package, code = self.code_root()
        return current_snapshot(package, code, self.root)

    def stamp(self) -> str:
        """Changes whenever a file is added, removed or written; cheap to get."""
        return list_files(self.root).text()

    def import_stamp(self) -> str:
        """Changes with all that an import of it depends on.

        Of a pack with a process of its own it does not change where a file is written as it was.
        """
        if self.isolation is None:
            return self.stamp()
        return f"{self.snapshot().digest()} {self.isolation.stamp} {self.isolation.attempt}"

    def code_root(self) -> tuple[str, Path]:
        """The package whose modules count as its code, and where that lies.

        For an installed pack the distribution's top-level package: ``mylib`` for ``mylib.nodes``.
        """
        if self.is_loose:
            return self.package, self.root
        top, *inner = self.package.split(".")
        return top, self.root.parents[len(inner) - 1] if inner else self.root

    @property
    def is_loose(self) -> bool:
        """Whether it is a folder or file that isn't installed."""
        return self.package.startswith(f"{LOOSE}.")

    @property
    def is_reloadable(self) -> bool:
        """Whether an edit of it counts at once: of any but those that nodegraph itself brings."""
        return bool(self.name) and self.distribution != OWN_DISTRIBUTION

    @property
    def is_generated(self) -> bool:
        """Whether its node types are made of what other packages hold.

        It is read only once one of them is asked for, or a list of all.
        """
        return self.isolation is None and bool(packages_of(self.root))

    def made_of(self) -> str:
        """Changes when one of the packages comes, goes or is replaced that it is made of; cheap.

        Empty for a pack that is made of none. The environment of an isolated pack counts here, too.
        """
        if self.isolation is not None:
            return self.isolation.stamp
        return stamp_of_packages(packages_of(self.root))

    def import_module(self, module: str, snapshot: Snapshot | None = None) -> ModuleType:
        """One of its modules, imported.

        Args:
            snapshot: Of the files that its code is to come from.
        Raises:
            PackError: The import failed; the original error is the cause. Or the pack has a process
                of its own, which this is not.
        """
        if self.isolation is not None and self.isolation not in _PROCESS_OF:
            raise PackError(
                f"pack `{self.name}` runs in a process of its own and is not imported elsewhere",
                given=module,
                hint="This is a fault of nodegraph. Report it.",
            )
        try:
            used = [snapshot or self.snapshot()] if self.is_reloadable else []
            keep_out(used, is_out=False)
            with lenient(), importing(used):
                return importlib.import_module(module)
        except (Exception, SystemExit) as error:  # the border with pack code: importing runs it
            raise PackError(
                f"pack `{self.name or self.package}`: importing {module} failed"
                f"{_line(error, self.root)}: {type(error).__name__}: {error}",
            ) from error


def _line(error: BaseException, root: Path) -> str:
    """Where in a pack's files an error was raised, for messages."""
    places = [
        f" in {Path(frame.filename).name}, line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(root)
    ]
    return places[-1] if places else ""


def installed_packs() -> list[Pack]:
    """Packs of installed distributions, by their entry points."""
    from nodegraph.core.plugins import entry_points, package_of

    return [_installed(point, *package_of(point)) for point in entry_points(GROUP)]


def _installed(point: EntryPoint, distribution: str, version: str) -> Pack:
    root = _package_path(point.value) or Path(
        point.value
    )  # leads nowhere, which the registry reports
    is_built_in = distribution == OWN_DISTRIBUTION and point.name == BUILT_IN
    return Pack("" if is_built_in else point.name, point.value, root, version, distribution)


def _package_path(package: str) -> Path | None:
    """The folder or file of a package or module; imports nothing, not even what it lies in."""
    top, *inner = package.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None  # no name of a module
    if spec is None or spec.origin is None:
        return None
    if not spec.submodule_search_locations:
        return None if inner else Path(spec.origin)
    path = Path(spec.origin).parent.joinpath(*inner)
    file = path.with_suffix(".py")
    return path if path.is_dir() or not file.is_file() else file


def pack_at(path: Path) -> Pack:
    """The pack in a folder or a single file.

    Raises:
        PackError: There is none, or its name can't be a prefix.
    """
    path = path.expanduser().absolute()
    if not path.exists():
        raise PackError(f"there is no pack at {path}", hint="Give a folder or a .py file.")
    if path.is_file() and path.suffix != ".py":
        raise PackError(f"{path} is not a Python file", hint="Give a folder or a .py file.")
    name = path.stem if path.is_file() else path.name
    if not name.isidentifier():
        raise PackError(
            f"a pack cannot be called `{name}`", hint="Use letters, digits and underscores."
        )
    return Pack(name, f"{LOOSE}.{name}", path)


def outside_processes(packs: Sequence[Pack], isolated: Collection[Path]) -> list[Pack]:
    """Packs without those whose files are imported in processes of their own alone.

    Args:
        isolated: Folders and files of such packs.
    """
    elsewhere = {path.resolve() for path in isolated}

    def is_elsewhere(pack: Pack) -> bool:
        real = pack.root.resolve()
        return any(real in (each, *each.parents) or each in real.parents for each in elsewhere)

    return [pack for pack in packs if pack.isolation is not None or not is_elsewhere(pack)]


def packs_in(folders: Sequence[Path]) -> list[Pack]:
    """The packs in some folders: each sub-folder with Python files, and each file."""
    packs = []
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            is_file = path.suffix == ".py" and path.is_file()
            is_folder = path.is_dir() and any(path.glob("*.py"))
            if (is_file or is_folder) and not path.name.startswith((".", "_")):
                packs.append(pack_at(path))
    return packs
