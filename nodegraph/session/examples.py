"""Examples of node types: a small workflow for each, and a picture of what it makes.

A pack keeps them in its folder ``examples``: ``Blend.json`` is the workflow that shows the node
type ``Blend``, ``Blend.webp`` what it makes, and other files there are what workflows read. Those
of the built-in pack read files of the gallery.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from nodegraph.packs.pack import Pack
from nodegraph.packs.snapshot import EXAMPLES
from nodegraph.session.templates import PACKAGE

_LARGEST = 1 << 20
"""Bytes of a workflow that is an example; larger ones are left out."""


@dataclass(frozen=True)
class NodeExample:
    """A workflow that shows what a node type does.

    Attributes:
        file: The workflow.
        inputs: Folder of the files that it may read.
        readable: Their names.
    """

    file: Path
    inputs: Path
    readable: tuple[str, ...]

    @property
    def text(self) -> bytes:
        """The workflow's file.

        Raises:
            OSError: It can't be read.
        """
        return self.file.read_bytes()

    @cached_property
    def picture(self) -> Path | None:
        """A small WebP picture of what it makes; None if there is none."""
        found = self.file.with_suffix(".webp")
        return found if found.is_file() else None

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Names of the files that it reads.

        Raises:
            OSError: The workflow can't be read.
        """
        text = self.text
        return tuple(name for name in self.readable if f'"{name}"'.encode() in text)

    @cached_property
    def needs_within(self) -> tuple[str, ...]:
        """Files in folders that it reads, such as ``fruit/apple/1.webp``.

        Raises:
            OSError: The workflow or a folder can't be read.
            ValueError: The workflow is no JSON.
        """
        nodes = json.loads(self.text).get("nodes", {}).values()
        given = {
            value
            for node in nodes
            for value in node.get("inputs", {}).values()
            if isinstance(value, str)
        }
        folders = [path for path in self.inputs.iterdir() if path.name in given and path.is_dir()]
        found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        return tuple(sorted(path.relative_to(self.inputs).as_posix() for path in found))


def examples(packs: Iterable[Pack]) -> dict[str, NodeExample]:
    """The examples that packs bring, by node type; some may be of types that there are not."""
    return {name: example for pack in packs for name, example in _examples_of(pack)}


def _examples_of(pack: Pack) -> Iterator[tuple[str, NodeExample]]:
    folder = pack.root / EXAMPLES
    if not folder.is_dir():
        return
    inputs = folder if pack.name else _gallery()
    readable = _files(inputs)
    for file in sorted(folder.glob("*.json")):
        if file.is_file() and file.stat().st_size <= _LARGEST:
            name = f"{pack.name}:{file.stem}" if pack.name else file.stem
            yield name, NodeExample(file, inputs, readable)


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
