"""The tables that servers with shared files have in common: of uploads and of artifacts.

They are those of the files that a server by itself keeps, for the same statements.
"""

from __future__ import annotations

from collections.abc import Sequence

SHARED_SCHEMA = "nodegraph_files"
"""In which they lie, beside the queue's."""
SCHEMA_LOCK = 0x6E676675
"""Of whoever changes them."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);

CREATE TABLE uploads (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest TEXT NOT NULL,
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    width BIGINT,
    height BIGINT,
    created DOUBLE PRECISION NOT NULL,
    used DOUBLE PRECISION NOT NULL,
    UNIQUE (digest, client, name)
);
CREATE INDEX uploads_by_client ON uploads (client, number);
CREATE INDEX uploads_by_use ON uploads (used);

CREATE TABLE files (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest TEXT NOT NULL,
    path TEXT NOT NULL,
    size BIGINT NOT NULL,
    media_type TEXT NOT NULL,
    stamp TEXT,
    width BIGINT,
    height BIGINT,
    shared BIGINT NOT NULL DEFAULT 0,  -- 1: the bytes are where all servers can read them
    UNIQUE (digest, path)
);
CREATE INDEX files_to_share ON files (number) WHERE shared = 0;

-- Files that are to be deleted by whoever has them.
CREATE TABLE removals (path TEXT, digest TEXT, PRIMARY KEY (path, digest));

CREATE TABLE uses (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file BIGINT NOT NULL,
    job TEXT NOT NULL,
    client TEXT NOT NULL,
    node TEXT NOT NULL,
    kind TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    words TEXT NOT NULL DEFAULT '',
    UNIQUE (job, file, node)
);
CREATE INDEX uses_by_file ON uses (file);
CREATE INDEX uses_by_client ON uses (client, number);

CREATE TABLE jobs (job TEXT PRIMARY KEY, name TEXT NOT NULL, words TEXT NOT NULL);
"""

_CODE = """
CREATE FUNCTION instr(text TEXT, part TEXT) RETURNS INTEGER LANGUAGE sql IMMUTABLE AS $$
    SELECT strpos(text, part)
$$;

CREATE FUNCTION use_removed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM files WHERE number = OLD.file
        AND NOT EXISTS (SELECT 1 FROM uses WHERE file = OLD.file);
    DELETE FROM jobs WHERE job = OLD.job
        AND NOT EXISTS (SELECT 1 FROM uses WHERE job = OLD.job);
    RETURN NULL;
END
$$;
CREATE TRIGGER use_removed AFTER DELETE ON uses FOR EACH ROW EXECUTE FUNCTION use_removed();
"""

_REMOVALS = """
-- When it was asked for: what lies there since is another file.
ALTER TABLE removals ADD COLUMN asked DOUBLE PRECISION NOT NULL
    DEFAULT extract(epoch FROM clock_timestamp());
"""

ADD_EXISTED = """
-- 1: the file was there already, as an earlier job had made it.
ALTER TABLE uses ADD COLUMN existed INTEGER NOT NULL DEFAULT 0;
UPDATE uses SET existed = 1
    WHERE EXISTS (SELECT 1 FROM uses AS first
        WHERE first.file = uses.file AND first.number < uses.number);
"""

# Texts are compared and put in order as in a file: by their characters' numbers.
SHARED_MIGRATIONS: Sequence[str] = (
    _TABLES.replace(" TEXT", ' TEXT COLLATE "C"') + _CODE,
    _REMOVALS,
    ADD_EXISTED,
)
"""Step `n` leads the tables of version `n` to version `n + 1`; no tables are version 0."""
