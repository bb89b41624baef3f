"""Real servers on one home folder, of which one follows the other."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import psutil

from nodegraph.client import Client
from tests.server.chaos_work import PACK
from tests.server.hosting import Process

PATIENCE = 300.0
"""Seconds: the machine may have much else to do."""
_PORTS = range(20_000, 32_000)
"""None that the system gives to those who connect: one of these, asked for while nobody listens
there, may be answered by its own echo."""


class Servers:
    """One server after the other, with the same home folder and port."""

    def __init__(self, home: Path, workers: int = 2, cluster: str | None = None) -> None:
        # Else what one home has computed would be found by another.
        assert "NODEGRAPH_STORE" not in os.environ
        self.home = home
        self.logs: list[str] = []
        self._options = ["--workers", str(workers), "--pack", str(PACK)]
        if cluster is not None:
            self._options += ["--cluster", cluster]
        self._is_local = cluster is None
        self._started: set[psutil.Process] = set()
        self._port = _free_port()
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text('checkpoint_seconds = 0\ndevice = "cpu"\n')
        self.url = f"http://127.0.0.1:{self._port}"
        self._process = self._start()

    def _start(self) -> Process:
        process = Process(self.home, "--port", str(self._port), *self._options)
        try:
            return process.ready()
        except BaseException:
            process.__exit__()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def workers(self, client: Client) -> list[tuple[psutil.Process, str, str | None]]:
        """Workers that live: process, name, job."""
        found = []
        for entry in client.system().workers:
            if entry.role != "worker" or entry.pid is None:
                continue
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(entry.pid)
                self._started.add(process)
                is_its_own = not self._is_local or process.ppid() == self.pid
                if is_its_own and process.status() != psutil.STATUS_ZOMBIE:
                    found.append((process, entry.name, entry.job))
        return found

    def kill(self) -> None:
        """Kill the server, as the system does when memory runs out."""
        self._note_children()
        self._process.process.kill()
        self._over(-signal.SIGKILL)

    def start(self) -> None:
        """Start the next one."""
        self._process = self._start()

    def stop(self) -> int:
        """Ask the server to end; its exit code."""
        self._note_children()
        return self._over(self._process.stop())

    def _over(self, code: int) -> int:
        self._process.process.wait(PATIENCE)
        self.logs.append(self._process.log)
        return code

    def _note_children(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self._started.update(psutil.Process(self.pid).children(recursive=True))

    def orphans(self) -> list[str]:
        """Processes that outlive their servers, after they had time enough to notice."""
        _, alive = psutil.wait_procs(self._started, timeout=30.0)
        return [str(process) for process in alive if _lives(process)]

    def close(self) -> None:
        """End what is left."""
        self._process.__exit__()


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _free_port() -> int:
    for port in Random().sample(_PORTS, 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


@contextmanager
def servers_at(home: Path, workers: int = 2, cluster: str | None = None) -> Iterator[Servers]:
    """A server, and those after it, until the end of the `with`.

    Args:
        cluster: Where its workers run; none for its own machine.
    """
    found = Servers(home, workers, cluster)
    try:
        yield found
    finally:
        found.close()
