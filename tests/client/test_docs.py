"""What the page on the client shows runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from shutil import which

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


@pytest.mark.skipif(which("curl") is None, reason="needs curl")
def test_the_requests_over_http_are_answered(
    server: Hosted, busy_worker: None, tmp_path: Path
) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## Over HTTP\n")[2]
    block = text.partition("```sh\n")[2].partition("```")[0].replace("\\\n", "")
    document = {**workflow(), "parameters": {"seed": "sum.b"}}
    (tmp_path / "text_to_image.json").write_text(json.dumps(document))
    answers = []
    for line in block.splitlines():
        # The workflow here is another one, and has no prompt.
        words = shlex.split(line.replace('"prompt": "a fox face", ', ""))
        assert words.pop(0) == "curl"
        words = [word.replace("http://127.0.0.1:8420", server.url) for word in words]
        curl = ["curl", "-sS", "--fail-with-body", "--noproxy", "*", *words]
        done = subprocess.run(curl, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        answers.append(json.loads(done.stdout))
    saved, started = answers
    assert saved["name"] == "apple"
    assert started["job"]["state"] == "finished"
    assert {"job", "outputs"} == started.keys()


def test_the_page_names_what_there_is() -> None:
    assert len(EXAMPLES) >= 5
    text = PAGE.read_text(encoding="utf-8")
    errors = [name for name in nodegraph.client.__all__ if re.search(r"(?<!Server)Error$", name)]
    for name in (*errors, "Client", "AsyncClient", "Retries", "Saved", "JobFailed", "WrongDigest"):
        assert name in text
