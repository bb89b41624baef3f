"""Workers that actors start: heard over a line or by calls, killed, lost, refused."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.cluster.host import WorkerHost
from tests.jobs.cluster.threads import Threads, starting
from tests.jobs.supervisor.crew import alone, crew, is_alive, sums

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")


@pytest.mark.parametrize("is_direct", [True, False])
def test_jobs_run_and_a_killed_worker_tells_its_node_and_last_words(
    tmp_path: Path, is_direct: bool
) -> None:
    async def use() -> None:
        async with (
            starting(Threads(), is_direct=is_direct) as starter,
            crew(tmp_path, starter=starter) as team,
        ):
            for at in range(3):
                assert (await team.run(sums(at), f"job {at}")).status == "finished"
            pid = team.pid()
            assert team.supervisor.status("worker-1").host == os.uname().nodename
            team.begin(alone("Kill"), "deadly")
            death = await team.death()
            assert (death.signal, death.exit_code, death.node) == (
                "SIGKILL",
                -signal.SIGKILL,
                "it",
            )
            assert not is_alive(pid)
            assert (await team.run(sums(9), "next")).status == "finished"
            team.begin(alone("HardExit", code=7), "exits")
            death = await team.death(2)
            assert (death.exit_code, list(death.log)) == (7, ["the last words"])

    asyncio.run(use())


def test_a_worker_whose_node_went_away_gives_its_job_back_unblamed(tmp_path: Path) -> None:
    async def use() -> None:
        threads = Threads()
        async with starting(threads) as starter, crew(tmp_path, starter=starter) as team:
            await team.ready()
            team.begin(alone("Wait", here=team.path("here"), gate=team.path("never")))
            await team.there("here")
            threads.actors[-1].lose()
            death = await team.death()
            assert death.reason == f"its node was taken away ({os.uname().nodename})"
            (ended,) = team.watch.ends
            assert (ended.job, ended.status) == ("job", "released")
            assert team.watch.deaths[0][1] is None
            assert (await team.run(sums(1), "next")).status == "finished"

    asyncio.run(use())


def test_a_worker_that_hangs_is_killed_by_its_actor(tmp_path: Path) -> None:
    async def use() -> None:
        async with (
            starting(Threads()) as starter,
            crew(tmp_path, starter=starter, heartbeat_seconds=2.0) as team,
        ):
            await team.ready()
            os.kill(team.pid(), signal.SIGSTOP)
            death = await team.death()
            assert death.reason == "it gave no heartbeat for 2 s"

    asyncio.run(use())


class OlderHost(WorkerHost):
    """As a node has it where an older version is installed."""

    def start(self, *arguments: Any) -> dict[str, Any]:
        born: Mapping[str, Any] = super().start(*arguments)
        return {**born, "version": "0.0.1"}


def test_a_worker_of_an_older_version_is_refused_with_words(tmp_path: Path) -> None:
    async def use() -> None:
        async with (
            starting(Threads(OlderHost)) as starter,
            crew(tmp_path, starter=starter, backoff_first=60.0) as team,
        ):
            death = await team.death()
            assert "has nodegraph 0.0.1 and this server " in death.reason
            assert "install the same version there" in death.reason
            assert team.supervisor.free == []
            assert team.supervisor.status("worker-1").fault == death.reason

    asyncio.run(use())
