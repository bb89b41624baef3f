"""The library of results: starring, tagging and finding among 1,000 and 100,000 results.

    python benchmarks/library.py [--json] [--quick]

Each time stands beside that of reading all rows of the catalogue in the same run. Jobs are of
20 files each, so that they are there sooner; a search looks through prompts of some sixty words.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from common import Figure, options, show, taken

from nodegraph.jobs.queue import JobQueue, Submission
from nodegraph.server.content.artifacts import ArtifactFilter, Artifacts
from nodegraph.server.content.artifacts.annotations import AnnotationChange, open_library
from nodegraph.server.content.artifacts.search import parse_search
from nodegraph.server.content.artifacts.thumbnails import Thumbnails

_FILES = 20
"""Of a job."""
_CHANGED = 1_000
"""Results that are starred or tagged at a time."""
_ROUNDS = 5
_MODELS = ("sdxl/base.safetensors", "flux/dev.safetensors", "tiny")
_SAMPLERS = ("euler", "dpmpp_2m", "ddim", "heun")
_ALL = """
SELECT uses.number, files.digest, path, size, media_type, width, height, kind, node, uses.job,
    uses.client, at, jobs.name, existed, jobs.words
FROM uses JOIN files ON files.number = uses.file JOIN jobs ON jobs.job = uses.job
"""
_SEARCHES = (
    "",
    "cat",
    "unicorn",
    "nowhere-to-be-found",
    "seed:77",
    "model:flux sampler:heun steps:30",
    "size:640x512",
    "stars:4",
    "stars:4 model:sdxl",
    "tag:keep",
    "after:2000-01-01 stars:5 cat",
)


def _digest(number: int) -> str:
    return f"{number:064x}"


def _submissions(jobs: int) -> Iterator[Submission]:
    chance = random.Random(1)
    words = [f"word{at}" for at in range(5_000)]
    for number in range(jobs):
        prompt = [*chance.choices(words, k=60), chance.choice(("cat", "dog"))]
        # What one job in all has is the longest to find.
        prompt += ["unicorn"] if number == 3 else []
        nodes = {
            "load": {"type": "LoadModel", "inputs": {"model": chance.choice(_MODELS)}},
            "positive": {"type": "EncodePrompt", "inputs": {"text": " ".join(prompt)}},
            "sample": {
                "type": "KSampler",
                "inputs": {
                    "model": {"from": "load.model"},
                    "positive": {"from": "positive"},
                    "seed": number,
                    "steps": chance.choice((10, 20, 30)),
                    "sampler": chance.choice(_SAMPLERS),
                },
            },
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "sample"}}},
        }
        yield Submission("local", {"format": "nodegraph/1", "nodes": nodes}, f"job {number}")


def _files(job: int) -> list[dict[str, Any]]:
    return [
        {
            "path": f"/outputs/{job}-{at}.png",
            "node": "save",
            "kind": "image",
            "media_type": "image/png",
            "size": 1_000,
            "digest": _digest(job * _FILES + at),
            "width": 512 if at else 640,
            "height": 512,
        }
        for at in range(_FILES)
    ]


def _filled(queue: JobQueue, results: int) -> None:
    jobs = results // _FILES
    queue.submit_all(list(_submissions(jobs))).result()
    ends = []
    for number in range(jobs):
        job = queue.claim("worker").result()
        assert job is not None
        ends.append(queue.finish(job.id, job.attempt, {"files": _files(number)}))
    for end in ends:
        end.result()


def _best(action: Any) -> float:
    return min(taken(action) for _ in range(_ROUNDS))


def _measured(results: int, home: Path) -> Iterator[Figure]:
    thumbnails = Thumbnails(home / "thumbnails")
    with JobQueue(home / "queue.sqlite", synced=False, most_waiting=results) as queue:
        _filled(queue, results)
        library = open_library(home / "library.sqlite")
        artifacts = Artifacts(home / "artifacts.sqlite", queue, [home], thumbnails, library)
        with closing(artifacts):
            entered = taken(artifacts.catch_up)

            def read() -> None:
                with artifacts._catalogue._database.reading() as connection:
                    assert len(connection.execute(_ALL).fetchall()) == results

            baseline = _best(read)
            against = f"reading {results:,} rows"
            yield Figure(f"entering {results:,} results", entered, "s", None, baseline, against)
            for what, changes in (
                ("star", [AnnotationChange(stars=at % 5 + 1) for at in range(_ROUNDS)]),
                ("tag", [AnnotationChange(add_tags=(f"keep{at}", "keep")) for at in range(5)]),
            ):
                yield from _changes(artifacts, results, what, changes, baseline, against)
            yield from _counts(artifacts, results, baseline, against)
            for text in _SEARCHES:
                terms = parse_search(text)
                seconds = _best(
                    lambda terms=terms: artifacts.page(ArtifactFilter("local", terms=terms))
                )
                name = f"find `{text}` among {results:,}"
                yield Figure(name[:52], 1000 * seconds, "ms", None, 1000 * baseline, against)


def _changes(
    artifacts: Artifacts,
    results: int,
    what: str,
    changes: Sequence[AnnotationChange],
    baseline: float,
    against: str,
) -> Iterator[Figure]:
    count = min(_CHANGED, results)
    digests = [_digest(at * (results // count)) for at in range(count)]
    changed = min(
        taken(lambda change=change: artifacts.annotate(digests, "local", change))  # type: ignore[misc]
        for change in changes
    )
    copied = taken(artifacts.catch_up)
    name = f"{what} {count:,} of {results:,} results"
    yield Figure(name, 1000 * changed, "ms", None, 1000 * baseline, against)
    name = f"  and have lists show it, {len(changes)} times"
    yield Figure(name, 1000 * copied, "ms", None, 1000 * baseline, against)


def _counts(artifacts: Artifacts, results: int, baseline: float, against: str) -> Iterator[Figure]:
    """What pages list beside the results, where each of them has a tag and is on a board."""
    board = artifacts.library.add_board("local", "Covers")
    change = AnnotationChange(add_tags=("all",), texts={"board": board.id})
    for start in range(0, results, _CHANGED):
        artifacts.annotate(
            [_digest(number) for number in range(start, start + _CHANGED)], "local", change
        )
    artifacts.catch_up()
    for what, listed in (("tags", artifacts.tag_counts), ("boards", artifacts.boards)):
        seconds = _best(lambda listed=listed: listed("local"))
        yield Figure(
            f"count the {what} of {results:,}", 1000 * seconds, "ms", None, 1000 * baseline, against
        )


def main() -> None:
    """Measure, and print."""
    chosen = options(__doc__)

    def figures() -> Iterator[Figure]:
        for results in (1_000,) if chosen.quick else (1_000, 100_000):
            with tempfile.TemporaryDirectory() as folder:
                yield from _measured(results, Path(folder))

    show(figures(), as_json=chosen.json)


if __name__ == "__main__":
    main()
