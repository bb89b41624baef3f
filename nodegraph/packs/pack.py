"""Packs: where node types come from, and how their modules are imported.

Three kinds: an installed package with an entry point in the group ``nodegraph.nodes``; a folder
of modules; a single file. The built-in pack is of the first kind and gets no special treatment
but for its nodes' names, which need no prefix.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.errors import PackError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "nodegraph.nodes"
OWN_DISTRIBUTION = "nodegraph"
_ORIGIN = "__nodegraph_origin__"
_LARGEST = 1 << 20
"""Bytes of a file that can change what a pack declares; larger ones are models and the like."""
_LOOSE = "nodegraph_packs"
"""Import name under which folders and files that aren't installed are loaded."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A source of node types.

    Attributes:
        name: Prefix of its node types; empty for the built-in pack.
        package: Import name of its package or single module.
        root: Its folder or file.
        version: Of its distribution; empty for folders and files, which have none.
    """

    name: str
    package: str
    root: Path
    version: str = ""

    def modules(self) -> Iterator[str]:
        """Import names of the modules that may declare nodes, the package itself first.

        Those whose name begins with an underscore are the others' helpers.
        """
        if self.root.is_file():
            yield self.package
            return
        for path in self._files():
            if path.suffix == ".py":
                parts = path.relative_to(self.root).with_suffix("").parts
                inner = parts[:-1] if parts[-1] == "__init__" else parts
                if not any(part.startswith("_") for part in inner):
                    yield ".".join((self.package, *inner))

    def _files(self) -> list[Path]:
        """Its files, sorted; without hidden, compiled and large ones."""
        if self.root.is_file():
            return [self.root]
        return sorted(
            path
            for path in self.root.rglob("*")
            if not any(part.startswith((".", "__pycache__")) for part in path.parts[-3:])
            and path.is_file()
            and path.stat().st_size <= _LARGEST
        )

    def stamp(self, also: Sequence[str] = ()) -> str:
        """Changes whenever a file is added, removed or written; cheap to get.

        Args:
            also: Files elsewhere that count too.
        """
        parts = []
        for path in (*self._files(), *map(Path, also)):
            try:
                status = path.stat()
            except OSError:
                parts.append(f"{path} is gone")
            else:
                parts.append(f"{path} {status.st_size} {status.st_mtime_ns}")
        return digest_bytes("\n".join(parts).encode("utf-8", "surrogateescape"))

    def digest(self, also: Sequence[str] = ()) -> Digest:
        """Digest of its files' content and names; `also` as in `stamp`."""
        base = self.root if self.root.is_dir() else self.root.parent
        parts = [
            f"{path.relative_to(base)} {digest_bytes(path.read_bytes())}" for path in self._files()
        ]
        parts += [digest_bytes(Path(path).read_bytes()) for path in also]
        return digest_bytes("\n".join(parts).encode("utf-8", "surrogateescape"))

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
        return self.package.startswith(f"{_LOOSE}.")

    def import_module(self, module: str) -> ModuleType:
        """One of its modules, imported.

        Raises:
            PackError: The import failed; the original error is the cause.
        """
        try:
            if self.is_loose:
                _prepare_loose(self)
            return importlib.import_module(module)
        except (Exception, SystemExit) as error:  # the border with pack code: importing runs it
            raise PackError(
                f"pack `{self.name or self.package}`: importing {module} failed: "
                f"{type(error).__name__}: {error}",
                hint=f"See {self.root}.",
            ) from error


def installed_packs() -> list[Pack]:
    """Packs of installed distributions, by their entry points."""
    from importlib.metadata import entry_points

    return [
        _installed(point)
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)
    ]


def _installed(point: EntryPoint) -> Pack:
    try:
        found = find_spec(point.value)
    except ImportError:  # of a parent package
        found = None
    if found is None or found.origin is None:
        root = Path(point.value)  # leads nowhere, which the registry reports
    elif found.submodule_search_locations:
        root = Path(found.origin).parent
    else:
        root = Path(found.origin)
    distribution = point.dist.name if point.dist else ""
    name = "" if distribution == OWN_DISTRIBUTION else point.name
    return Pack(name, point.value, root, point.dist.version if point.dist else "")


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
    return Pack(name, f"{_LOOSE}.{name}", path)


def packs_in(folders: Sequence[Path]) -> list[Pack]:
    """The packs in some folders: each sub-folder with Python files, and each file."""
    found = []
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            is_file = path.suffix == ".py" and path.is_file()
            is_folder = path.is_dir() and any(path.glob("*.py"))
            if (is_file or is_folder) and not path.name.startswith((".", "_")):
                found.append(pack_at(path))
    return found


def _prepare_loose(pack: Pack) -> None:
    """Make a folder or file importable under its name, once."""
    if _LOOSE not in sys.modules:
        sys.modules[_LOOSE] = module_from_spec(ModuleSpec(_LOOSE, None, is_package=True))
    known = sys.modules.get(pack.package)
    origin = (pack.root, pack.stamp())
    if known is not None and getattr(known, _ORIGIN, None) == origin:
        return
    _forget_modules(pack.package)
    module = _loose_module(pack)
    setattr(module, _ORIGIN, origin)
    sys.modules[pack.package] = module
    if module.__spec__ is not None and module.__spec__.loader is not None:
        try:
            module.__spec__.loader.exec_module(module)
        except BaseException:
            del sys.modules[pack.package]
            raise


def _forget_modules(package: str) -> None:
    """Let a package be imported anew: its files changed, or another one had its name."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def _loose_module(pack: Pack) -> ModuleType:
    entry = pack.root if pack.root.is_file() else pack.root / "__init__.py"
    inner = None if pack.root.is_file() else [str(pack.root)]
    if entry.is_file():
        spec = spec_from_file_location(pack.package, entry, submodule_search_locations=inner)
        assert spec is not None
        return module_from_spec(spec)
    bare = ModuleSpec(pack.package, None, is_package=True)
    bare.submodule_search_locations = inner
    return module_from_spec(bare)
