"""Places that machines share: a folder, and a bucket of a server that speaks as S3 does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nodegraph.store.remote.object_storage import ObjectStorage, open_storage

_OTHERS = os.environ.get("NODEGRAPH_TEST_PLACES", "").split()
BOTH = pytest.mark.parametrize("url", ["file", "s3", *_OTHERS], indirect=True)
"""For tests of what differs between places, and one or two beside them: also in a plain run."""


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow), *_OTHERS])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a place with nothing in it.

    Others are tried by hand: ``NODEGRAPH_TEST_PLACES="az://container gs://bucket"``.
    """
    if request.param == "s3":
        return str(request.getfixturevalue("bucket"))
    if "://" in request.param:
        return f"{request.param}/{os.urandom(6).hex()}"
    folder = tmp_path / "shared folder"
    folder.mkdir()
    return folder.as_uri()


@pytest.fixture
def place(url: str) -> ObjectStorage:
    return open_storage(url)
