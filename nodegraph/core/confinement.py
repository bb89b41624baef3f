"""Keeping inputs that name files to the folders that a run may read from.

Whoever sends a workflow to a server names files of a machine that isn't theirs.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from nodegraph.core.context import Environment
from nodegraph.core.spec import NodeSpec
from nodegraph.errors import InvalidValue, Problem


class PathOutside(InvalidValue):
    """A file outside the folders that may be read."""

    code = "path-outside"


def file_links_to_check(
    spec: NodeSpec, linked: Container[str], environment: Environment
) -> tuple[str, ...]:
    """Inputs that get the names of files from other nodes, which the run has to look at.

    Even before a result that is known: it may be that of a file which belongs to somebody else.
    """
    if environment.readable is None or not spec.file_ports:
        return ()
    return tuple(port for port in spec.file_ports if port in linked)


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
    for port in spec.file_ports:
        is_model = spec.inputs_by_name[port].is_model_file
        for name in _names(values.get(port)):
            if _escapes_folder(name) if is_model else not is_readable(name, environment):
                yield Problem(
                    PathOutside.code,
                    "this file may not be read here",
                    node,
                    spec.type,
                    port,
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


def _escapes_folder(name: str) -> bool:
    """Whether a model's name leads out of the folders of models.

    Links within those stay: whoever runs the server has put them there.
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    is_absolute = posix.is_absolute() or bool(windows.anchor) or name.startswith("~")
    return is_absolute or ".." in windows.parts or "\0" in name


def is_readable(name: str, environment: Environment) -> bool:
    """Whether a file lies in a folder that may be read, wherever links on its way lead."""
    if environment.readable is None:
        return True
    try:
        resolved = (environment.inputs / Path(name).expanduser()).resolve()
        if any(resolved == file.resolve() for file in environment.granted):
            return True
        roots = [root.resolve() for root in environment.readable]
        return any(resolved.is_relative_to(root) for root in roots) and not _is_upload(
            resolved, environment.uploads
        )
    except (OSError, RuntimeError, ValueError):
        return False  # a loop of links, nobody's home, a zero byte


def _is_upload(file: Path, uploads: Path | None) -> bool:
    """Whether a file lies in the folder of uploads, which may lie within one that may be read.

    Folders are compared, not their names: some file systems know one by several.
    """
    if uploads is None or not uploads.exists():
        return False
    return any(parent.exists() and parent.samefile(uploads) for parent in (file, *file.parents))
