"""What saving one more result costs, among few of its name and among many.

python benchmarks/saving.py [--json] [--quick]
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common import Figure, options, show, taken

from nodegraph.media.images.output_files import save_numbered

BYTES = 10_000


def filled(folder: Path, count: int) -> Path:
    """A folder with so many files of one name, of as many sizes as images have."""
    folder.mkdir()
    for number in range(count):
        (folder / f"apple_{number + 1:05}.png").write_bytes(bytes(100 + number % 997))
    return folder


def saved(folder: Path, index: Path | None) -> float:
    content = os.urandom(BYTES)
    return taken(lambda: save_numbered(folder, "apple", ".png", [content], index=index))


def figures(*, quick: bool) -> Iterator[Figure]:
    few, many, times = (20, 400, 3) if quick else (100, 30_000, 15)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        index = home / "outputs.sqlite"
        small, large = filled(home / "few", few), filled(home / "many", many)
        for folder in (small, large):
            saved(folder, index)  # the first one looks through the folder
        pairs = [(saved(large, index), saved(small, index)) for _ in range(times)]
        ours, plain = (min(each) * 1e3 for each in zip(*pairs, strict=True))
        what = f"saving one more of {many:,} files of a name"
        yield Figure(what, ours, "ms", None, plain, f"one more of {few}")
        without = min(saved(large, None) for _ in range(max(1, times // 5))) * 1e3
        yield Figure("the same, the folder looked through", without, "ms", None, ours, "known")


def main() -> None:
    given = options(__doc__)
    show(figures(quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
