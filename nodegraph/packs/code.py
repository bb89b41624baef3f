"""The code behind a node, as a digest: its module and what that imports from its own pack and
from nodegraph.

Imports are read from the source, nothing is executed. An edit elsewhere in the pack, or an
upgrade that doesn't touch these modules, leaves the digest as it was.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.errors import PackError
from nodegraph.packs.source_files import Import, Source, SourceFiles

API_VERSION = "1"
"""Raised when a change to the API changes what nodes compute."""

_CONTRACT = ("nodegraph", "nodegraph.api", "nodegraph.errors", "nodegraph.core")
# These declare, they don't compute: API_VERSION stands for them in every digest.


class CodeDigests:
    """Digests of modules with all that they import, each file read once.

    Args:
        roots: Where each package that counts as code lies, by import name: a folder or a file.
        folder: Where what was read is remembered for the next process; None reads all anew.
    """

    def __init__(self, roots: Mapping[str, Path], folder: Path | None = None) -> None:
        self._roots = {"nodegraph": Path(__file__).parents[1], **roots}
        self._files = SourceFiles(folder)
        self._sources: dict[Path, Source] = {}
        self._places: dict[str, Path | None] = {}
        self._digests: dict[str, Digest] = {}

    def digest(self, module: str) -> Digest:
        """Digest of a module's code.

        Raises:
            PackError: Its source can't be read.
        """
        known = self._digests.get(module)
        if known is None:
            parts = self.parts(module).items()
            text = "\n".join([API_VERSION, *(f"{name} {digest}" for name, digest in parts)])
            known = self._digests[module] = digest_bytes(text.encode())
            self._files.save()
        return known

    def parts(self, module: str) -> dict[str, Digest]:
        """Digests of the single modules whose code enters the digest, by name, sorted."""
        return dict(
            sorted((name, self._source(path).digest) for name, path in self._closure(module))
        )

    def modules(self, module: str) -> list[str]:
        """Names of the modules whose code enters the digest."""
        return sorted(name for name, _ in self._closure(module))

    def files(self, module: str) -> list[Path]:
        """Where the modules lie whose code enters the digest."""
        return sorted(path for _, path in self._closure(module))

    def _closure(self, module: str) -> Iterator[tuple[str, Path]]:
        seen: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            path = self._locate(name)
            if name in seen or path is None:
                continue
            seen.add(name)
            yield name, path
            for found in self._source(path).imports:
                waiting.extend(self._targets(found))

    def _targets(self, found: Import, seen: frozenset[Import] = frozenset()) -> Iterator[str]:
        """The modules that an import brings in; contract modules aside."""
        inner = f"{found.module}.{found.name}"
        if found.name and not _is_contract(inner) and self._locate(inner) is not None:
            yield inner  # ``from package import module``
            return
        path = self._locate(found.module)
        if _is_contract(found.module) or path is None:
            return
        if found.name in ("", "*") or path.name != "__init__.py" or found in seen:
            yield found.module
        else:
            yield from self._reexported(found, path, seen | {found})

    def _reexported(self, found: Import, path: Path, seen: frozenset[Import]) -> Iterator[str]:
        """Follow a name through a package's ``__init__`` to where it comes from."""
        source = self._source(path)
        origins = [item for item in source.imports if item.bound == found.name]
        # Made or changed there, or brought in by a star: then the file itself counts.
        if not origins or found.name in source.made:
            yield found.module
        for origin in origins:
            yield from self._targets(origin, seen)

    def _locate(self, module: str) -> Path | None:
        if module not in self._places:
            self._places[module] = self._found(module)
        return self._places[module]

    def _found(self, module: str) -> Path | None:
        for package, root in self._roots.items():
            if module == package or module.startswith(f"{package}."):
                return _file(root, module[len(package) + 1 :])
        return None

    def _source(self, path: Path) -> Source:
        known = self._sources.get(path)
        if known is None:
            known = self._sources[path] = self._read(path)
        return known

    def _read(self, path: Path) -> Source:
        package = self._package_of(path)
        return self._files.source(path, package, partial(_parsed, path, package))

    def _package_of(self, path: Path) -> str:
        """Dotted name of the package that relative imports in a file start from."""
        for package, root in self._roots.items():
            if root.is_dir() and path.is_relative_to(root):
                return ".".join((package, *path.parent.relative_to(root).parts))
        return ""


def _parsed(path: Path, package: str) -> Source:
    try:
        data = path.read_bytes()
        tree = ast.parse(data)
    except (OSError, SyntaxError, ValueError) as error:
        raise PackError(f"can't read the code of {path}: {error}") from error
    imports = tuple(_imports(tree, package))
    bound = frozenset(item.bound for item in imports)
    return Source(digest_bytes(data), imports, bound.intersection(_made(tree)))


def _file(root: Path, inner: str) -> Path | None:
    """The file of a module, given as dotted path below its package's root."""
    if root.is_file():
        return None if inner else root
    folder = root.joinpath(*inner.split(".")) if inner else root
    candidates = (folder / "__init__.py", folder.with_suffix(".py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _is_contract(module: str) -> bool:
    return module in _CONTRACT or module.startswith("nodegraph.core.")


def _imports(tree: ast.Module, package: str) -> Iterator[Import]:
    for item in ast.walk(tree):
        if isinstance(item, ast.Import):
            for alias in item.names:
                yield Import(alias.name, "", alias.asname or alias.name.split(".")[0])
        elif isinstance(item, ast.ImportFrom):
            module = _absolute(item, package)
            for alias in item.names:
                yield Import(module, alias.name, alias.asname or alias.name)


def _made(tree: ast.Module) -> Iterator[str]:
    for item in ast.walk(tree):
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            yield item.id
        elif isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield item.name


def _absolute(item: ast.ImportFrom, package: str) -> str:
    if not item.level:
        return item.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - item.level + 1]
    return ".".join([*base, *([item.module] if item.module else [])])
