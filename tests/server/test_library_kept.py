"""What is noted in the library lasts: kills, backups, servers that share a database."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.errors import InvalidFile
from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.reader import open_shared_tables
from nodegraph.server.content.artifacts.annotations import (
    LIBRARY_LOCK,
    LIBRARY_SCHEMA,
    LIBRARY_TABLES,
    AnnotationChange,
    ResultAnnotation,
    ResultLibrary,
    open_library,
)
from nodegraph.server.operations.backup import backup, restore
from nodegraph.session.settings import Settings
from tests.databases.postgres import PostgresServer
from tests.messages import raises
from tests.server.hosting import PATIENCE, Hosted, Process, hosted, prepared_home
from tests.server.resources import digest_of, finished, picture, written

A, B = "a" * 64, "b" * 64


@pytest.fixture(params=["sqlite", "postgres"])
def library(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer
) -> Iterator[ResultLibrary]:
    if request.param == "sqlite":
        made = open_library(tmp_path / "library.sqlite")
        yield made
        made.close()
        return
    with postgres.database() as url:
        tables = open_shared_tables(
            PostgresAddress(url), LIBRARY_SCHEMA, LIBRARY_TABLES, LIBRARY_LOCK
        )
        yield ResultLibrary(tables)
        tables.close()


def star(library: ResultLibrary, digest: str, stars: int, client: str = "ann") -> int:
    return library.change([(client, digest)], AnnotationChange(stars=stars).apply)


def test_changes_are_followed_from_any_point(library: ResultLibrary) -> None:
    known: dict[str, int] = {}
    last, identity = 0, ""
    for turn in range(5):
        star(library, A, turn)
        star(library, B, 5 - turn)
        if turn == 3:
            star(library, A, 0)
            library.purge()
        changes = library.changes_after(last, identity)
        if changes.is_reset:
            known.clear()
        for each in changes.annotations:
            known[each.digest] = each.stars
        last, identity = changes.last, library.identity
        assert changes.is_complete
        expected = {A: 0 if turn == 3 else turn, B: 5 - turn}
        assert {digest: known.get(digest, 0) for digest in (A, B)} == expected
    assert library.changes_after(last, identity).annotations == ()
    assert library.changes_after(last, "another").is_reset
    assert library.changes_after(last + 1, identity).is_reset


def test_large_changes_are_read_in_parts_that_are_whole(library: ResultLibrary) -> None:
    digests = [f"{at:064x}" for at in range(25)]
    for start in range(0, 25, 5):
        library.change(
            [("ann", digest) for digest in digests[start : start + 5]],
            AnnotationChange(stars=1).apply,
        )
    last, parts = 0, []
    while True:
        changes = library.changes_after(last, library.identity, limit=7)
        parts.append(len(changes.annotations))
        last = changes.last
        if changes.is_complete:
            break
    assert sum(parts) == 25
    assert all(part % 5 == 0 for part in parts)


def test_a_change_is_made_of_all_or_none(library: ResultLibrary) -> None:
    star(library, A, 1)

    def refuse(each: ResultAnnotation) -> ResultAnnotation:
        if each.digest == B:
            raise ValueError("no")
        return ResultAnnotation(each.client, each.digest, stars=5)

    with pytest.raises(ValueError, match="no"):
        library.change([("ann", A), ("ann", B)], refuse)
    assert library.get([("ann", A)])["ann", A].stars == 1
    assert library.get([("ben", A)])["ben", A].is_empty


def test_boards_keep_their_clients_apart(library: ResultLibrary) -> None:
    board = library.add_board("ann", "Ünïcode 🎨")
    library.change([("ann", A)], AnnotationChange(texts={"board": board.id}).apply)
    library.add_board("ben", "Ünïcode 🎨")
    assert [each.client for each in library.boards(None)] == ["ann", "ben"]
    assert library.boards("ann") == [board]
    library.delete_board(board.id, "ann")
    assert library.get([("ann", A)])["ann", A].board is None


def test_a_library_is_no_other_file(tmp_path: Path) -> None:
    with JobQueue(tmp_path / "queue.sqlite"):
        pass
    with raises(InvalidFile):
        open_library(tmp_path / "queue.sqlite")
    (tmp_path / "empty.sqlite").touch()
    with raises(InvalidFile):
        open_library(tmp_path / "empty.sqlite")


def give(server: Hosted, data: bytes, name: str = "a.png") -> str:
    finished(server.services.queue, [written(server.services.outputs / name, data)], "local")
    return digest_of(data)


def stars(client: httpx.Client, digest: str) -> int:
    items = client.get("/artifacts").json()["items"]
    return next(int(each["stars"]) for each in items if each["digest"] == digest)


def test_a_backup_brings_it_back(home: Path, tmp_path: Path) -> None:
    with hosted(home) as server:
        digest = give(server, picture())
        server.client.patch("/library", json={"digests": [digest], "stars": 4, "note": "mine"})
        archive = tmp_path / "b.zip"
        backup(Settings(home=home), archive)
        # What was noted since isn't in it.
        server.client.patch("/library", json={"digests": [digest], "stars": 1})
    restore(Settings(home=home), archive, force=True)
    with hosted(home) as server:
        assert stars(server.client, digest) == 4
    other = tmp_path / "other"
    restore(Settings(home=other), archive)
    with hosted(other) as server:
        (item,) = server.client.get("/artifacts").json()["items"]
        assert (item["stars"], item["note"]) == (4, "mine")


@pytest.fixture
def servers(
    request: pytest.FixtureRequest,
    home: Path,
    tmp_path: Path,
    known_packs: Path,
    postgres: PostgresServer,
) -> Iterator[tuple[Hosted, Hosted]]:
    """Two servers of one queue, with files in common or without."""
    other = prepared_home(tmp_path / "other", known_packs)
    with postgres.database() as url:
        options: dict[str, Any] = {"queue": PostgresAddress(url)}
        if request.param:
            (tmp_path / "shared").mkdir()
            options["shared_files"] = (tmp_path / "shared").as_uri()
        with hosted(home, **options) as one, hosted(other, **options) as two:
            yield one, two


@pytest.mark.parametrize("servers", [True, False], ids=["shared files", "own files"], indirect=True)
def test_servers_of_one_queue_have_one_library(servers: tuple[Hosted, Hosted]) -> None:
    one, other = servers
    digests = [give(one, picture(color=(at, 0, 0)), f"{at}.png") for at in range(3)]
    made = one.client.post("/library/boards", json={"name": "Covers"})
    assert made.status_code == 201, made.text
    board = made.json()["id"]
    body = {"digests": digests[:2], "stars": 4, "add_tags": ["Cat"], "board": board}
    assert one.client.patch("/library", json=body).json() == {"changed": 2}
    for server in servers:
        query = {"text": "tag:cat stars:4 board:covers type:image"}
        items = server.client.get("/artifacts", params=query).json()["items"]
        assert [each["digest"] for each in items] == [digests[1], digests[0]]
        tags = server.client.get("/library/tags").json()["items"]
        assert tags == [{"tag": "Cat", "count": 2}]
    trashed = other.client.post("/library/trash", json={"digests": digests[:1]})
    assert trashed.json() == {"trashed": 1}
    assert len(one.client.get("/artifacts").json()["items"]) == 2
    assert one.client.get("/library/boards").json()["items"][0]["count"] == 1
    assert one.client.delete("/library/trash").json() == {"deleted": 1}
    for server in servers:
        assert len(server.client.get("/artifacts").json()["items"]) == 2
        items = server.client.get("/artifacts", params={"trashed": "true"}).json()["items"]
        assert items == []
    assert not (one.services.outputs / "0.png").exists()


@pytest.mark.slow
def test_what_was_answered_survives_a_kill(home: Path) -> None:
    with hosted(home) as server:
        digests = [give(server, picture(color=(at, 0, 0)), f"{at}.png") for at in range(20)]
    with Process(home, "--workers", "0") as process:
        process.ready()
        url = f"{process.url}/api/v1"
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            for at, digest in enumerate(digests):
                body = {"digests": [digest], "stars": at % 5 + 1}
                assert client.patch("/library", json=body).json() == {"changed": 1}
                if at == 9:
                    trashed = client.post("/library/trash", json={"digests": digests[:1]})
                    assert trashed.status_code == 200
        process.stop(signal.SIGKILL)
    with hosted(home) as server:
        items = server.client.get("/artifacts").json()["items"]
        kept = {each["digest"]: each["stars"] for each in items}
        assert kept == {digest: at % 5 + 1 for at, digest in enumerate(digests) if at}
