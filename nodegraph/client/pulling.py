"""Bringing what a job gave to this machine."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from nodegraph.client.downloads import downloaded
from nodegraph.client.file_names import marked, safe_name
from nodegraph.client.job_calls import get
from nodegraph.client.retries import Retries
from nodegraph.client.sending import sent
from nodegraph.client.shapes import Job, JobSummary, OutputFile
from nodegraph.client.shapes.jobs import id_of
from nodegraph.client.steps import Steps
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue, OutputError

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many there are."""
_STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class Pulled:
    """A file of a job, here.

    Attributes:
        existed: Whether the same was there before.
    """

    path: Path
    file: OutputFile
    existed: bool


@dataclass(frozen=True, slots=True)
class PullWish:
    """What is to be pulled, and how.

    Attributes:
        folder: Where the files go; made if it isn't there.
        nodes: Only what these wrote; None for all files.
        overwrite: Whether another file of the same name is replaced. If not, the new one gets
            another name, which is always the same for the same file.
        progress: Is told how much of all is there.
    """

    folder: Path
    nodes: Collection[str] | None = None
    overwrite: bool = False
    progress: Progress | None = None


def pulled(job: JobSummary | str, wish: PullWish, retries: Retries) -> Steps[tuple[Pulled, ...]]:
    """The files of a job that has finished, downloaded.

    Raises:
        JobFailed: It has failed, or was cancelled.
        InvalidValue: It hasn't ended, or such a node gave nothing.
        WrongDigest, OutputError: See `nodegraph.client.downloads`.
    """
    found = job if isinstance(job, Job) else (yield from sent(get(id_of(job)), retries))
    if not found.checked().is_over:
        raise InvalidValue(
            "the job hasn't finished, so there are no files of it",
            given=f"{found.id}, {found.state}",
            hint="Wait for it first.",
        )
    files = _chosen(found, wish.nodes)
    total, before = sum(file.size for file in files), 0
    taken: dict[Path, str] = {}
    done: list[Pulled] = []
    for file in files:
        path, existed = _target(file, wish, taken)
        if not existed:
            yield from downloaded(file, path, retries, _share(wish.progress, before, total))
        before += file.size
        if wish.progress is not None:
            wish.progress(before, total)
        taken[path] = file.digest
        done.append(Pulled(path, file, existed))
    return tuple(done)


def _share(progress: Progress | None, before: int, total: int) -> Callable[[int], None] | None:
    return None if progress is None else lambda size: progress(before + size, total)


def _chosen(job: Job, nodes: Collection[str] | None) -> list[OutputFile]:
    if nodes is None:
        return list(job.files)
    wrote = {file.node for file in job.files}
    for node in nodes:
        if node not in wrote:
            hint = did_you_mean(node, wrote) or None
            raise InvalidValue("no node of that name gave a file", given=node, hint=hint)
    return [file for file in job.files if file.node in nodes]


def _target(file: OutputFile, wish: PullWish, taken: dict[Path, str]) -> tuple[Path, bool]:
    """Where a file goes, and whether it is there already."""
    path = wish.folder / safe_name(file.name)
    others = (path, marked(path, file.digest))
    for place in others:
        if taken.get(place) == file.digest:
            return place, True
        if place in taken:
            continue
        if not place.exists() and not place.is_symlink():
            return place, False
        if _is_same(place, file):
            return place, True
        if wish.overwrite and place.is_file():
            return place, False
    raise OutputError(
        f"there is something else at {others[0]} and at {others[1]}",
        hint="Pull into another folder.",
    )


def _is_same(path: Path, file: OutputFile) -> bool:
    try:
        if not path.is_file() or path.stat().st_size != file.size:
            return False
        found = blake3()
        with path.open("rb") as opened:
            while data := opened.read(_STEP):
                found.update(data)
    except OSError:
        return False
    return found.hexdigest() == file.digest
