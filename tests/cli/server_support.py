"""A server for tests of the commands that ask one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nodegraph.client import Client
from nodegraph.core.events import Event as RunEvent
from tests.client.support import SOON
from tests.client.support import finished as finish
from tests.server.hosting import PATIENCE, Hosted, hosted, prepared_home, workflow
from tests.server.talking import Worker

__all__ = ["known_packs", "own_server", "server", "shared_server"]

PICTURE = "apple.png"


@pytest.fixture(scope="session")
def known_packs(tmp_path_factory: pytest.TempPathFactory, known_specs: Path) -> Path:
    """A home folder in which it is known what packs declare."""
    return prepared_home(tmp_path_factory.mktemp("known"), known_specs.parents[1])


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Iterator[Hosted]:
    """One server for the tests of a module, with what the last one left."""
    with hosted(prepared_home(tmp_path_factory.mktemp("server"), known_packs)) as found:
        found.is_shared = True
        yield found


@pytest.fixture
def server(shared_server: Hosted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """The server that commands ask, as good as new; it has no workers.

    It goes on afterwards: tests that make tokens take `own_server`.
    """
    shared_server.empty()
    with asked(shared_server, monkeypatch) as found:
        yield found


@pytest.fixture
def own_server(
    tmp_path_factory: pytest.TempPathFactory, known_packs: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Asked]:
    """One that no other test has."""
    home = prepared_home(tmp_path_factory.mktemp("server"), known_packs)
    with hosted(home) as server, asked(server, monkeypatch) as found:
        yield found


@contextmanager
def asked(server: Hosted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """It is the one that commands ask."""
    monkeypatch.setenv("NODEGRAPH_SERVER", server.url)
    with Client(server.url, "", retries=SOON) as client:
        yield Asked(server, client)


class Asked:
    """A server, somebody who looks after what the commands do to it, and a worker.

    Attributes:
        url: Of the server.
    """

    def __init__(self, server: Hosted, client: Client) -> None:
        self.server = server
        self.client = client
        self.worker = Worker(server)
        self.url = server.url

    def submit(self, **about: Any) -> str:
        """Id of a new job."""
        return self.client.submit(workflow(), **about).id

    def finish(self, id: str, files: Mapping[str, bytes] | None = None) -> None:
        """Have the next job, which must be that one, finish."""
        finish(self.server, self.worker, id, files or {})

    def run(self, files: Mapping[str, bytes] | None = None) -> None:
        """Have the next job run, tell how it goes on, and finish."""
        job = self.worker.take()
        self.worker.tell(
            job,
            RunEvent(0, "job.started", None, 0.0, {"nodes": 2, "targets": ["show"]}),
            RunEvent(
                1, "nodes.cached", None, 0.1, {"nodes": ["two"], "source": "disk", "saved": 0.0}
            ),
            RunEvent(2, "node.started", "sum", 0.1, {"type": "sums:Sum", "lane": "cpu"}),
            RunEvent(3, "log", "sum", 0.2, {"message": "adding", "level": "info"}),
            RunEvent(4, "node.finished", "sum", 1.3, {"seconds": 1.2}),
        )
        queue = self.server.services.queue
        warnings = [{"node": "two", "message": "2 looks odd"}]
        if files is None:
            problem = {"code": "x", "message": "it broke", "node": "sum", "hint": "Mend it."}
            error = {**problem, "problems": [problem], "warnings": warnings}
            queue.fail(job.id, job.attempt, error).result(PATIENCE)
            return
        folder = Path(self.server.services.outputs) / job.id
        from tests.server.resources import written

        outputs = {
            "files": [written(folder / name, data) for name, data in files.items()],
            "nodes": {"ran": 1, "cached": 1},
            "seconds": 1.3,
            "warnings": warnings,
        }
        queue.finish(job.id, job.attempt, outputs).result(PATIENCE)

    def only_job(self) -> Any:
        """The job that there is."""
        (found,) = self.client.list()
        return self.client.get(found)


def saved(document: Mapping[str, Any], name: str = "wf.json") -> Path:
    """A workflow file."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
