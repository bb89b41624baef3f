"""Workers as they are meant to be: jobs, events, questions, orders, a clean end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.supervisor.errors import NoAnswer, ProtocolFault, QuestionFailed, WorkerNotIdle
from nodegraph.jobs.supervisor.messages import Ended
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.jobs.supervisor.worker_spec import WorkerSpec
from tests.jobs.supervisor.crew import Crew, Watch, alone, crew, is_alive, run_of, sums
from tests.messages import raises


def test_a_job_is_run_and_tells_what_it_gave(tmp_path: Path) -> None:
    async def use() -> Ended:
        async with crew(tmp_path) as team:
            nodes = {**sums(4), "file": ("Write", {"value": "@it", "name": "five.txt"})}
            ended = await team.run(nodes, targets=["it", "file"])
            assert team.watch.kinds("job")[0] == "job.started"
            assert team.watch.kinds("job")[-1] == "job.finished"
            return ended

    ended = asyncio.run(use())
    assert ended.status == "finished"
    assert ended.outputs is not None
    (file,) = ended.outputs["files"]
    assert Path(file["path"]).read_text() == "5"
    assert (file["node"], file["media_type"], file["size"]) == ("file", "text/plain", 1)
    assert len(file["digest"]) == 64
    assert list(ended.outputs["outputs"]) == ["it.number"]
    assert ended.outputs["nodes"] == {"ran": 3, "cached": 0}
    assert ended.outputs["run"]


@pytest.mark.slow
def test_two_hundred_quick_jobs_tell_each_event_once_and_in_order(tmp_path: Path) -> None:
    count = 200

    async def use() -> Watch:
        async with crew(tmp_path) as team:

            def next_one(ended: Ended | None = None) -> None:
                at = len(team.watch.ends)
                if at < count:
                    team.begin(sums(at), f"job-{at}")

            team.watch.on_end = next_one
            await team.ready()
            next_one()
            await team.watch.until(lambda: len(team.watch.ends) == count)
            return team.watch

    watch = asyncio.run(use())
    assert {ended.status for ended in watch.ends} == {"finished"}
    assert [ended.job for ended in watch.ends] == [f"job-{at}" for at in range(count)]
    # Of one job nothing comes after another one's began.
    assert list(dict.fromkeys(job for job, _, _ in watch.told)) == [
        ended.job for ended in watch.ends
    ]
    for at in range(count):
        events = watch.events_of(f"job-{at}")
        assert [event.number for event in events] == list(range(len(events)))
        assert (events[0].kind, events[-1].kind) == ("job.started", "job.finished")
        assert sum(event.kind == "node.finished" for event in events) >= 1


def test_what_a_node_prints_or_reads_does_not_reach_the_frames(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path) as team:
            nodes = {
                "print": ("Print", {"lines": 50}),
                "end": ("Show", {"value": "@print"}),
                "ask": ("Ask", {}),
                "length": ("Number", {"value": 1}),
            }
            ended = await team.run(nodes, targets=["end", "ask"])
            assert ended.status == "finished"
            assert team.supervisor.idle == ["worker-1"]

    asyncio.run(use())


def test_previews_come_as_bytes_and_are_all_there(tmp_path: Path) -> None:
    async def use() -> Watch:
        async with crew(tmp_path) as team:
            await team.run(alone("Show1000", count=1000, size=5000))
            return team.watch

    watch = asyncio.run(use())
    numbers = [event.number for event in watch.events_of("job")]
    assert numbers == sorted(set(numbers))
    images = [e.data["image"] for e in watch.events_of("job") if e.kind == "node.preview"]
    # Where the server doesn't keep up, the newest one counts.
    assert images[-1] == bytes([999 % 256]) * 5000
    steps = [e.data["step"] for e in watch.events_of("job") if e.kind == "node.progress"]
    assert steps == sorted(steps)
    assert steps[-1] == 1000


def test_a_failed_node_is_told_with_its_place_and_trace(tmp_path: Path) -> None:
    async def use() -> Ended:
        async with crew(tmp_path) as team:
            ended = await team.run(alone("Fail", value=2))
            assert (await team.run(sums(1), "next")).status == "finished"
            return ended

    ended = asyncio.run(use())
    assert ended.status == "failed"
    assert ended.error is not None
    assert (ended.error["node"], ended.error["node_type"]) == ("it", "trouble:Fail")
    assert ended.error["message"] == "ValueError: no 2"
    assert "trouble.py" in ended.error["trace"]
    assert ended.error["problems"][0]["code"] == "node-failed"


def test_a_job_that_cannot_run_fails_with_all_its_problems(tmp_path: Path) -> None:
    unknown = '{"format": "nodegraph/1", "nodes": {"a": {"type": "No"}}}'
    cases: dict[str, dict[str, Any]] = {
        "invalid-file": {"text": "{"},
        "unknown-node-type": {"text": unknown},
        "unknown-parameter": {"parameters": {"no": 1}},
        "bad-target": {"targets": ["no"]},
        "invalid-value": {"options": {"deadline": "soon"}},
    }

    async def use() -> dict[str, Ended]:
        async with crew(tmp_path) as team:
            return {
                code: await team.run(sums(1), code, **options) for code, options in cases.items()
            }

    for code, ended in asyncio.run(use()).items():
        assert ended.status == "failed"
        assert ended.error is not None
        assert [problem["code"] for problem in ended.error["problems"]] == [code]


@pytest.mark.slow
def test_a_hook_that_exits_like_a_script_ends_neither_worker_nor_planner(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path, planner=True) as team:
            ended = await team.run({"it": ("Quit", {})})
            assert ended.status == "failed"
            assert ended.error is not None
            assert "SystemExit" in ended.error["message"]
            with raises(QuestionFailed):
                await team.supervisor.ask(
                    "check", {"workflow": run_of({"it": ("Quit", {})}).workflow}
                )
            assert (await team.run(sums(1), "next")).status == "finished"
            assert not team.watch.deaths

    asyncio.run(use())


def test_a_running_job_is_cancelled_and_another_one_is_not(tmp_path: Path) -> None:
    async def use() -> Ended:
        async with crew(tmp_path) as team:
            await team.ready()
            team.begin(alone("Wait", here=team.path("here"), gate=team.path("never")))
            await team.there("here")
            assert not team.supervisor.cancel("other", 1)
            assert not team.supervisor.cancel("job", 2)
            assert team.supervisor.cancel("job", 1, "enough")
            await team.watch.until(lambda: team.watch.ends)
            assert team.supervisor.idle == ["worker-1"]
            return team.watch.ends[0]

    assert asyncio.run(use()).status == "cancelled"


@pytest.mark.slow
def test_a_job_is_cancelled_while_a_node_holds_up_the_event_loop(tmp_path: Path) -> None:
    async def use() -> Ended:
        async with crew(tmp_path) as team:
            await team.ready()
            nodes = {
                "block": ("Block", {"here": team.path("here"), "gate": team.path("gate")}),
                **alone("Wait", here=team.path("there"), gate=team.path("never")),
                "other": ("Show", {"value": "@block"}),
            }
            team.begin(nodes)
            await team.there("here")
            team.supervisor.cancel("job", 1)
            heard = team.supervisor.status("worker-1").last_heartbeat
            assert heard is not None
            Path(team.path("gate")).touch()
            await team.watch.until(lambda: team.watch.ends)
            return team.watch.ends[0]

    assert asyncio.run(use()).status == "cancelled"


def test_a_deadline_that_passes_fails_the_job(tmp_path: Path) -> None:
    async def use() -> Ended:
        async with crew(tmp_path) as team:
            nodes = alone("Wait", here=team.path("here"), gate=team.path("never"))
            return await team.run(nodes, options={"deadline": 0.05})

    ended = asyncio.run(use())
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error["code"] == "deadline"


def counting(team: Crew) -> dict[str, Any]:
    """Forty steps, with a stop at the seventeenth until there is a gate."""
    inputs = {"total": 40, "seed": 3, "at": 17}
    return {"it": ("Count", {**inputs, "diary": team.path("diary"), "gate": team.path("gate")})}


def steps(team: Crew) -> list[int]:
    """Those that were walked, over all attempts."""
    diary = team.folder / "diary"
    return [int(line) for line in diary.read_text().split()] if diary.exists() else []


def digest(ended: Ended) -> str:
    assert ended.status == "finished"
    assert ended.outputs is not None
    return str(ended.outputs["outputs"]["it.number"])


def test_a_released_job_goes_on_in_another_process_to_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def undisturbed(folder: Path) -> str:
        async with crew(folder) as team:
            (folder / "gate").touch()
            return digest(await team.run(counting(team), targets=["it"]))

    async def released(folder: Path) -> str:
        async with crew(folder) as team:
            await team.ready()
            team.begin(counting(team), targets=["it"])
            await team.watch.until(lambda: len(steps(team)) == 17)
            assert team.supervisor.release("job", 1)
            await team.watch.until(lambda: team.watch.ends)
            assert team.watch.ends[0].status == "released"
        async with crew(folder) as team:
            again = digest(await team.run(counting(team), targets=["it"], attempt=2))
            assert "node.restored" in team.watch.kinds("job")
            assert steps(team) == list(range(1, 41))
            return again

    folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
    assert asyncio.run(released(folders[0])) == asyncio.run(undisturbed(folders[1]))


def test_a_busy_worker_gives_its_job_back_when_all_stop(tmp_path: Path) -> None:
    async def use() -> tuple[Watch, int]:
        async with crew(tmp_path) as team:
            await team.ready()
            team.begin(counting(team), targets=["it"])
            await team.watch.until(lambda: len(steps(team)) == 17)
            pid = team.pid()
        return team.watch, pid

    watch, pid = asyncio.run(use())
    assert [ended.status for ended in watch.ends] == ["released"]
    assert not watch.deaths
    assert not is_alive(pid)


def test_a_worker_that_does_not_end_in_time_is_killed_with_its_job(tmp_path: Path) -> None:
    async def use() -> tuple[Watch, int]:
        async with crew(tmp_path, shutdown_grace=0.2) as team:
            await team.ready()
            nodes = alone("Wait", here=team.path("here"), gate=team.path("never"), heeds=False)
            team.begin(nodes)
            await team.there("here")
            pid = team.pid()
        return team.watch, pid

    watch, pid = asyncio.run(use())
    ((worker, job, attempt, death),) = watch.deaths
    assert (worker, job, attempt, death.node) == ("worker-1", "job", 1, "it")
    assert not is_alive(pid)


def test_the_planner_answers_while_workers_are_busy(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path, planner=True) as team:
            await team.ready()
            team.begin(alone("Wait", here=team.path("here"), gate=team.path("never")))
            await team.there("here")
            text = run_of(sums(1)).workflow
            plan = await team.supervisor.ask("plan", {"workflow": text})
            assert plan["valid"]
            assert set(plan["nodes"]) == {"a", "it", "end"}
            wrong = {"workflow": json.loads(text), "parameters": {"no": 1}, "targets": ["it", "b"]}
            found = await team.supervisor.ask("check", wrong)
            assert not found["valid"]
            codes = {problem["code"] for problem in found["problems"]}
            assert codes == {"unknown-parameter", "bad-target"}
            asked = [team.supervisor.ask("check", {"workflow": text}) for _ in range(20)]
            assert all(answer["valid"] for answer in await asyncio.gather(*asked))
            with raises(QuestionFailed, given="plans"):
                await team.supervisor.ask("plans")
            with pytest.raises(QuestionFailed) as failure:
                await team.supervisor.ask("plan", {"workflow": "{"})
            assert failure.value.problem.code == "invalid-file"
            assert team.supervisor.status("worker-1").state == "busy"

    asyncio.run(use())


@pytest.mark.slow
def test_the_planner_finds_a_pack_that_came_later(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path, planner=True) as team:
            before = (await team.supervisor.ask("node_types"))["node_types"]
            pack = tmp_path / "home" / "packs" / "later.py"
            pack.parent.mkdir(parents=True, exist_ok=True)
            pack.write_text(
                "from nodegraph.api import node\n@node()\ndef New(a: int) -> int:\n    return a\n"
            )
            after = await team.supervisor.ask("node_types")
            assert after == {"node_types": before + 1, "problems": []}
            assert list((tmp_path.parent / "cache" / "specs").glob("nodegraph_packs.later-*"))

    asyncio.run(use())


@pytest.mark.slow
def test_workers_are_renewed_once_they_have_no_job(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path, backoff_first=1000) as team:
            await team.ready()
            first = team.pid()
            team.begin(alone("Wait", here=team.path("here"), gate=team.path("gate")))
            await team.there("here")
            team.supervisor.renew()
            assert team.supervisor.status("worker-1").state == "busy"
            Path(team.path("gate")).touch()
            await team.ready(2)
            assert [ended.status for ended in team.watch.ends] == ["finished"]
            assert team.pid() != first
            assert team.supervisor.status("worker-1").restarts == 0
            assert not team.watch.deaths

    asyncio.run(use())


@pytest.mark.slow
def test_a_worker_that_has_had_a_job_is_started_anew_where_a_new_one_is_wanted(
    tmp_path: Path,
) -> None:
    async def use() -> None:
        async with crew(tmp_path) as team:
            await team.ready()
            pid = team.pid()
            assert team.supervisor.ensure_new("worker-1")
            assert team.pid() == pid
            await team.run(sums(1))
            assert not team.supervisor.ensure_new("worker-1")
            assert team.supervisor.free == []
            await team.ready(2)
            assert team.pid() != pid
            assert team.supervisor.ensure_new("worker-1")
            assert team.watch.deaths == []

    asyncio.run(use())


def test_orders_that_cannot_be_followed_are_refused(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path) as team:
            with pytest.raises(WorkerNotIdle):
                team.supervisor.run("worker-1", run_of(sums(1)))
            with raises(NoAnswer):
                await team.supervisor.ask("plan")
            await team.ready()
            with raises(ProtocolFault, given="68.2 MB"):
                team.begin(sums(1), text="x" * (65 << 20))
            assert team.supervisor.idle == ["worker-1"]
            team.begin(alone("Wait", here=team.path("here"), gate=team.path("never")))
            with pytest.raises(WorkerNotIdle):
                team.supervisor.run("worker-1", run_of(sums(1), "other"))

    asyncio.run(use())


def test_workers_need_names_of_their_own_and_one_planner_is_enough() -> None:
    async def made(*specs: WorkerSpec) -> None:
        Supervisor(specs, Watch())

    with raises(ValueError):
        asyncio.run(made(WorkerSpec("a"), WorkerSpec("a")))
    with raises(ValueError):
        asyncio.run(made(WorkerSpec("a", "planner"), WorkerSpec("b", "planner")))


@pytest.mark.slow
def test_an_edited_pack_is_taken_up_by_the_next_job_of_worker_and_planner(tmp_path: Path) -> None:
    pack = tmp_path / "home" / "packs" / "edited.py"
    pack.parent.mkdir(parents=True, exist_ok=True)
    nodes = {
        "it": {"type": "edited:Get"},
        "end": {"type": "edited:Tell", "inputs": {"value": {"from": "it"}}},
    }
    tell = (
        "@node(output=True)\ndef Tell(ctx: Context, value: int) -> None:\n"
        "    ctx.log(f'got {value}')\n"
    )
    text = json.dumps({"format": "nodegraph/1", "nodes": nodes})

    async def use() -> None:
        async with crew(tmp_path, planner=True) as team:
            await team.ready()
            first = team.pid()
            for number in (11, 22, 11):
                pack.write_text(
                    f"from nodegraph import Context, node\n{tell}"
                    f"@node\ndef Get() -> int:\n    return {number}\n"
                )
                plan = await team.supervisor.ask("plan", {"workflow": text})
                assert plan["valid"], plan
                job = f"job{len(team.watch.ends)}"
                ended = await team.run({}, job, text=text)
                assert ended.status == "finished", ended.error
                (said,) = [event for event in team.watch.events_of(job) if event.kind == "log"]
                assert said.data["message"] == f"got {number}"
            assert plan["nodes"]["it"]["status"] == "hit"
            assert team.pid() == first

    asyncio.run(use())
