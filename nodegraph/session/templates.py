"""The workflows that come with nodegraph, and the files that they need."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

from nodegraph.core.suggest import did_you_mean
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue

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
    """A small WebP picture of what a workflow of the gallery makes; None if there is none."""
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
