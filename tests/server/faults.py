"""What tests of faults share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from nodegraph.jobs.queue import JobQueue
from tests.server.hosting import ONCE, PATIENCE, Process, workflow


def until(is_so: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until something is so; what it is then."""
    end = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
    return found


class Api:
    """A server's API as a client sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(
            base_url=f"{url}/api/v1",
            timeout=PATIENCE,
            trust_env=False,
            limits=ONCE,
        )

    def close(self) -> None:
        """Let go of its connections."""
        self._client.close()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """An answer, which is never one of an unforeseen fault."""
        answer = self._client.request(method, path, **options)
        assert answer.status_code != 500, answer.text
        return answer

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("GET", path, **options)

    def submit(self, **more: Any) -> httpx.Response:
        """The answer to a job, of sums unless told otherwise."""
        return self.ask("POST", "/jobs", json={"workflow": workflow(), **more})

    def problem(self, method: str, path: str, status: int, **options: Any) -> str:
        """The code of what is wrong, where something is known to be."""
        answer = self.ask(method, path, **options)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        return str(answer.json()["type"]).removeprefix("/problems/")

    def ready(self) -> set[str]:
        """What keeps the server from being of use."""
        answer = httpx.get(f"{self.url}/readyz", timeout=PATIENCE, trust_env=False)
        return {each["code"] for each in answer.json().get("problems", ())}

    def lives(self) -> bool:
        """Whether the server answers at all."""
        answer = httpx.get(f"{self.url}/healthz", timeout=PATIENCE, trust_env=False)
        return answer.status_code == 200

    @property
    def worker(self) -> dict[str, Any]:
        """What is known of the one process that runs jobs."""
        found: list[dict[str, Any]] = self.get("/system").json()["workers"]
        (worker,) = (each for each in found if each["role"] == "worker")
        return worker

    def state(self, job: str) -> str:
        """A job's."""
        return str(self.get(f"/jobs/{job}").json()["state"])


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[tuple[Process, Api]]:
    """A server as a process of its own, until the end of the `with`."""
    with Process(home, *arguments) as process:
        api = Api(process.ready().url)
        try:
            yield process, api
        finally:
            api.close()


def kept(home: Path) -> list[str]:
    """Ids of all jobs in a home folder whose server has ended, the oldest first."""
    with JobQueue(home / "queue.sqlite") as queue:
        return [job.id for job in queue.page(order="oldest", limit=10_000).jobs]
