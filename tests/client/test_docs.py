"""What the page on the client shows runs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import nodegraph.client
from nodegraph.client import Client
from tests.client.support import finished
from tests.server.hosting import Hosted, workflow
from tests.server.resources import picture
from tests.server.talking import Worker

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)


@pytest.fixture
def busy_worker(server: Hosted, worker: Worker, client: Client) -> Iterator[None]:
    """Does every job that comes."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            for job in client.list(state="queued"):
                finished(server, worker, job.id, {"apple.png": picture()})

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_runs(
    example: str,
    server: Hosted,
    busy_worker: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    document = {**workflow(), "parameters": {"seed": "sum.b"}}
    Path("text_to_image.json").write_text(json.dumps(document))
    Path("apple.png").write_bytes(picture())
    assert "http://127.0.0.1:8420" in example
    exec(example.replace("http://127.0.0.1:8420", server.url), {"__name__": "example"})
    assert capsys.readouterr().out


def test_the_page_names_what_there_is() -> None:
    assert len(EXAMPLES) >= 5
    text = PAGE.read_text(encoding="utf-8")
    errors = [name for name in nodegraph.client.__all__ if re.search(r"(?<!Server)Error$", name)]
    for name in (*errors, "Client", "AsyncClient", "Retries", "Saved", "JobFailed", "WrongDigest"):
        assert name in text
