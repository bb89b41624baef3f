"""The pipes to the server, kept away from whatever nodes do with standard input and output."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from io import TextIOWrapper

from nodegraph.jobs.supervisor import platforms


@dataclass(frozen=True, slots=True)
class Pipes:
    """File descriptors: what the server says, and what it is told."""

    orders: int
    reports: int


def take_pipes() -> Pipes:
    """Take standard input and output for oneself.

    From then on who reads standard input finds nothing, and what is printed goes to standard
    error, line by line.
    """
    pipes = Pipes(os.dup(0), os.dup(1))
    for descriptor in (pipes.orders, pipes.reports):
        platforms.use_bytes(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    return pipes
