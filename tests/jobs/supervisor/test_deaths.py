"""Workers that die, of themselves or by the supervisor's hand, and what is known of it then."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from nodegraph.jobs.queue import Death
from nodegraph.jobs.supervisor import starter as process
from tests.jobs.supervisor.crew import Crew, Watch, alone, crew, is_alive, run_of, sums

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX"),
]


def died_of(folder: Path, nodes: dict[str, Any], **rules: Any) -> tuple[Death, Watch]:
    """How a job killed its worker; the next worker is well."""

    async def use() -> tuple[Death, Watch]:
        async with crew(folder, **rules) as team:
            await team.ready()
            pid = team.pid()
            team.begin(nodes)
            death = await team.death()
            assert not is_alive(pid)
            assert (await team.run(sums(1), "next")).status == "finished"
            status = team.supervisor.status("worker-1")
            assert status.restarts == 1
            assert status.pid != pid
            return death, team.watch

    death, watch = asyncio.run(use())
    assert watch.deaths == [("worker-1", "job", 1, death)]
    assert [ended.job for ended in watch.ends] == ["next"]
    return death, watch


def test_a_signal_that_kills_a_worker_is_told_with_the_node(tmp_path: Path) -> None:
    death, _ = died_of(tmp_path, {"first": ("Number", {}), **alone("Kill", value="@first")})
    assert death.signal == "SIGKILL"
    assert death.reason.startswith("it was killed by SIGKILL")
    assert death.exit_code == -signal.SIGKILL
    # The event that tells of it was lost on the way.
    assert death.node == "it"
    assert death.memory is not None
    assert death.memory > 1 << 20


def test_a_crash_leaves_a_trace_of_the_node(tmp_path: Path) -> None:
    death, _ = died_of(tmp_path, alone("Crash"))
    assert death.signal == "SIGSEGV"
    assert death.node == "it"
    assert any("in Crash" in line for line in death.log)


def test_an_exit_of_the_process_is_told_with_its_code_and_last_words(tmp_path: Path) -> None:
    death, _ = died_of(tmp_path, alone("HardExit", code=7))
    assert (death.signal, death.exit_code) == (None, 7)
    assert death.reason == "it exited with code 7"
    assert death.log[-1] == "the last words"


def test_the_last_words_are_of_the_job_itself_and_tell_no_place_of_the_machine(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nodegraph.jobs.supervisor.crash_evidence")
    words = f"reads {tmp_path}/home/it.png"

    async def use() -> Death:
        async with crew(tmp_path) as team:
            await team.ready()
            await team.run(alone("Say", text="another's secret"), "other")
            await team.watch.until(lambda: "another's secret" in caplog.text)
            await team.watch.until(lambda: team.supervisor.idle)
            team.begin(alone("Say", text=words, exits=True))
            return await team.death()

    death = asyncio.run(use())
    assert list(death.log) == ["reads home/it.png"]
    assert words in caplog.text


def test_a_node_that_exits_like_a_script_fails_and_its_worker_lives(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path) as team:
            ended = await team.run(alone("Exit"))
            assert ended.status == "failed"
            assert ended.error is not None
            assert "SystemExit: 3" in ended.error["message"]
            assert team.supervisor.idle == ["worker-1"]

    asyncio.run(use())


@pytest.fixture
def has_time_for_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may write for long what it is doing, as it gets little of a busy machine."""
    monkeypatch.setattr(process, "_TRACES", 3.0)


@pytest.mark.usefixtures("has_time_for_traces")
def test_a_node_that_holds_the_interpreter_is_found_out(tmp_path: Path) -> None:
    nodes = alone("Hold", here=str(tmp_path / "here"))
    death, _ = died_of(tmp_path, nodes, heartbeat_seconds=5.0)
    assert death.reason == "it sent no heartbeat for 5 s"
    assert death.node == "it"
    # It was asked what it was doing before it was killed.
    assert any("in Hold" in line for line in death.log)


def test_a_node_that_takes_too_much_memory_is_stopped(tmp_path: Path) -> None:
    limit = 400 << 20
    nodes = alone("Leak", gate=str(tmp_path / "never"))
    death, _ = died_of(tmp_path, nodes, memory_limit=limit)
    assert death.reason.startswith("it used ")
    assert death.reason.endswith(" of memory, more than 419 MB")
    assert death.memory is not None
    assert death.memory > limit
    assert death.node == "it"


@pytest.mark.usefixtures("has_time_for_traces")
def test_a_node_that_tells_nothing_for_long_is_stopped(tmp_path: Path) -> None:
    nodes = alone("Wait", here=str(tmp_path / "here"), gate=str(tmp_path / "never"))
    death, _ = died_of(tmp_path, nodes, node_stall_seconds=3.0)
    assert death.reason == "its node `it` reported nothing for 3 s"
    assert death.node == "it"
    assert any("_wait_for" in line for line in death.log)


def test_a_job_may_be_stricter_about_a_node(tmp_path: Path) -> None:
    async def use() -> Death:
        async with crew(tmp_path, node_stall_seconds=1000.0) as team:
            await team.ready()
            nodes = alone("Wait", here=team.path("here"), gate=team.path("never"))
            team.begin(nodes, options={"stall_seconds": {"trouble:Wait": 0.5}})
            return await team.death()

    assert asyncio.run(use()).reason == "its node `it` reported nothing for 0.5 s"


@pytest.mark.skipif(sys.platform != "linux", reason="finds the pipe by /proc")
def test_a_worker_that_says_nonsense_is_killed(tmp_path: Path) -> None:
    nonsense = "\x00\x00\x00\x0b\x81\xa4kind\xa4fine"
    death, _ = died_of(tmp_path, alone("Garble", data=nonsense))
    assert death.reason.startswith(
        "it sent a message that is not valid: a message has an unknown kind (given: 'fine'"
    )
    assert death.node == "it"


def test_a_flood_of_output_is_kept_in_part_and_holds_nothing_up(tmp_path: Path) -> None:
    async def use() -> Death:
        async with crew(tmp_path, planner=True) as team:
            await team.ready()
            await team.supervisor.ask("node_types")
            nodes = {
                "flood": ("Print", {"lines": 300_000, "error": True}),
                **alone("HardExit", code="@flood"),
            }
            team.begin(nodes)
            # Others are heard while it goes on.
            for _ in range(5):
                await team.supervisor.ask("check", {"workflow": run_of(sums(1)).workflow})
            return await team.death()

    death = asyncio.run(use())
    assert len(death.log) == 200
    assert death.log[-1] == "the last words"
    assert death.log[-2].startswith("line 299999 ")
    assert "\x1b" not in "".join(death.log)


def test_a_worker_that_cannot_start_is_tried_again_ever_later(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path, backoff_first=0.01, backoff_most=1000) as team:
            await team.ready()
            (tmp_path / "home").mkdir(exist_ok=True)
            (tmp_path / "home" / "config.toml").write_text("nonsense = [")
            os.kill(team.pid(), signal.SIGKILL)
            await team.watch.until(lambda: len(team.watch.deaths) >= 4)
            last = team.watch.deaths[-1][-1]
            assert "config.toml" in "\n".join(last.log)
            assert last.node is None
            (tmp_path / "home" / "config.toml").unlink()
            await team.ready(2)
            assert team.supervisor.status("worker-1").restarts == len(team.watch.deaths)

    asyncio.run(use())


def test_what_a_node_has_started_dies_with_its_worker(tmp_path: Path) -> None:
    async def use() -> int:
        async with crew(tmp_path) as team:
            await team.ready()
            team.begin(alone("Start", here=team.path("child")))
            await team.death()
            child = int(Path(team.path("child")).read_text())
            while is_alive(child):  # it was killed, and the system takes a moment
                await asyncio.sleep(0.01)
            return child

    assert not is_alive(asyncio.run(asyncio.wait_for(use(), 60)))


def test_a_question_that_kills_the_planner_is_given_up_and_others_are_answered(
    tmp_path: Path,
) -> None:
    pack = tmp_path / "home" / "packs" / "deadly.py"
    pack.parent.mkdir(parents=True)
    pack.write_text(
        "import os\n"
        "from nodegraph.api import node\n"
        "def end(inputs):\n    os._exit(9) if inputs.literals['a'] == 9 else None\n    return ()\n"
        "@node(validate=end, output=True)\ndef Deadly(a: int) -> None:\n    pass\n"
    )

    def asked(team: Crew, value: int) -> Any:
        nodes = {"it": {"type": "deadly:Deadly", "inputs": {"a": value}}}
        workflow = {"format": "nodegraph/1", "nodes": nodes}
        return team.supervisor.ask("check", {"workflow": workflow})

    async def use() -> list[Any]:
        async with crew(tmp_path, workers=0, planner=True) as team:
            asking = [asked(team, value) for value in (1, 9, 2)]
            found = await asyncio.gather(*asking, return_exceptions=True)
            assert [death.exit_code for *_, death in team.watch.deaths] == [9, 9]
            return found

    first, deadly, last = asyncio.run(use())
    assert first["valid"]
    assert last["valid"]
    assert "died while it answered `check` 2 times" in str(deadly)


_SERVER = """
import asyncio, sys
from pathlib import Path
from tests.jobs.supervisor.crew import alone, crew
async def serve(folder):
    async with crew(folder, planner=True) as team:
        await team.ready()
        team.begin(alone("Wait", here=team.path("here"), gate=team.path("never"), heeds=False))
        await team.there("here")
        await team.supervisor.ask("node_types")
        pids = [str(status.pid) for status in team.supervisor.workers]
        (folder / "pids.new").write_text(" ".join(pids))
        (folder / "pids.new").rename(folder / "pids")
        await asyncio.sleep(600)
asyncio.run(serve(Path(sys.argv[1])))
"""


def test_workers_die_with_a_server_that_is_killed(tmp_path: Path) -> None:
    before = set(psutil.Process().children())  # other tests may have left some

    async def use() -> None:
        root = Path(__file__).parents[3]
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _SERVER, str(tmp_path), cwd=root
        )
        watch = Watch()
        try:
            await watch.until((tmp_path / "pids").exists)
            workers = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
            assert all(map(is_alive, workers))
        finally:
            server.kill()
            await server.wait()
        await watch.until(lambda: not any(map(is_alive, workers)))
        assert len(workers) == 2

    asyncio.run(use())
    assert set(psutil.Process().children()) <= before
