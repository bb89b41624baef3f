"""Files and folders: written so that a crash leaves the old one or the new one, never half of
either; closed to other users; those of a Python package, and what they import.
"""

from __future__ import annotations

import ast
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

from nodegraph.errors import OutputError

_PARSING = Lock()
_MOST_TRIES = 10


def write_file(path: Path, data: bytes, *, private: bool = False, durable: bool = True) -> None:
    """Put `data` at `path` in one step: a temporary name beside it, fsync, rename.

    A symbolic link stays one: the file that it leads to is replaced.

    Args:
        private: Let nobody but the file's owner read it, from its first byte on.
        durable: False saves the fsync where the reader finds out about half a file, and where
            it can be made anew.
    Raises:
        OutputError: No permission, no space, no such folder.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
    try:
        try:
            with open(temporary, "xb", opener=_private if private else None) as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        hint = None if target.parent.is_dir() else f"Make the folder {target.parent} first."
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {path}: {reason}", hint=hint) from error


def make_folder(path: Path) -> None:
    """Make a folder to write into, and those above it; one that is there stays as it is.

    Raises:
        OutputError: No permission, or a file stands in its place.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot make the folder {path}: {reason}") from error


def restrict_to_owner(path: Path) -> None:
    """Let nobody but the owner use a file or folder, if that is who asks."""
    with suppress(FileNotFoundError):
        status = path.stat()
        if os.name == "posix" and status.st_uid == os.geteuid() and status.st_mode & 0o077:
            with suppress(PermissionError):  # some file systems know no such rights
                path.chmod(status.st_mode & 0o700)


def make_private_folder(path: Path) -> None:
    """Make a folder that nobody but its owner gets into; one that is there is closed to others.

    One of another owner stays as it is, and so does one that can't be changed.

    Raises:
        OSError: It can't be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    restrict_to_owner(path)


def package_files(module: str) -> list[Path]:
    """The Python files of the package that a module is in, sorted; empty if it is not installed.

    Nothing is imported. A package that is a single file gives that file.

    Args:
        module: Import name, such as ``my_pack.families``.
    """
    try:
        spec = find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not folders and spec.origin:
        return [Path(spec.origin)]
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


def site_folder(module: str) -> Path | None:
    """The folder that a top-level module is installed in; imports nothing."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    path = folders[0] if folders else spec.origin
    return Path(path).parent if path else None


@dataclass(frozen=True, slots=True)
class Import:
    """``from module import name`` (name "" for ``import module``).

    Attributes:
        module: Of a relative import, it starts with dots.
        bound: Name that the import binds.
    """

    module: str
    name: str
    bound: str


def imports_of(statement: ast.AST) -> list[Import]:
    """What an import statement imports; empty of any other node of a syntax tree."""
    if isinstance(statement, ast.Import):
        return [
            Import(alias.name, "", alias.asname or alias.name.split(".")[0])
            for alias in statement.names
        ]
    if isinstance(statement, ast.ImportFrom):
        module = "." * statement.level + (statement.module or "")
        return [Import(module, alias.name, alias.asname or alias.name) for alias in statement.names]
    return []


def parse_source(data: bytes) -> list[ast.AST]:
    """All nodes of a source's syntax tree, also while other threads parse.

    Before Python 3.13, threads share one count of the parser's depth, so it may be wrong.

    Raises:
        SyntaxError, ValueError: It is no Python.
    """
    with _PARSING:
        for _ in range(_MOST_TRIES):
            try:
                return _all_nodes(ast.parse(data))
            except SystemError:  # a library parses too, as torch does where it is imported
                continue
        return _all_nodes(ast.parse(data))


def _all_nodes(tree: ast.AST) -> list[ast.AST]:
    """As `ast.walk`, in half its time."""
    nodes = [tree]
    for node in nodes:
        for value in vars(node).values():
            if isinstance(value, ast.AST):
                nodes.append(value)
            elif type(value) is list:
                nodes += [each for each in value if isinstance(each, ast.AST)]
    return nodes


def imported_packages(file: Path) -> set[str]:
    """Names of the top-level packages that a Python file imports; empty if it cannot be read."""
    try:
        nodes = parse_source(file.read_bytes())
    except (OSError, ValueError, SyntaxError):
        return set()
    modules = {each.module for node in nodes for each in imports_of(node)}
    return {module.partition(".")[0] for module in modules if not module.startswith(".")}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
