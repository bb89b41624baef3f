"""A server that is killed, and starts again."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.client import Event
from tests.client.support import (
    Background,
    Proxy,
    client_of,
    either_client,
    in_both_kinds,
    proxy_to,
    until,
)
from tests.server.hosting import PATIENCE, Process, workflow

pytestmark = pytest.mark.slow


def serving(home: Path, proxy: Proxy) -> Process:
    """A server behind the proxy, in a process of its own."""
    process = Process(home, "--workers", "0")
    try:
        proxy.target = process.ready().port
    except BaseException:
        process.__exit__()
        raise
    return process


def happened(url: str, job: str) -> list[int]:
    """Numbers of the events of a job."""
    found = httpx.get(f"{url}/api/v1/jobs/{job}/events", timeout=PATIENCE, trust_env=False).json()
    return [event["seq"] for event in found["items"]]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@in_both_kinds
def test_what_is_followed_goes_on_after_a_restart(kind: str, home: Path, number: int) -> None:
    seen: list[Event] = []

    def watch() -> Any:
        with either_client(kind, proxy.url) as client:
            for event in client.watch(job):
                seen.append(event)  # noqa: PERF402 - they are to be seen one by one
            return client.wait(job)

    with proxy_to(None) as proxy, client_of(proxy) as steering:
        with serving(home, proxy) as process:
            job = steering.submit(workflow()).id
            watched = Background(watch)
            until(lambda: seen)
            steering.hold(job)
            until(lambda: len(seen) == 2)
            proxy.target = None
            process.stop(number)
        submitted = Background(lambda: steering.submit(workflow(), name="while it was away"))
        with serving(home, proxy) as process:
            steering.unhold(job)
            steering.cancel(job)
            assert watched.result().state == "cancelled"
            assert [event.seq for event in seen] == happened(process.url, job)
            assert seen[-1].kind == "job.cancelled"
            made = submitted.result().id  # it may have been waiting for the next attempt until now
            assert [each.id for each in steering.list(text="while it was away")] == [made]
            assert not process.has_loaded("libtorch")
