"""From an image that is brought to one that is fetched, with a real server and a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.real import real_server, with_picture
from tests.client.support import either_client, in_both_kinds
from tests.server.hosting import PATIENCE, Process
from tests.server.resources import opened, picture

__all__ = ["real_server"]

pytestmark = pytest.mark.slow


@pytest.fixture
def either(kind: str, real_server: Process) -> Iterator[Any]:
    """A client of either kind of the real server."""
    with either_client(kind, real_server.url) as found:
        yield found


@in_both_kinds
def test_a_picture_is_brought_made_smaller_and_fetched(either: Any, tmp_path: Path) -> None:
    upload = either.upload(picture(200, 100), "apple.png")
    assert opened(either.thumbnail(upload, 64)).size == (64, 32)
    job = either.submit(with_picture(upload.value), parameters={"width": 32}, tags=["apples"])
    events = list(either.watch(job))
    numbers = [event.seq for event in events if event.seq is not None]
    assert sorted(set(numbers)) == numbers
    assert [event.kind for event in events if event.node is None][:2] == [
        "job.queued",
        "job.claimed",
    ]
    assert events[-1].kind == "job.finished"
    ended = {event.node for event in events if event.kind == "node.finished"}
    for event in events:
        ended.update(event.data["nodes"] if event.kind == "nodes.cached" else ())
    assert ended == {"load", "smaller", "save"}
    (pulled,) = either.pull(either.wait(job, timeout=PATIENCE).checked(), tmp_path)
    assert opened(pulled.path.read_bytes()).size == (32, 64)
    assert opened(either.thumbnail(pulled.file, 64)).size == (32, 64)
    assert [each.digest for each in either.artifacts(job=job)] == [pulled.file.digest]


@in_both_kinds
def test_the_queue_waits_while_it_is_paused(either: Any) -> None:
    upload = either.upload(picture(20, 10), "apple.png")
    either.queue.pause()
    first, second = (either.submit(with_picture(upload.value)) for _ in range(2))
    either.move(second, before=first)
    assert [job.id for job in either.queue.get().upcoming] == [second.id, first.id]
    assert not either.queue.resume().paused
    done = [either.wait(job, timeout=PATIENCE).checked() for job in (second, first)]
    assert done[0].started <= done[1].started
    assert either.delete_all() >= 2
    assert list(either.list()) == []


def _status(client: Any, document: dict[str, Any], **options: Any) -> str:
    return str(client.plan(document, options=options).nodes["save"]["status"])


@in_both_kinds
def test_a_plan_knows_what_the_files_of_a_job_carry(either: Any, kind: str) -> None:
    upload = either.upload(picture(40, 20), "apple.png")
    document = with_picture(upload.value)
    # A size of its own, as both kinds share the server's store.
    document["nodes"]["smaller"]["inputs"]["width"] = 32 + len(kind)
    options = {"metadata": "minimal", "sidecar": True}
    assert _status(either, document, **options) == "run"
    either.wait(either.submit(document, options=options), timeout=PATIENCE).checked()
    assert _status(either, document, **options) == "hit"
    assert _status(either, document) == "run"
    assert _status(either, document, metadata="minimal") == "run"
    assert _status(either, document, **options, metadata_prompts=False) == "run"


@in_both_kinds
def test_a_plan_a_check_and_packs_come_from_the_planner(either: Any) -> None:
    upload = either.upload(picture(20, 10), "apple.png")
    assert either.validate(with_picture(upload.value)).valid
    plan = either.plan(with_picture(upload.value))
    assert set(plan.nodes) == {"load", "smaller", "save"}
    found = either.refresh()
    assert found.node_types == len(either.node_types().specs)
    assert found.problems == ()
