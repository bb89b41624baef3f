"""Jobs reach the worker that suits them best: by what it is for, and by what it holds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.queue import BatchPartners, Job, JobCriteria
from nodegraph.jobs.supervisor.placement import LoadedModels, WorkerCandidate, rank_workers
from tests.jobs.queue.support import claim, open_queue, submit
from tests.jobs.supervisor.dispatching import Dispatching, dispatching, run, until

SPARED = JobCriteria(without_gpu=True)
RATHER = JobCriteria(gpu_first=True)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["small", "large"]),
        ({"gpu": False}, ["cpu", "small", "large"]),
        ({"models": ["y"]}, ["large", "small"]),
        ({"models": ["w"]}, ["small", "large"]),
        ({"models": ["x", "y", "z"]}, ["large", "small"]),
        ({"plan": {"totals": {"memory": {"cuda:0": 9, "cpu": 99}}}}, ["large", "small"]),
        ({"plan": {"totals": {"memory": {"cuda:0": 5}}}}, ["small", "large"]),
        # To load a model takes longer than to bring in parts one that is there.
        ({"models": ["x"], "plan": {"totals": {"memory": {"cuda:0": 9}}}}, ["small", "large"]),
    ],
)
def test_the_best_worker_for_a_job(
    tmp_path: Path, wanted: dict[str, Any], names: list[str]
) -> None:
    places = [
        WorkerCandidate("small", models=frozenset("x"), room=8),
        WorkerCandidate("cpu", without_gpu=True),
        WorkerCandidate("large", models=frozenset("yz"), room=80),
    ]
    assert rank_workers(places, _job(tmp_path, **wanted)) == names


def test_an_idle_worker_goes_before_a_busy_one_with_the_model(tmp_path: Path) -> None:
    places = [
        WorkerCandidate("busy", is_busy=True, models=frozenset("x")),
        WorkerCandidate("idle"),
        WorkerCandidate("cpu", without_gpu=True, is_busy=True),
    ]
    assert rank_workers(places, _job(tmp_path, models=["x"])) == ["idle", "busy"]


def test_of_equals_who_helps_with_a_job_comes_last(tmp_path: Path) -> None:
    places = [
        WorkerCandidate("helping", is_helping=True),
        WorkerCandidate("idle"),
        WorkerCandidate("holding", is_helping=True, models=frozenset("x")),
    ]
    assert rank_workers(places, _job(tmp_path, models=["x"])) == ["holding", "idle", "helping"]


def _job(folder: Path, **wanted: Any) -> Job:
    with open_queue(folder) as queue:
        submit(queue, **wanted)
        return claim(queue)


def test_a_model_is_held_as_long_as_all_its_weights_are() -> None:
    loaded = LoadedModels()
    loaded.record_job(["x"], [])  # its results were known
    assert not loaded.held
    loaded.record_job(["x"], ["unet", "vae"])
    loaded.record_job(["x", "control"], ["unet", "vae", "net"])
    assert loaded.held == {"x", "control"}
    loaded.record_job(["y"], ["vae", "net", "other unet"])
    assert loaded.held == {"control", "y"}
    loaded.record_job(["x"], ["unet", "vae"])
    assert loaded.held == {"x"}


def test_only_those_that_have_a_gpu_run_what_needs_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, "cpu", "card") as it:
            it.workers.wishes = {"cpu": SPARED, "card": RATHER}
            paint = await it.submit(name="paint")
            await it.running(paint, "card")
            later = await it.submit(name="paint later")
            crop = await it.submit(name="crop", gpu=False)
            await it.running(crop, "cpu")
            cut = await it.submit(name="cut", gpu=False)
            it.workers.finish("card")
            await it.running(later, "card")
            # What needs none is left to the other, unless there is nothing else to do.
            it.workers.finish("card")
            await it.running(cut, "card")

    run(test())


def test_a_job_goes_to_the_idle_worker_that_holds_its_model(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, "one", "two") as it:
            await until(lambda: it.dispatcher._claims.count == 0)
            it.workers.wishes = {"two": JobCriteria(models=frozenset("y"))}
            first = await it.submit(models=["y"])
            await it.running(first, "two")
            second = await it.submit(models=["y"])
            await it.running(second, "one")

    run(test())


def test_a_busy_worker_that_takes_company_is_given_what_fits_and_nothing_else(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, "one") as it:
            workers = it.workers
            first = await it.submit(models=["x"], sampling="s")
            await it.running(first)
            other = await it.submit(models=["y"], sampling="s")
            workers.company["one"] = BatchPartners("s", frozenset("x"))
            it.dispatcher.joinable("one")
            await until(lambda: it.dispatcher._claims.count == 0)
            alike = await it.submit(models=["x"], sampling="s")
            await until(lambda: "one" in workers.beside)
            assert workers.beside["one"].job == alike
            assert it.queue.get(other).state == "queued"
            # Both that were passed over and what comes next are run as ever.
            workers.finish("one")
            await it.running(other)

    run(test())


def at_rest(it: Dispatching) -> bool:
    """Whether the queue is neither being asked for jobs nor will be without a reason."""
    return it.dispatcher._claims.count == 0 and it.dispatcher._claims._timer is None


def test_company_goes_to_whichever_of_several_busy_workers_it_suits(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, "one", "two") as it:
            workers = it.workers
            for model in ("x", "y"):
                await it.submit(models=[model], sampling="s")
            await until(lambda: len(workers.busy()) == 2)
            await until(lambda: at_rest(it))
            held = {workers.running(name).models[0]: name for name in ("one", "two")}
            for model, name in held.items():
                workers.company[name] = BatchPartners("s", frozenset(model))
            for model in reversed(held):
                job = await it.submit(models=[model], sampling="s")
                await until(lambda name=held[model]: name in workers.beside)  # type: ignore[misc]
                assert workers.beside[held[model]].job == job

    run(test())


def test_one_that_gets_idle_while_it_is_asked_for_company_has_what_waits(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, "one", "two") as it:
            for _ in range(2):
                await it.submit(models=["x"], sampling="s")
            await until(lambda: len(it.workers.busy()) == 2)
            await until(lambda: at_rest(it))
            company = BatchPartners("s", frozenset("x"))
            it.workers.company = {"one": company}
            other = await it.submit(models=["y"])
            await it.submit(models=["x"], sampling="s")
            await until(lambda: "one" in it.workers.beside)
            it.workers.company = {"one": company, "two": company}
            it.dispatcher.joinable("one")
            await until(lambda: at_rest(it))
            it.dispatcher.joinable("one")
            del it.workers.company["one"]
            it.workers.finish("one")
            await it.running(other, "one")

    run(test())


def test_a_job_that_a_worker_died_of_is_run_by_itself(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, "one") as it:
            job = await it.submit(models=["x"], sampling="s")
            await it.running(job)
            assert it.workers.running("one").sampling == "s"
            it.workers.die("one")
            it.workers.start("one")
            await it.running(job)
            assert it.workers.running("one").sampling == ""

    run(test())


def test_a_worker_is_gone_before_it_has_its_job(tmp_path: Path) -> None:
    """Nobody else may have it, so it waits again."""

    async def test() -> None:
        async with dispatching(tmp_path, "cpu", "card") as it:
            it.workers.wishes = {"cpu": SPARED}
            await until(lambda: it.dispatcher._claims.count == 0)
            job = submit(it.queue).id
            it.dispatcher.wake()
            await asyncio.sleep(0)  # the claim is put
            it.queue.recover().result()
            assert it.queue.get(job).worker == "card"
            it.workers.die("card")
            await it.state(job, "queued")
            assert it.workers.busy() == []
            it.workers.start("card")
            assert await it.running(job, "card") == 2

    run(test())
