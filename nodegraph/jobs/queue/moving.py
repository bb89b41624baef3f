"""A queue whose folder lies elsewhere than before: moved, or put back from a backup."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from nodegraph.core.digests import digest_bytes
from nodegraph.core.words import to_well_formed
from nodegraph.jobs.queue.changes import set_setting, setting
from nodegraph.jobs.queue.connection import Connection
from nodegraph.jobs.queue.ownership import mark_open
from nodegraph.jobs.queue.schema import queue_format
from nodegraph.jobs.queue.submission import json_text
from nodegraph.store.database import Database
from nodegraph.store.packing import pack_well_formed, unpack

_HOME = "home"
"""Setting: the folder that the queue was in when it was opened last."""
_WROTE = "SELECT seq, body FROM events WHERE kind = 'node.wrote' ORDER BY seq"
_PLACES = (
    ("workflows", "number", "content"),
    ("requests", "job", "content"),
    ("jobs", "number", "outputs"),
)
"""Tables, their keys and columns of JSON that may name files of the folder."""


def take_over(path: Path, before: str, after: str) -> None:
    """Make a copy of a queue ready to be opened as a server's own.

    Jobs that name files of the folder name them where they will lie. Numbers of events that were
    given since the copy was made are never given again.

    Args:
        path: Of the copy, which nobody has open.
        before: The folder that the queue was in.
        after: The one that it will be in.
    Raises:
        InvalidFile: It is no queue, is damaged, or was written by a newer version.
        OutputError: It can't be written.
    """
    with (
        closing(Database(path, queue_format())) as database,
        database.writing(synced=True) as connection,
    ):
        _move_all(connection, before, after)
        set_setting(connection, _HOME, after)
        # As if its process had been killed; whoever opens it is careful then.
        mark_open(connection)


def follow_folder(connection: Connection, folder: str) -> None:
    """Have jobs name files of the queue's folder where they lie, if it was moved since.

    Args:
        folder: That the queue is in now.
    """
    before = setting(connection, _HOME)
    if before == folder or to_well_formed(folder) != folder:
        return  # a name that is no text can't be kept, nor looked for in texts
    if isinstance(before, str):
        _move_all(connection, before, folder)
    set_setting(connection, _HOME, folder)


def _move_all(connection: Connection, before: str, after: str) -> None:
    if before == after:
        return
    for column in _PLACES:
        _move(connection, *column, before, after)
    for seq, body in connection.execute(_WROTE).fetchall():
        event = unpack(body)
        moved = _moved(event, before, after)
        if moved != event:
            change = "UPDATE events SET body = ? WHERE seq = ?"
            connection.execute(change, (pack_well_formed(moved), seq))


def _move(
    connection: Connection, table: str, key: str, column: str, before: str, after: str
) -> None:
    # Only those that can hold the path, in either of the ways in which JSON may have it.
    starts = (json.dumps(before)[1:-1], json.dumps(before, ensure_ascii=False)[1:-1])
    where = f"instr({column}, ?) OR instr({column}, ?)"
    query = f"SELECT {key}, {column} FROM {table} WHERE {where}"  # noqa: S608
    for number, text in connection.execute(query, starts).fetchall():
        moved = json_text(_moved(json.loads(text), before, after), column)
        if moved == text:
            continue
        change = f"UPDATE {table} SET {column} = ? WHERE {key} = ?"  # noqa: S608
        connection.execute(change, (moved, number))
        if table == "workflows":
            digest = digest_bytes(moved.encode())
            # The same workflow may have come by both paths; then each keeps the digest it has.
            change = "UPDATE OR IGNORE workflows SET digest = ? WHERE number = ?"
            connection.execute(change, (digest, number))


def _moved(value: Any, before: str, after: str) -> Any:
    if isinstance(value, str):
        return _moved_path(value, before, after)
    if isinstance(value, list):
        return [_moved(item, before, after) for item in value]
    if isinstance(value, dict):
        return {name: _moved(item, before, after) for name, item in value.items()}
    return value


def _moved_path(text: str, before: str, after: str) -> str:
    remainder = text.removeprefix(before)
    is_below = remainder != text and remainder[:1] in ("/", "\\")
    return f"{after}{remainder}" if is_below else text
