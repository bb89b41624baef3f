"""Bringing files here: whole and right, or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.client import (
    Client,
    ConnectionLost,
    JobFailed,
    NotFound,
    OutputFile,
    Retries,
    ServerError,
    WrongDigest,
)
from nodegraph.client.downloads import safe_name
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, OutputError
from tests.client.support import (
    ONCE,
    Proxy,
    Said,
    answering,
    client_of,
    either_client,
    finished,
    in_both_kinds,
)
from tests.messages import raises
from tests.server.hosting import Hosted, workflow
from tests.server.resources import digest_of, opened, picture
from tests.server.talking import Worker

BIG = os.urandom(300_000)


def gave(server: Hosted, worker: Worker, client: Client, **files: bytes) -> str:
    """A job that gave these files, each ``.bin``."""
    job = client.submit(workflow())
    finished(server, worker, job.id, {f"{name}.bin": data for name, data in files.items()})
    return job.id


def parts(folder: Path) -> list[Path]:
    """Files that aren't whole yet."""
    return sorted(folder.glob(".*.part"))


@in_both_kinds
def test_files_are_pulled(
    either: Any, client: Client, server: Hosted, worker: Worker, tmp_path: Path
) -> None:
    job = gave(server, worker, client, a=b"first", b=BIG, c=b"")
    told: list[tuple[int, int]] = []
    folder = tmp_path / "new" / "folder"
    pulled = either.pull(job, folder, progress=lambda *so_far: told.append(so_far))
    assert {file.path.name: file.path.read_bytes() for file in pulled} == {
        "a.bin": b"first",
        "b.bin": BIG,
        "c.bin": b"",
    }
    assert not any(file.existed for file in pulled)
    assert told[-1] == (len(BIG) + 5, len(BIG) + 5)
    assert sorted(told) == told
    assert parts(folder) == []
    assert all(file.existed for file in either.pull(job, folder))


def test_only_what_some_nodes_wrote(
    client: Client, server: Hosted, worker: Worker, tmp_path: Path
) -> None:
    job = gave(server, worker, client, a=b"first")
    assert len(client.pull(job, tmp_path, nodes=["save"])) == 1
    with raises(InvalidValue, given="sav"):
        client.pull(job, tmp_path, nodes=["sav"])


def test_a_job_that_goes_on_has_no_files(client: Client, tmp_path: Path) -> None:
    job = client.submit(workflow())
    with raises(InvalidValue):
        client.pull(job, tmp_path)
    client.cancel(job)
    with raises(JobFailed):
        client.pull(job, tmp_path)


def test_other_files_of_the_same_name_stay(
    client: Client, server: Hosted, worker: Worker, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(b"mine")
    job = gave(server, worker, client, a=b"theirs")
    for existed in (False, True):
        (pulled,) = client.pull(job, tmp_path)
        assert (pulled.path.read_bytes(), pulled.existed) == (b"theirs", existed)
        assert pulled.path.name == f"a-{digest_of(b'theirs')[:8]}.bin"
    assert (tmp_path / "a.bin").read_bytes() == b"mine"
    (pulled,) = client.pull(job, tmp_path, overwrite=True)
    assert pulled.path == tmp_path / "a.bin"
    assert pulled.path.read_bytes() == b"theirs"


def test_two_files_of_one_job_with_the_same_name(
    client: Client, server: Hosted, worker: Worker, tmp_path: Path
) -> None:
    job = client.submit(workflow())
    finished(server, worker, job.id, {"x/a.bin": b"one", "y/a.bin": b"two", "z/a.bin": b"one"})
    pulled = client.pull(job, tmp_path)
    assert [file.path.read_bytes() for file in pulled] == [b"one", b"two", b"one"]
    assert pulled[0].path == pulled[2].path != pulled[1].path
    pulled = client.pull(job, tmp_path, overwrite=True)
    assert [file.path.read_bytes() for file in pulled] == [b"one", b"two", b"one"]


@in_both_kinds
def test_a_download_goes_on_where_it_broke_off(
    kind: str, client: Client, server: Hosted, worker: Worker, proxy: Proxy, tmp_path: Path
) -> None:
    job = gave(server, worker, client, a=BIG)
    file = client.get(job).files[0]
    target = tmp_path / "a.bin"
    proxy.most_bytes = 150_000
    with (
        either_client(kind, proxy.url, retries=ONCE) as unlucky,
        pytest.raises(ConnectionLost),
    ):
        unlucky.download(file, target)
    assert not target.exists()
    (part,) = parts(tmp_path)
    size = part.stat().st_size
    assert 0 < size < 150_000
    with either_client(kind, proxy.url) as again:
        again.download(file, target)
    assert target.read_bytes() == BIG
    assert f"bytes={size}-".encode() in b"".join(proxy.seen)
    assert parts(tmp_path) == []


def test_a_download_goes_on_by_itself(
    kind: str, client: Client, server: Hosted, worker: Worker, proxy: Proxy, tmp_path: Path
) -> None:
    job = gave(server, worker, client, a=BIG)
    proxy.most_bytes = 100_000
    with either_client(kind, proxy.url) as unlucky:
        (pulled,) = unlucky.pull(job, tmp_path)
    assert pulled.path.read_bytes() == BIG
    assert proxy.most_bytes is None
    assert b"range: bytes=" in b"".join(proxy.seen).lower()


def test_a_part_that_is_damaged_is_begun_anew(
    kind: str, client: Client, server: Hosted, worker: Worker, tmp_path: Path
) -> None:
    job = gave(server, worker, client, a=BIG)
    file = client.get(job).files[0]
    part = tmp_path / f".a.bin.{file.digest[:16]}.part"
    for damaged in (b"x" * 1_000, b"x" * len(BIG), b"x" * (len(BIG) + 5), BIG[:-1] + b"?"):
        part.write_bytes(damaged)
        with either_client(kind, server.url) as client_:
            client_.download(file, tmp_path / "a.bin")
        assert (tmp_path / "a.bin").read_bytes() == BIG
        assert parts(tmp_path) == []


def test_a_part_that_is_whole_is_not_asked_for(tmp_path: Path) -> None:
    file = OutputFile("a.bin", "save", "image", "x/y", len(BIG), digest_of(BIG))
    (tmp_path / f".a.bin.{file.digest[:16]}.part").write_bytes(BIG)
    with answering(Said(500)) as server, client_of(server, retries=ONCE) as client:
        client.download(file, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BIG
    assert server.seen == []


@pytest.mark.parametrize("body", [b"wrong", b"right and more", b"rig"])
def test_what_is_not_what_the_job_wrote_is_not_kept(kind: str, body: bytes, tmp_path: Path) -> None:
    file = OutputFile("a.bin", "save", "image", "x/y", 5, digest_of(b"right"))
    target = tmp_path / "a.bin"
    target.write_bytes(b"before")
    fault = ConnectionLost if len(body) < 5 else WrongDigest
    with (
        answering(Said(200, {}, body)) as server,
        either_client(kind, server.url, retries=ONCE) as client,
        pytest.raises(fault),
    ):
        client.download(file, target)
    assert target.read_bytes() == b"before"
    assert len(parts(tmp_path)) == (1 if fault is ConnectionLost else 0)


def test_a_part_of_another_place_is_not_taken(kind: str, tmp_path: Path) -> None:
    file = OutputFile("a.bin", "save", "image", "x/y", 5, digest_of(b"right"))
    (tmp_path / f".a.bin.{file.digest[:16]}.part").write_bytes(b"ri")
    wrong = Said(206, {"Content-Range": "bytes 3-4/5"}, b"ht")
    with (
        answering(wrong) as server,
        either_client(kind, server.url, retries=ONCE) as client,
        raises(Exception, given="status 206, no type"),
    ):
        client.download(file, tmp_path / "a.bin")


def test_a_file_that_is_gone(
    client: Client, server: Hosted, worker: Worker, tmp_path: Path
) -> None:
    job = gave(server, worker, client, a=b"first")
    shutil.rmtree(server.services.outputs)
    with pytest.raises(ServerError) as caught:
        client.pull(job, tmp_path)
    assert caught.value.status == 410
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    file = OutputFile("a.bin", "save", "image", "x/y", 5, digest_of(b"right"))
    busy = Said(503, {"Retry-After": "0"})
    with answering(busy, busy, Said(200, {}, b"right")) as server, client_of(server) as client:
        client.download(file, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == b"right"
    with (
        answering(Said(503, {"Retry-After": "100"})) as server,
        client_of(server, retries=Retries(seconds=1.0)) as client,
        pytest.raises(ServerError),
    ):
        client.download(file, tmp_path / "b.bin")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_in_place_of_a_part_is_not_written_through(tmp_path: Path) -> None:
    file = OutputFile("a.bin", "save", "image", "x/y", 5, digest_of(b"right"))
    precious = tmp_path / "precious"
    precious.write_bytes(b"keep me")
    (tmp_path / f".a.bin.{file.digest[:16]}.part").symlink_to(precious)
    with (
        answering(Said(200, {}, b"right")) as server,
        client_of(server, retries=ONCE) as client,
        pytest.raises(OutputError),
    ):
        client.download(file, tmp_path / "a.bin")
    assert precious.read_bytes() == b"keep me"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    file = OutputFile("a.bin", "save", "image", "x/y", 5, digest_of(b"right"))
    (tmp_path / "file").write_bytes(b"")
    with (
        answering(Said(200, {}, b"right")) as server,
        client_of(server, retries=ONCE) as client,
        raises(OutputError),
    ):
        client.download(file, tmp_path / "file" / "a.bin")


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\evil.exe", "evil.exe"),
        ("/abs/x.png", "x.png"),
        ("C:\\x.png", "x.png"),
        ("..", "unnamed"),
        ("", "unnamed"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("a\nb\x1b.png", "a_b_.png"),
        ("con.png", "_con.png"),
        ("x.png. ", "x.png"),
        ("ä 1.png", "ä 1.png"),
    ],
)
def test_names_are_made_safe(given: str, safe: str) -> None:
    assert safe_name(given) == safe


@given(st.text(max_size=400) | st.text(st.characters(codec=None), max_size=20))
def test_any_name_is_made_safe(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert Path(safe).name == safe
    assert not safe.startswith((".", "-", "~"))
    assert safe.isprintable() or all(ord(letter) > 0x9F for letter in safe if letter < " ")
    assert len(safe.encode()) <= 190
    assert safe_name(safe) == safe


def test_the_library_is_kept(either: Any, server: Hosted, worker: Worker, client: Client) -> None:
    gave(server, worker, client, **{f"kept{at}": b"library %d" % at for at in range(3)})
    files = [each for each in client.artifacts() if each.name.startswith("kept")]
    board = either.library.add_board(f"Covers of {type(either).__name__} {os.urandom(3).hex()}")
    assert either.library.change(files, stars=4, add_tags=["Cat"], board=board.id) == 3
    assert either.library.change([files[0].digest], note="mine") == 1
    found = list(either.artifacts(stars=4, tag="cat", board=board.id, text='"mine"'))
    assert [(each.digest, each.note, each.tags) for each in found] == [
        (files[0].digest, "mine", ("Cat",))
    ]
    assert [each.count for each in either.library.tags() if each.tag == "Cat"] == [3]
    assert either.library.rename_board(board, f"{board.name} too").count == 3
    assert either.library.trash(files[:2]) == 2
    assert len(list(either.artifacts(trashed=True))) == 2
    assert either.library.restore(files[0]) == 1
    assert either.library.empty_trash() == 1
    either.library.delete_board(board)
    assert board.id not in {each.id for each in either.library.boards()}
    with pytest.raises(NotFound):
        either.library.change("0" * 64, stars=1)
    for file in (files[0], files[2]):
        either.delete_artifact(file)


def test_a_grid_and_a_frame(either: Any, server: Hosted, worker: Worker, client: Client) -> None:
    job = client.submit(workflow())
    finished(server, worker, job.id, {"grid.png": picture(30, 20, color=(7, 7, 7))})
    (file,) = client.get(job).files
    data = either.library.grid([[file, None]], column_labels=["a", "b"], format="png")
    assert opened(data).width > 60
    with pytest.raises(InvalidFile):
        either.library.frame(file, index=0)


def test_a_job_for_each_row(either: Any) -> None:
    group = either.submit_rows(workflow(), "b\n4\n5\n", tags=["sums"])
    jobs = [either.get(job) for job in group.jobs]
    assert [job.parameters for job in jobs] == [{"b": 4}, {"b": 5}]
    assert all(job.tags == ("sums", group.group) for job in jobs)
    assert {job.id for job in either.list(tag=group.group)} == set(group.jobs)
    with pytest.raises(InvalidWorkflow):
        either.submit_rows(workflow(), [{"b": 1}, {"c": 2}])
    assert either.queue.clear(tag=group.group) == 2
