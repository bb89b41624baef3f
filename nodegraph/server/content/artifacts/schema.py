"""The tables of the catalogue of artifacts."""

from __future__ import annotations

from collections.abc import Sequence

from nodegraph.server.content.files.shared_schema import ADD_EXISTED
from nodegraph.store.database import Format

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- Where files lie; the same bytes may lie in several places.
CREATE TABLE files (
    number INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,          -- blake3 of the bytes
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    stamp TEXT,                    -- of the file when its bytes were last seen to be these
    UNIQUE (digest, path)
);

-- Which jobs gave them.
CREATE TABLE uses (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    file INTEGER NOT NULL,
    job TEXT NOT NULL,
    client TEXT NOT NULL,
    node TEXT NOT NULL,
    kind TEXT NOT NULL,
    at REAL NOT NULL,              -- Unix time at which the job told of it
    UNIQUE (job, file, node)
);
CREATE INDEX uses_by_file ON uses (file);
CREATE INDEX uses_by_client ON uses (client, number);
CREATE TRIGGER use_removed AFTER DELETE ON uses BEGIN
    DELETE FROM files WHERE number = OLD.file
        AND NOT EXISTS (SELECT 1 FROM uses WHERE file = OLD.file);
END;
"""

_SECOND = """
-- All that is in it is entered anew, from the job queue, with what was left out so far.
DELETE FROM uses;
DELETE FROM meta WHERE name = 'last';
ALTER TABLE files ADD COLUMN width INTEGER;   -- of a picture, in pixels
ALTER TABLE files ADD COLUMN height INTEGER;
ALTER TABLE uses ADD COLUMN words TEXT NOT NULL DEFAULT '';  -- that it is found by

CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    words TEXT NOT NULL            -- that all it gave is found by
) WITHOUT ROWID;
CREATE TRIGGER job_unused AFTER DELETE ON uses BEGIN
    DELETE FROM jobs WHERE job = OLD.job
        AND NOT EXISTS (SELECT 1 FROM uses WHERE job = OLD.job);
END;
"""

MIGRATIONS: Sequence[str] = (_FIRST, _SECOND, ADD_EXISTED)

APPLICATION = 0x6E676163
"""Marks the file, so that no other program's database is taken for one."""


def catalogue_format() -> Format:
    """What a catalogue's file holds."""
    return Format(
        application=APPLICATION,
        migrations=MIGRATIONS,
        name="the catalogue of artifacts",
        whole="the catalogue of artifacts",
        foreign="a catalogue of artifacts",
        absent="no catalogue of artifacts",
        loss="it is made again from the job queue.",
        is_private=True,
    )
