"""Which way of showing progress suits where it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from nodegraph.cli.progress import Lines, Silent


def progress_for(stream: TextIO, types: Mapping[str, str], *, quiet: bool) -> Silent:
    """The way to show progress that suits a stream."""
    import os

    if quiet:
        return Silent()
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        from nodegraph.cli.live import Bars

        return Bars(types)
    return Lines(types)
