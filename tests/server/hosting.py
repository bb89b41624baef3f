"""A server to ask: within this process, without workers, or as a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from nodegraph.jobs.queue.job_queries import JobFilter
from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import pack_at
from nodegraph.packs.registry import Registry
from nodegraph.server.access.tokens import TokenFile
from nodegraph.server.events.sockets.protocol import AbortableProtocol
from nodegraph.server.http.app import create_app
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import Settings

# Each client makes one, which reads all authorities that are trusted, for servers without TLS too.
httpx._transports.default.create_ssl_context = cache(httpx.create_ssl_context)  # type: ignore[attr-defined]

PATIENCE = 120.0
"""Seconds: the machine may have much else to do."""
ONCE = httpx.Limits(max_keepalive_connections=0)
"""No connection is used twice: a server may close one just as the next request is sent."""
PACK = '''
from nodegraph import Context, node

@node
def Number(value: int = 1) -> int:
    """A number."""
    return value

@node
def Sum(a: int, b: int = 0) -> int:
    """A sum."""
    return a + b

@node(output=True)
def Show(ctx: Context, value: int) -> None:
    """Shows a number."""

def fine(inputs):
    if inputs.literals.get("path") == "bad":
        from nodegraph import Finding
        yield Finding("path", "this is bad")

@node(output=True, validate=fine)
def Checked(ctx: Context, path: str) -> None:
    """Looks at its input beforehand."""
'''
"""Node types that need no libraries."""


def workflow(**nodes: Any) -> dict[str, Any]:
    """One that a server with `PACK` takes."""
    own = {
        "two": {"type": "sums:Number", "inputs": {"value": 2}},
        "sum": {"type": "sums:Sum", "inputs": {"a": {"from": "two"}, "b": 3}},
        "show": {"type": "sums:Show", "inputs": {"value": {"from": "sum"}}},
    }
    return {
        "format": "nodegraph/1",
        "title": "A sum",
        "parameters": {"b": "sum.b"},
        "nodes": {**own, **nodes},
    }


def write_pack(home: Path) -> None:
    """Put `PACK` where a server with that home folder looks for packs."""
    folder = home / "packs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sums.py").write_text(PACK)


_READ = """
import sys
from pathlib import Path
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
assert Session(Settings(home=Path(sys.argv[1]))).registry
"""


def read_packs(home: Path) -> None:
    """Have it written down what packs declare.

    In a process of its own: one that has imported a pack before doesn't write what it says.
    """
    subprocess.run([sys.executable, "-c", _READ, str(home)], check=True)


def prepared_home(folder: Path, known: Path | None = None) -> Path:
    """A home folder with `PACK`, whose declarations have been read.

    Args:
        known: Another such folder, to save reading them once more.
    """
    write_pack(folder)
    if known is None:
        read_packs(folder)
    else:
        shutil.copytree(known / "cache" / "specs", folder / "cache" / "specs")
    assert "sums:Sum" in read_pack(folder, "sums.py")
    return folder


def read_pack(home: Path, name: str) -> list[str]:
    """Have it written down what one pack of a home folder declares; its node types."""
    manifests = ManifestCache(home / "cache" / "specs")
    return Registry([pack_at(home / "packs" / name)], manifests=manifests).node_types()


@dataclass
class Hosted:
    """A server within this process, on a thread of its own."""

    url: str
    services: Services
    client: httpx.Client
    is_shared: bool = False

    @property
    def host(self) -> str:
        """Its name and port."""
        return self.url.removeprefix("http://")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def token(self, name: str, *scopes: Any) -> dict[str, str]:
        """Headers of somebody with a new token."""
        # Where there was one, nobody gets in without one until the server is started anew.
        assert not self.is_shared, "a test with tokens takes `own_server`"
        text, _ = TokenFile(self.services.home / "tokens.json").add(name, scopes or ("run",))
        return {"Authorization": f"Bearer {text}"}

    def empty(self) -> None:
        """Take away jobs, files and workflows, for a test that wants a new server."""
        services = self.services
        self.client.cookies.clear()
        queue = services.queue
        if queue.is_paused():
            queue.resume().result(PATIENCE)
        if jobs := queue.page(limit=500).jobs:
            for job in jobs:
                if job.state == "queued":
                    queue.cancel(job.id).result(PATIENCE)
            for job_id, attempt in queue.running_here():
                queue.finish(job_id, attempt, {}).result(PATIENCE)
            queue.delete_matching(JobFilter())
            services.artifacts.tidy()
        for schedule in queue.schedules():
            queue.remove_schedule(schedule.id).result(PATIENCE)
        for upload in services.uploads.page(None, limit=500).uploads:
            services.uploads.delete(upload.digest, None)
        kept = ("packs", "cache", "uploads")
        cached = (
            services.settings.cache_folder / "thumbnails",
            services.environment.temporary / "previews",
        )
        for path in (*services.home.iterdir(), *cached):
            if path.is_dir() and path.name not in kept:
                shutil.rmtree(path)


class PromptServer(uvicorn.Server):
    """One that looks whether it is to end ten times as often as the usual one."""

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            await asyncio.sleep(0.01)


@contextmanager
def hosted(
    home: Path,
    *,
    remote_models: str = "",
    download_hosts: tuple[str, ...] = (),
    pack_index: tuple[str, ...] = (),
    **settings: Any,
) -> Iterator[Hosted]:
    """A server without workers; its settings are those of `ServerSettings`.

    It reaches no other site, unless hosts are named.
    """
    installation = Settings(
        home=home,
        remote_models=remote_models,
        download_hosts=download_hosts,
        pack_index=pack_index,
    )
    server_settings = ServerSettings(**{"webhook_hosts": (), **settings})
    services = Services(installation, server_settings, has_workers=False)
    services.tokens.refresh_seconds = 0.0  # what a test does to tokens counts at once
    config = uvicorn.Config(
        create_app(services),
        port=0,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws=AbortableProtocol,
        timeout_graceful_shutdown=5,
        # Longer than `client` keeps a connection: else it may send on one that is just closed.
        timeout_keep_alive=int(PATIENCE),
    )
    server = PromptServer(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive())
        assert server.started, "the server didn't start"
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=f"{url}/api/v1", timeout=PATIENCE, trust_env=False) as client:
            yield Hosted(url, services, client)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server didn't stop"


def _own(home: Path) -> dict[str, str]:
    # No other site is reached, whatever a test sends.
    hosts = {"NODEGRAPH_DOWNLOAD_HOSTS": "none.invalid"}
    return {"NODEGRAPH_HOME": str(home), "OMP_NUM_THREADS": "1", **hosts}


class Process:
    """`nodegraph serve` as a process of its own.

    Its workers load no libraries before a job needs them, as most tests have none that does.

    Attributes:
        url: Where it answers.
    """

    def __init__(
        self,
        home: Path,
        *arguments: str,
        command: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self._files = [home / "stdout.txt", home / "stderr.txt"]
        first = command or ("-m", "nodegraph", "--home", str(home), "serve", "--port", "0")
        streams = [path.open("wb") for path in self._files]
        try:
            self.process = subprocess.Popen(
                [sys.executable, *first, *arguments],
                stdout=streams[0],
                stderr=streams[1],
                stdin=subprocess.DEVNULL,
                env={
                    "NODEGRAPH_SERVER_WARM": "false",
                    **os.environ,
                    **_own(home),
                    **(environment or {}),
                },
                cwd=Path(__file__).parents[2],
            )
        finally:
            for stream in streams:
                stream.close()
        self.url = ""

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def printed(self) -> str:
        """What it wrote to stdout so far."""
        return self._files[0].read_text()

    @property
    def log(self) -> str:
        """What it wrote to stderr so far."""
        return self._files[1].read_text()

    @property
    def host(self) -> str:
        """Its name and port."""
        return self.url.removeprefix("http://")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def ready(self) -> Process:
        """Wait until it answers."""
        pattern = r"(http://[^\s/]+:\d+)[^\s]*[.\s]"  # the line may be there in part
        eventually(lambda: re.search(pattern, self.printed) or self.process.poll() is not None)
        found = re.search(pattern, self.printed)
        assert found is not None, self.log
        self.url = found[1]
        return self

    def ended(self) -> int:
        """Wait until it has ended; its exit code."""
        return self.process.wait(PATIENCE)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.ended()

    def logged(self, text: str) -> None:
        """Wait until something stands in its log."""
        eventually(lambda: text in self.log)

    def children(self) -> list[int]:
        """Ids of the processes that it has started."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(number) for number in path.read_text().split()]

    def has_loaded(self, library: str) -> bool:
        """Whether a shared library of that name is in its memory."""
        return library in Path(f"/proc/{self.pid}/maps").read_text()


def eventually(is_so: Any) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def sent(port: int, data: bytes, *, more: Iterable[bytes] = ()) -> bytes:
    """Everything that comes back for some bytes, until the server hangs up or has answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        # A server that has seen enough may answer and hang up before all is sent.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
            for piece in more:
                connection.sendall(piece)
        return received(connection)


def received(connection: socket.socket) -> bytes:
    """A whole answer, or what there was of one when the server hung up."""
    found = b""
    while True:
        head, parting, body = found.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if parting and length is not None and len(body) >= int(length[1]):
            return found
        try:
            piece = connection.recv(65_536)
        except ConnectionResetError:
            return found
        if not piece:
            return found
        found += piece


def status(answer: bytes) -> int:
    """The status of an answer; 0 if it is none."""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return 0 if found is None else int(found[1])
