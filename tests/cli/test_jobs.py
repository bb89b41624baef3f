"""`nodegraph jobs` and `nodegraph queue` with a server."""

from __future__ import annotations

import pytest

from nodegraph.client import Client
from tests.cli.conftest import Cli
from tests.cli.server_support import Asked, known_packs, own_server, server, shared_server
from tests.client.support import until
from tests.server.hosting import workflow

__all__ = ["known_packs", "own_server", "server", "shared_server"]


def test_alone_the_groups_do_what_is_asked_for_most(cli: Cli, server: Asked) -> None:
    job = server.submit(tags=["a"])
    for words in ((), ("--json",), ("--tag", "a", "--limit", "3"), ("--home", "elsewhere")):
        assert cli("jobs", *words).out == cli("jobs", "list", *words).out
        assert job in cli("jobs", *words).out
    assert cli("queue").out == cli("queue", "show").out
    assert cli("queue", "--json").json["upcoming"][0]["id"] == job
    assert "Usage: nodegraph jobs list" in cli("jobs", "--tag", "a", "--help").out
    assert (
        "there is no option `--json`"
        in cli("jobs", "--json", "show").json["problems"][0]["message"]
    )


def test_old_jobs_are_listed(cli: Cli, server: Asked) -> None:
    job = server.submit()
    assert cli("jobs", "list", "--older-than", "1h").out == "No jobs.\n"
    until(lambda: job in cli("jobs", "list", "--older-than", "0.01s").out)
    refused = cli("jobs", "list", "--older-than", "long")
    assert (refused.code, "--older-than is not an age" in refused.err) == (2, True)


def test_jobs_are_paused_and_let_go(cli: Cli, server: Asked) -> None:
    first, second = server.submit(), server.submit()
    assert cli("jobs", "hold", first, second).out.splitlines() == [
        f"{first}  queued, held",
        f"{second}  queued, held",
    ]
    assert cli("jobs", "unhold", first[-8:]).out == f"{first}  queued\n"
    server.worker.take()
    found = cli("jobs", "hold", first, "--json").json["jobs"][0]
    assert (found["id"], found["state"], found["wanted"]) == (first, "running", "pause")


def test_jobs_are_retried(cli: Cli, server: Asked) -> None:
    job = server.submit()
    refused = cli("jobs", "retry", job)
    assert (refused.code, f"{job} cannot be retried" in refused.err) == (2, True)
    cli("cancel", job)
    assert cli("jobs", "retry", "last").out == f"{job}  queued\n"


def test_what_cannot_be_done_with_one_job_is_done_with_the_others(cli: Cli, server: Asked) -> None:
    first, second, third = (server.submit() for _ in range(3))
    server.client.cancel(second)
    done = cli("jobs", "hold", first, second, third)
    assert done.code == 2
    assert done.out.splitlines() == [f"{first}  queued, held", f"{third}  queued, held"]
    assert f"{second} cannot be paused" in done.err
    document = cli("jobs", "unhold", first, second, "--json")
    assert document.code == 2
    assert [job["id"] for job in document.json["jobs"]] == [first]
    assert [problem["code"] for problem in document.json["problems"]] == ["job-state"]
    assert cli("jobs", "hold", first, first, third).out.count(first) == 1
    assert cli("jobs", "unhold", first, "nothing").code == 2
    assert server.client.get(first).held


def test_a_job_is_moved(cli: Cli, server: Asked) -> None:
    jobs = [server.submit() for _ in range(3)]

    def order() -> list[int]:
        return [jobs.index(job["id"]) for job in cli("queue", "--json").json["upcoming"]]

    moved = cli("jobs", "move", jobs[2], "--first")
    assert moved.out == f"{jobs[2]}  queued, priority 0\n"
    assert "`nodegraph queue`" in moved.err
    assert order() == [2, 0, 1]
    cli("jobs", "move", jobs[2], "--last")
    cli("jobs", "move", "last", "--before", jobs[1])
    assert order() == [0, 2, 1]
    found = cli("jobs", "move", jobs[1], "--priority", "-3", "--json").json
    assert (found["id"], found["priority"]) == (jobs[1], -3)
    cli("jobs", "move", jobs[0], "--priority", "-3", "--last")
    assert order() == [2, 1, 0]
    assert "the same priority" in cli("jobs", "move", jobs[2], "--before", jobs[0]).err
    for options in ((), ("--first", "--last"), ("--first", "--before", jobs[0])):
        assert cli("jobs", "move", jobs[1], *options).code == 2
    assert cli("jobs", "move", jobs[1], "--priority", "101").code == 2
    assert order() == [2, 1, 0]


def test_jobs_are_deleted_by_their_names(cli: Cli, server: Asked) -> None:
    first, second = server.submit(), server.submit()
    server.client.cancel(first)
    done = cli("jobs", "delete", first, second)
    assert (done.code, done.out) == (2, f"{first}  deleted\n")
    assert "Cancel it first." in done.err
    server.client.cancel(second)
    assert cli("jobs", "delete", "last", "--json").json == {"deleted": 1}
    assert cli("jobs").out == "No jobs.\n"


def test_jobs_are_deleted_that_match(cli: Cli, server: Asked) -> None:
    jobs = [server.submit(name=f"job {at}", tags=["a"]) for at in range(4)]
    for job in jobs[:3]:
        server.client.cancel(job)
    assert cli("jobs", "delete", "--state", "failed").out == "Deleted 0 jobs.\n"
    assert cli("jobs", "delete", "--text", "job 1", "--tag", "a").out == "Deleted 1 job.\n"
    assert cli("jobs", "delete", "--older-than", "1h", "--json").json == {"deleted": 0}
    assert cli("jobs", "delete", "--all").out == "Deleted 2 jobs.\n"
    assert [job.id for job in server.client.list()] == [jobs[3]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give either jobs or a filter"),
        (("last", "--all"), "either jobs or a filter"),
        (("--all", "--tag", "a"), "either jobs or a filter"),
        (("--state", "queued"), "only jobs that have ended"),
        (("--state", "finishd"), "Did you mean `finished`?"),
        (("--older-than", "soon"), "is not an age"),
    ],
)
def test_nothing_is_deleted_unless_it_is_clear_what(
    cli: Cli, server: Asked, words: tuple[str, ...], said: str
) -> None:
    job = server.submit()
    server.client.cancel(job)
    refused = cli("jobs", "delete", *words)
    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err
    assert server.client.get(job).state == "cancelled"


def test_the_queue_is_shown(cli: Cli, server: Asked) -> None:
    first = server.submit(name="first")
    second = server.submit(name="second", priority=5)
    server.submit(held=True)
    lines = cli("queue", "show").out.splitlines()
    assert lines[0] == "The queue runs."
    assert [line.split() for line in lines[1:4]] == [
        ["waiting", "3,", "1", "of", "them", "held"],
        ["running", "0"],
        ["ended", "0", "finished,", "0", "failed,", "0", "cancelled"],
    ]
    assert [line.split()[0] for line in lines[5:]] == ["next", second, first]
    assert [line.split()[-1] for line in lines[6:]] == ["second", "first"]
    assert first not in cli("queue", "--limit", "1").out
    assert cli("queue", "--json", "--limit", "0").json["counts"]["held"] == 1


def test_the_queue_is_paused_and_goes_on(cli: Cli, server: Asked) -> None:
    server.submit()
    assert cli("queue", "pause").out == "The queue is paused.\n"
    assert server.server.services.queue.claim("worker").result() is None
    assert cli("queue").out.startswith("The queue is paused.\n")
    assert cli("queue", "resume", "--json").json["paused"] is False
    assert server.worker.take().state == "running"


def test_the_queue_is_cleared(cli: Cli, server: Asked) -> None:
    tagged, other = server.submit(tags=["a"]), server.submit()
    assert cli("queue", "clear", "--client", "nobody").out == "Cancelled 0 jobs.\n"
    assert cli("queue", "clear", "--tag", "a").out == "Cancelled 1 job.\n"
    assert [server.client.get(job).state for job in (tagged, other)] == ["cancelled", "queued"]
    assert cli("queue", "clear", "--json").json == {"cancelled": 1}


def test_who_may_not_administer_is_told(
    cli: Cli, own_server: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = own_server.server.token("ann", "run")
    token = headers["Authorization"].removeprefix("Bearer ")
    monkeypatch.setenv("NODEGRAPH_TOKEN", token)
    until(lambda: own_server.server.client.get("/system").status_code == 401)
    for action in ("pause", "resume"):
        refused = cli("queue", action)
        assert (refused.code, refused.out) == (2, "")
        assert "admin" in refused.err
        assert token not in refused.err
    with Client(own_server.url, token) as ann:
        ann.submit(workflow())
    assert cli("queue", "clear").out == "Cancelled 1 job.\n"
