"""Places that machines share: a folder, and a bucket of a server that speaks as S3 does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from nodegraph.store.remote.object_storage import ObjectStorage, open_storage
from tests.store.remote.s3_server import S3Server, s3_server


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    for name in ("moto", "flask", "flask_cors", "s3fs"):
        pytest.importorskip(name, reason="a server that speaks as S3 does needs the dev extras")
    with s3_server() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", running.address)
        patch.setenv("AWS_ACCESS_KEY_ID", "anybody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.delenv("AWS_PROFILE", raising=False)
        yield running


@pytest.fixture
def bucket(server: S3Server) -> str:
    """URL of a folder in a bucket of its own."""
    name = f"shared-{os.urandom(6).hex()}"
    # A client of fsspec's for this alone would take longer than most tests.
    urlopen(Request(f"{server.address}/{name}", method="PUT")).close()
    return f"s3://{name}/results"


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
