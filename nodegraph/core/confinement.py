"""Keeping inputs that name files to the folders that a run may read from.

Whoever sends a workflow to a server names files of a machine that isn't theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from nodegraph.core.context import Environment
from nodegraph.core.spec import NodeSpec
from nodegraph.errors import InvalidValue, Problem

_FILE = "file:"
_MODEL = "file:model"


class PathOutside(InvalidValue):
    """A file outside the folders that may be read."""

    code = "path-outside"


def check_paths(
    node: str, spec: NodeSpec, values: Mapping[str, Any], environment: Environment
) -> None:
    """Refuse a call whose inputs name files that it may not read.

    Raises:
        PathOutside: They do.
    """
    for problem in path_problems(node, spec, values, environment):
        raise PathOutside(
            problem.message, node=node, node_type=spec.type, port=problem.port, given=problem.given
        )


def path_problems(
    node: str, spec: NodeSpec, values: Mapping[str, Any], environment: Environment
) -> Iterator[Problem]:
    """A problem for each input that names a file outside of what may be read.

    Args:
        values: Of the node's inputs, as far as they are known.
    """
    if environment.readable is None:
        return
    for port in spec.inputs:
        if not port.widget.startswith(_FILE):
            continue
        for name in _names(values.get(port.name)):
            is_model = port.widget == _MODEL
            if _climbs(name) if is_model else not _is_readable(name, environment):
                yield Problem(
                    PathOutside.code,
                    "this file may not be read here",
                    node,
                    spec.type,
                    port.name,
                    given=ascii(name[:200]),
                    expected="a model's name"
                    if is_model
                    else "an upload, or a file in the inputs folder",
                )


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Path):
        yield str(value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _names(item)


def _climbs(name: str) -> bool:
    """Whether a model's name leads out of the folders of models.

    Links within those stay: whoever runs the server has put them there.
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    is_absolute = posix.is_absolute() or bool(windows.anchor) or name.startswith("~")
    return is_absolute or ".." in windows.parts or "\0" in name


def _is_readable(name: str, environment: Environment) -> bool:
    """Whether a file lies in a folder that may be read, wherever links on its way lead."""
    try:
        found = (environment.inputs / Path(name).expanduser()).resolve()
        roots = [root.resolve() for root in environment.readable or ()]
    except (OSError, RuntimeError, ValueError):
        return False  # a loop of links, nobody's home, a zero byte
    return any(found.is_relative_to(root) for root in roots)
