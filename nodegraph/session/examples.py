"""Workflows that ship with nodegraph: gallery templates and node type examples.

A pack keeps its examples in its folder ``examples``: ``Blend.json`` is the workflow for the node
type ``Blend``, ``Blend.webp`` its result, and other files there are inputs of workflows. Examples
of the built-in pack read files of the gallery.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.resources import as_file, files
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nodegraph.core.suggest import did_you_mean
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue
from nodegraph.packs.pack import Pack
from nodegraph.packs.snapshot import EXAMPLES

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

PACKAGE = "nodegraph.gallery"


def templates() -> dict[str, Workflow]:
    """The gallery's workflows by name, sorted."""
    names = sorted(item.name for item in files(PACKAGE).iterdir() if item.name.endswith(".json"))
    return {name.removesuffix(".json"): _load(name) for name in names}


def template(name: str) -> tuple[bytes, dict[str, bytes]]:
    """A workflow's file, and the files of the gallery that it needs, by name.

    Raises:
        InvalidValue: There is none of that name.
    """
    folder = files(PACKAGE)
    wanted = name.removesuffix(".json")
    names = {item.name for item in folder.iterdir()}
    if f"{wanted}.json" not in names:
        known = [item.removesuffix(".json") for item in names if item.endswith(".json")]
        raise InvalidValue(f"the gallery has no `{name}`", hint=did_you_mean(name, known))
    needed = sorted(_needed(_load(f"{wanted}.json"), wanted, names))
    return _read(folder, f"{wanted}.json"), {other: _read(folder, other) for other in needed}


def template_picture(name: str) -> bytes | None:
    """A small WebP image of what a workflow of the gallery makes; None if there is none."""
    picture = files(PACKAGE) / f"{name}.webp"
    return picture.read_bytes() if picture.is_file() else None


def _load(name: str) -> Workflow:
    with as_file(files(PACKAGE) / name) as path:
        return Workflow.load(path)


def _read(folder: Traversable, name: str) -> bytes:
    return (folder / name).read_bytes()


def _needed(workflow: Workflow, name: str, there: set[str]) -> Iterator[str]:
    """Files that its inputs name, and a pack that has its own name."""
    if f"{name}.py" in there:
        yield f"{name}.py"
    for node in workflow.nodes.values():
        for value in node.inputs.values():
            yield from _named(value, there)


def _named(value: Any, there: set[str]) -> Iterator[str]:
    if isinstance(value, str) and value in there and not value.endswith(".json"):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _named(item, there)


_LARGEST = 1 << 20
"""Bytes of a workflow that is an example; larger ones are left out."""


@dataclass(frozen=True)
class NodeExample:
    """A workflow that shows what a node type does.

    Attributes:
        file: The workflow.
        inputs: Folder of the files that it may read.
        readable: Their names.
        readable_folders: Names of the folders among them.
    """

    file: Path
    inputs: Path
    readable: tuple[str, ...]
    readable_folders: tuple[str, ...] = ()

    @property
    def text(self) -> bytes:
        """The workflow's file.

        Raises:
            OSError: It can't be read.
        """
        return self.file.read_bytes()

    @cached_property
    def picture(self) -> Path | None:
        """A small WebP image of what it makes; None if there is none."""
        path = self.file.with_suffix(".webp")
        return path if path.is_file() else None

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the files that it reads.

        Raises:
            OSError: The workflow can't be read.
        """
        return self._reads[0]

    @property
    def folders(self) -> tuple[str, ...]:
        """Names of the folders that it reads, or of what lies in which it reads.

        Raises:
            OSError: The workflow can't be read.
        """
        return self._reads[1]

    @cached_property
    def _reads(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the files and of the folders, of one look at the workflow."""
        text = self.text
        files = tuple(name for name in self.readable if f'"{name}"'.encode() in text)
        named = [name for name in self.readable_folders if f'"{name}'.encode() in text]
        texts = _texts(text) if named else set()
        return files, tuple(name for name in named if any(map(partial(self._is_in, name), texts)))

    @property
    def needs_within(self) -> tuple[str, ...]:
        """Files in folders that it reads, such as ``fruit/apple/1.webp``.

        Raises:
            OSError: The workflow or a folder can't be read.
        """
        paths = (path for name in self.folders for path in (self.inputs / name).rglob("*"))
        files = (path.relative_to(self.inputs) for path in paths if path.is_file())
        return tuple(sorted(path.as_posix() for path in files))

    def _is_in(self, folder: str, value: str) -> bool:
        """Whether a text names a folder or one in it."""
        first, *others = value.split("/")
        return first == folder and ".." not in others and (self.inputs / value).is_dir()

    def copy_folders(self, inputs: Path) -> None:
        """Put the folders that it reads into another one; what is there already stays as it is.

        Raises:
            OSError: They can't be read or written.
        """
        for name in self.folders:
            target = inputs / name
            if not target.exists():
                inputs.mkdir(parents=True, exist_ok=True)
                # Under another name until all is there: nobody takes a part for the whole.
                with TemporaryDirectory(prefix=".example-", dir=inputs) as part:
                    copied = copytree(self.inputs / name, Path(part) / name)
                    copied.rename(target)


def _texts(workflow: bytes) -> set[str]:
    """All that a workflow says in texts, but for where its links begin; nothing of no JSON."""

    def read(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from chain.from_iterable(map(read, value))
        elif isinstance(value, dict):
            yield from read([item for name, item in value.items() if name != "from"])

    try:
        return set(read(json.loads(workflow)))
    except (ValueError, RecursionError):
        return set()


def examples(packs: Iterable[Pack]) -> dict[str, NodeExample]:
    """The examples that packs bring, by node type; some may be of types that there are not."""
    return {name: example for pack in packs for name, example in _examples_of(pack)}


def _examples_of(pack: Pack) -> Iterator[tuple[str, NodeExample]]:
    folder = pack.root / EXAMPLES
    if not folder.is_dir():
        return
    inputs = folder if pack.name else _gallery()
    readable, folders = _files(inputs), _folders(inputs)
    with os.scandir(folder) as entries:  # hundreds, which each look at the node types waits for
        names = sorted(entry.name for entry in entries if _is_example(entry))
    for name in names:
        file = folder / name
        node_type = f"{pack.name}:{file.stem}" if pack.name else file.stem
        yield node_type, NodeExample(file, inputs, readable, folders)


def _is_example(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(".json") and entry.is_file() and entry.stat().st_size <= _LARGEST


def _gallery() -> Path:
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _files(folder: Path) -> tuple[str, ...]:
    """Files that workflows may read: neither workflows nor what they make, nor code."""
    others = (".json", ".webp", ".py", ".pyc")
    names = (path.name for path in folder.iterdir() if path.is_file())
    return tuple(sorted(name for name in names if not name.endswith(others) and name[0] != "."))


def _folders(folder: Path) -> tuple[str, ...]:
    """Folders that workflows may read."""
    names = (path.name for path in folder.iterdir() if path.is_dir())
    return tuple(sorted(name for name in names if name[0] not in "._"))
