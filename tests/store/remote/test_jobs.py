"""A bucket that workers share is away for ten seconds while a server's jobs run."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodegraph.store.remote.object_storage import open_storage
from nodegraph.store.store import Store
from tests.server.chaos import disturbed
from tests.server.chaos_checks import faults, happened
from tests.server.chaos_work import pieces
from tests.server.faults import until
from tests.server.hosting import prepared_home
from tests.store.remote.s3_server import S3Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX"),
]
JOBS, CLIENTS, STEP, AWAY = 60, 4, 0.05, 10.0


def written(home: Path) -> int:
    """Files of jobs, each of which writes one in the end."""
    return len(list((home / "outputs").glob("[!.]*")))


def test_jobs_go_on_without_the_bucket_and_bring_there_later_what_they_gave(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODEGRAPH_STORE", raising=False)
    known = prepared_home(tmp_path / "known")
    calm, home = (prepared_home(tmp_path / name, known) for name in ("calm", "home"))
    work = pieces(JOBS, pause=STEP)
    undisturbed = disturbed(calm, work, clients=CLIENTS)

    monkeypatch.setenv("NODEGRAPH_REMOTE_STORE", bucket)
    monkeypatch.setenv("NODEGRAPH_KEEP_CHEAP", "true")
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(disturbed, home, work, clients=CLIENTS)
        until(lambda: written(home) >= CLIENTS, 300)
        with s3.away():
            before = written(home)
            time.sleep(AWAY)
            meanwhile = written(home) - before
        found = running.result()

    assert 0 < meanwhile < JOBS - before
    assert faults(found, work, undisturbed.results) == []
    assert happened(found, "job.failed") == 0
    # Servers may have ended before they tried the place again: the next process brings the rest.
    place = open_storage(bucket)
    with Store(home / "cache" / "store", keep_cheap=True, storage=place) as store:
        assert store.remote is not None
        assert store.remote.wait_until_sent(300.0)
    # A seed, and what was made of it, of each job; those from meanwhile, too.
    assert len(list(place.list("entries"))) >= 2 * JOBS
