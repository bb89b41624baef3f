"""What isn't to be kept goes by itself, and not because a clock is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nodegraph.jobs.queue import Counts
from nodegraph.server.content.artifacts import ArtifactFilter
from nodegraph.server.content.artifacts.annotations import AnnotationChange
from nodegraph.server.operations.cleanup import Cleanup, CleanupReport
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import Settings
from tests.server.resources import finished, picture, pieces, written

DAY = 86_400.0


class Clocks:
    """The machine's clock, and one that never jumps."""

    def __init__(self) -> None:
        self.wall = 2e9
        self.steady = 0.0

    def go(self, seconds: float) -> None:
        """Time passes."""
        self.wall += seconds
        self.steady += seconds


@asynccontextmanager
async def opened(
    home: Path, clocks: Clocks, **retention: Any
) -> AsyncIterator[tuple[Services, Cleanup]]:
    """A server's services and their upkeep, which go by a test's clocks."""
    server = ServerSettings(retention=retention)
    services = Services(Settings(home=home), server, has_workers=False)
    await services.open()
    services.queue._clock = services.uploads._clock = lambda: clocks.wall
    upkeep = Cleanup(services, lambda: clocks.wall, lambda: clocks.steady)
    try:
        yield services, upkeep
    finally:
        await services.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_old_jobs_go_with_what_is_listed_of_them_and_their_files_stay(home: Path) -> None:
    async def test() -> None:
        clocks = Clocks()
        async with opened(home, clocks, seconds=5 * DAY) as (services, upkeep):
            path = services.outputs / "a.png"
            finished(services.queue, [written(path, picture())])
            clocks.go(4 * DAY)
            finished(services.queue, [])
            assert len(services.artifacts.page(ArtifactFilter()).artifacts) == 1
            assert await upkeep.round() == CleanupReport()
            clocks.go(2 * DAY)
            assert await upkeep.round() == CleanupReport(jobs=1, artifacts=1)
            assert services.queue.counts() == Counts(finished=1)
            assert services.artifacts.page(ArtifactFilter()).artifacts == ()
            assert path.exists()

    run(test())


def test_one_fault_leaves_out_nothing_else(home: Path) -> None:
    async def test() -> None:
        clocks = Clocks()
        async with opened(home, clocks, seconds=DAY, upload_seconds=DAY) as (services, upkeep):
            finished(services.queue, [written(services.outputs / "a.png", picture())])
            assert services.artifacts.page(ArtifactFilter()).artifacts
            upload, _ = await services.uploads.receive(pieces(picture()), "a.png", "ann")
            path = services.uploads.path(upload)
            path.unlink()
            path.mkdir()  # what can't be deleted as a file
            clocks.go(2 * DAY)
            assert await upkeep.round() == CleanupReport(jobs=1, artifacts=1)
            path.rmdir()
            assert await upkeep.round() == CleanupReport()

    run(test())


def test_uploads_go_that_nobody_has_used_for_long(home: Path) -> None:
    async def test() -> None:
        clocks = Clocks()
        async with opened(home, clocks, upload_seconds=DAY) as (services, upkeep):
            upload, _ = await services.uploads.receive(pieces(picture()), "a.png", "ann")
            clocks.go(0.9 * DAY)
            services.uploads.resolve([upload.reference], "ann")
            clocks.go(0.9 * DAY)
            assert await upkeep.round() == CleanupReport()
            clocks.go(0.2 * DAY)
            assert await upkeep.round() == CleanupReport(uploads=1)
            assert not services.uploads.path(upload).exists()

    run(test())


def test_uploads_have_as_much_room_as_the_settings_say(home: Path) -> None:
    async def test() -> None:
        clocks, data = Clocks(), picture(64, 64)
        async with opened(home, clocks, upload_bytes=len(data) + 10) as (services, _):
            first, _ = await services.uploads.receive(pieces(data), "a.png", "ann")
            clocks.go(DAY)
            other = picture(64, 64, color=(1, 2, 3))
            await services.uploads.receive(pieces(other), "b.png", "ann")
            assert not services.uploads.path(first).exists()

    run(test())


def test_a_clock_that_jumps_ahead_makes_nothing_old_at_once(home: Path) -> None:
    async def test() -> None:
        clocks = Clocks()
        async with opened(home, clocks, seconds=5 * DAY) as (services, upkeep):
            finished(services.queue, [])
            clocks.go(60)
            clocks.wall += 3650 * DAY
            assert await upkeep.round() == CleanupReport()
            # Somebody has mended it before the next round.
            clocks.go(60)
            clocks.wall -= 3650 * DAY
            assert await upkeep.round() == CleanupReport()
            clocks.go(3_600)
            assert await upkeep.round() == CleanupReport()
            assert services.queue.counts() == Counts(finished=1)
            # Nobody has: then it is the right time.
            clocks.wall += 3650 * DAY
            assert await upkeep.round() == CleanupReport()
            clocks.go(3_600)
            assert await upkeep.round() == CleanupReport(jobs=1)

    run(test())


def test_rules_that_were_changed_hold_from_the_next_round_on(home: Path) -> None:
    async def test() -> None:
        clocks = Clocks()
        async with opened(home, clocks) as (services, upkeep):
            for _ in range(3):
                finished(services.queue, [])
            assert await upkeep.round() == CleanupReport()
            retention = services.server.retention.model_copy(update={"count": 1})
            services.server = services.server.model_copy(update={"retention": retention})
            assert (await upkeep.round()).jobs == 2

    run(test())


def test_a_queue_that_cant_be_written_is_tidied_another_time(home: Path) -> None:
    async def test() -> None:
        clocks = Clocks()
        async with opened(home, clocks, seconds=DAY) as (services, upkeep):
            finished(services.queue, [])
            clocks.go(2 * DAY)
            away = home / "elsewhere.sqlite"
            services.queue.location.rename(away)
            assert await upkeep.round() == CleanupReport()
            away.rename(services.queue.location)
            assert (await upkeep.round()).jobs == 1

    run(test())


def test_the_rounds_come_by_themselves(home: Path) -> None:
    async def test() -> None:
        clocks = Clocks()
        async with opened(home, clocks, seconds=DAY, every=0.01) as (services, upkeep):
            finished(services.queue, [])
            clocks.go(2 * DAY)
            task = asyncio.create_task(upkeep.run())
            while services.queue.counts() != Counts():
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])

    run(test())


def test_results_about_which_something_was_noted_outlive_the_others(home: Path) -> None:
    async def test() -> None:
        clocks = Clocks()
        async with opened(home, clocks, count=1, trash_days=None) as (services, upkeep):
            digests = []
            for at in range(5):
                file = written(services.outputs / f"{at}.png", picture(color=(at, 0, 0)))
                finished(services.queue, [file])
                digests.append(file["digest"])
            noted = AnnotationChange(stars=5)
            assert services.artifacts.annotate(digests[:2], None, noted) == 2
            assert await upkeep.round() == CleanupReport(jobs=2, artifacts=2)
            left = services.artifacts.page(ArtifactFilter()).artifacts
            assert [Path(each.path).name for each in left] == ["4.png", "1.png", "0.png"]
            assert await upkeep.round() == CleanupReport()
            services.artifacts.annotate(digests[:1], None, AnnotationChange(stars=0))
            assert await upkeep.round() == CleanupReport(jobs=1, artifacts=1)

    run(test())


def test_the_trash_is_emptied_after_some_days(home: Path) -> None:
    async def test() -> None:
        clocks = Clocks()
        async with opened(home, clocks, seconds=None, trash_days=3) as (services, upkeep):
            files = [
                written(services.outputs / f"{at}.png", picture(color=(at, 0, 0)))
                for at in range(2)
            ]
            for file in files:
                finished(services.queue, [file])
            services.artifacts.library._clock = lambda: clocks.wall
            artifacts = services.artifacts
            artifacts.annotate([files[0]["digest"]], None, AnnotationChange(stars=5))
            assert artifacts.trash([files[0]["digest"]], None) == 1
            clocks.go(2 * DAY)
            assert await upkeep.round() == CleanupReport()
            assert artifacts.trash([files[1]["digest"]], None) == 1
            clocks.go(2 * DAY)
            assert await upkeep.round() == CleanupReport(trashed=1)
            assert not (services.outputs / "0.png").exists()
            assert artifacts.restore([files[1]["digest"]], None) == 1
            (left,) = artifacts.page(ArtifactFilter()).artifacts
            assert Path(left.path).name == "1.png"

    run(test())
