"""Servers with homes of their own, which share a queue, uploads, what jobs gave and tell."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest

from nodegraph.core.events import Event
from nodegraph.errors import InvalidFile
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.reader import open_shared_tables
from nodegraph.server.content.artifacts.artifact_files import SharedArtifacts
from nodegraph.server.content.files.safe_files import ConfinedFolder
from nodegraph.server.content.files.shared_files import (
    SCHEMA_LOCK,
    SHARED_MIGRATIONS,
    SHARED_SCHEMA,
    CircuitBreaker,
    FilePool,
    FilesOfOthers,
    FilesUnreachable,
    SharedFiles,
)
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings, load_server_settings
from nodegraph.session.settings import Settings
from nodegraph.store.remote.object_storage import open_storage
from tests.databases.postgres import PostgresServer
from tests.messages import raises
from tests.server.hosting import (
    PATIENCE,
    Hosted,
    eventually,
    hosted,
    prepared_home,
    workflow,
)
from tests.server.resources import digest_of, finished, picture, written
from tests.server.talking import FORMS, Worker, talk

PICTURE = picture(300, 200)
DIGEST = digest_of(PICTURE)
_TOUCHED = {"type": "sums:Checked", "inputs": {"path": f"upload:{DIGEST}/apple.png"}}
WORKFLOW = {"format": "nodegraph/1", "nodes": {"look": _TOUCHED}}


class Two:
    """Two servers without workers, and where they share their files."""

    def __init__(self, one: Hosted, two: Hosted, place: Path) -> None:
        self.servers = one, two
        self.place = place

    def names(self) -> list[str]:
        """Of the shared files."""
        return sorted(path.name for path in self.place.glob("*/??/*"))


@pytest.fixture
def two(home: Path, tmp_path: Path, known_packs: Path, postgres: PostgresServer) -> Iterator[Two]:
    other = prepared_home(tmp_path / "other", known_packs)
    place = tmp_path / "shared"
    place.mkdir()
    with ExitStack() as opened:
        queue = PostgresAddress(opened.enter_context(postgres.database()))
        options: dict[str, Any] = {"queue": queue, "shared_files": place.as_uri()}
        found = [opened.enter_context(hosted(each, **options)) for each in (home, other)]
        yield Two(found[0], found[1], place)


def post(server: Hosted) -> dict[str, Any]:
    answer = server.client.post("/uploads", files={"file": ("apple.png", PICTURE)})
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_upload_is_everywhere(two: Two) -> None:
    one, other = two.servers
    brought, again = post(one), post(other)
    assert again["created"] >= brought["created"]
    times = dict.fromkeys(("created", "used"), 0)
    assert {**again, **times} == {**brought, **times}
    assert [each["digest"] for each in other.client.get("/uploads").json()["items"]] == [DIGEST]
    assert other.client.get(f"/uploads/{DIGEST}").content == PICTURE
    assert other.client.get(f"/uploads/{DIGEST}/thumbnail").status_code == 200
    assert two.names() == [f"{DIGEST}.png"]
    assert other.client.delete(f"/uploads/{DIGEST}").status_code == 204
    assert one.client.get(f"/uploads/{DIGEST}").status_code == 404
    assert two.names() == []
    # It is the same to bring it once more, although this server has it in its folder.
    post(one)
    assert other.client.get(f"/uploads/{DIGEST}").content == PICTURE


def test_a_job_finds_its_uploads_where_it_runs(two: Two) -> None:
    one, other = two.servers
    post(one)
    # Its check asks for a file that is here by now.
    submitted = other.client.post("/jobs", json={"workflow": WORKFLOW})
    assert submitted.status_code == 202, submitted.text
    job = submitted.json()["id"]
    for server in two.servers:
        services = server.services
        shown = server.client.get(f"/jobs/{job}/workflow").json()
        assert shown["nodes"]["look"] == _TOUCHED
        text = services.queue.workflow(services.queue.get(job).workflow)
        here, given = services.uploads.resolve_shared(text, {"b": [f"upload:{DIGEST}"]})
        path = services.uploads.files / f"{DIGEST}.png"
        assert json.loads(here)["nodes"]["look"]["inputs"] == {"path": str(path)}
        assert given == {"b": [str(path)]}
        assert path.read_bytes() == PICTURE
    # Whoever named a file by where it lies on one of them would read anybody's.
    stolen = str(other.services.uploads.files / f"{DIGEST}.png")
    theft = {"look": {"type": "sums:Checked", "inputs": {"path": stolen}}}
    refused = other.client.post("/jobs", json={"workflow": {**WORKFLOW, "nodes": theft}})
    assert refused.status_code == 422


def test_a_job_is_taken_in_once_whatever_its_upload_is_called_elsewhere(two: Two) -> None:
    found = []
    for server, name in zip(two.servers, ("apple.png", "pear.png"), strict=True):
        server.client.post("/uploads", files={"file": (name, PICTURE)})
        key = {"Idempotency-Key": "once"}
        answer = server.client.post("/jobs", json={"workflow": WORKFLOW}, headers=key)
        found.append(answer.json().get("id"))
    assert found[0] == found[1] is not None


def test_what_jobs_gave_is_everywhere(two: Two) -> None:
    one, other = two.servers
    finished(
        other.services.queue, [written(other.services.outputs / "apple.png", PICTURE)], "local"
    )
    # It may be asked for before it is shared.
    assert one.client.get(f"/artifacts/{DIGEST}/thumbnail").status_code == 200
    answer = one.client.get(f"/artifacts/{DIGEST}")
    assert (answer.status_code, answer.content) == (200, PICTURE)
    listed = [server.client.get("/artifacts").json()["items"] for server in two.servers]
    assert listed[0] == listed[1]
    assert [each["name"] for each in listed[0]] == ["apple.png"]
    assert one.client.get("/artifacts?text=apple&kind=image&distinct=true").json()["items"]
    used = one.client.post(f"/uploads/artifacts/{DIGEST}")
    assert used.status_code == 201

    # It is deleted at the server that hasn't written it.
    assert one.client.delete(f"/artifacts/{DIGEST}").status_code == 204
    for server in two.servers:
        assert server.client.get(f"/artifacts/{DIGEST}").status_code == 404
    other.services.artifacts.share()
    assert not (other.services.outputs / "apple.png").exists()
    assert two.names() == [f"{DIGEST}.png"]  # the upload


def test_what_is_shared_just_after_it_was_looked_for_is_not_called_gone(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two.servers
    was_looked_for = Flag()
    look, put = SharedFiles.download, SharedFiles.put

    def looked(self: SharedFiles, *of: Any) -> bool:
        is_there = look(self, *of)
        was_looked_for.set()
        if not is_there:
            other.services.artifacts.share()
        return is_there

    def put_then(self: SharedFiles, *of: Any) -> None:
        assert was_looked_for.wait(PATIENCE)
        put(self, *of)

    monkeypatch.setattr(SharedFiles, "download", looked)
    monkeypatch.setattr(SharedFiles, "put", put_then)
    finished(
        other.services.queue, [written(other.services.outputs / "apple.png", PICTURE)], "local"
    )
    assert one.client.get(f"/artifacts/{DIGEST}").content == PICTURE


def test_what_is_damaged_or_gone_is_shared_anew(two: Two) -> None:
    one, other = two.servers
    job = finished(
        other.services.queue, [written(other.services.outputs / "apple.png", PICTURE)], "local"
    )
    eventually(lambda: two.names() == [DIGEST])
    (damaged,) = two.place.glob("*/??/*")
    damaged.write_bytes(PICTURE[:-1])
    assert one.client.get(f"/artifacts/{DIGEST}").status_code == 410
    other.services.artifacts.share()
    assert one.client.get(f"/artifacts/{DIGEST}").content == PICTURE

    # With its job, what is shared of it goes; the file itself stays.
    assert one.client.delete(f"/jobs/{job.id}").status_code == 204
    assert one.client.get(f"/artifacts/{DIGEST}").status_code == 404
    assert two.names() == []
    assert (other.services.outputs / "apple.png").exists()


@pytest.mark.slow
def test_an_upload_that_is_lost_is_shared_anew_and_a_deleted_one_goes_later(
    two: Two, tmp_path: Path
) -> None:
    one, other = two.servers
    post(one)
    (lost,) = two.place.glob("*/??/*")
    lost.unlink()
    assert other.client.get(f"/uploads/{DIGEST}").status_code == 410
    one.services.uploads.prune()
    assert other.client.get(f"/uploads/{DIGEST}").content == PICTURE

    two.place.rename(tmp_path / "away")
    assert other.client.delete(f"/uploads/{DIGEST}").status_code == 204
    one.services.uploads.prune()
    (tmp_path / "away").rename(two.place)
    assert two.names() == [f"{DIGEST}.png"]
    one.services.uploads.prune()
    assert two.names() == []


def test_files_that_are_nowhere_keep_no_others(two: Two) -> None:
    other = two.servers[1]
    queue, outputs = other.services.queue, other.services.outputs

    def lost(name: str) -> list[dict[str, Any]]:
        listed = written(outputs / "lost.png", PICTURE)
        (outputs / "lost.png").unlink()
        names = [f"{name}{number}" for number in range(201)]
        return [{**listed, "digest": digest_of(each.encode())} for each in names]

    for files in (lost("a"), [written(outputs / "apple.png", PICTURE)], lost("b")):
        finished(queue, files, "local")
    eventually(lambda: two.names() == [DIGEST])


def test_what_is_given_once_more_is_not_deleted_later(two: Two) -> None:
    one, other = two.servers
    path = other.services.outputs / "apple.png"
    finished(other.services.queue, [written(path, PICTURE)], "local")
    path.unlink()  # so that nobody has what is deleted
    assert one.client.delete(f"/artifacts/{DIGEST}").status_code == 204
    listed = written(path, PICTURE)
    later = path.stat().st_mtime + 60
    os.utime(path, (later, later))
    other.services.artifacts.retry_missing()
    other.services.artifacts.share()  # before its job has told of it
    assert path.exists()
    job = finished(other.services.queue, [listed], "local")
    other.services.artifacts.share()
    assert one.client.delete(f"/jobs/{job.id}").status_code == 204
    assert one.client.get(f"/artifacts/{DIGEST}").status_code == 404
    other.services.artifacts.retry_missing()
    other.services.artifacts.share()
    assert path.exists()


def test_a_place_that_is_away_is_told(two: Two, tmp_path: Path) -> None:
    one, other = two.servers
    post(one)
    given = picture(8, 6)
    made = [written(one.services.outputs / "pear.png", given)]
    finished(one.services.queue, made, "local")
    eventually(lambda: digest_of(given) in two.names())
    two.place.rename(tmp_path / "away")
    # What can't be deleted there now is deleted later.
    assert other.client.delete(f"/artifacts/{digest_of(given)}").status_code == 204
    for answer in (
        one.client.post("/uploads", files={"file": ("pear.png", picture(8, 8))}),
        other.client.get(f"/uploads/{DIGEST}"),
        other.client.post("/jobs", json={"workflow": WORKFLOW}),
    ):
        assert (answer.status_code, answer.json()["problems"][0]["code"]) == (
            503,
            "files-unreachable",
        )
        assert "file:" not in answer.text, "where it is is nobody's business"
    (tmp_path / "away").rename(two.place)
    assert other.client.get(f"/uploads/{DIGEST}").content == PICTURE
    one.services.artifacts.share()
    assert two.names() == [f"{DIGEST}.png"]
    assert not (one.services.outputs / "pear.png").exists()


@pytest.mark.slow
def test_what_a_server_that_is_gone_was_to_delete_is_given_up(two: Two, tmp_path: Path) -> None:
    one, other = two.servers
    listed = written(tmp_path / "elsewhere" / "apple.png", PICTURE)
    finished(one.services.queue, [listed], "local")
    assert other.client.delete(f"/artifacts/{DIGEST}").status_code == 204
    queue = other.services.server.queue
    assert queue is not None
    files = SharedFiles(open_storage(two.place.as_uri()), other.services.queue.identity)
    tables = open_shared_tables(queue, SHARED_SCHEMA, SHARED_MIGRATIONS, SCHEMA_LOCK)
    shared = SharedArtifacts(FilePool(files, tables), tmp_path / "cache")
    one.services.artifacts.share()
    assert [each.path for each in shared.removals()] == [listed["path"]]
    with shared.tables.writing() as connection:
        connection.execute("UPDATE removals SET asked = asked - ?", (31 * 86_400,))
    one.services.artifacts.retry_missing()
    one.services.artifacts.share()
    assert shared.removals() == []
    tables.close()


def test_a_place_is_one_queues(two: Two, tmp_path: Path, postgres: PostgresServer) -> None:
    with postgres.database() as database:
        settings = ServerSettings(queue=PostgresAddress(database), shared_files=two.place.as_uri())
        third = Services(Settings(home=tmp_path / "third"), settings, has_workers=False)
        with pytest.raises(FilesOfOthers, match="another queue"):
            asyncio.run(third.open())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="nothing hangs so there")
def test_nobody_hangs_with_a_place(tmp_path: Path) -> None:
    place, into = tmp_path / "place", ConfinedFolder(tmp_path / "into")
    (place / "a").mkdir(parents=True)
    (place / "a" / "there").write_bytes(PICTURE)
    os.mkfifo(place / "a" / "hangs")
    files = SharedFiles(open_storage(place.as_uri()), "queue", CircuitBreaker(patience=0.2))
    assert files.download("a/there", DIGEST, into, "there")
    with pytest.raises(FilesUnreachable):
        files.download("a/hangs", DIGEST, into, "hangs")
    with pytest.raises(FilesUnreachable):
        files.has("a/there")  # as long as one hangs
    (place / "a" / "hangs").open("wb").close()

    def is_back() -> bool:
        try:
            return files.has("a/there")
        except FilesUnreachable:
            return False

    eventually(is_back)


def test_progress_is_told_by_every_server(two: Two) -> None:
    one, other = two.servers
    worker = Worker(one)
    with talk(other) as client, talk(other, FORMS[1]) as reader:
        for each in (client, reader):
            each.ask("subscribe")
        eventually(lambda: one.services.live_relay.is_followed)
        name = other.client.post("/jobs", json={"workflow": workflow()}).json()["id"]
        job = worker.take()
        worker.show(job, 1, Event(2, "node.progress", "sum", 0.1, {"step": 1, "steps": 4}))
        worker.show(job, 1, Event(3, "node.preview", "sum", 0.2, {"image": b"\xff\x00"}))
        # They come after what they belong to, although that goes another way.
        worker.tell(job, Event(0, "job.started", None, 0.0), Event(1, "node.started", "sum", 0.0))
        assert client.until("node.progress", name)["data"] == {"step": 1, "steps": 4}
        kinds = [event["kind"] for event in client.events]
        assert kinds.index("node.started") < kinds.index("node.progress")
        assert client.until("node.preview", name)["data"] == {"image": b"\xff\x00"}
        assert reader.until("node.preview", name)["data"] == {"image": {"base64": "/wA="}}
        # It is stopped at the server that doesn't run it.
        assert other.client.post(f"/jobs/{name}/cancel").json()["wanted"] == "cancel"
        one.services.queue.stopped(job.id, job.attempt).result(PATIENCE)
        client.until("job.cancelled", name)
    eventually(lambda: not one.services.live_relay.is_followed)


def test_files_are_shared_by_servers_of_one_queue(home: Path) -> None:
    with raises(InvalidFile):
        load_server_settings(Settings(home=home), {"shared_files": "file:///mnt/files"})


@pytest.mark.slow
def test_uploads_of_before_stay_where_they_were(
    home: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    with hosted(home) as alone:
        post(alone)
        path = alone.services.uploads.files / f"{DIGEST}.png"
    os.utime(path, (0, 0))
    with postgres.database() as database:
        shared = {"queue": PostgresAddress(database), "shared_files": tmp_path.as_uri()}
        with hosted(home, **shared) as server:
            server.services.uploads.prune()
    with hosted(home) as alone:
        assert alone.client.get(f"/uploads/{DIGEST}").content == PICTURE
