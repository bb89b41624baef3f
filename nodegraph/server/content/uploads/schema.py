"""The tables of the index of uploads."""

from __future__ import annotations

from collections.abc import Sequence

from nodegraph.store.database import Format

_FIRST = """
-- Who brought what; the same bytes may be brought by several, and under several names.
CREATE TABLE uploads (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL,          -- blake3 of the bytes
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    width INTEGER,
    height INTEGER,
    created REAL NOT NULL,         -- Unix time, as the next
    used REAL NOT NULL,            -- when it was brought again, or a job was submitted with it
    UNIQUE (digest, client, name)
);
CREATE INDEX uploads_by_client ON uploads (client, number);
CREATE INDEX uploads_by_use ON uploads (used);
"""

MIGRATIONS: Sequence[str] = (_FIRST,)

APPLICATION = 0x6E677570
"""Marks the file, so that no other program's database is taken for one."""


def uploads_format() -> Format:
    """What an index's file holds."""
    return Format(
        application=APPLICATION,
        migrations=MIGRATIONS,
        name="the index of uploads",
        whole="the uploads",
        foreign="an index of uploads",
        absent="no index of uploads",
        loss="what was uploaded has to be uploaded again.",
        is_private=True,
    )
