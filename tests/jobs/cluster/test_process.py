"""Workers that actors start: heard over a line or by calls, killed, lost, refused."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.cluster.worker_host import PackArchive, WorkerHost
from nodegraph.jobs.supervisor.worker_spec import Needs
from tests.jobs.cluster.threads import ThreadActor, Threads, starting
from tests.jobs.supervisor.crew import alone, crew, is_alive, sums

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")


@pytest.mark.parametrize("is_direct", [True, pytest.param(False, marks=pytest.mark.slow)])
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


@pytest.mark.slow
def test_a_worker_whose_node_went_away_gives_its_job_back_unblamed(tmp_path: Path) -> None:
    async def use() -> None:
        threads = Threads()
        async with starting(threads) as starter, crew(tmp_path, starter=starter) as team:
            await team.ready()
            team.begin(alone("Wait", here=team.path("here"), gate=team.path("never")))
            await team.there("here")
            threads.actors[-1].lose()
            death = await team.death()
            assert death.reason == f"its node was removed ({os.uname().nodename})"
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
            assert death.reason == "it sent no heartbeat for 2 s"

    asyncio.run(use())


class Silent(Threads):
    """Whose head answers nothing."""

    async def actor(self, needs: Needs) -> ThreadActor:
        await asyncio.Event().wait()
        raise AssertionError


def test_nobody_who_stops_waits_for_a_cluster_that_gives_no_place(tmp_path: Path) -> None:
    async def use() -> None:
        async with starting(Silent()) as starter, crew(tmp_path, starter=starter) as team:
            await asyncio.sleep(0.1)
            await asyncio.wait_for(team.supervisor.stop(), 60)
            assert team.supervisor.status("worker-1").state == "stopped"

    asyncio.run(use())


class ElsewhereHost(WorkerHost):
    """On a machine that sees neither the server's home nor its packs."""

    home = ""

    def start(
        self, launch: Mapping[str, Any], environment: Any, sent: Sequence[PackArchive], line: Any
    ) -> dict[str, Any]:
        settings = {**launch["settings"], "home": self.home}
        sent = [replace(parcel, path=f"/elsewhere{parcel.path}") for parcel in sent]
        return super().start({**launch, "settings": settings}, environment, sent, line)


EDITED = """
from pathlib import Path
from nodegraph import node

@node(output=True)
def Late(here: str) -> None:
    Path(here).write_text("{}")
"""


@pytest.mark.slow
def test_an_edited_pack_is_sent_to_workers_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    monkeypatch.setattr(ElsewhereHost, "home", str(tmp_path / "own"))
    pack = tmp_path / "home" / "packs" / "late.py"
    pack.parent.mkdir(parents=True)
    pack.write_text(EDITED.format("as it was"))
    inputs = {"here": str(tmp_path / "said")}
    nodes = {"it": {"type": "late:Late", "inputs": inputs}}
    text = json.dumps({"format": "nodegraph/1", "nodes": nodes})

    async def use() -> None:
        async with (
            starting(Threads(ElsewhereHost)) as starter,
            crew(tmp_path, starter=starter) as team,
        ):
            for said in ("as it was", "edited"):
                pack.write_text(EDITED.format(said))
                team.supervisor.renew(await starter.outdated())
                ended = await team.run({}, said, text=text)
                assert (ended.status, ended.error) == ("finished", None)
                assert (tmp_path / "said").read_text() == said
            assert await starter.outdated() == []

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
            status = team.supervisor.status("worker-1")
            assert (status.fault, status.host) == (death.reason, "")

    asyncio.run(use())
