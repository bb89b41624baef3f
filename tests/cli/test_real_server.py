"""The commands that ask a server, with a real one and a real worker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.server_support import known_packs, saved
from tests.client.real import real_server, with_picture
from tests.server.hosting import Process
from tests.server.resources import opened, picture

__all__ = ["known_packs", "real_server"]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def asked(real_server: Process, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real server is the one that is asked, without jobs of other tests; a workflow."""
    monkeypatch.setenv("NODEGRAPH_SERVER", real_server.url)
    assert cli("queue", "clear").code == cli("jobs", "delete", "--all").code == 0
    Path("apple.png").write_bytes(picture(200, 100))
    saved(with_picture("apple.png"))


def submitted(cli: Cli, *options: str) -> str:
    done = cli("submit", "wf.json", "--quiet", *options)
    assert done.code == 0, done.err
    return done.out.strip()


def test_a_workflow_is_run_and_its_picture_brought(cli: Cli) -> None:
    done = cli("submit", "wf.json", "--width", "32", "--out", "here", "--quiet")
    assert done.code == 0, done.err
    (line,) = done.out.splitlines()
    assert opened(Path(line).read_bytes()).size == (32, 64)
    shown = cli("jobs", "show", "--json").json
    assert (shown["state"], shown["parameters"]["width"]) == ("finished", 32)
    assert cli("jobs", "list", "--state", "finished", "--json").json["jobs"][0]["id"] == shown["id"]
    assert cli("pull", "--out", "there").code == 0


def test_jobs_run_in_the_order_that_people_want(cli: Cli) -> None:
    assert cli("queue", "pause").out == "The queue is paused.\n"
    held, second, first = (submitted(cli) for _ in range(3))
    assert cli("jobs", "hold", held).code == 0
    assert cli("jobs", "move", first, "--before", second).code == 0
    assert [job["id"] for job in cli("queue", "--json").json["upcoming"]] == [first, second]
    assert cli("queue", "resume").out == "The queue runs.\n"
    assert cli("watch", first, "--quiet").code == cli("watch", second, "--quiet").code == 0
    times = [cli("jobs", "show", job, "--json").json["started"] for job in (first, second)]
    assert times[0] <= times[1]
    assert cli("jobs", "show", held, "--json").json["state"] == "queued"
    assert cli("jobs", "unhold", held).code == 0
    assert cli("watch", held, "--quiet").code == 0


def test_a_job_that_was_cancelled_is_retried_and_ends_well(cli: Cli) -> None:
    job = submitted(cli, "--hold")
    assert cli("cancel", job).code == 0
    assert cli("watch", job).code == 130
    assert cli("jobs", "retry", job).out == f"{job}  queued\n"
    done = cli("watch", job)
    assert (done.code, done.out.startswith("Finished")) == (0, True), done.err


def test_what_is_over_is_forgotten(cli: Cli) -> None:
    kept, gone = submitted(cli, "--hold"), submitted(cli)
    assert cli("watch", gone, "--quiet").code == 0
    assert cli("jobs", "delete", gone).out == f"{gone}  deleted\n"
    assert [job["id"] for job in cli("jobs", "--json").json["jobs"]] == [kept]
    assert cli("queue", "clear").out == "Cancelled 1 job.\n"
    assert cli("jobs", "delete", "--state", "cancelled").out == "Deleted 1 job.\n"
    assert cli("jobs").out == "No jobs.\n"


def test_workers_are_told_with_where_they_run_and_what_they_have_done(cli: Cli) -> None:
    before = cli("cluster", "--json").json["workers"][0]["done"]
    assert cli("watch", submitted(cli), "--quiet").code == 0
    (told,) = cli("cluster", "status", "--json").json["workers"]
    assert (told["role"], told["host"], told["done"]) == ("worker", None, before + 1)
    head, row, closing = cli("cluster").out.splitlines()
    assert head.split()[:3] == ["worker", "machine", "device"]
    assert row.startswith(f"{told['name']}  the server")
    assert re.search(r"have finished; \d+ an hour recently\.$", closing)
