"""A PostgreSQL server of a test's own, from the system's packages."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest

from nodegraph.jobs.queue.postgres.schema import SCHEMA
from nodegraph.server.content.artifacts.annotations import LIBRARY_SCHEMA
from nodegraph.server.content.files.shared_files import SHARED_SCHEMA as FILES_SCHEMA

_SETTINGS = (
    *("fsync=off", "full_page_writes=off", "max_connections=60", "shared_buffers=16MB"),
    *("listen_addresses=127.0.0.1", "logging_collector=off"),
)


def programs() -> Path | None:
    """The newest server's folder of programs."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    found = shutil.which("initdb")
    return debian[-1].parent if debian else Path(found).parent if found else None


def _version(path: Path) -> int:
    name = path.parts[-3]
    return int(name) if name.isdigit() else 0


class PostgresServer:
    """A server in a temporary folder; it refuses to run as root, so it runs as nobody then."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._programs = programs
        self._data = folder / "data"
        self._made: set[str] = set()
        self._free: list[str] = []
        self._owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if self._owner is not None:
            os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)
        self._run("initdb", "-A", "trust", "-U", "nodegraph", "-E", "UTF8", "--no-sync")
        self.start()

    def _run(self, program: str, *options: str) -> None:
        ids = {}
        if self._owner is not None:
            ids = {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}
        subprocess.run(
            [self._programs / program, "-D", self._data, *options],
            check=True,
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,
            **ids,
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = " ".join(f"-c {each}" for each in _SETTINGS)
        options = f"-p {self.port} -k {self.folder} {settings}"
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "-w", "-s", "-l", log, "-o", options)

    def stop(self) -> None:
        """Stop it; whoever is connected is cut off."""
        self._run("pg_ctl", "stop", "-w", "-s", "-m", "immediate")

    @contextmanager
    def away(self) -> Iterator[None]:
        """It doesn't run until the end of the `with`."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as the server's owner."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def url(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql://nodegraph@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a new database."""
        # To empty one takes less than to make one.
        name = self._free.pop() if self._free else f"n{os.urandom(6).hex()}"
        if name in self._made:
            for schema in (SCHEMA, FILES_SCHEMA, LIBRARY_SCHEMA):
                self.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE", name)
        else:
            self.execute(f"CREATE DATABASE {name}")
            self._made.add(name)
        try:
            yield self.url(name)
        finally:
            self._free.append(name)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server until the end of the `with`; the test is skipped where there are no programs."""
    found = programs()
    if found is None:
        pytest.skip("there is no PostgreSQL server here; Debian's package is `postgresql`")
    # Not in pytest's own folder, which none but its owner may enter.
    folder = Path(mkdtemp(prefix="nodegraph-postgres-"))
    try:
        server = PostgresServer(folder, found)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
