"""Sinks whose only effect are files: while those lie there unchanged, nothing is left to do."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterable, Sequence

from nodegraph.core.context import Environment
from nodegraph.core.digests import digest_bytes
from nodegraph.core.keys import Key
from nodegraph.engine.result import WrittenFile
from nodegraph.store import written as stored
from nodegraph.store.entries import CallWarning
from nodegraph.store.written import SinkFiles

_LOG = logging.getLogger(__name__)
_ANOTHERS_INPUT = re.compile(r"%[^%]+\.[^%]+%")
"""What stands in a name for an input of another node, such as ``%sample.seed%``."""


def names_others(values: Iterable[object]) -> bool:
    """Whether a sink was given a name that says what other nodes are given.

    No key of its call knows these, and files under another name aren't those that were asked for.
    """
    return any(isinstance(value, str) and _ANOTHERS_INPUT.search(value) for value in values)


def written_before(
    written: SinkFiles, key: Key, environment: Environment, node: str
) -> list[WrittenFile] | None:
    """The files that an equal call of a sink wrote, if none has changed since."""
    files = find_unchanged_files(written, key, environment, node)
    if files is None:
        return None
    return [WrittenFile(file.path, node, file.kind, existed=True) for file in files]


def find_unchanged_files(
    written: SinkFiles, key: Key, environment: Environment, node: str
) -> Sequence[stored.SinkFile] | None:
    """The same, with the digests of their bytes."""
    try:
        return written.unchanged(_files_key(key, environment))
    except sqlite3.Error as error:
        _LOG.warning("can't look up what %s wrote before: %s", node, error)
        return None  # then it writes them again


def warnings_of_written(
    written: SinkFiles, key: Key, environment: Environment
) -> tuple[CallWarning, ...]:
    """What an equal call of a sink said of the files that it wrote."""
    try:
        return written.warnings(_files_key(key, environment))
    except sqlite3.Error as error:
        _LOG.warning("can't look up what was said of files: %s", error)
        return ()


def remember_written(
    written: SinkFiles,
    key: Key,
    environment: Environment,
    files: Sequence[WrittenFile],
    warnings: Sequence[CallWarning] = (),
) -> None:
    """Note the files that a call of a sink has written, as they are now.

    Args:
        warnings: What it said of them.
    """
    try:
        stamped = [stored.SinkFile.from_path(file.path, file.kind, file.node) for file in files]
    except OSError:
        return  # somebody has moved one already, so next time there is something to do
    try:
        written.remember(_files_key(key, environment), stamped, warnings)
    except sqlite3.Error as error:
        # The files are there all the same: the node has done its work.
        _LOG.warning("can't note the files that were written: %s", error)


def _files_key(key: Key, environment: Environment) -> Key:
    """Names what a sink does: its call, into the folders that it may write to.

    The workflow around it is no part: a node that was renamed or moved makes the same picture.
    """
    folders = f"{environment.outputs.absolute()}\0{environment.temporary.absolute()}"
    return digest_bytes(f"files {key} {folders}".encode("utf-8", "surrogatepass"))
