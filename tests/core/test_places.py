"""What a server says instead of paths of its machine."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import errors

from nodegraph.core.file_access import PathRedactor
from nodegraph.errors import Problem
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.postgres.connections import explained

UPLOADS = Path("/srv/home/uploads/files")
PLACES = PathRedactor(
    {
        "home": Path("/srv/home"),
        "inputs": Path("/srv/home/in"),
        "é": Path("/srv/é"),
        "x": Path("/"),
    },
    UPLOADS,
)


def test_a_path_is_called_by_the_folder_that_it_lies_in() -> None:
    for text, told in (
        ("can't read /srv/home/in/a.png: damaged", "can't read inputs/a.png: damaged"),
        ("/srv/home/in", "inputs"),
        ("there is no folder /srv/home/other.", "there is no folder home/other."),
        ("/srv/home/inner/x", "home/inner/x"),
        ("/srv/homes/x and /srv/home.old", "/srv/homes/x and /srv/home.old"),
        ("'/srv/\\xe9/a.png' or /srv/é/a.png", "'é/a.png' or é/a.png"),
        (f"{UPLOADS}/{'ab' * 32}.png is damaged", f"upload:{'ab' * 32} is damaged"),
        ("a/b, /etc/passwd, http://x/srv", "a/b, /etc/passwd, http://x/srv"),
    ):
        assert PLACES.redact(text) == told


def test_all_texts_of_a_value_and_of_a_problem_are_told_so() -> None:
    given = {"a": ["/srv/home/x", 3, None, {"b": "/srv/home/in"}]}
    assert PLACES.redact_json(given) == {"a": ["home/x", 3, None, {"b": "inputs"}]}
    problem = Problem("code", "/srv/home/x", "n", hint="see /srv/home/in")
    assert PLACES.redact_problem(problem) == Problem("code", "home/x", "n", hint="see inputs")


def test_of_a_database_only_what_it_is_to_the_server_is_told() -> None:
    address = PostgresAddress("postgresql://ann:secret@db.inner:6543/jobs")
    places = PathRedactor({"home": Path("/srv/home")}, database=str(address))
    said = 'connection to server at "10.0.0.7", port 6543 failed: no such user "ann"\n  as told'
    faults = [
        (psycopg.OperationalError(said), "cannot reach the job queue"),
        (errors.DiskFull(said), "cannot write the job queue"),
        (errors.InsufficientPrivilege(said), "access to the job queue is denied"),
        (errors.InternalError_(said), "the job queue is damaged"),
    ]
    for fault, told in faults:
        text = explained(address, fault).problem.message
        assert "db.inner" in text
        assert places.redact(text) == told
    assert places.redact("can't read /srv/home/a of 10.0.0.7") == "can't read home/a of 10.0.0.7"
