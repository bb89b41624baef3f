"""Two servers as on two machines: one database, one bucket, homes and workers of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.databases.postgres import PostgresServer
from tests.server.hosting import PATIENCE, Process, eventually, prepared_home
from tests.server.resources import digest_of, picture
from tests.server.talking import FORMS, talk
from tests.store.remote.s3_server import S3Server

pytestmark = pytest.mark.slow
PICTURE = picture(300, 200)
_PACK = '''
import time
from pathlib import Path
from typing import Annotated
from nodegraph import Context, File, node
from nodegraph.media.images.output_files import save_numbered

@node(output="files")
def Turn(ctx: Context, path: Annotated[str, File("image")], gate: str = "") -> None:
    """The bytes of a file from behind, once there is another file."""
    data = ctx.file(path).read_bytes()
    step = 0
    while gate and not Path(gate).exists():
        step += 1
        ctx.progress(step, 1_000_000)
        ctx.check_cancelled()
        time.sleep(0.05)
    for saved in save_numbered(ctx.environment.outputs, "turned", ".bin", [data[::-1]]):
        ctx.wrote(saved.path, kind="file", existed=saved.existed)
'''


class Machine(Process):
    """One of the servers."""

    shared: tuple[str, ...] = ()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = f"{self.url}/api/v1{path}"
        return httpx.request(method, url, timeout=PATIENCE, trust_env=False, **options)

    def submit(self, upload: str, gate: Path | None = None) -> str:
        turn = {"type": "turns:Turn", "inputs": {"path": upload, "gate": str(gate or "")}}
        wanted = {"format": "nodegraph/1", "nodes": {"turn": turn}}
        answer = self.ask("POST", "/jobs", json={"workflow": wanted})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/jobs/{name}").json()
        return found

    def bring(self, data: bytes) -> str:
        answer = self.ask("POST", "/uploads", files={"file": ("apple.png", data)})
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["value"])


@pytest.fixture
def machines(
    home: Path, known_packs: Path, tmp_path: Path, postgres: PostgresServer, bucket: str
) -> Iterator[tuple[Machine, Machine]]:
    homes = (home, prepared_home(tmp_path / "other", known_packs))
    with ExitStack() as opened:
        shared = ("--queue", opened.enter_context(postgres.database()))
        shared += ("--shared-files", bucket)
        found = []
        for each, workers in zip(homes, ("0", "1"), strict=True):
            (each / "packs" / "turns.py").write_text(_PACK)
            server = Machine(each, "--workers", workers, "--devices", "cpu", *shared)
            server.shared = shared
            found.append(opened.enter_context(server))
        one, other = (server.ready() for server in found)
        for server in (one, other):
            eventually(lambda server=server: server.ask("GET", "/node-types/turns:Turn").is_success)
        yield one, other


def test_a_job_of_one_machine_runs_on_another(
    machines: tuple[Machine, Machine], tmp_path: Path, s3: S3Server
) -> None:
    one, other = machines
    turned = PICTURE[::-1]
    digest = digest_of(turned)
    upload = one.bring(PICTURE)

    # What one was brought the other's worker reads; what that writes, one lists and gives.
    gate = tmp_path / "gate"
    with talk(one, FORMS[0]) as client:
        client.ask("subscribe")
        job = one.submit(upload, gate)
        # Whoever follows at one sees how it goes on at the other.
        assert client.until("node.progress", job)["data"]["step"] > 0
        gate.touch()
        client.until("job.finished", job)
    assert one.job(job)["outputs"]["files"][0]["digest"] == digest
    # On a slow machine it may be on its way for longer than a client is kept waiting.
    eventually(lambda: one.ask("GET", f"/artifacts/{digest}").status_code == 200)
    assert one.ask("GET", f"/artifacts/{digest}").content == turned
    listed = [server.ask("GET", "/artifacts").json()["items"] for server in machines]
    assert listed[0] == listed[1]
    assert not list((one.home / "outputs").glob("*"))

    # It is cancelled where it doesn't run.
    gate.unlink()
    job = one.submit(other.bring(PICTURE[:-1] + b"x"), gate)
    eventually(lambda: one.job(job)["state"] == "running")
    one.ask("POST", f"/jobs/{job}/cancel")
    eventually(lambda: other.job(job)["state"] == "cancelled")

    # The bucket is away: what was given is shared once it is back, by whoever starts there anew.
    job = other.submit(other.bring(PICTURE + b"y"), gate)
    eventually(lambda: other.job(job)["state"] == "running")
    late = digest_of((PICTURE + b"y")[::-1])
    with s3.away():
        gate.touch()
        eventually(lambda: other.job(job)["state"] == "finished")
        assert one.ask("GET", f"/artifacts/{late}").status_code == 503
        os.kill(other.pid, signal.SIGKILL)
        other.ended()
    assert one.ask("GET", f"/artifacts/{digest}").content == turned
    assert "Traceback" not in other.log
    with Machine(other.home, "--workers", "0", *other.shared) as again:
        again.ready()
        eventually(lambda: one.ask("GET", f"/artifacts/{late}").status_code == 200)
        assert one.ask("GET", f"/artifacts/{late}").content == (PICTURE + b"y")[::-1]
        assert again.stop() == 0
    assert one.stop() == 0
    assert "Traceback" not in one.log
