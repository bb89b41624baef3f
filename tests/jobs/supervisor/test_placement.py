"""Jobs reach the worker that suits them best: by what it is for, and by what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.queue import Job, WorkerWish
from nodegraph.jobs.supervisor.placement import LoadedModels, WorkerPlace, best_first
from tests.jobs.queue.support import claim, open_queue, submit
from tests.jobs.supervisor.dispatching import dispatching, run, until

SPARED = WorkerWish(without_gpu=True)
RATHER = WorkerWish(gpu_first=True)


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
        WorkerPlace("small", models=frozenset("x"), room=8),
        WorkerPlace("cpu", without_gpu=True),
        WorkerPlace("large", models=frozenset("yz"), room=80),
    ]
    assert best_first(places, _job(tmp_path, **wanted)) == names


def test_an_idle_worker_goes_before_a_busy_one_with_the_model(tmp_path: Path) -> None:
    places = [
        WorkerPlace("busy", is_busy=True, models=frozenset("x")),
        WorkerPlace("idle"),
        WorkerPlace("cpu", without_gpu=True, is_busy=True),
    ]
    assert best_first(places, _job(tmp_path, models=["x"])) == ["idle", "busy"]


def _job(folder: Path, **wanted: Any) -> Job:
    with open_queue(folder) as queue:
        submit(queue, **wanted)
        return claim(queue)


def test_a_model_is_held_as_long_as_all_its_weights_are() -> None:
    loaded = LoadedModels()
    loaded.ran(["x"], [])  # its results were known
    assert not loaded.held
    loaded.ran(["x"], ["unet", "vae"])
    loaded.ran(["x", "control"], ["unet", "vae", "net"])
    assert loaded.held == {"x", "control"}
    loaded.ran(["y"], ["vae", "net", "other unet"])
    assert loaded.held == {"control", "y"}
    loaded.ran(["x"], ["unet", "vae"])
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
            it.workers.wishes = {"two": WorkerWish(models=frozenset("y"))}
            first = await it.submit(models=["y"])
            await it.running(first, "two")
            second = await it.submit(models=["y"])
            await it.running(second, "one")

    run(test())


def test_a_worker_is_gone_before_it_has_its_job(tmp_path: Path) -> None:
    """Nobody else may have it, so it waits again."""

    async def test() -> None:
        async with dispatching(tmp_path, "cpu", "card") as it:
            it.workers.wishes = {"cpu": SPARED}
            await until(lambda: it.dispatcher._claims.count == 0)
            job = submit(it.queue).id
            it.dispatcher.wake()
            it.queue.recover().result()
            assert it.queue.get(job).worker == "card"
            it.workers.die("card")
            await it.state(job, "queued")
            assert it.workers.busy() == []
            it.workers.start("card")
            assert await it.running(job, "card") == 2

    run(test())
