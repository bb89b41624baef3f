"""The tables of the job queue, and how an older queue becomes today's."""

from __future__ import annotations

from collections.abc import Sequence

from nodegraph.store.database import Format

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE workflows (
    number INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,   -- blake3 of the content
    content TEXT NOT NULL          -- JSON
);

-- A job's state, which changes; what was asked for stays in `requests`.
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of all jobs, whatever clocks say
    id TEXT NOT NULL UNIQUE,
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    held INTEGER NOT NULL,         -- 1: waits until it is let go; 2: until `not_before`
    wanted TEXT,                   -- of a running one: 'cancel' or 'pause'
    priority INTEGER NOT NULL,
    position INTEGER NOT NULL,     -- among the client's jobs of its priority, lowest first
    cost REAL NOT NULL,            -- that it counts in its client's share
    created REAL NOT NULL,         -- Unix time, as the next two
    started REAL,                  -- the last attempt
    finished REAL,                 -- or failed, or was cancelled; NULL while it waits or runs
    attempt INTEGER NOT NULL,      -- how often it was claimed
    deaths INTEGER NOT NULL,       -- how often its worker died since it was last asked for
    worker TEXT,                   -- that has or had it last
    server TEXT,                   -- the opening of the queue in which that was
    workflow INTEGER NOT NULL,
    tags TEXT,                     -- JSON, NULL for none; `tags` has them by name
    key TEXT,                      -- idempotency key
    request TEXT,                  -- digest of what was asked for under the key
    outputs TEXT,                  -- JSON
    error TEXT,                    -- JSON
    CHECK (held = 0 OR state = 'queued'),
    CHECK (wanted IS NULL OR state = 'running'),
    CHECK ((finished IS NULL) = (state IN ('queued', 'running')))
);
CREATE UNIQUE INDEX jobs_by_key ON jobs (client, key) WHERE key IS NOT NULL;
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_client ON jobs (client, state);
CREATE INDEX jobs_in_line ON jobs (client, priority, position) WHERE finished IS NULL;
CREATE INDEX jobs_by_workflow ON jobs (workflow);

CREATE TABLE requests (job INTEGER PRIMARY KEY, content TEXT NOT NULL);  -- JSON

CREATE TABLE tags (tag TEXT, job INTEGER, PRIMARY KEY (tag, job)) WITHOUT ROWID;

-- What happened, in the order in which it was committed.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    number INTEGER,                -- in the attempt's run; NULL for what the queue itself tells
    kind TEXT NOT NULL,
    at REAL NOT NULL,              -- Unix time
    body BLOB NOT NULL             -- msgpack
);
CREATE INDEX events_by_job ON events (job);

-- How many jobs a client has in each state; those held count as 'held', not as 'queued'.
CREATE TABLE tallies (
    client TEXT, state TEXT, count INTEGER NOT NULL, PRIMARY KEY (client, state)
) WITHOUT ROWID;

-- What a client has had of each class of priority, see `nodegraph.jobs.queue.job_order`.
CREATE TABLE shares (
    priority INTEGER,
    client TEXT,
    ready INTEGER NOT NULL,        -- jobs that may be claimed
    tag REAL NOT NULL DEFAULT 0,   -- virtual time at which its next job starts
    PRIMARY KEY (priority, client)
) WITHOUT ROWID;
CREATE INDEX shares_ready ON shares (priority DESC, tag, client) WHERE ready > 0;
CREATE TABLE clocks (priority INTEGER PRIMARY KEY, time REAL NOT NULL);

CREATE TRIGGER job_added AFTER INSERT ON jobs BEGIN
    INSERT INTO tallies VALUES (NEW.client, iif(NEW.held, 'held', NEW.state), 1)
    ON CONFLICT (client, state) DO UPDATE SET count = count + 1;
    INSERT INTO shares (priority, client, ready)
    SELECT NEW.priority, NEW.client, 1 WHERE NEW.state = 'queued' AND NOT NEW.held
    ON CONFLICT (priority, client) DO UPDATE SET ready = ready + 1;
END;
CREATE TRIGGER job_changed AFTER UPDATE OF state, held, priority ON jobs BEGIN
    UPDATE tallies SET count = count - 1
    WHERE client = OLD.client AND state = iif(OLD.held, 'held', OLD.state);
    INSERT INTO tallies VALUES (NEW.client, iif(NEW.held, 'held', NEW.state), 1)
    ON CONFLICT (client, state) DO UPDATE SET count = count + 1;
    UPDATE shares SET ready = ready - 1
    WHERE OLD.state = 'queued' AND NOT OLD.held
        AND priority = OLD.priority AND client = OLD.client;
    INSERT INTO shares (priority, client, ready)
    SELECT NEW.priority, NEW.client, 1 WHERE NEW.state = 'queued' AND NOT NEW.held
    ON CONFLICT (priority, client) DO UPDATE SET ready = ready + 1;
END;
CREATE TRIGGER job_removed AFTER DELETE ON jobs BEGIN
    UPDATE tallies SET count = count - 1
    WHERE client = OLD.client AND state = iif(OLD.held, 'held', OLD.state);
    UPDATE shares SET ready = ready - 1
    WHERE OLD.state = 'queued' AND NOT OLD.held
        AND priority = OLD.priority AND client = OLD.client;
    DELETE FROM requests WHERE job = OLD.number;
    DELETE FROM events WHERE job = OLD.number;
    DELETE FROM tags WHERE job = OLD.number
        AND tag IN (SELECT value FROM json_each(OLD.tags));
END;
"""

_SIZES = """
-- Bytes of the workflow that came with it and of its request; 0 if these are few.
ALTER TABLE jobs ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_by_size ON jobs (client, number) WHERE size > 0;

CREATE TABLE sizes (client TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;

CREATE TRIGGER size_added AFTER INSERT ON jobs WHEN NEW.size > 0 BEGIN
    INSERT INTO sizes VALUES (NEW.client, NEW.size)
    ON CONFLICT (client) DO UPDATE SET bytes = bytes + NEW.size;
END;
CREATE TRIGGER size_removed AFTER DELETE ON jobs WHEN OLD.size > 0 BEGIN
    UPDATE sizes SET bytes = bytes - OLD.size WHERE client = OLD.client;
END;
"""

_SERVERS = """
-- The openings of the queue that are alive: one, as nobody else may change a file meanwhile.
CREATE TABLE servers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,            -- machine and process
    beat INTEGER NOT NULL          -- counted up while it lives
) WITHOUT ROWID;

-- The last numbers that were given, of 'jobs' and 'events'.
CREATE VIEW counters AS SELECT name, seq AS value FROM sqlite_sequence;

-- What a job is found by.
CREATE VIEW texts AS
SELECT number, name || char(10)
    || coalesce((SELECT group_concat(value, char(10)) FROM json_each(jobs.tags)), '') AS text
FROM jobs;
"""

_PLACEMENT = """
-- Of those that are there already, nobody knows what they need.
ALTER TABLE jobs ADD COLUMN gpu INTEGER NOT NULL DEFAULT 1;     -- 0: needs no GPU
ALTER TABLE jobs ADD COLUMN models TEXT;                        -- JSON, NULL for none
ALTER TABLE jobs ADD COLUMN passed INTEGER NOT NULL DEFAULT 0;  -- how often it was passed over
CREATE INDEX jobs_by_need ON jobs (gpu, client, priority, position) WHERE finished IS NULL;
"""

TIMES_AND_WEBHOOKS = """
-- Unix time until which it waits; NULL if it waits for no time.
ALTER TABLE jobs ADD COLUMN not_before REAL;
CREATE INDEX jobs_by_time ON jobs (not_before) WHERE held = 2;

-- Addresses that are told of jobs' events.
CREATE TABLE webhooks (
    job INTEGER PRIMARY KEY,
    url TEXT NOT NULL,
    host TEXT NOT NULL,
    events TEXT NOT NULL,          -- kinds, parted by spaces
    secret TEXT                    -- of this job alone; NULL for that of its client
);

-- One for each such event, made by the commit that makes the event.
CREATE TABLE deliveries (
    event INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    client TEXT NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    host TEXT NOT NULL,
    state TEXT NOT NULL,           -- 'pending', 'delivered', 'failed'
    created REAL NOT NULL,
    due REAL,                      -- of the next attempt; NULL once it is over
    attempts INTEGER NOT NULL,
    status INTEGER,                -- of the last answer, if there was one
    error TEXT,                    -- of the last attempt, if it failed
    ended REAL
);
CREATE INDEX deliveries_due ON deliveries (due) WHERE state = 'pending';
CREATE INDEX deliveries_by_job ON deliveries (job);
CREATE INDEX deliveries_by_client ON deliveries (client, event);

-- What a client's deliveries are signed with, and what they were signed with before.
CREATE TABLE webhook_secrets (
    client TEXT PRIMARY KEY,
    secret TEXT NOT NULL,
    created REAL NOT NULL,
    former TEXT,
    former_until REAL
);

-- Requests that become jobs again and again.
CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    rule TEXT NOT NULL,
    zone TEXT NOT NULL,            -- IANA name; '' for the server's
    request TEXT NOT NULL,         -- JSON
    seeds TEXT NOT NULL,           -- 'random', 'increment', 'same'
    missed TEXT NOT NULL,          -- 'once', 'skip'
    until REAL,
    most INTEGER,                  -- jobs that it submits; NULL for any number
    state TEXT NOT NULL,           -- 'active', 'paused', 'ended'
    created REAL NOT NULL,
    due REAL,                      -- NULL while it waits for its job to end, or fires no more
    fired INTEGER NOT NULL,        -- jobs that it has submitted
    skipped INTEGER NOT NULL,
    job TEXT,                      -- the last
    error TEXT                     -- why the last time came to nothing
);
CREATE INDEX schedules_by_client ON schedules (client);
-- Has all that tells which are due: their requests may be large, and lie before it in a row.
CREATE INDEX schedules_due ON schedules (due, rule, job) WHERE state = 'active';
"""
"""What the file and the database write alike."""

_KINDS = "'job.queued', 'job.started', 'job.finished', 'job.failed', 'job.cancelled'"
DELIVERY_OF_EVENT = """
INSERT INTO deliveries
SELECT NEW.seq, NEW.job, jobs.client, NEW.kind, url, host, 'pending', NEW.at, NEW.at, 0,
    NULL, NULL, NULL
FROM webhooks JOIN jobs ON jobs.number = webhooks.job
WHERE webhooks.job = NEW.job AND instr(webhooks.events, NEW.kind) > 0;
"""
DELIVERED_KINDS = f"NEW.kind IN ({_KINDS})"
"""Few of a run's events, so that the others cost no look at another table."""

_WEBHOOKS = f"""
{TIMES_AND_WEBHOOKS}
CREATE TRIGGER event_added AFTER INSERT ON events WHEN {DELIVERED_KINDS} BEGIN
    {DELIVERY_OF_EVENT}
END;
CREATE TRIGGER webhook_removed AFTER DELETE ON jobs BEGIN
    DELETE FROM webhooks WHERE job = OLD.number;
    DELETE FROM deliveries WHERE job = OLD.number;
END;
"""  # noqa: S608 - nothing of it comes from outside

MIGRATIONS: Sequence[str] = (_FIRST, _SIZES, _SERVERS, _PLACEMENT, _WEBHOOKS)
"""Step `n` leads a queue of version `n` to version `n + 1`; an empty file is version 0."""

APPLICATION = 0x6E676A71
"""Marks the file as a job queue, so that no other program's database is taken for one."""


def queue_format() -> Format:
    """What a queue's file holds."""
    return Format(
        application=APPLICATION,
        migrations=MIGRATIONS,
        name="the job queue",
        whole="the job queue",
        foreign="a job queue",
        absent="no job queue",
        loss="its jobs are lost, so restore a backup if you have one.",
        is_private=True,
        is_irreplaceable=True,
    )
