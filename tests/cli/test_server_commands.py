"""`nodegraph jobs`, `watch`, `cancel` and `pull` with a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nodegraph.cli.app import command_names
from tests.cli.conftest import PATIENCE, Cli, Result, process_arguments
from tests.cli.server_support import Asked, known_packs, own_server, server, shared_server
from tests.client.support import Background, until

__all__ = ["known_packs", "own_server", "server", "shared_server"]


def test_jobs_are_listed_the_newest_first(cli: Cli, server: Asked) -> None:
    assert cli("jobs").out == "No jobs.\n"
    first = server.submit(name="first", tags=["a"])
    second = server.submit(name="second", held=True)
    lines = cli("jobs").out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", second, first]
    assert "queued, held" in lines[1]
    assert lines[2].endswith("first")
    listed = cli("jobs", "--json", "--tag", "a").json["jobs"]
    assert [(job["id"], job["state"], job["tags"]) for job in listed] == [(first, "queued", ["a"])]
    assert len(cli("jobs", "--limit", "1", "--json").json["jobs"]) == 1
    assert cli("jobs", "--text", "second", "--state", "queued", "--json").json["jobs"][0]["held"]
    refused = cli("jobs", "--state", "runing")
    assert (refused.code, "Did you mean `running`?" in refused.err) == (2, True)


def test_a_job_is_shown_by_any_part_of_its_id_that_says_which(cli: Cli, server: Asked) -> None:
    first = server.submit(name="first", tags=["a"], parameters={"b": 4})
    second = server.submit(name="second")
    for name in (first, first[-6:], first.removeprefix("job_")):
        shown = cli("jobs", "show", name).out
        assert shown.startswith(f"{first}  first\n")
        assert "tags: a" in shown
        assert "b  4" in shown
    assert cli("jobs", "show", "last", "--json").json["id"] == second
    assert cli("jobs", "show", first, "--json").json["parameters"] == {"b": 4}


def test_a_job_that_there_isnt(cli: Cli, server: Asked) -> None:
    assert "no jobs yet" in cli("jobs", "show", "last").err
    job = server.submit()
    wrong = f"{job[:-1]}{'0' if job[-1] != '0' else '1'}"
    # No id has the letters u and l, so that no chance makes it a part of one.
    for name in (wrong, wrong[:-4] + "ulul", f"{job}x"):
        for command in ("jobs show", "jobs retry", "watch", "cancel", "pull"):
            refused = cli(*command.split(), name)
            assert refused.code == 2
            assert "there is no such job" in refused.err
            assert f"Did you mean `{job}`?" in refused.err
    refused = cli("jobs", "show", "lull", "--json")
    assert refused.json["status"] == "invalid"
    assert refused.json["problems"][0]["given"] == "lull"
    other = server.submit()
    ambiguous = cli("cancel", "job_")
    assert "several jobs" in ambiguous.err
    assert job in ambiguous.err
    assert other in ambiguous.err


def test_jobs_are_cancelled(cli: Cli, server: Asked) -> None:
    first, second = server.submit(), server.submit()
    refused = cli("cancel", first, "nothing")
    assert refused.code == 2
    assert server.client.get(first).state == "queued"
    done = cli("cancel", first, second[-8:])
    assert done.out.splitlines() == [f"{first}  cancelled", f"{second}  cancelled"]
    assert "It has already ended" in cli("cancel", first).err
    running = server.submit()
    server.worker.take()
    found = cli("cancel", "last", "--json").json["jobs"][0]
    assert (found["id"], found["state"], found["wanted"]) == (running, "running", "cancel")


def test_a_job_is_watched_to_its_end(cli: Cli, server: Asked) -> None:
    job = server.submit()
    working = Background(lambda: server.run({"a.txt": b"four"}))
    done = cli("watch", job)
    working.result()
    assert done.code == 0
    assert done.err.splitlines() == [
        "[1/2] two (sums:Number): from the cache",
        "sum: adding",
        "[2/2] sum (sums:Sum): 1.2 s",
        f"`nodegraph pull {job}` downloads the files.",
    ]
    assert done.out.splitlines() == [
        "Finished in 1.3 s: 1 node run, 1 from the cache.",
        "  a.txt  4 B  save",
    ]
    quiet = cli("watch", "--quiet")
    assert (quiet.out, quiet.err) == ("a.txt\n", "")
    document = cli("watch", job, "--json")
    assert document.json["outputs"]["files"][0]["name"] == "a.txt"
    assert document.err == ""


def test_events_are_printed_as_lines(cli: Cli, server: Asked) -> None:
    job = server.submit()
    server.run({})
    done = cli("watch", job, "--events")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["kind"] for event in events] == [
        *("job.queued", "job.claimed", "job.started", "nodes.cached", "node.started", "log"),
        *("node.finished", "job.finished"),
    ]
    numbers = [event["seq"] for event in events]
    assert sorted(numbers) == numbers
    assert {event["job"] for event in events} == {job}
    assert "Finished" in done.err
    refused = cli("watch", job, "--events", "--json")
    assert "both write to stdout" in refused.json["problems"][0]["message"]


def test_what_nodes_warned_of_is_shown(cli: Cli, server: Asked) -> None:
    job = server.submit()
    server.run({})
    assert "Warnings\n  two  2 looks odd\n" in cli("jobs", "show", job).out
    shown = cli("jobs", "show", job, "--json").json
    assert shown["outputs"]["warnings"] == [{"node": "two", "message": "2 looks odd"}]


def test_how_a_job_ended_is_the_exit_code(cli: Cli, server: Asked) -> None:
    job = server.submit()
    server.run(None)
    failed = cli("watch", job)
    assert failed.code == 1
    assert "it broke" in failed.err
    assert "Mend it." in failed.err
    assert failed.out.startswith("Failed")
    assert "node `sum`" in cli("jobs", "show", job).out
    assert "two  2 looks odd" in cli("jobs", "show", job).out
    cancelled = server.submit()
    server.client.cancel(cancelled)
    assert cli("watch").code == 130


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C can't be sent to another process there")
def test_ctrl_c_ends_the_watching_and_not_the_job(server: Asked) -> None:
    job = server.submit()
    watching = subprocess.Popen(
        process_arguments("watch", job, "--events"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with watching:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["kind"] == "job.queued"
        watching.send_signal(signal.SIGINT)
        _, told = watching.communicate(timeout=PATIENCE)
    assert watching.returncode == 130
    assert "The job continues" in told
    assert "Traceback" not in told
    assert server.client.get(job).state == "queued"


def test_files_are_pulled(cli: Cli, server: Asked, tmp_path: Path) -> None:
    job = server.submit()
    assert "has not finished" in cli("pull", job).err
    server.finish(job, {"a.txt": b"four", "b.txt": b"more"})
    done = cli("pull")
    assert done.out.splitlines() == ["output/a.txt", "output/b.txt"]
    assert Path("output/a.txt").read_bytes() == b"four"
    again = cli("pull", job[-8:], "--out", "output")
    assert again.out.splitlines()[0] == "output/a.txt  (already there, unchanged)"
    Path("output/a.txt").write_bytes(b"mine")
    beside = cli("pull", job, "--json").json
    assert beside["job"] == job
    assert [file["existed"] for file in beside["files"]] == [False, True]
    assert Path(beside["files"][0]["path"]).read_bytes() == b"four"
    assert Path("output/a.txt").read_bytes() == b"mine"
    cli("pull", job, "--overwrite", "--node", "save")
    assert Path("output/a.txt").read_bytes() == b"four"
    assert "Did you mean `save`" in cli("pull", job, "--node", "sav").err


def test_a_job_without_files(cli: Cli, server: Asked) -> None:
    server.finish(server.submit(), {})
    done = cli("pull")
    assert (done.code, done.out, done.err) == (0, "", "The job has no output files.\n")


@pytest.mark.slow
def test_where_nobody_answers(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_SERVER", "http://127.0.0.1:9")
    for arguments in (["jobs"], ["watch"], ["cancel", "last"], ["pull"]):
        refused = command(*arguments)
        assert refused.code == 2
        assert "no server answers at http://127.0.0.1:9" in refused.err
        assert "nodegraph serve" in refused.err
        assert "Traceback" not in refused.err
    refused = command("jobs", "--json", "--server", "http://127.0.0.1:9")
    assert refused.json["problems"][0]["code"] == "server-not-reachable"
    assert "not an address" in command("jobs", "--server", "ftp://h").err


@pytest.mark.slow
def test_a_wrong_token_is_told_and_not_shown(
    cli: Cli, own_server: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = own_server.server.token("ann", "run")
    token = headers["Authorization"].removeprefix("Bearer ")
    until(lambda: own_server.server.client.get("/system").status_code == 401)
    refused = cli("jobs")
    assert (refused.code, "a token is needed" in refused.err) == (2, True)
    assert "NODEGRAPH_TOKEN" in refused.err
    monkeypatch.setenv("NODEGRAPH_TOKEN", token)
    assert cli("jobs").out == "No jobs.\n"
    wrong = f"{token[:-4]}abcd"
    monkeypatch.setenv("NODEGRAPH_TOKEN", wrong)
    for arguments in (["jobs"], ["watch"], ["submit", "none.json"]):
        refused = cli(*arguments)
        assert refused.code == 2
        assert wrong[-12:] not in refused.out + refused.err
    assert "this token is not valid" in cli("jobs").err
    reader = own_server.server.token("bob", "read")["Authorization"].removeprefix("Bearer ")
    monkeypatch.setenv("NODEGRAPH_TOKEN", reader)
    until(lambda: "there are no jobs yet" in cli("cancel", "last").err)


def test_their_help_needs_no_server_and_no_library() -> None:
    code = (
        "import sys\nfrom nodegraph.cli import main\n"
        "for line in sys.argv[1:]: main([*line.split(), '--help'])\n"
        "print(sorted({'httpx', 'torch', 'nodegraph.client'} & set(sys.modules)))"
    )
    groups = [name for name in command_names() if name.split()[0] in ("cluster", "jobs", "queue")]
    names = [*groups, "watch", "cancel", "pull"]
    done = subprocess.run(
        [sys.executable, "-c", code, *names],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stdout.count("--server URL") == len(names)
    assert done.stdout.splitlines()[-1] == "[]"
