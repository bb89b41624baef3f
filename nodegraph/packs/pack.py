"""Packs: where node types come from, and how their modules are imported.

Three kinds: an installed package with an entry point in the group ``nodegraph.nodes``; a folder
of modules; a single file. The built-in pack is of the first kind and gets no special treatment
but for its nodes' names, which need no prefix. Others may be made of what other packages hold;
see `nodegraph.packs.pack`.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from nodegraph.core.pack_faults import lenient
from nodegraph.errors import PackError
from nodegraph.packs.loading import LOOSE, current_snapshot, importing
from nodegraph.packs.snapshot import Snapshot, list_files, stamp_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

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


@dataclass(frozen=True, slots=True)
class Pack:
    """A source of node types.

    Attributes:
        name: Prefix of its node types; empty for the built-in pack.
        package: Import name of its package or single module.
        root: Its folder or file.
        version: Of its distribution; empty for folders and files, which have none.
        distribution: That installed it.
    """

    name: str
    package: str
    root: Path
    version: str = ""
    distribution: str = ""

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

    def stamp(self, also: Sequence[str] = ()) -> str:
        """Changes whenever a file is added, removed or written; cheap to get.

        Args:
            also: Files elsewhere that count too.
        """
        return list_files(self.root).text(also)

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
        return bool(packages_of(self.root))

    def made_of(self) -> str:
        """Changes when one of the packages comes, goes or is replaced that it is made of; cheap.

        Empty for a pack that is made of none.
        """
        return stamp_of_packages(packages_of(self.root))

    def import_module(self, module: str, snapshot: Snapshot | None = None) -> ModuleType:
        """One of its modules, imported.

        Args:
            snapshot: Of the files that its code is to come from.
        Raises:
            PackError: The import failed; the original error is the cause.
        """
        try:
            used = [snapshot or self.snapshot()] if self.is_reloadable else []
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
    from nodegraph.core.entry_points import entry_points, package_of

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
        raise PackError(f"no pack at {path}", hint="Give a folder or a .py file.")
    if path.is_file() and path.suffix != ".py":
        raise PackError(f"{path} is no Python file", hint="Give a folder or a .py file.")
    name = path.stem if path.is_file() else path.name
    if not name.isidentifier():
        raise PackError(
            f"a pack can't be called `{name}`", hint="Use letters, digits and underscores."
        )
    return Pack(name, f"{LOOSE}.{name}", path)


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
