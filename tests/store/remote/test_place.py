"""A folder and a bucket do the same as places of objects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nodegraph.errors import InvalidValue
from nodegraph.store.remote.object_storage import (
    AccessDenied,
    ObjectStorage,
    Unreachable,
    open_storage,
)
from tests.messages import raises
from tests.store.remote.conftest import BOTH


@BOTH
def test_what_is_written_is_read_again(place: ObjectStorage, tmp_path: Path) -> None:
    place.write("entries/ab/cd", b"one")
    place.write("entries/ab/cd", b"two")
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 50)
    place.upload("artifacts/ab/cd.msgpack", file)
    assert place.read("entries/ab/cd") == b"two"
    assert b"".join(place.chunks("artifacts/ab/cd.msgpack", 12_800)) == file.read_bytes()
    assert place.size("artifacts/ab/cd.msgpack") == 12_800
    assert dict(place.list("entries")) == {"entries/ab/cd": 3}
    assert dict(place.list("leases")) == {}


@BOTH
def test_what_is_not_there_is_said_so(place: ObjectStorage) -> None:
    assert place.size("entries/ab/cd") is None
    with pytest.raises(FileNotFoundError):
        place.read("entries/ab/cd")
    with pytest.raises(FileNotFoundError):
        list(place.chunks("entries/ab/cd", 10))
    place.remove("entries/ab/cd")
    place.write("entries/ab/cd", b"one")
    place.remove("entries/ab/cd")
    assert place.size("entries/ab/cd") is None


@BOTH
def test_of_many_who_create_an_object_one_has(place: ObjectStorage) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda at: place.create("leases/a/1", b"%d" % at), range(16)))
    assert sorted(made) == [False] * 15 + [True]
    assert place.read("leases/a/1") == b"%d" % made.index(True)


def test_a_folder_that_is_not_mounted_is_told_and_not_made(tmp_path: Path) -> None:
    place = open_storage((tmp_path / "mnt" / "shared").as_uri())
    for ask in (
        lambda: place.read("entries/a"),
        lambda: place.write("entries/a", b""),
        lambda: place.create("leases/a/1", b""),
        lambda: list(place.list("entries")),
    ):
        with pytest.raises(Unreachable, match="there is no folder"):
            ask()
    assert not (tmp_path / "mnt").exists()


def test_a_bucket_that_is_not_there_is_told(bucket: str) -> None:
    place = open_storage(bucket.replace("shared-", "other-"))
    with pytest.raises(Unreachable):
        place.write("entries/a", b"")
    with pytest.raises(Unreachable):
        place.create("entries/a", b"")


class _Refused(Exception):
    status_code = 403


class _Unauthorized(Exception):
    code = 401


class _NoAnswer(Exception):
    """Without words, as fsspec's own of a call that took too long."""


@pytest.mark.parametrize(
    ("error", "raised", "told"),
    [
        (PermissionError("no"), AccessDenied, "no"),
        (_Refused("as Azure's are"), AccessDenied, "Azure"),
        (_Unauthorized("as Google's are"), AccessDenied, "Google"),
        (OSError("Forbidden: https://…"), AccessDenied, "Forbidden"),
        (OSError("cable cut"), Unreachable, "cable cut"),
        (_NoAnswer(), Unreachable, "_NoAnswer: no answer within 20 s"),
    ],
)
def test_who_may_not_is_told_apart_from_who_gets_no_answer(
    error: Exception, raised: type[Unreachable], told: str
) -> None:
    """Else a place that may only be read would count as gone, and not even be read."""
    import fsspec

    class Failing(fsspec.AbstractFileSystem):
        def pipe_file(self, *_: Any, **__: Any) -> None:
            raise error

    fsspec.register_implementation("failing", Failing, clobber=True)
    with pytest.raises(Unreachable, match=told) as caught:
        open_storage("failing://bucket/folder").write("entries/a", b"")
    assert type(caught.value) is raised


@pytest.mark.parametrize(
    "url",
    [
        "/mnt/shared",
        "s3:bucket",
        "file://server/share",
        "nowhere://bucket",
    ],
)
def test_what_names_no_place_is_refused_with_words(url: str) -> None:
    with raises(InvalidValue):
        open_storage(url)
