"""A server that speaks as S3 does, in a process of its own: it can be taken away and brought back.

Its fixtures are of all folders (a plugin): a second server would have the environment's address.
What it holds stays while it is away. Requests are answered one at a time, so that conditions on
them hold as they do at a real one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest

from tests.processes import killed_after

_SCRIPT = """
import socket
import sys
import threading
import warnings

warnings.simplefilter("ignore")
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

application = DomainDispatcherApplication(create_backend_app)
one_at_a_time = threading.Lock()


def answer(environment, start):
    with one_at_a_time:
        return list(application(environment, start))


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


# Held while no server is there, lest another process takes the port: who connects is refused.
held = socket.socket()
held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
held.bind(("127.0.0.1", 0))
port = held.getsockname()[1]


def started():
    server = make_server("127.0.0.1", port, answer, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


server = started()
print(port, flush=True)
for line in sys.stdin:
    if line == "stop\\n":
        server.shutdown()
        server.server_close()
    else:
        server = started()
    print("done", flush=True)
"""


class S3Server:
    """A running one.

    Attributes:
        address: Where it is.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = f"http://127.0.0.1:{int(self._line())}"

    def _line(self) -> str:
        assert self._process.stdout is not None
        with killed_after(self._process):
            line = self._process.stdout.readline()
        assert line, "the S3 server has ended"
        return line

    def _tell(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()
        self._line()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody answers there inside the `with`."""
        self._tell("stop")
        try:
            yield
        finally:
            self._tell("start")


@contextmanager
def _running_server() -> Iterator[S3Server]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield S3Server(process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A server whose address and keys are those of the environment."""
    for name in ("moto", "flask", "flask_cors", "s3fs"):
        pytest.importorskip(name, reason="a server that speaks as S3 does needs the dev extras")
    with _running_server() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", running.address)
        patch.setenv("AWS_ACCESS_KEY_ID", "anybody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.delenv("AWS_PROFILE", raising=False)
        yield running


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """URL of a folder in a bucket of its own."""
    name = f"shared-{os.urandom(6).hex()}"
    # A client of fsspec's for this alone would take longer than most tests.
    urlopen(Request(f"{s3.address}/{name}", method="PUT")).close()
    return f"s3://{name}/results"
