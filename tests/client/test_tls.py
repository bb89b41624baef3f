"""Servers behind TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from nodegraph.client import NotReachable
from tests.client.support import ONCE, either_client
from tests.messages import raises
from tests.server.hosting import workflow

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of this machine, signed by itself; its key beside it."""
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(made)]
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *names, *files], check=True, capture_output=True
    )
    return made


@pytest.mark.parametrize("kind", [pytest.param("sync", marks=pytest.mark.slow), "async"])
def test_requests_and_websockets_are_encrypted_and_the_server_is_checked(
    kind: str,
    certificate: Path,
    hosting: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    key = certificate.with_name("key.pem")
    encrypted = partial(uvicorn.Config, ssl_certfile=certificate, ssl_keyfile=key)
    monkeypatch.setattr(uvicorn, "Config", encrypted)
    with hosting() as server:
        url = server.url.replace("http:", "https:")
        trusting = ssl.create_default_context(cafile=certificate)
        with either_client(kind, url, tls=trusting) as client:
            job = client.submit(workflow())
            client.cancel(job)
            assert [event.kind for event in client.watch(job)] == ["job.queued", "job.cancelled"]
            assert client.wait(job).state == "cancelled"
            # Each handshake of TLS ends with messages that may come while a request is written.
            for _ in range(20):
                assert len(list(client.watch(job, after=0))) == 2
        with either_client(kind, url, retries=ONCE) as client:
            with raises(NotReachable):
                client.system()
            with raises(NotReachable):
                list(client.watch(job))
