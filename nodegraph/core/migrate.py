"""Leading older files on: the file format as a whole, and the versions of single node types."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from nodegraph.core.parts import in_words
from nodegraph.errors import InvalidFile

FORMAT = "nodegraph/1"
"""The format that this version writes."""

FormatMigration = Callable[[dict[str, Any]], dict[str, Any]]
FORMAT_MIGRATIONS: Mapping[str, FormatMigration] = {}
"""By older format: turns a file of it into one of the next format, its `format` key included."""

NodeMigration = Callable[[dict[str, Any]], dict[str, Any]]

_NUMBERED = re.compile(r"nodegraph/([0-9]{1,9})")


def migrate_format(
    document: dict[str, Any], migrations: Mapping[str, FormatMigration] = FORMAT_MIGRATIONS
) -> dict[str, Any]:
    """The file's content in today's format.

    Raises:
        InvalidFile: It has no format, an unknown one, or one of a newer nodegraph.
    """
    while (file_format := document.get("format")) != FORMAT:
        step = migrations.get(file_format) if isinstance(file_format, str) else None
        if step is None:
            raise _refused(document, file_format)
        document = step(document)
    return document


def _refused(document: dict[str, Any], file_format: Any) -> InvalidFile:
    if file_format is None:
        ours = isinstance(document.get("nodes"), dict)
        return InvalidFile(
            "this is no nodegraph workflow: the key `format` is missing",
            expected=f'"format": "{FORMAT}"',
            hint="Add that line." if ours else "If another tool wrote the file, import it instead.",
        )
    number = _NUMBERED.fullmatch(file_format) if isinstance(file_format, str) else None
    if number and int(number[1]) > int(FORMAT.rpartition("/")[2]):
        return InvalidFile(
            f"the workflow was written by a newer nodegraph, in the format {file_format}",
            expected=f"{FORMAT} or older",
            hint="Update nodegraph, or save the workflow in the older format.",
        )
    return InvalidFile(
        "the workflow's format is unknown", given=in_words(file_format), expected=f'"{FORMAT}"'
    )


def migrate_inputs(
    inputs: Mapping[str, Any], start: int, end: int, migrations: Mapping[int, NodeMigration]
) -> dict[str, Any]:
    """A node's inputs, written for version `start` of its type, as version `end` takes them.

    A version without a migration takes the inputs of the one before it.
    """
    migrated = dict(inputs)
    for version in range(start, end):
        step = migrations.get(version)
        if step is not None:
            migrated = dict(step(migrated))
    return migrated
