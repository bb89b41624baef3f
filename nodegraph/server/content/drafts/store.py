"""The file of drafts: each one's text, and the last patches that led to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from nodegraph.core.json_text import read_json, write_json
from nodegraph.core.text_format import format_size
from nodegraph.errors import NodegraphError
from nodegraph.server.content.drafts.patches import Rename, apply_patch, parse_patch
from nodegraph.server.http.errors import NotFound, TooLarge
from nodegraph.store.database import Database, Format

DRAFTS_FILE = "drafts.sqlite"
LARGEST_DRAFT = 32 << 20
"""Characters of a draft's text."""
MOST_DRAFTS = 500
"""Drafts without a saved workflow that a client may have; the oldest go."""
KEPT_PATCHES = 2_000
"""Patches of a draft that are remembered, so that one that is sent again is known."""
COMPACT_EVERY = 64
"""Patches after which the text is written anew: reading a draft applies no more of them."""
_APPLICATION = 0x6E676472
_FIRST = """
CREATE TABLE drafts (
    key TEXT PRIMARY KEY,
    client TEXT NOT NULL,                 -- whose it is; empty for one of a saved workflow
    title TEXT NOT NULL,
    text TEXT NOT NULL,                   -- as it was at the revision `written`
    written INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    saved INTEGER NOT NULL,               -- the revision that was saved last; -1 for none
    digest TEXT NOT NULL,                 -- of the saved text; empty for none
    changed REAL NOT NULL                 -- Unix time
);
CREATE INDEX drafts_by_client ON drafts (client, changed);

CREATE TABLE patches (
    draft TEXT NOT NULL,
    revision INTEGER NOT NULL,            -- that it led to
    id TEXT NOT NULL,
    operations TEXT NOT NULL,
    PRIMARY KEY (draft, revision)
) WITHOUT ROWID;
CREATE UNIQUE INDEX patches_by_id ON patches (draft, id);
"""
_SECOND = """
CREATE TABLE renames (
    draft TEXT NOT NULL,
    revision INTEGER NOT NULL,            -- at which a node got another name
    scope TEXT,                           -- the block that it is in; NULL for the outermost graph
    old TEXT NOT NULL,
    new TEXT NOT NULL
);
CREATE INDEX renames_by_draft ON renames (draft, revision);
"""


def drafts_format() -> Format:
    """What the file of drafts holds."""
    return Format(
        application=_APPLICATION,
        migrations=(_FIRST, _SECOND),
        name="the drafts",
        whole="the drafts",
        foreign="a file of drafts",
        absent="no file of drafts",
        loss="changes that were not saved are lost.",
        is_private=True,
        is_irreplaceable=True,
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """A working copy as it is.

    Attributes:
        key: Of the draft.
        client: Whose it is; empty for one of a saved workflow, which all share.
        document: The workflow's JSON.
        revision: Grows by one with each patch.
        saved: The revision that was saved last; -1 for none.
        digest: Of the saved text that it comes from; empty for none.
    """

    key: str
    client: str
    document: dict[str, Any]
    revision: int
    saved: int
    digest: str


@dataclass(frozen=True, slots=True)
class DraftEntry:
    """A draft without a saved workflow, as it is listed.

    Attributes:
        document: The editor's id of it.
        title: Its own.
        changed: Unix time of the last change.
    """

    document: str
    title: str
    changed: float


def check_length(text: str) -> None:
    """Refuse a draft that is too long.

    Raises:
        TooLarge: It is.
    """
    if len(text) > LARGEST_DRAFT:
        raise TooLarge(
            "the workflow is too large for a working copy on the server",
            expected=f"at most {format_size(LARGEST_DRAFT)}",
            hint="It stays in the browser. Save it from there.",
        )


class DraftStore:
    """Drafts in a file; safe to use from several threads. A patch that is written is kept.

    Args:
        path: Made if it isn't there.
        clock: Unix time.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time) -> None:
        self._database = Database(path, drafts_format())
        self._clock = clock

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def get(self, key: str) -> Draft | None:
        """Return a draft with all its patches; None if there is none."""
        with self._database.explaining(), self._database.snapshot() as connection:
            row = connection.execute(
                "SELECT client, text, written, revision, saved, digest FROM drafts WHERE key = ?",
                (key,),
            ).fetchone()
            if row is None:
                return None
            client, text, written, revision, saved, digest = row
            patches = connection.execute(
                "SELECT operations FROM patches WHERE draft = ? AND revision > ? ORDER BY revision",
                (key, written),
            ).fetchall()
        document = read_json(text)
        for (operations,) in patches:
            document = apply_patch(document, parse_patch(operations))
        draft = Draft(key, client, document, revision, saved, digest)
        if len(patches) >= COMPACT_EVERY:
            # Who opens it often, and changes little, would leave more and more of them.
            with suppress(NodegraphError):
                self.put(draft, write_json(document))
        return draft

    def put(self, draft: Draft, text: str) -> None:
        """Write a draft as a whole; patches before stay known by their ids."""
        title = draft.document.get("title", "")
        row = (draft.key, draft.client, title if isinstance(title, str) else "", text)
        with self._database.explaining(), self._database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO drafts (key, client, title, text, written, revision, saved,"
                " digest, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, draft.revision, draft.revision, draft.saved, draft.digest, self._clock()),
            )
            connection.execute(
                "DELETE FROM patches WHERE draft = ? AND revision <= ?",
                (draft.key, draft.revision - KEPT_PATCHES),
            )
            connection.execute(
                "DELETE FROM renames WHERE draft = ? AND revision <= ?",
                (draft.key, draft.revision - KEPT_PATCHES),
            )
            # The text holds what they did; large ones would add up to gigabytes.
            connection.execute(
                "UPDATE patches SET operations = '' WHERE draft = ? AND revision <= ?"
                " AND operations != ''",
                (draft.key, draft.revision),
            )
            if draft.client:
                self._forget_oldest(connection, draft.client)

    def _forget_oldest(self, connection: Any, client: str) -> None:
        old = connection.execute(
            "SELECT key FROM drafts WHERE client = ? ORDER BY changed DESC LIMIT -1 OFFSET ?",
            (client, MOST_DRAFTS),
        ).fetchall()
        for (key,) in old:
            _delete(connection, key)

    def add_patch(
        self,
        key: str,
        revision: int,
        patch_id: str,
        operations: str,
        renames: Sequence[Rename] = (),
    ) -> None:
        """Keep a patch; on return it survives the process.

        Args:
            renames: The nodes to which it gives another name.
        Raises:
            NotFound: The draft is gone, as the client has too many newer ones.
        """
        with self._database.explaining(), self._database.writing() as connection:
            connection.execute(
                "INSERT INTO patches (draft, revision, id, operations) VALUES (?, ?, ?, ?)",
                (key, revision, patch_id, operations),
            )
            connection.executemany(
                "INSERT INTO renames (draft, revision, scope, old, new) VALUES (?, ?, ?, ?, ?)",
                [(key, revision, *rename) for rename in renames],
            )
            changed = connection.execute(
                "UPDATE drafts SET revision = ?, changed = ? WHERE key = ?",
                (revision, self._clock(), key),
            ).rowcount
            if not changed:
                raise NotFound(
                    "there is no such draft any more", given=ascii(key)[:200], hint="Join again."
                )

    def revision_of(self, key: str, patch_id: str) -> int | None:
        """Return the revision that a patch led to; None for one that isn't known."""
        with self._database.explaining():
            row = self._database.fetch_one(
                "SELECT revision FROM patches WHERE draft = ? AND id = ?", (key, patch_id)
            )
        return None if row is None else int(row[0])

    def has_later(self, key: str, revision: int, page: str, sent: str | None) -> bool:
        """Return whether a page sent patches after a revision, besides one that is known.

        Args:
            page: What the ids of the page's patches begin with.
            sent: Id of the patch that is known.
        """
        with self._database.explaining():
            row = self._database.fetch_one(
                "SELECT 1 FROM patches WHERE draft = ? AND revision > ? AND substr(id, 1, ?) = ?"
                " AND id != ? LIMIT 1",
                (key, revision, len(page), page, sent or ""),
            )
        return row is not None

    def renames_since(self, key: str, revision: int) -> list[Rename]:
        """Return which nodes got another name after a revision, in that order."""
        with self._database.explaining(), self._database.reading() as connection:
            rows = connection.execute(
                "SELECT scope, old, new FROM renames WHERE draft = ? AND revision > ?"
                " ORDER BY revision, rowid",
                (key, revision),
            ).fetchall()
        return [Rename(*row) for row in rows]

    def mark_saved(self, key: str, revision: int, digest: str) -> None:
        """Note which revision was saved, and as what."""
        with self._database.explaining(), self._database.writing() as connection:
            connection.execute(
                "UPDATE drafts SET saved = ?, digest = ? WHERE key = ?", (revision, digest, key)
            )

    def delete(self, key: str) -> None:
        """Delete a draft.

        Raises:
            NotFound: There is none of this key.
        """
        if not self.forget(key):
            raise NotFound("there is no such draft", given=ascii(key)[:200])

    def forget(self, key: str) -> bool:
        """Delete a draft if there is one; whether there was."""
        with self._database.explaining(), self._database.writing() as connection:
            return _delete(connection, key)

    def has(self, key: str) -> bool:
        """Return whether there is a draft of this key."""
        with self._database.explaining():
            row = self._database.fetch_one("SELECT 1 FROM drafts WHERE key = ?", (key,))
        return row is not None

    def of_client(self, client: str) -> Sequence[DraftEntry]:
        """Return a client's drafts without a saved workflow, the last changed first."""
        with self._database.explaining(), self._database.reading() as connection:
            rows = connection.execute(
                "SELECT key, title, changed FROM drafts WHERE client = ? ORDER BY changed DESC",
                (client,),
            ).fetchall()
        return [DraftEntry(key.rpartition("/")[2], title, changed) for key, title, changed in rows]


def _delete(connection: Any, key: str) -> bool:
    """Delete a draft with its patches; whether there was one."""
    deleted = connection.execute("DELETE FROM drafts WHERE key = ?", (key,)).rowcount
    connection.execute("DELETE FROM patches WHERE draft = ?", (key,))
    connection.execute("DELETE FROM renames WHERE draft = ?", (key,))
    return bool(deleted)
