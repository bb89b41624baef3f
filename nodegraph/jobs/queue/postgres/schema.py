"""The tables of a queue in PostgreSQL: those of the file, with what it has of its own."""

from __future__ import annotations

from collections.abc import Sequence

from nodegraph.jobs.queue.schema import DELIVERED_KINDS, DELIVERY_OF_EVENT, TIMES_AND_WEBHOOKS

SCHEMA = "nodegraph"
"""In which all of it lies, so that a database may hold other things, too."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BIGINT);

CREATE TABLE workflows (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    content TEXT NOT NULL
);

CREATE TABLE jobs (
    number BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    held INTEGER NOT NULL,
    wanted TEXT,
    priority INTEGER NOT NULL,
    position BIGINT NOT NULL,
    cost DOUBLE PRECISION NOT NULL,
    created DOUBLE PRECISION NOT NULL,
    started DOUBLE PRECISION,
    finished DOUBLE PRECISION,
    attempt INTEGER NOT NULL,
    deaths INTEGER NOT NULL,
    worker TEXT,
    server TEXT,
    workflow BIGINT NOT NULL,
    tags TEXT,
    key TEXT,
    request TEXT,
    outputs TEXT,
    error TEXT,
    size BIGINT NOT NULL DEFAULT 0,
    gpu INTEGER NOT NULL DEFAULT 1,
    models TEXT,
    passed INTEGER NOT NULL DEFAULT 0,
    CHECK (held = 0 OR state = 'queued'),
    CHECK (wanted IS NULL OR state = 'running'),
    CHECK ((finished IS NULL) = (state IN ('queued', 'running')))
);
CREATE UNIQUE INDEX jobs_by_key ON jobs (client, key) WHERE key IS NOT NULL;
CREATE INDEX jobs_by_state ON jobs (state, number);
CREATE INDEX jobs_by_client ON jobs (client, state, number);
CREATE INDEX jobs_in_line ON jobs (client, priority, position) WHERE finished IS NULL;
CREATE INDEX jobs_by_need ON jobs (gpu, client, priority, position) WHERE finished IS NULL;
CREATE INDEX jobs_by_workflow ON jobs (workflow);
CREATE INDEX jobs_by_size ON jobs (client, number) WHERE size > 0;

CREATE TABLE requests (job BIGINT PRIMARY KEY, content TEXT NOT NULL);

CREATE TABLE tags (tag TEXT, job BIGINT, PRIMARY KEY (tag, job));

CREATE TABLE events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    number BIGINT,
    kind TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    body BYTEA NOT NULL
);
-- Whoever lost the connection while an event was kept, and tells it once more, tells it once.
CREATE UNIQUE INDEX events_of_runs ON events (job, attempt, number) WHERE number IS NOT NULL;
CREATE INDEX events_by_job ON events (job, seq);

CREATE TABLE tallies (
    client TEXT, state TEXT, count INTEGER NOT NULL, PRIMARY KEY (client, state)
);
CREATE TABLE sizes (client TEXT PRIMARY KEY, bytes BIGINT NOT NULL);
CREATE TABLE shares (
    priority INTEGER,
    client TEXT,
    ready INTEGER NOT NULL,
    tag DOUBLE PRECISION NOT NULL DEFAULT 0,
    PRIMARY KEY (priority, client)
);
CREATE INDEX shares_ready ON shares (priority DESC, tag, client) WHERE ready > 0;
CREATE TABLE clocks (priority INTEGER PRIMARY KEY, time DOUBLE PRECISION NOT NULL);

-- The openings of the queue that are alive.
CREATE TABLE servers (id TEXT PRIMARY KEY, name TEXT NOT NULL, beat BIGINT NOT NULL);

-- The last numbers that were given. That of events is written before each commit: a sequence
-- tells numbers of others that aren't committed yet.
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO counters VALUES ('jobs', 0), ('events', 0);
"""

_CODE = r"""
CREATE VIEW texts AS
SELECT number, (name || chr(10) || coalesce(
    (SELECT string_agg(tag, chr(10)) FROM json_array_elements_text(jobs.tags::json) AS tag), ''
)) COLLATE "C" AS text
FROM jobs;

CREATE FUNCTION instr(text TEXT, part TEXT) RETURNS INTEGER LANGUAGE sql IMMUTABLE AS $$
    SELECT strpos(text, part)
$$;

-- Of a path such as '$.code'.
CREATE FUNCTION json_extract(content TEXT, path TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN content::json ->> substr(path, 3);
EXCEPTION WHEN untranslatable_character OR invalid_text_representation THEN
    -- Texts here hold no NUL and no half of a surrogate pair; JSON does.
    RETURN regexp_replace(content, '\\u(0000|[dD][89a-fA-F]..)', '\\ufffd', 'g')::json
        ->> substr(path, 3);
END
$$;

CREATE FUNCTION count_in(client TEXT, state TEXT, held INTEGER, priority INTEGER)
RETURNS VOID LANGUAGE sql AS $$
    INSERT INTO tallies VALUES ($1, CASE WHEN $3 <> 0 THEN 'held' ELSE $2 END, 1)
    ON CONFLICT (client, state) DO UPDATE SET count = tallies.count + 1;
    INSERT INTO shares (priority, client, ready) SELECT $4, $1, 1 WHERE $2 = 'queued' AND $3 = 0
    ON CONFLICT (priority, client) DO UPDATE SET ready = shares.ready + 1;
$$;

CREATE FUNCTION count_out(client TEXT, state TEXT, held INTEGER, priority INTEGER)
RETURNS VOID LANGUAGE sql AS $$
    UPDATE tallies SET count = count - 1
    WHERE tallies.client = $1 AND tallies.state = CASE WHEN $3 <> 0 THEN 'held' ELSE $2 END;
    UPDATE shares SET ready = ready - 1
    WHERE $2 = 'queued' AND $3 = 0 AND shares.priority = $4 AND shares.client = $1;
$$;

CREATE FUNCTION job_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_in(NEW.client, NEW.state, NEW.held, NEW.priority);
    UPDATE counters SET value = NEW.number WHERE name = 'jobs' AND value < NEW.number;
    IF NEW.size > 0 THEN
        INSERT INTO sizes VALUES (NEW.client, NEW.size)
        ON CONFLICT (client) DO UPDATE SET bytes = sizes.bytes + NEW.size;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER job_added AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION job_added();

CREATE FUNCTION job_changed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_out(OLD.client, OLD.state, OLD.held, OLD.priority);
    PERFORM count_in(NEW.client, NEW.state, NEW.held, NEW.priority);
    RETURN NULL;
END
$$;
CREATE TRIGGER job_changed AFTER UPDATE OF state, held, priority ON jobs
FOR EACH ROW EXECUTE FUNCTION job_changed();

CREATE FUNCTION job_removed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_out(OLD.client, OLD.state, OLD.held, OLD.priority);
    DELETE FROM requests WHERE job = OLD.number;
    DELETE FROM events WHERE job = OLD.number;
    DELETE FROM tags WHERE job = OLD.number
        AND tag IN (SELECT json_array_elements_text(OLD.tags::json) COLLATE "C");
    IF OLD.size > 0 THEN
        UPDATE sizes SET bytes = bytes - OLD.size WHERE client = OLD.client;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER job_removed AFTER DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION job_removed();
"""

# Texts are compared and put in order as in a file: by their characters' numbers.
_FIRST = _TABLES.replace(" TEXT", ' TEXT COLLATE "C"') + _CODE

_LIVE = """
-- The newest of what is of the moment only, for servers whose clients follow another one's jobs.
CREATE UNLOGGED TABLE live (
    job TEXT,
    node TEXT,
    kind TEXT,
    server TEXT NOT NULL,
    seq BIGINT NOT NULL,           -- counted by the server
    told TIMESTAMPTZ NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (job, node, kind)
);
CREATE INDEX live_by_server ON live (server, seq);

-- The servers that want to be told of it.
CREATE TABLE followers (server TEXT PRIMARY KEY);
"""

_WEBHOOKS = f"""
CREATE FUNCTION event_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    {DELIVERY_OF_EVENT}
    RETURN NULL;
END
$$;
CREATE TRIGGER event_added AFTER INSERT ON events FOR EACH ROW WHEN ({DELIVERED_KINDS})
EXECUTE FUNCTION event_added();

CREATE FUNCTION webhook_removed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM webhooks WHERE job = OLD.number;
    DELETE FROM deliveries WHERE job = OLD.number;
    RETURN NULL;
END
$$;
CREATE TRIGGER webhook_removed AFTER DELETE ON jobs
FOR EACH ROW EXECUTE FUNCTION webhook_removed();
"""  # noqa: S608 - nothing of it comes from outside

_TYPES = {" TEXT": ' TEXT COLLATE "C"', " REAL": " DOUBLE PRECISION", " INTEGER": " BIGINT"}


def _translated(tables: str) -> str:
    """Tables of the file, with the database's types."""
    for name, own in _TYPES.items():
        tables = tables.replace(name, own)
    return tables


MIGRATIONS: Sequence[str] = (
    _FIRST,
    _LIVE.replace(" TEXT", ' TEXT COLLATE "C"'),
    _translated(TIMES_AND_WEBHOOKS) + _WEBHOOKS,
)
"""Step `n` leads a queue of version `n` to version `n + 1`; no tables are version 0."""
