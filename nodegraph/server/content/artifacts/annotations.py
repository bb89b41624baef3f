"""The library: what people note about results, and their boards; kept apart from the catalogue.

The catalogue can be made again from the queue, and what is here cannot. It is a file of its own
that is backed up, or lies in the queue's database where that is PostgreSQL. The catalogue copies
it, change by change, so that one query can search both.
"""

from __future__ import annotations

import json
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue.backend import Connection, Tables, placeholders
from nodegraph.server.http.errors import Conflict, NotFound, Unprocessable
from nodegraph.store.database import Database, Format

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);

-- What is noted about bytes, by each client whose jobs gave them.
CREATE TABLE annotations (
    client TEXT NOT NULL,
    digest TEXT NOT NULL,
    stars BIGINT NOT NULL DEFAULT 0,
    tags TEXT NOT NULL DEFAULT '[]',      -- a JSON list
    note TEXT,
    board TEXT,
    trashed DOUBLE PRECISION,             -- Unix time; what jobs gave since is not in the trash
    deleted DOUBLE PRECISION,             -- Unix time; what jobs gave until then is gone for good
    changed BIGINT NOT NULL,              -- number of the last change, which grows
    PRIMARY KEY (client, digest)
);
CREATE INDEX annotations_by_change ON annotations (changed);
CREATE INDEX annotations_in_trash ON annotations (trashed) WHERE trashed IS NOT NULL;

CREATE TABLE boards (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    created DOUBLE PRECISION NOT NULL,
    UNIQUE (client, name)
);
"""
LIBRARY_MIGRATIONS: Sequence[str] = (_FIRST,)
LIBRARY_TABLES: Sequence[str] = tuple(
    each.replace(" TEXT", ' TEXT COLLATE "C"') for each in LIBRARY_MIGRATIONS
)
"""The same for PostgreSQL, where texts are put in order as in a file."""
LIBRARY_FILE = "library.sqlite"
LIBRARY_SCHEMA = "nodegraph_library"
LIBRARY_LOCK = 0x6E676C69
_APPLICATION = 0x6E676C62
LARGEST_CHANGE = 1_000
"""Results that one request changes."""
MOST_TAGS, LONGEST_TAG, LONGEST_NOTE, LONGEST_NAME, MOST_BOARDS = 64, 100, 10_000, 100, 1_000
_COLUMNS = "client, digest, stars, tags, note, board, trashed, deleted"
_AT_ONCE = 400
_REMEMBERED = 90 * 86_400.0
"""Seconds after which a server that did not hear of a deletion is gone."""
_UPSERT = f"""
INSERT INTO annotations ({_COLUMNS}, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (client, digest) DO UPDATE SET stars = excluded.stars, tags = excluded.tags,
    note = excluded.note, board = excluded.board, trashed = excluded.trashed,
    deleted = excluded.deleted, changed = excluded.changed
"""  # noqa: S608
_SET_META = """
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
Key = tuple[str, Digest]
"""Client and digest."""


def library_format() -> Format:
    """What a library's file holds."""
    return Format(
        application=_APPLICATION,
        migrations=LIBRARY_MIGRATIONS,
        name="the library",
        whole="the library",
        foreign="a library of results",
        absent="no library",
        loss="stars, tags, notes, boards and the trash are lost.",
        is_private=True,
        is_irreplaceable=True,
    )


def open_library(path: Path) -> ResultLibrary:
    """The library in a file, which is made if it isn't there.

    Raises:
        InvalidFile, OutputError: It is something else, is damaged, or can't be written.
    """
    return ResultLibrary(Database(path, library_format()))


@dataclass(frozen=True, slots=True)
class ResultAnnotation:
    """What a client notes about bytes.

    Attributes:
        stars: 0 to 5.
        tags: In alphabetical order, each once whatever the case of its letters.
        board: Id of its board.
        trashed: Unix time; None for what isn't in the trash.
        deleted: Unix time until which jobs gave what was deleted for good since. Servers with
            catalogues of their own hear of it so.
    """

    client: str
    digest: Digest
    stars: int = 0
    tags: tuple[str, ...] = ()
    note: str | None = None
    board: str | None = None
    trashed: float | None = None
    deleted: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is noted."""
        return replace(self, deleted=None) == ResultAnnotation(self.client, self.digest)


@dataclass(frozen=True, slots=True)
class AnnotationChange:
    """What is changed of some annotations; what isn't mentioned stays.

    Attributes:
        stars: 0 to 5; None to leave it.
        note, board: By these names, in `texts`; None takes it off.
    """

    stars: int | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    texts: Mapping[str, str | None] = field(default_factory=dict)

    def apply(self, annotation: ResultAnnotation) -> ResultAnnotation:
        """An annotation with the change.

        Raises:
            Unprocessable: It has too many tags then.
        """
        removed = {tag.casefold() for tag in self.remove_tags}
        tags = {each.casefold(): each for each in annotation.tags}
        tags = {key: tag for key, tag in tags.items() if key not in removed}
        for tag in self.add_tags:
            tags.setdefault(tag.casefold(), tag)
        if len(tags) > MOST_TAGS and len(tags) > len(annotation.tags):
            raise Unprocessable(
                "a result has too many tags",
                given=str(len(tags)),
                expected=f"at most {MOST_TAGS}",
                hint="Remove some of them, or use a board. Nothing was changed.",
            )
        changed = replace(annotation, tags=tuple(tags[key] for key in sorted(tags)))
        if self.stars is not None:
            changed = replace(changed, stars=self.stars)
        return replace(
            changed,
            note=self.texts.get("note", changed.note),
            board=self.texts.get("board", changed.board),
        )


@dataclass(frozen=True, slots=True)
class Board:
    """A board.

    Attributes:
        created: Unix time.
    """

    id: str
    client: str
    name: str
    created: float


@dataclass(frozen=True, slots=True)
class LibraryChanges:
    """What has changed since a change.

    Attributes:
        annotations: As they are now; empty ones for what is noted no more.
        last: Number of the last of these changes.
        is_complete: Whether there are no more.
        is_reset: Whether all that was known before must be forgotten, as the library is another.
    """

    annotations: tuple[ResultAnnotation, ...]
    last: int
    is_complete: bool
    is_reset: bool


def clean_text(text: str, what: str, longest: int, *, lines: bool = False) -> str:
    """A text of people, without space around it and in one spelling.

    Args:
        what: What it is, to people.
        lines: Whether it may have several lines.
    Raises:
        InvalidValue: It is empty, too long, or has characters that nobody can see.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise InvalidValue(f"{what} is empty", expected=f"1 to {longest} characters")
    if len(text) > longest:
        raise InvalidValue(
            f"{what} is too long", given=f"{len(text)} characters", expected=f"at most {longest}"
        )
    hidden = next((c for c in text if _is_hidden(c) and not (lines and c in "\n\t\r")), None)
    if hidden is not None:
        raise InvalidValue(
            f"{what} contains a control character",
            given=f"U+{ord(hidden):04X} in {text[:60]!a}",
            hint="Remove it.",
        )
    return text


def _is_hidden(character: str) -> bool:
    # Joiners and marks of direction belong to scripts and emoji.
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


class ResultLibrary:
    """Annotations and boards; safe to use from several threads.

    Every change is one transaction that survives a power cut.

    Args:
        database: A file, see `library_format`, or what several servers share.
        clock: Unix time.
    """

    def __init__(self, database: Tables, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO meta (name, value) VALUES ('identity', ?) ON CONFLICT DO NOTHING",
                (secrets.token_hex(8),),
            )
            self.identity = _meta(connection, "identity")

    def close(self) -> None:
        """Close what keeps it."""
        self._database.close()

    def now(self) -> float:
        """Unix time."""
        return self._clock()

    # Annotations.

    def change(
        self, keys: Iterable[Key], change: Callable[[ResultAnnotation], ResultAnnotation]
    ) -> int:
        """Change some annotations, all of them or none; how many differ now.

        Args:
            change: Returns an annotation as it is to be; may raise.
        """
        with self._writing() as connection:
            return _change(connection, keys, change)

    def get(self, keys: Iterable[Key]) -> dict[Key, ResultAnnotation]:
        """Some annotations; empty ones where nothing is noted."""
        with self._reading() as connection:
            return _get(connection, keys)

    def trashed(self, client: str | None, before: float | None = None) -> list[ResultAnnotation]:
        """What is in the trash, the longest there first.

        Args:
            client: Whose; None for everybody's.
            before: Unix time; only what was there then.
        """
        which = (
            "trashed IS NOT NULL AND (CAST(:client AS TEXT) IS NULL OR client = :client)"
            " AND (CAST(:before AS DOUBLE PRECISION) IS NULL OR trashed < :before)"
        )
        values = {"client": client, "before": before}
        with self._reading() as connection:
            return _annotations(connection, f"{which} ORDER BY trashed, digest", values)

    def changes_after(self, number: int, identity: str, limit: int = 2_000) -> LibraryChanges:
        """What has changed since a change; all of one change is in it.

        Args:
            number: Of the last change that is known; 0 for none.
            identity: Of the library whose change that was.
        """
        with self._reading() as connection:
            newest, purged = (int(_meta(connection, each, "0")) for each in ("changes", "purged"))
            is_reset = identity != self.identity or number > newest or number < purged
            if is_reset:
                number = 0
            if number == newest:
                return LibraryChanges((), newest, True, is_reset)
            query = f"SELECT {_COLUMNS}, changed FROM annotations WHERE changed > ? ORDER BY changed LIMIT ?"  # noqa: S608, E501
            rows = connection.execute(query, (number, limit + 1)).fetchall()
            last = newest
            if len(rows) > limit:
                # A change is taken whole, however large it is.
                last = rows[limit - 1][-1]
                query = f"SELECT {_COLUMNS}, changed FROM annotations WHERE changed > ? AND changed <= ?"  # noqa: S608, E501
                rows = connection.execute(query, (number, last)).fetchall()
        return LibraryChanges(
            tuple(_annotation(row[:-1]) for row in rows), last, last == newest, is_reset
        )

    def purge(self) -> None:
        """Forget that there were annotations which have been empty for long."""
        empty = (
            "stars = 0 AND tags = '[]' AND note IS NULL AND board IS NULL AND trashed IS NULL"
            " AND coalesce(deleted, 0) < ?"
        )
        oldest = (self._clock() - _REMEMBERED,)
        with self._writing() as connection:
            query = f"SELECT max(changed) FROM annotations WHERE {empty}"  # noqa: S608
            (last,) = connection.execute(query, oldest).fetchone()
            if last is not None:
                connection.execute(f"DELETE FROM annotations WHERE {empty}", oldest)  # noqa: S608
                purged = max(int(last), int(_meta(connection, "purged", "0")))
                connection.execute(_SET_META, ("purged", str(purged)))

    # Boards.

    def boards(self, client: str | None) -> list[Board]:
        """The boards of a client, or of all, by name."""
        query = (
            "SELECT id, client, name, created FROM boards"
            " WHERE CAST(:client AS TEXT) IS NULL OR client = :client"
        )
        with self._reading() as connection:
            rows = connection.execute(query, {"client": client}).fetchall()
        return sorted((Board(*row) for row in rows), key=lambda board: board.name.casefold())

    def board(self, id: str, client: str | None) -> Board:
        """A board.

        Raises:
            NotFound: There is none of that id, or it is another client's.
        """
        with self._reading() as connection:
            return _board(connection, id, client)

    def add_board(self, client: str, name: str) -> Board:
        """A new board.

        Raises:
            InvalidValue: The name is none.
            Conflict: There is one of that name, or there are too many.
        """
        name = clean_text(name, "the name of the board", LONGEST_NAME)
        board = Board(f"board_{secrets.token_hex(6)}", client, name, self._clock())
        with self._writing() as connection:
            _check_name(connection, client, name)
            query = "SELECT count(*) FROM boards WHERE client = ?"
            if connection.execute(query, (client,)).fetchone()[0] >= MOST_BOARDS:
                raise Conflict(
                    "there are too many boards",
                    expected=f"at most {MOST_BOARDS}",
                    hint="Delete one of them. Its results stay.",
                )
            values = (board.id, client, name, board.created)
            connection.execute("INSERT INTO boards VALUES (?, ?, ?, ?)", values)
        return board

    def rename_board(self, id: str, client: str | None, name: str) -> Board:
        """Give a board another name.

        Raises:
            InvalidValue, NotFound, Conflict: See `add_board` and `board`.
        """
        name = clean_text(name, "the name of the board", LONGEST_NAME)
        with self._writing() as connection:
            board = _board(connection, id, client)
            _check_name(connection, board.client, name, but=id)
            connection.execute("UPDATE boards SET name = ? WHERE id = ?", (name, id))
        return replace(board, name=name)

    def delete_board(self, id: str, client: str | None) -> None:
        """Delete a board; what is on it stays.

        Raises:
            NotFound: There is none of that id, or it is another client's.
        """
        with self._writing() as connection:
            _board(connection, id, client)
            rows = connection.execute(
                "SELECT client, digest FROM annotations WHERE board = ?", (id,)
            ).fetchall()
            _change(connection, map(tuple, rows), lambda each: replace(each, board=None))
            connection.execute("DELETE FROM boards WHERE id = ?", (id,))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._database.explaining(), self._database.writing(synced=True) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._database.explaining(), self._database.reading() as connection:
            yield connection


def _change(
    connection: Connection,
    keys: Iterable[Key],
    change: Callable[[ResultAnnotation], ResultAnnotation],
) -> int:
    rows = []
    number = int(_meta(connection, "changes", "0")) + 1
    for before in _get(connection, keys).values():
        after = change(before)
        if after != before:
            tags = json.dumps(after.tags, ensure_ascii=False)
            values = (after.stars, tags, after.note, after.board, after.trashed, after.deleted)
            rows.append((after.client, after.digest, *values, number))
    if rows:
        connection.executemany(_UPSERT, rows)
        connection.execute(_SET_META, ("changes", str(number)))
    return len(rows)


def _get(connection: Connection, keys: Iterable[Key]) -> dict[Key, ResultAnnotation]:
    annotations = {key: ResultAnnotation(*key) for key in keys}
    digests = list(dict.fromkeys(digest for _, digest in annotations))
    for start in range(0, len(digests), _AT_ONCE):
        part = digests[start : start + _AT_ONCE]
        for each in _annotations(connection, f"digest IN ({placeholders(part)})", part):
            if (each.client, each.digest) in annotations:
                annotations[each.client, each.digest] = each
    return annotations


def _annotations(connection: Connection, which: str, values: Any) -> list[ResultAnnotation]:
    query = f"SELECT {_COLUMNS} FROM annotations WHERE {which}"  # noqa: S608
    return [_annotation(row) for row in connection.execute(query, values).fetchall()]


def _annotation(row: Sequence[Any]) -> ResultAnnotation:
    client, digest, stars, tags, *others = row
    return ResultAnnotation(client, digest, stars, tuple(json.loads(tags)), *others)


def _meta(connection: Connection, name: str, default: str = "") -> str:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return default if row is None else str(row[0])


def _board(connection: Connection, id: str, client: str | None) -> Board:
    query = "SELECT id, client, name, created FROM boards WHERE id = ?"
    row = connection.execute(query, (id,)).fetchone()
    if row is None or client not in (None, row[1]):
        raise NotFound(
            "there is no such board",
            given=ascii(id[:80])[1:-1],
            hint="GET /api/v1/library/boards lists the boards.",
        )
    return Board(*row)


def _check_name(connection: Connection, client: str, name: str, but: str = "") -> None:
    query = "SELECT id, name FROM boards WHERE client = ?"
    for known, other in connection.execute(query, (client,)).fetchall():
        if known != but and other.casefold() == name.casefold():
            raise Conflict("there is a board of this name", given=name, hint="Choose another name.")
