"""Artifacts: what finished jobs list can be had by its digest by all who may see the job."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodegraph.errors import InvalidValue
from nodegraph.jobs import JobQueue
from nodegraph.server.artifacts import Artifacts
from nodegraph.server.artifacts.thumbnails import Thumbnails
from nodegraph.server.errors import NotFound
from nodegraph.server.files.gone import Gone
from tests.jobs.support import claim, open_queue, submit
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
        home / "artifacts.sqlite", queue, [outputs], Thumbnails(home / "cache" / "thumbnails")
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


@pytest.mark.parametrize("digest", ["0" * 64, "", "..", "A" * 64, DIGEST[:-1], "é" * 64, "\0"])
def test_what_nobody_gave_is_not_found(artifacts: Artifacts, digest: str) -> None:
    with pytest.raises(NotFound):
        artifacts.find(digest, None)


def test_a_job_that_has_not_finished_gives_nothing(artifacts: Artifacts, queue: JobQueue) -> None:
    submit(queue)
    job = claim(queue)
    queue.fail(job.id, job.attempt, {"code": "x", "message": "y"}).result()
    assert artifacts.page(None).artifacts == ()


def test_others_do_not_see_it(artifacts: Artifacts, queue: JobQueue, outputs: Path) -> None:
    finished(queue, [written(outputs / "apple.png", PICTURE)], "ann")
    with pytest.raises(NotFound):
        artifacts.find(DIGEST, "ben")
    assert artifacts.page("ben").artifacts == ()
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
    assert len(artifacts.page(None).artifacts) == 5
    for job in jobs[:3]:
        queue.delete(job.id).result()
    assert artifacts.tidy() == 3
    assert artifacts.tidy() == 0
    assert len(artifacts.page(None).artifacts) == 2


def test_a_file_that_vanished_is_gone(artifacts: Artifacts, queue: JobQueue, outputs: Path) -> None:
    finished(queue, [written(outputs / "apple.png", PICTURE)])
    assert content(artifacts) == PICTURE
    (outputs / "apple.png").unlink()
    with pytest.raises(Gone, match="moved or deleted"):
        content(artifacts)


def test_a_file_that_was_changed_is_gone(
    artifacts: Artifacts, queue: JobQueue, outputs: Path
) -> None:
    finished(queue, [written(outputs / "apple.png", PICTURE)])
    assert content(artifacts) == PICTURE
    (outputs / "apple.png").write_bytes(PICTURE[:-1] + b"x")
    with pytest.raises(Gone, match="changed"):
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
    with pytest.raises(Gone, match="changed"):
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
    with pytest.raises(Gone, match="outside of the folders"):
        content(artifacts)


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
    with pytest.raises(Gone):
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
    assert len(again.page(None).artifacts) == 2
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
        page = artifacts.page("ann", limit=4, cursor=cursor)
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
    assert {item.job for item in artifacts.page(None, job=job.id).artifacts} == {job.id}
    (preview,) = artifacts.page(None, kind="preview").artifacts
    assert preview.digest == digest_of(b"b")


@pytest.mark.parametrize("cursor", ["", "x", "é", "=", "LTE", "MA", "9" * 500, "\0"])
def test_a_cursor_of_nowhere_is_refused(artifacts: Artifacts, cursor: str) -> None:
    with pytest.raises(InvalidValue):
        artifacts.page(None, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_of_no_size_is_refused(artifacts: Artifacts, limit: int) -> None:
    with pytest.raises(InvalidValue):
        artifacts.page(None, limit=limit)
