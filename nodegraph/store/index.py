"""The store's index: an SQLite file with its tables and migrations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nodegraph.store.database import Database, Format

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- What a key led to. A row outlives the bytes of its outputs: their digests still lead on to the
-- keys of what comes after.
CREATE TABLE entries (
    key BLOB NOT NULL UNIQUE,
    outputs BLOB,              -- msgpack; NULL where `asked` says which lazy input comes next
    asked TEXT,
    node_type TEXT NOT NULL,
    seconds REAL NOT NULL,     -- that computing it took
    created REAL NOT NULL,     -- Unix time
    run TEXT NOT NULL,         -- id of the run that computed it
    parts BLOB,                -- msgpack: what the key was made of
    used REAL NOT NULL         -- Unix time
);
CREATE INDEX entries_by_type ON entries (node_type, created);
CREATE INDEX entries_by_use ON entries (used);

-- Bytes on disk, by the digest of the value that they hold.
CREATE TABLE artifacts (
    digest BLOB PRIMARY KEY,
    file BLOB NOT NULL,        -- blake3 of the file's bytes: its name
    suffix TEXT NOT NULL,      -- of the file's name: 'safetensors' or 'msgpack'
    bytes INTEGER NOT NULL,
    seconds REAL NOT NULL,     -- to compute it again: of a call with several, its share
    score REAL NOT NULL,       -- the lowest goes first
    used REAL NOT NULL         -- Unix time
) WITHOUT ROWID;
CREATE INDEX artifacts_by_score ON artifacts (score);
CREATE INDEX artifacts_by_file ON artifacts (file);

-- Bytes of all artifacts' files; one that several artifacts share counts once.
INSERT INTO meta VALUES ('bytes', 0);
CREATE TRIGGER artifact_added AFTER INSERT ON artifacts
WHEN (SELECT count(*) FROM artifacts WHERE file = NEW.file) = 1 BEGIN
    UPDATE meta SET value = value + NEW.bytes WHERE name = 'bytes';
END;
CREATE TRIGGER artifact_removed AFTER DELETE ON artifacts
WHEN NOT EXISTS (SELECT 1 FROM artifacts WHERE file = OLD.file) BEGIN
    UPDATE meta SET value = value - OLD.bytes WHERE name = 'bytes';
END;

-- What calls took, by node type, shape of the work and device.
CREATE TABLE costs (
    node_type TEXT NOT NULL,
    shape TEXT NOT NULL,       -- '' for all shapes together
    device TEXT NOT NULL,
    count INTEGER NOT NULL,
    seconds REAL NOT NULL,     -- running mean
    memory INTEGER,            -- highest peak in bytes; NULL where it wasn't measured
    PRIMARY KEY (node_type, shape, device)
) WITHOUT ROWID;

CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    started REAL NOT NULL,     -- Unix time
    seconds REAL,              -- NULL while it goes on, or if it was killed
    status TEXT NOT NULL,
    owner TEXT NOT NULL,       -- of the claim that the running process holds
    record BLOB                -- compressed msgpack
);

CREATE TABLE checkpoints (
    key BLOB PRIMARY KEY,
    step INTEGER NOT NULL,
    total INTEGER NOT NULL,
    file BLOB NOT NULL,        -- blake3 of the file's bytes
    bytes INTEGER NOT NULL,
    created REAL NOT NULL
) WITHOUT ROWID;

-- Digests of large files, as long as the file stays the same.
CREATE TABLE files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest BLOB NOT NULL
) WITHOUT ROWID;

-- Files that a sink wrote, by its key; while they lie there unchanged it need not run again.
CREATE TABLE written (
    key BLOB PRIMARY KEY,
    files BLOB NOT NULL,       -- msgpack
    used REAL NOT NULL
) WITHOUT ROWID;

-- The modules behind a code digest, to name what changed.
CREATE TABLE codes (digest BLOB PRIMARY KEY, modules BLOB NOT NULL) WITHOUT ROWID;
"""

# Digests of files without their time of change can't be trusted: they are read once more.
_TIMES_OF_CHANGE = """
DROP TABLE files;
CREATE TABLE files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest BLOB NOT NULL
) WITHOUT ROWID;
"""

_WORK = """
-- So far loading weights counted as the node's own time.
DELETE FROM costs;
ALTER TABLE costs ADD COLUMN kind TEXT NOT NULL DEFAULT ''; -- its shape without the sizes
ALTER TABLE costs ADD COLUMN amount REAL; -- of work in each call; NULL where it isn't known
"""

_FILES = """
-- Outputs say which files they were written to: nothing changes for those that don't.
"""

_WARNINGS = """
-- Outputs, and files that were written, say what their node warned of: nothing changes for those
-- that have nothing to say.
"""

_RUN_DIGESTS = """
-- Digests of the files that runs wrote, and of the values that they computed.
CREATE TABLE run_digests (
    digest BLOB NOT NULL,
    run INTEGER NOT NULL,      -- number of a row of runs
    PRIMARY KEY (digest, run)
) WITHOUT ROWID;
CREATE INDEX run_digests_by_run ON run_digests (run);
CREATE TRIGGER run_removed AFTER DELETE ON runs BEGIN
    DELETE FROM run_digests WHERE run = OLD.number;
END;
"""

MIGRATIONS: Sequence[str] = (_FIRST, _TIMES_OF_CHANGE, _WORK, _FILES, _WARNINGS, _RUN_DIGESTS)
"""Step `n` leads an index of version `n` to version `n + 1`; an empty file is version 0."""

APPLICATION = 0x6E677278
"""Marks the file as an index of a store, so that no other program's database is taken for one."""


class Index(Database):
    """Connections to the index; safe to use from several threads.

    Readers never wait for writers (WAL). Each `writing` is one transaction: all of it or nothing.
    A commit survives the process; after a power cut the last ones may be missing.

    Args:
        path: The file; made if it isn't there, unless read only.
        read_only: No content is ever written. The file may lie where nothing can be written.
    Raises:
        InvalidFile: It is no index, is damaged, or was written by a newer version.
        OutputError: It can't be written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        kind = Format(
            application=APPLICATION,
            migrations=MIGRATIONS,
            name="the store's index",
            whole="the store",
            foreign="the index of a store",
            absent="no store",
            loss="results will be computed again.",
        )
        super().__init__(path, kind, read_only=read_only)
