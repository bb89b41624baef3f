"""Leading older files on: the file format as a whole, and the versions of single node types."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from itertools import product
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
    while (found := document.get("format")) != FORMAT:
        step = migrations.get(found) if isinstance(found, str) else None
        if step is None:
            raise _refused(document, found)
        document = step(document)
    return document


def _refused(document: dict[str, Any], found: Any) -> InvalidFile:
    if found is None:
        ours = isinstance(document.get("nodes"), dict)
        return InvalidFile(
            "this is no nodegraph workflow: the key `format` is missing",
            expected=f'"format": "{FORMAT}"',
            hint="Add that line." if ours else "If another tool wrote the file, import it instead.",
        )
    number = _NUMBERED.fullmatch(found) if isinstance(found, str) else None
    if number and int(number[1]) > int(FORMAT.rpartition("/")[2]):
        return InvalidFile(
            f"the workflow was written by a newer nodegraph, in the format {found}",
            expected=f"{FORMAT} or older",
            hint="Update nodegraph, or save the workflow in the older format.",
        )
    return InvalidFile(
        "the workflow's format is unknown", given=in_words(found), expected=f'"{FORMAT}"'
    )


def migrate_inputs(
    inputs: Mapping[str, Any], start: int, end: int, migrations: Mapping[int, NodeMigration]
) -> dict[str, Any]:
    """A node's inputs, written for version `start` of its type, as version `end` takes them.

    A version without a migration takes the inputs of the one before it.
    """
    found = dict(inputs)
    for version in range(start, end):
        step = migrations.get(version)
        if step is not None:
            found = dict(step(found))
    return found


_STAND_INS: Sequence[tuple[Any, Any]] = (
    (2, 3),
    (0.25, 0.75),
    ("a", "b"),
    (False, True),
    (["a"], ["b", "c"]),
)
"""Pairs of values of each kind that an input may be of."""


def migrate_unread(
    inputs: Mapping[str, Any],
    unread: Collection[str],
    start: int,
    end: int,
    migrations: Mapping[int, NodeMigration],
) -> tuple[dict[str, Any], list[str]]:
    """A node's inputs as `migrate_inputs` has them, and those that depend on ones without a value.

    A migration may rename inputs or work out others of them, so that it is seen by values that
    stand in for the missing ones.

    Args:
        unread: Inputs that aren't given and that no default stands for.
    Returns:
        The inputs without such ones, and the names of these.
    """
    missing = [name for name in unread if name not in inputs]
    if not missing:
        migrated = migrate_inputs(inputs, start, end, migrations)
        return migrated, [name for name in unread if name in migrated]
    migrated = {}
    dependent: set[str] = set()
    for name in missing:
        is_migrated = False
        for pair, (other, _) in product(_STAND_INS, _STAND_INS):
            stand_ins = [dict.fromkeys(missing, other) | {name: value} for value in pair]
            try:
                usual, changed = (
                    migrate_inputs({**deepcopy(dict(inputs)), **each}, start, end, migrations)
                    for each in stand_ins
                )
            except Exception:  # noqa: BLE001, S112 - it need not take values of every kind
                continue
            is_migrated = True
            migrated |= usual
            dependent |= {
                port
                for port in usual.keys() | changed.keys()
                if port not in usual or port not in changed or usual[port] != changed[port]
            }
        if not is_migrated:
            # Nobody knows what it is today, such as a choice that is looked up in a table.
            migrated |= migrate_inputs(deepcopy(dict(inputs)), start, end, migrations)
            dependent.add(name)
    passed = _passed(inputs, start, end, migrations)
    migrated |= passed
    dependent -= passed.keys()
    known = {port: value for port, value in migrated.items() if port not in dependent}
    return known, [*(name for name in unread if name in known), *sorted(dependent)]


def _passed(
    inputs: Mapping[str, Any], start: int, end: int, migrations: Mapping[int, NodeMigration]
) -> dict[str, Any]:
    """Inputs that have today's names already: people give them by the names that they are told."""
    try:
        migrated = migrate_inputs(deepcopy(dict(inputs)), start, end, migrations)
    except Exception:  # noqa: BLE001 - as not all that it needs is there
        return {}
    return {
        port: value
        for port, value in inputs.items()
        if port in migrated and migrated[port] == value
    }
