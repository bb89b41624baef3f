"""Choose the progress display that suits a stream."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from nodegraph.observe.progress import Lines, Silent


def progress_for(stream: TextIO, types: Mapping[str, str], *, quiet: bool) -> Silent:
    """The way to show progress that suits a stream."""
    import os

    if quiet:
        return Silent()
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        from nodegraph.observe.bars import Bars

        return Bars(types)
    return Lines(types)


@contextmanager
def bytes_progress(title: str, *, is_shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr that takes how many bytes of how many are done, with speed and time left.

    It vanishes at the end.

    None where there is no terminal.
    """
    if not (is_shown and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console  # as slow as all else of a command
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
