"""What the store costs: names, hits, writing, and the memory of a process that runs for long.

    python benchmarks/store.py [--json] [--quick]

The baselines do with the bytes what can't be left out: hash them, read and check them, write and
hash them.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from blake3 import blake3
from common import Figure, Process, best, by_turns, options, show, taken, workflow_of

from nodegraph import Image, Workflow, node
from nodegraph.core.digests import digest_value
from nodegraph.engine.cache import Cache, CallOutputs, MemoryCache, get_tier
from nodegraph.store.entries import NewEntry, StoredOutput, UnsavedOutput
from nodegraph.store.store import Store

MIB = 1 << 20
PIECE = 16 * MIB
PAGE = os.sysconf("SC_PAGE_SIZE")
IN_JOB = 4
"""Images of a job, each of 1 MiB."""


@node
def Noise(seed: int, number: int) -> Image:
    """An image that takes a while, so that it is worth a file."""
    time.sleep(0.008)
    return drawn(MIB, seed * IN_JOB + number)


@node
def Even(value: float) -> Image:
    """An even image of 1 MiB."""
    return torch.full((1, 512, 512, 1), value)


@node
def Brighter(image: Image) -> Image:
    """An image that is a little brighter."""
    return image + 1


def drawn(size: int, seed: int) -> torch.Tensor:
    """A tensor of so many bytes that is like no other."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, size // 4096, 1024, 1, generator=generator)


def raw(tensor: torch.Tensor) -> memoryview:
    view: memoryview = tensor.numpy().data
    return view.cast("B")


def digesting(image: torch.Tensor, times: int) -> Figure:
    """Naming an image by its content."""
    ours = best(lambda: digest_value(image), times) * 1e3
    plain = best(lambda: blake3(raw(image)).hexdigest(), times) * 1e3
    return Figure("digest of a 12 MB image", ours, "ms", 12, plain, "blake3 of its bytes")


def hitting(folder: Path, image: torch.Tensor, times: int) -> Figure:
    """Finding a stored image by its key and reading it."""
    key, digest = "ab" * 32, digest_value(image)
    with Store(folder) as store:
        outputs = (UnsavedOutput(digest, image.nbytes, image),)
        store.put(key, NewEntry(outputs, None, "Image", 60.0, ""))
        store.flush()

    def hit(store: Store) -> None:
        entry = store.entry(key)
        assert entry is not None
        assert entry.outputs is not None
        assert torch.equal(store.load(entry.outputs[0])[0, 0, 0], image[0, 0, 0])

    def read(path: Path) -> None:
        blake3(path.read_bytes()).hexdigest()

    found = []
    for _ in range(times):
        with Store(folder) as store:
            found.append(taken(partial(hit, store)))
    (path,) = (folder / "artifacts").rglob("*.safetensors")
    plain = best(partial(read, path), times) * 1e3
    return Figure("disk hit of that image", min(found) * 1e3, "ms", 15, plain, "read and hash")


def finding(folder: Path, times: int) -> Figure:
    """Finding stored texts of 9,000 letters by their keys and reading them."""
    keys = [digest_value(["key", at]) for at in range(400)]
    with Store(folder, keep_cheap=True) as store:
        for at, key in enumerate(keys):
            text = f"{at:09,}" * 1000
            outputs = (UnsavedOutput(digest_value(text), len(text), text),)
            store.put(key, NewEntry(outputs, None, "Text", 60.0, ""))
        store.flush()
        query = "SELECT outputs FROM entries WHERE key = ?"

        def look() -> None:
            cache = Cache(MemoryCache(MIB), store)
            for key in keys:
                entry = cache.get(key)
                assert isinstance(entry, CallOutputs)
                assert get_tier(entry) == "disk"
                entry.products[0].load()

        files = [*(folder / "artifacts").rglob("*.msgpack")]

        def select() -> None:
            for key, path in zip(keys, files, strict=True):
                assert store.index.fetch_one(query, (bytes.fromhex(key),)) is not None
                blake3(path.read_bytes()).hexdigest()

        found = by_turns({"ours": look, "plain": select}, times)
    ours, plain = (min(found[each]) / len(keys) * 1e6 for each in ("ours", "plain"))
    return Figure("a stored value of 9 KB is found and read", ours, "µs", 150, plain, "bare")


def writing(folder: Path, size: int) -> Iterator[Figure]:
    """Putting large results, until all is on the disk."""
    ours: list[float] = []
    flushed: list[float] = []
    plain: list[float] = []
    rounds = 4
    with Store(folder / "store") as store:
        for turn in range(rounds):
            pieces = [
                drawn(PIECE, turn * 1000 + at) for at in range(max(size // PIECE // rounds, 1))
            ]
            written = sum(piece.nbytes for piece in pieces)
            named = [(digest_value(piece), piece) for piece in pieces]
            ours.append(written / taken(partial(put, store, named)))
            for found, sync in ((flushed, True), (plain, False)):
                where = folder / f"{turn} {sync}"
                where.mkdir()
                found.append(written / taken(partial(write, where, pieces, sync=sync)))
                for path in where.iterdir():
                    path.unlink()
    speed = statistics.median(ours) / 1e6
    # Ratios of speeds by turns: what else the disk does disturbs both alike.
    for against, others, aim in (("on the disk", flushed, 0.5), ("with the system", plain, None)):
        ratio = statistics.median(one / other for one, other in zip(ours, others, strict=True))
        what = f"{size // MIB} MiB of artifacts, to plain bytes {against}"
        yield Figure(what, ratio, "×", aim, 1.0, "their speed", more_is_better=True)
    yield Figure("speed of these artifacts", speed, "MB/s")


def put(store: Store, named: list[tuple[str, torch.Tensor]]) -> None:
    """As the engine does, but wait until all is there."""
    for digest, piece in named:
        outputs = (UnsavedOutput(digest, piece.nbytes, piece),)
        store.put(digest, NewEntry(outputs, None, "Image", 60.0, ""))
    store.flush()
    assert store.problem is None
    assert all(store.has(StoredOutput(digest, piece.nbytes)) for digest, piece in named)


def write(folder: Path, pieces: list[torch.Tensor], *, sync: bool) -> None:
    """The baseline: hash the bytes and write them under that name."""
    with ExitStack() as stack:
        files = []
        for piece in pieces:
            data = raw(piece)
            path = folder / blake3(data).hexdigest()
            file = stack.enter_context(path.open("wb", buffering=0))
            file.write(data)
            files.append(file)
        if sync:
            for file in files:
                os.fsync(file.fileno())


def job(seed: int) -> Workflow:
    """Four images."""
    return workflow_of(
        {
            f"n{at}": {"type": "Noise", "inputs": {"seed": seed, "number": at}}
            for at in range(IN_JOB)
        }
    )


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def jobs(folder: Path, number: int, *, stored: bool) -> Iterator[Figure]:
    """Memory of a process over many jobs that have nothing in common."""
    warm_up = max(number // 5, 40)
    seen = []
    disk = 256 * MIB if stored else 0
    with Process((Noise,), folder, memory=64 * MIB, disk=disk) as process:
        for seed in range(number):
            process.run(process.graph(job(seed)))
            if seed >= warm_up:
                seen.append(resident())
    third = max(len(seen) // 3, 1)
    # Of each third the middle, as what is on its way to the disk comes and goes.
    first, last = statistics.median(seen[:third]), statistics.median(seen[-third:])
    where = "with a store" if stored else "in memory only"
    yield Figure(
        f"memory over {number} jobs {where}: last third to first",
        100 * abs(last / first - 1),
        "%",
        5,
    )
    yield Figure(f"… at most: {max(seen) // MIB} MiB", 100 * (max(seen) / first - 1), "%")


def passing(folder: Path, times: int) -> Iterator[Figure]:
    """Jobs whose four nodes hand an image of 1 MiB on, each with another one."""

    def chain(value: float) -> Workflow:
        nodes: dict[str, Any] = {"0": {"type": "Even", "inputs": {"value": value}}}
        for at in range(1, IN_JOB):
            nodes[str(at)] = {"type": "Brighter", "inputs": {"image": {"from": str(at - 1)}}}
        return workflow_of(nodes)

    def bare(value: float) -> Any:
        image = Even(value)
        for _ in range(1, IN_JOB):
            image = Brighter(image)
        return image

    values = iter(range(10 * times))
    with Process((Even, Brighter), folder, memory=64 * MIB, disk=256 * MIB) as process:
        actions = {
            "ours": lambda: process.run(process.graph(chain(next(values)))),
            "plain": lambda: bare(next(values)),
        }
        by_turns(actions, times)
        found = by_turns(actions, 3 * times)
    ours, plain = (statistics.median(found[each]) * 1e3 for each in ("ours", "plain"))
    yield Figure("a job of four new images of 1 MiB, handed on", ours, "ms", 5, plain, "bare")


def figures(*, quick: bool) -> Iterator[Figure]:
    times = 1 if quick else 15
    image = torch.rand(1, 1024, 1024, 3, generator=torch.Generator().manual_seed(1))
    yield digesting(image, times)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield hitting(folder / "hit", image, times)
        yield finding(folder / "find", 2 * times)
        (folder / "passing").mkdir()
        yield from passing(folder / "passing", times)
        for stored in (False, True):
            yield from jobs(folder / f"jobs {stored}", 60 if quick else 1000, stored=stored)
        (folder / "write").mkdir()
        yield from writing(folder / "write", (16 if quick else 1024) * MIB)


def main() -> None:
    given = options(__doc__)
    show(figures(quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
