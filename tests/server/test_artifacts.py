"""Artifacts: what finished jobs list can be had by its digest by all who may see the job."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.events import Event
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.jobs.queue import JobQueue
from nodegraph.server.content.artifacts import ArtifactFilter, Artifacts
from nodegraph.server.content.artifacts.annotations import open_library
from nodegraph.server.content.artifacts.catalogue import (
    MIGRATIONS,
    Catalogue,
    CatalogueFile,
    catalogue_format,
)
from nodegraph.server.content.artifacts.search import JobWords, parse_search
from nodegraph.server.content.artifacts.thumbnails import Thumbnails
from nodegraph.server.http.errors import FileGone, NotFound
from nodegraph.store.database import Database
from tests.jobs.queue.support import claim, open_queue, submit
from tests.messages import raises
from tests.server.resources import digest_of, finished, picture, written

PICTURE = picture()
DIGEST = digest_of(PICTURE)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    with open_queue(tmp_path) as found:
        yield found


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


@pytest.fixture
def artifacts(tmp_path: Path, queue: JobQueue, outputs: Path) -> Iterator[Artifacts]:
    found = made(tmp_path, queue, outputs)
    yield found
    found.close()


def made(home: Path, queue: JobQueue, outputs: Path) -> Artifacts:
    return Artifacts(
        home / "artifacts.sqlite",
        queue,
        [outputs],
        Thumbnails(home / "cache" / "thumbnails"),
        open_library(home / "library.sqlite"),
    )


def content(artifacts: Artifacts, digest: str = DIGEST, client: str | None = None) -> bytes:
    opened = artifacts.open(artifacts.find(digest, client))
    with opened.file as file:
        data = file.read()
    assert len(data) == opened.size
    return data


def test_what_a_job_gave_is_found_by_its_digest(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    job = finished(queue, [written(outputs / "apple.png", PICTURE)])
    found = artifacts.find(DIGEST, "ann")
    assert (found.job, found.client, found.node, found.kind) == (job.id, "ann", "save", "image")
    assert (found.media_type, found.size) == ("image/png", len(PICTURE))
    assert content(artifacts) == PICTURE


def test_half_a_character_of_its_node_keeps_no_file_out(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    finished(queue, [{**written(outputs / "apple.png", PICTURE), "node": "a\ud800"}])
    assert artifacts.find(DIGEST, "ann").node == "a\ufffd"
    assert content(artifacts) == PICTURE


@pytest.mark.parametrize("digest", ["0" * 64, "", "..", "A" * 64, DIGEST[:-1], "é" * 64, "\0"])
def test_what_nobody_gave_is_not_found(artifacts: Artifacts, digest: str) -> None:
    with pytest.raises(NotFound):
        artifacts.find(digest, None)


def test_a_job_that_has_not_finished_gives_nothing(artifacts: Artifacts, queue: JobQueue) -> None:
    submit(queue)
    job = claim(queue)
    queue.fail(job.id, job.attempt, {"code": "x", "message": "y"}).result()
    assert artifacts.page(ArtifactFilter()).artifacts == ()


def test_others_do_not_see_it(artifacts: Artifacts, queue: JobQueue, outputs: Path) -> None:
    finished(queue, [written(outputs / "apple.png", PICTURE)], "ann")
    with pytest.raises(NotFound):
        artifacts.find(DIGEST, "ben")
    assert artifacts.page(ArtifactFilter("ben")).artifacts == ()
    assert artifacts.find(DIGEST, None).client == "ann"


def test_equal_bytes_are_seen_by_all_who_made_them(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    finished(queue, [written(outputs / "a.png", PICTURE)], "ann")
    finished(queue, [written(outputs / "b.png", PICTURE)], "ben")
    assert artifacts.find(DIGEST, "ann").path.endswith("a.png")
    assert artifacts.find(DIGEST, "ben").path.endswith("b.png")


def test_a_deleted_job_takes_its_artifacts_along_but_not_its_files(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    job = finished(queue, [written(outputs / "apple.png", PICTURE)])
    assert artifacts.find(DIGEST, None)
    queue.delete(job.id).result()
    with pytest.raises(NotFound):
        artifacts.find(DIGEST, None)
    assert (outputs / "apple.png").exists()


def test_bytes_that_another_job_gave_as_well_outlive_the_deleted_one(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    jobs = [finished(queue, [written(outputs / f"{at}.png", PICTURE)]) for at in range(3)]
    for job in jobs[1:]:
        queue.delete(job.id).result()
    assert artifacts.find(DIGEST, "ann").job == jobs[0].id


def test_tidying_forgets_what_deleted_jobs_gave(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    jobs = [finished(queue, [written(outputs / f"{at}", bytes([at]))]) for at in range(5)]
    assert len(artifacts.page(ArtifactFilter()).artifacts) == 5
    for job in jobs[:3]:
        queue.delete(job.id).result()
    assert artifacts.tidy() == 3
    assert artifacts.tidy() == 0
    assert len(artifacts.page(ArtifactFilter()).artifacts) == 2


def test_a_file_that_vanished_is_gone(artifacts: Artifacts, queue: JobQueue, outputs: Path) -> None:
    finished(queue, [written(outputs / "apple.png", PICTURE)])
    assert content(artifacts) == PICTURE
    (outputs / "apple.png").unlink()
    with raises(FileGone):
        content(artifacts)


def test_a_file_that_was_changed_is_gone(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    finished(queue, [written(outputs / "apple.png", PICTURE)])
    assert content(artifacts) == PICTURE
    (outputs / "apple.png").write_bytes(PICTURE[:-1] + b"x")
    with raises(FileGone):
        content(artifacts)


def test_a_change_is_seen_also_of_a_file_that_was_remembered(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    path = outputs / "apple.png"
    finished(queue, [written(path, PICTURE)])
    os.utime(path, (1e9, 1e9))  # long ago, so that its bytes needn't be read twice
    assert content(artifacts) == content(artifacts) == PICTURE
    path.write_bytes(PICTURE[:-1] + b"x")
    os.utime(path, (1e9 + 1, 1e9 + 1))
    with raises(FileGone):
        content(artifacts)


def test_a_file_that_was_only_touched_or_put_back_is_not_gone(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    path = outputs / "apple.png"
    finished(queue, [written(path, PICTURE)])
    assert content(artifacts) == PICTURE
    path.unlink()
    path.write_bytes(PICTURE)
    os.utime(path, (1e9, 1e9))
    assert content(artifacts) == PICTURE


def test_another_file_with_the_same_bytes_stands_in(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    finished(queue, [written(outputs / "a.png", PICTURE)])
    finished(queue, [written(outputs / "b.png", PICTURE)])
    (outputs / "b.png").unlink()
    assert content(artifacts) == PICTURE


def test_files_elsewhere_are_not_handed_out(
    artifacts: Artifacts, queue: JobQueue, tmp_path: Path
) -> None:
    finished(queue, [written(tmp_path / "elsewhere" / "apple.png", PICTURE)])
    with raises(FileGone):
        content(artifacts)


def moved_home(tmp_path: Path, files: dict[str, bytes], *, is_known: bool = True) -> Path:
    """A home whose job gave some files, moved once they were in the catalogue; where it is now.

    Args:
        is_known: False for one whose former place was never noted, as earlier versions didn't.
    """
    home = tmp_path / "home"
    home.mkdir()
    with open_queue(home) as queue:
        submit(queue)
        job = claim(queue)
        listed = [written(home / "outputs" / name, data) for name, data in files.items()]
        queue.append_events(job.id, job.attempt, [told(file) for file in listed]).result()
        queue.fail(job.id, job.attempt, {"code": "x", "message": "y"}).result()
        finished(queue, listed)
        before = made(home, queue, home / "outputs")
        assert len(before.page(ArtifactFilter()).artifacts) == 2 * len(files)
        before.close()
    if not is_known:
        with closing(sqlite3.connect(home / "queue.sqlite")) as connection:
            connection.execute("DELETE FROM meta WHERE name = 'home'")
            connection.commit()
        (home / "artifacts.sqlite").unlink()
    return home.rename(tmp_path / "elsewhere")


@pytest.mark.parametrize("is_known", [True, False])
def test_a_home_that_was_moved_keeps_what_its_jobs_gave(tmp_path: Path, is_known: bool) -> None:
    files = {"apple.png": PICTURE, "fruit/outputs/pear.png": b"pear"}
    home = moved_home(tmp_path, files, is_known=is_known)
    with open_queue(home) as queue:
        artifacts = made(home, queue, home / "outputs")
        assert content(artifacts) == PICTURE
        assert content(artifacts, digest_of(b"pear")) == b"pear"
        # Deleted, a file is gone, too.
        found = artifacts.find_all(DIGEST, None, None)
        assert len(found) == 2
        artifacts.delete(found)
        assert not (home / "outputs" / "apple.png").exists()
        artifacts.close()


def test_in_a_home_that_was_moved_each_file_is_listed_where_it_lies(tmp_path: Path) -> None:
    home = moved_home(tmp_path, {"apple.png": PICTURE})
    with open_queue(home) as queue:
        artifacts = made(home, queue, home / "outputs")
        again = written(home / "outputs" / "apple.png", PICTURE, existed=True)
        finished(queue, [again])
        found = artifacts.page(ArtifactFilter()).artifacts
        assert {each.path for each in found} == {str(home / "outputs" / "apple.png")}
        assert len(found) == 3
        artifacts.close()


def test_another_file_at_a_place_like_it_is_not_handed_out(tmp_path: Path) -> None:
    home = moved_home(tmp_path, {"apple.png": PICTURE}, is_known=False)
    (home / "outputs" / "apple.png").write_bytes(b"another")
    with open_queue(home) as queue:
        artifacts = made(home, queue, home / "outputs")
        with raises(FileGone):
            content(artifacts)
        artifacts.close()


@pytest.mark.parametrize(
    "path",
    [
        "outputs/../secret.png",
        "outputs/./../secret.png",
        "outputs/link.png",
        "outputs/folder/secret.png",
        "outputs",
        "outputs/sub",
        "outputs/pipe",
        "outputs/\0",
        "/dev/zero",
        "outputs/" + "x" * 5000,
    ],
)
def test_no_path_leads_out_of_the_folder(
    artifacts: Artifacts, queue: JobQueue, outputs: Path, path: str
) -> None:
    home = outputs.parent
    listed = written(home / "secret.png", PICTURE)
    (outputs / "sub").mkdir()
    (outputs / "link.png").symlink_to(home / "secret.png")
    (outputs / "folder").symlink_to(home)
    os.mkfifo(outputs / "pipe")
    finished(queue, [{**listed, "path": path if path.startswith("/") else f"{home}/{path}"}])
    with pytest.raises(FileGone):
        content(artifacts)


def test_the_outputs_folder_may_be_a_link(tmp_path: Path, queue: JobQueue) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "outputs").symlink_to(tmp_path / "disk")
    artifacts = made(tmp_path, queue, tmp_path / "outputs")
    finished(queue, [written(tmp_path / "disk" / "a.png", PICTURE)])
    finished(queue, [written(tmp_path / "outputs" / "b.png", b"b")])
    assert content(artifacts) == PICTURE
    assert content(artifacts, digest_of(b"b")) == b"b"
    artifacts.close()


def test_a_list_that_is_not_as_agreed_keeps_no_other_file_out(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    good = written(outputs / "apple.png", PICTURE)
    wrong = [None, 3, {}, {"path": 1}, {**good, "size": "many"}, {**good, "size": None}]
    finished(queue, wrong)  # type: ignore[arg-type]
    submit(queue)
    job = claim(queue)
    queue.finish(job.id, job.attempt, {"files": "none"}).result()
    finished(queue, [good])
    assert artifacts.find(DIGEST, None)


def test_what_finished_while_nobody_looked_is_entered_later(
    tmp_path: Path, queue: JobQueue, outputs: Path
) -> None:
    first = made(tmp_path, queue, outputs)
    finished(queue, [written(outputs / "a", b"a")])
    assert first.find(digest_of(b"a"), None)
    first.close()
    finished(queue, [written(outputs / "b", b"b")])
    again = made(tmp_path, queue, outputs)
    assert again.find(digest_of(b"a"), None)
    assert again.find(digest_of(b"b"), None)
    assert len(again.page(ArtifactFilter()).artifacts) == 2
    again.close()


def test_a_lost_catalogue_is_made_again_from_the_queue(
    tmp_path: Path, queue: JobQueue, outputs: Path
) -> None:
    first = made(tmp_path, queue, outputs)
    finished(queue, [written(outputs / "a", b"a")])
    assert first.find(digest_of(b"a"), None)
    first.close()
    for path in tmp_path.glob("artifacts.sqlite*"):
        path.unlink()
    again = made(tmp_path, queue, outputs)
    assert again.find(digest_of(b"a"), None)
    again.close()


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("begin", [0, 4096])
def test_a_damaged_catalogue_is_made_again_from_the_queue(
    tmp_path: Path, queue: JobQueue, outputs: Path, is_open: bool, begin: int
) -> None:
    for at in range(40):
        finished(queue, [written(outputs / f"{at}", bytes([at]))])
    artifacts = made(tmp_path, queue, outputs)
    before = artifacts.page(ArtifactFilter(), limit=100).artifacts
    if not is_open:
        artifacts.close()
    with closing(sqlite3.connect(tmp_path / "artifacts.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / "artifacts.sqlite").open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(begin)
        file.write(b"\xff" * (size - begin))
    if not is_open:
        artifacts = made(tmp_path, queue, outputs)
    for _ in range(2):
        found = artifacts.page(ArtifactFilter(), limit=100).artifacts
        assert [each.digest for each in found] == [each.digest for each in before]
    assert content(artifacts, digest_of(b"\7")) == b"\7"
    artifacts.close()


def test_another_program_s_file_in_its_place_stays(
    tmp_path: Path, queue: JobQueue, outputs: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "artifacts.sqlite")) as other:
        other.execute("CREATE TABLE mine (a)")
    with raises(InvalidFile):
        made(tmp_path, queue, outputs)
    with closing(sqlite3.connect(tmp_path / "artifacts.sqlite")) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


def test_the_catalogue_of_another_queue_begins_again(tmp_path: Path, outputs: Path) -> None:
    with open_queue(tmp_path) as queue:
        artifacts = made(tmp_path, queue, outputs)
        for _ in range(5):
            finished(queue, [written(outputs / "a", b"a")])
        assert artifacts.find(digest_of(b"a"), None)
        artifacts.close()
    (tmp_path / "old").mkdir()
    for path in tmp_path.glob("queue.sqlite*"):
        shutil.move(path, tmp_path / "old" / path.name)
    with open_queue(tmp_path) as queue:
        artifacts = made(tmp_path, queue, outputs)
        finished(queue, [written(outputs / "b", b"b")])
        assert artifacts.find(digest_of(b"b"), None)
        artifacts.close()


def test_pages_hold_each_artifact_once_the_newest_first(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    jobs = [
        finished(queue, [written(outputs / f"{at}", bytes([at]))], "ann" if at % 3 else "ben")
        for at in range(20)
    ]
    queue.delete(jobs[7].id).result()
    wanted = [digest_of(bytes([at])) for at in reversed(range(20)) if at % 3 and at != 7]
    found, cursor = [], None
    while True:
        page = artifacts.page(ArtifactFilter("ann"), limit=4, cursor=cursor)
        found += [item.digest for item in page.artifacts]
        finished(queue, [written(outputs / "later", os.urandom(4))], "ann")
        cursor = page.next
        if cursor is None:
            break
    assert found == wanted


def test_a_page_is_of_one_job_or_kind_if_that_is_asked_for(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    job = finished(
        queue, [written(outputs / "a", b"a"), written(outputs / "b", b"b", kind="preview")]
    )
    finished(queue, [written(outputs / "c", b"c")])
    assert {item.job for item in artifacts.page(ArtifactFilter(job=job.id)).artifacts} == {job.id}
    (preview,) = artifacts.page(ArtifactFilter(kind="preview")).artifacts
    assert preview.digest == digest_of(b"b")


def test_the_same_bytes_are_listed_once_where_that_is_asked_for(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    same = [written(outputs / f"{at}.png", PICTURE) for at in range(3)]
    jobs = [finished(queue, [file], name=f"job {at}") for at, file in enumerate(same)]
    finished(queue, [written(outputs / "a", b"a")])
    finished(queue, [written(outputs / "theirs.png", PICTURE)], "ben")

    def listed(**which: Any) -> list[tuple[str, int]]:
        page = artifacts.page(ArtifactFilter("ann", distinct=True, **which), limit=1)
        found = list(page.artifacts)
        while page.next is not None:
            page = artifacts.page(
                ArtifactFilter("ann", distinct=True, **which), limit=1, cursor=page.next
            )
            found += page.artifacts
        return [(Path(each.path).name, each.jobs) for each in found]

    assert listed() == [("a", 1), ("2.png", 3)]
    # The newest of those that match stands for them.
    assert listed(terms=[("word", "job 1")]) == [("1.png", 3)]
    assert listed(job=jobs[0].id) == [("0.png", 3)]
    queue.delete(jobs[2].id).result()
    queue.delete(jobs[0].id).result()
    assert listed() == [("a", 1), ("1.png", 1)]


def test_a_file_is_there_as_soon_as_it_is_written(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    submit(queue)
    job = claim(queue)
    file = written(outputs / "apple.png", PICTURE, width=8, height=6)
    queue.append_events(job.id, job.attempt, [told(file)]).result()
    found = artifacts.find(DIGEST, "ann")
    assert (found.job, found.node, found.kind) == (job.id, "save", "image")
    assert (found.width, found.height) == (8, 6)
    assert content(artifacts) == PICTURE
    queue.finish(job.id, job.attempt, {"files": [file]}).result()
    assert len(artifacts.page(ArtifactFilter()).artifacts) == 1


def told(file: dict[str, Any]) -> Event:
    """What a job tells of a file that it has just written."""
    data = {name: value for name, value in file.items() if name not in ("node", "kind")}
    return Event(1, "node.wrote", file["node"], 0.5, {**data, "file": file["kind"]})


def test_who_found_a_file_names_the_job_that_made_it(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    file = written(outputs / "apple.png", PICTURE)
    first = finished(queue, [file])
    finished(queue, [{**file, "existed": True}], "ben")
    submit(queue)
    last = claim(queue)
    queue.append_events(last.id, last.attempt, [told({**file, "existed": True})]).result()
    queue.finish(last.id, last.attempt, {"files": [{**file, "existed": True}]}).result()

    def makers(client: str | None, **which: Any) -> list[tuple[str, str | None, bool]]:
        page = artifacts.page(ArtifactFilter(client, **which))
        return [(each.job, each.made_by, each.existed) for each in page.artifacts]

    assert makers("ann") == [(last.id, first.id, True), (first.id, first.id, False)]
    assert makers("ann", distinct=True) == [(last.id, first.id, True)]
    # Of others' jobs nobody is told, and of those that are gone no other is named.
    assert [maker for _, maker, _ in makers("ben")] == [None]
    queue.delete(first.id).result()
    assert makers("ann") == [(last.id, None, True)]


def test_what_was_made_once_more_is_of_the_later_job(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    file = written(outputs / "apple.png", PICTURE)
    first, second = finished(queue, [file]), finished(queue, [file])
    found = artifacts.page(ArtifactFilter()).artifacts
    assert [each.made_by for each in found] == [second.id, first.id]


def test_an_older_catalogue_takes_a_file_that_was_known_for_one_that_was_there(
    tmp_path: Path, queue: JobQueue, outputs: Path
) -> None:
    jobs = [finished(queue, [written(outputs / "apple.png", PICTURE)]) for _ in range(2)]
    older = made(tmp_path, queue, outputs)
    assert len(older.page(ArtifactFilter()).artifacts) == 2
    older.close()
    without_search(tmp_path / "artifacts.sqlite")
    with closing(sqlite3.connect(tmp_path / "artifacts.sqlite")) as connection:
        connection.execute("ALTER TABLE uses DROP COLUMN existed")
        connection.execute("PRAGMA user_version = 2")
    artifacts = made(tmp_path, queue, outputs)
    found = artifacts.page(ArtifactFilter()).artifacts
    assert [each.made_by for each in found] == [jobs[0].id] * 2
    artifacts.close()


def without_search(path: Path) -> None:
    """Take a catalogue back to version 3, which had nothing of `ADD_SEARCH`."""
    with closing(sqlite3.connect(path)) as connection:
        for what, name in connection.execute(
            "SELECT type, name FROM sqlite_master WHERE name IN ('facts', 'marks', 'mark_tags',"
            " 'use_facts_removed', 'files_by_width', 'files_by_height') ORDER BY type DESC"
        ).fetchall():
            connection.execute(f"DROP {what} {name}")
        connection.execute("PRAGMA user_version = 3")


SAMPLED: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "A cat",
    "parameters": {"seed": "sample.seed"},
    "nodes": {
        "load": {"type": "LoadModel", "inputs": {"model": "sdxl/Base.safetensors"}},
        "lora": {"type": "ApplyLora", "inputs": {"model": {"from": "load"}, "lora": "ink"}},
        "sample": {
            "type": "KSampler",
            "inputs": {"model": {"from": "lora"}, "seed": 5, "steps": 20, "sampler": "euler"},
        },
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "sample"}}},
        "other": {"type": "KSampler", "inputs": {"seed": 77, "steps": 30, "sampler": "ddim"}},
        "second": {"type": "SaveImage", "inputs": {"image": {"from": "other"}}},
    },
}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("model:sdxl", ["a"]),
        ("model:BASE model:ink", ["a"]),
        ("seed:9", ["a"]),
        ("seed:5", []),
        ("seed:77", ["b"]),
        ("steps:20 sampler:Euler", ["a"]),
        ("steps:20 sampler:ddim", []),
        ("steps:30", ["b"]),
        ("size:8x6", ["a"]),
        ("width:8", ["a"]),
        ("cat", ["b", "a"]),
    ],
)
@pytest.mark.parametrize("is_older", [False, True])
def test_results_are_found_by_what_made_them(
    tmp_path: Path, queue: JobQueue, outputs: Path, text: str, names: list[str], is_older: bool
) -> None:
    files = [
        written(outputs / "a", PICTURE, width=8, height=6),
        written(outputs / "b", b"b", node="second"),
    ]
    finished(queue, files, workflow=SAMPLED, parameters={"seed": 9})
    if is_older:
        earlier = made(tmp_path, queue, outputs)
        numbers = [each.number for each in earlier.page(ArtifactFilter()).artifacts]
        earlier.close()
        without_search(tmp_path / "artifacts.sqlite")
    artifacts = made(tmp_path, queue, outputs)
    if is_older:
        assert [each.number for each in artifacts.page(ArtifactFilter()).artifacts] == numbers
    found = artifacts.page(ArtifactFilter(terms=parse_search(text))).artifacts
    assert [Path(each.path).name for each in found] == names
    artifacts.close()


def test_old_results_are_found_behind_many_new_ones(
    artifacts: Artifacts, queue: JobQueue, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.server.content.artifacts.catalogue._WINDOW", 3)
    for at in range(12):
        document = {**SAMPLED, "title": f"Number {at}"}
        file = written(outputs / f"{at}", b"%d" % at, width=at, height=7)
        finished(queue, [file], workflow=document, parameters={"seed": at % 4})

    def names(text: str, limit: int = 100, **which: Any) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            chosen = ArtifactFilter("ann", terms=parse_search(text), **which)
            page = artifacts.page(chosen, limit=limit, cursor=cursor)
            found += [Path(each.path).name for each in page.artifacts]
            cursor = page.next
            if cursor is None:
                return found

    every = [str(at) for at in reversed(range(12))]
    for limit in (1, 2, 5, 100):
        assert names("seed:2", limit) == ["10", "6", "2"]
        assert names("model:sdxl", limit) == every
        assert names("model:sdxl seed:1 width:1", limit) == ["1"]
        assert names("width:9", limit, distinct=True) == ["9"]
        assert names('"number 3"', limit) == ["3"]
        assert names("height:7 number", limit) == every
        assert names("stars:0", limit) == every
        assert names("stars:1", limit) == []


def test_what_a_job_wrote_before_it_failed_stays_listed(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    submit(queue)
    job = claim(queue)
    queue.append_events(job.id, job.attempt, [told(written(outputs / "a", b"a"))]).result()
    queue.fail(job.id, job.attempt, {"code": "x", "message": "y"}).result()
    assert [item.job for item in artifacts.page(ArtifactFilter()).artifacts] == [job.id]


def test_a_large_file_that_is_told_of_without_its_digest_is_entered_at_the_end(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    submit(queue)
    job = claim(queue)
    file = written(outputs / "a", b"a")
    event = Event(1, "node.wrote", "save", 0.5, {"path": file["path"], "file": "image"})
    queue.append_events(job.id, job.attempt, [event]).result()
    assert artifacts.page(ArtifactFilter()).artifacts == ()
    queue.finish(job.id, job.attempt, {"files": [file]}).result()
    assert len(artifacts.page(ArtifactFilter()).artifacts) == 1


ASKED = {
    "format": "nodegraph/1",
    "title": "Still life",
    "parameters": {"prompt": "positive.text", "seed": {"input": "sample.seed"}},
    "nodes": {
        "positive": {"type": "EncodePrompt", "inputs": {"text": "a red Äpple\nin a bowl"}},
        "negative": {"type": "EncodePrompt", "inputs": {"text": {"value": {"from": "blurry"}}}},
        "sample": {"type": "KSampler", "inputs": {"positive": {"from": "linkedword"}, "seed": 7}},
    },
    "subgraphs": {"block": {"nodes": {"inner": {"type": "X", "inputs": {"name": ["deep"]}}}}},
}


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("", True),
        ("äpple", True),
        ("RED BOWL", True),
        ("red pear", False),
        ("still LIFE", True),
        ("my job", True),
        ("draft", True),
        ("fruit_0001.PNG", True),
        ("save", True),
        ("deep", True),
        ("blurry", False),
        ("linkedword", False),
        ("outputs", False),
        ("%", False),
        ("_", True),
    ],
)
def test_what_jobs_gave_is_found_by_words(
    artifacts: Artifacts, queue: JobQueue, outputs: Path, text: str, is_found: bool
) -> None:
    finished(
        queue,
        [written(outputs / "fruit_0001.png", PICTURE)],
        workflow=ASKED,
        name="My job",
        tags=["draft"],
    )
    finished(queue, [written(outputs / "other.txt", b"x", node="n")], name="another")
    found = artifacts.page(ArtifactFilter(terms=parse_search(text))).artifacts
    assert (DIGEST in {item.digest for item in found}) is is_found
    if text:
        assert len(found) == is_found


def test_a_parameters_value_is_found_and_not_what_it_replaces(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    values = {"prompt": "a green pear", "seed": 3}
    finished(queue, [written(outputs / "a", b"a")], workflow=ASKED, parameters=values)
    assert artifacts.page(ArtifactFilter(terms=[("word", "pear")])).artifacts
    assert not artifacts.page(ArtifactFilter(terms=[("word", "äpple")])).artifacts


def test_odd_texts_are_kept_and_looked_for(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    odd = {"nodes": {"a": {"inputs": {"text": "half \ud800 zero \0 end", "b": [{"c": 1}]}}, "b": 3}}
    for at, document in enumerate([odd, {"nodes": []}, {"subgraphs": [1]}, {"parameters": 3}]):
        data = bytes([at])
        finished(queue, [written(outputs / f"{at}", data)], workflow=document)
        assert artifacts.find(digest_of(data), None)
    assert len(artifacts.page(ArtifactFilter(terms=parse_search("ZERO half"))).artifacts) == 1
    artifacts.page(ArtifactFilter(terms=parse_search("\ud800 \0")))


def test_artifacts_of_a_time_are_found(tmp_path: Path, outputs: Path) -> None:
    now = 100.0
    with open_queue(tmp_path, clock=lambda: now) as queue:
        artifacts = made(tmp_path, queue, outputs)
        for at in (100.0, 200.0, 300.0):
            now = at
            finished(queue, [written(outputs / f"{at}", str(at).encode())])
        found = artifacts.page(ArtifactFilter(after=200.0, before=300.0)).artifacts
        assert [item.at for item in found] == [200.0]
        artifacts.close()


def test_deleting_takes_the_file_its_thumbnails_and_the_jobs_listing(
    artifacts: Artifacts, queue: JobQueue, outputs: Path, tmp_path: Path
) -> None:
    job = finished(queue, [written(outputs / "a.png", PICTURE), written(outputs / "b.txt", b"b")])
    asyncio.run(
        artifacts.thumbnails.get(DIGEST, 64, lambda: artifacts.open(artifacts.find(DIGEST, None)))
    )
    thumbnails = tmp_path / "cache" / "thumbnails"
    assert len(list(thumbnails.iterdir())) == 1
    deleted(artifacts, queue, DIGEST)
    assert not (outputs / "a.png").exists()
    assert (outputs / "b.txt").exists()
    assert list(thumbnails.iterdir()) == []
    outputs_now = queue.get(job.id).outputs
    assert outputs_now is not None
    assert [Path(file["path"]).name for file in outputs_now["files"]] == ["b.txt"]
    with pytest.raises(NotFound):
        artifacts.find(DIGEST, None)


def deleted(artifacts: Artifacts, queue: JobQueue, digest: str, job: str | None = None) -> None:
    found = artifacts.find_all(digest, None, job)
    for each in {item.job for item in found}:
        queue.forget_file(each, digest).result()
    artifacts.delete(found)


def test_a_file_that_another_job_lists_stays(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    first = finished(queue, [written(outputs / "a.png", PICTURE)])
    second = finished(queue, [written(outputs / "a.png", PICTURE)])
    deleted(artifacts, queue, DIGEST, first.id)
    assert content(artifacts) == PICTURE
    assert artifacts.find(DIGEST, None).job == second.id
    with pytest.raises(NotFound):
        artifacts.find_all(DIGEST, None, first.id)
    deleted(artifacts, queue, DIGEST)
    assert not (outputs / "a.png").exists()


def test_nothing_else_is_deleted_in_a_files_place(
    artifacts: Artifacts, queue: JobQueue, outputs: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(PICTURE)
    cases = [outputs / "changed.png", tmp_path / "elsewhere.png", outputs / "linked.png"]
    for path in cases:
        finished(queue, [written(path, PICTURE)])
    cases[0].write_bytes(b"somebody's own work")
    cases[2].unlink()
    cases[2].symlink_to(tmp_path / "secret")
    deleted(artifacts, queue, DIGEST)
    assert cases[0].read_bytes() == b"somebody's own work"
    assert cases[1].read_bytes() == PICTURE
    assert (tmp_path / "secret").read_bytes() == PICTURE


def test_what_was_deleted_does_not_come_back_with_a_new_catalogue(
    tmp_path: Path, queue: JobQueue, outputs: Path
) -> None:
    first = made(tmp_path, queue, outputs)
    submit(queue)
    job = claim(queue)
    file = written(outputs / "a.png", PICTURE)
    queue.append_events(job.id, job.attempt, [told(file)]).result()
    queue.finish(job.id, job.attempt, {"files": [file]}).result()
    deleted(first, queue, DIGEST)
    first.close()
    for path in tmp_path.glob("artifacts.sqlite*"):
        path.unlink()
    again = made(tmp_path, queue, outputs)
    assert again.page(ArtifactFilter()).artifacts == ()
    again.close()


def test_a_catalogue_of_the_first_version_is_made_anew(
    tmp_path: Path, queue: JobQueue, outputs: Path
) -> None:
    finished(queue, [written(outputs / "a.png", PICTURE, width=8, height=6)], name="An apple")
    path = tmp_path / "artifacts.sqlite"
    first = replace(catalogue_format(), migrations=MIGRATIONS[:1])
    Database(path, first).close()
    artifacts = made(tmp_path, queue, outputs)
    (found,) = artifacts.page(ArtifactFilter(terms=[("word", "apple")])).artifacts
    assert (found.width, found.job_name) == (8, "An apple")
    artifacts.close()


@pytest.mark.parametrize("cursor", ["", "x", "é", "=", "LTE", "MA", "9" * 500, "\0"])
def test_a_cursor_of_nowhere_is_refused(artifacts: Artifacts, cursor: str) -> None:
    with pytest.raises(InvalidValue):
        artifacts.page(ArtifactFilter(), cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_of_no_size_is_refused(artifacts: Artifacts, limit: int) -> None:
    with pytest.raises(InvalidValue):
        artifacts.page(ArtifactFilter(), limit=limit)


def test_what_was_deleted_is_not_entered_again_by_a_server_that_read_it_before(
    tmp_path: Path, outputs: Path
) -> None:
    """Two servers share a catalogue: one reads the queue, one enters and deletes meanwhile."""
    with open_queue(tmp_path) as queue:
        finished(queue, [written(outputs / "a", b"a")])
        slow = Catalogue(CatalogueFile(tmp_path / "artifacts.sqlite"))
        known = slow.last(queue.identity)
        page = queue.outputs_after(known, limit=10)
        artifacts = made(tmp_path, queue, outputs)
        digest = digest_of(b"a")
        artifacts.delete(artifacts.find_all(digest, None, None))
        words = {each.id: JobWords("", "", {}) for each in page.entries}
        assert page.entries
        assert not slow.enter(page.entries, words, queue.identity, page.last, after=known)
        assert slow.entries(digest, None) == []
        slow.close()
        artifacts.close()
