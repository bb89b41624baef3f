"""A server that speaks as S3 does, in a process of its own: it can be taken away and brought back.

What it holds stays while it is away. Requests are answered one at a time, so that conditions on
them hold as they do at a real one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.processes import killed_after

_SCRIPT = """
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


def started(port):
    server = make_server("127.0.0.1", port, answer, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


server = started(0)
port = server.port
print(port, flush=True)
for line in sys.stdin:
    if line == "stop\\n":
        server.shutdown()
        server.server_close()
    else:
        server = started(port)
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
def s3_server() -> Iterator[S3Server]:
    """One that runs as long as the `with`."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield S3Server(process)
    finally:
        process.kill()
        process.communicate()
