"""Errors of single dataset files, collected and reported together. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from nodegraph.errors import InvalidFile, NodegraphError

OnError = Literal["refuse", "skip"]
"""What becomes of data that can't be used."""
_SHOWN = 5


class DatasetFaults:
    """Gathers what can't be used, each with its name.

    Args:
        on_error: ``skip`` goes on without it; ``refuse`` raises, but only once all is looked at.
        warn: Told of each that is left out.
    """

    def __init__(self, on_error: OnError, warn: Callable[[str], object] | None = None) -> None:
        self._on_error = on_error
        self._tell = warn
        self.messages: list[str] = []

    def add(self, name: str, why: str) -> None:
        """Note one."""
        message = why if name in why else f"{name}: {why}"
        self.messages.append(message)
        if self._tell is not None and self._on_error == "skip":
            self._tell(f"skipped: {message}")

    @contextmanager
    def collect(self, name: str, folder: Path | None = None) -> Iterator[None]:
        """Note what the inside of the `with` raises of nodegraph's own errors.

        Args:
            folder: Left out of what is said: where files lie is nobody's business.
        """
        try:
            yield
        except NodegraphError as error:
            problem = error.problem
            details = f" ({problem.given})" if problem.given else ""
            message = problem.message
            if folder is not None:
                message = message.replace(f"{folder}{os.sep}", "")
            self.add(name, f"{message}{details}")

    def check(self, usable_count: int, source: str) -> None:
        """Raise if it was to be refused, or if nothing is left.

        Args:
            usable_count: How many examples can be used.
            source: What they are from.
        Raises:
            InvalidFile: See above.
        """
        shown = "; ".join(self.messages[:_SHOWN])
        more = f"; and {len(self.messages) - _SHOWN} more" if len(self.messages) > _SHOWN else ""
        if self.messages and self._on_error == "refuse":
            count = len(self.messages)
            raise InvalidFile(
                f"{count} item{'s' * (count > 1)} in {source} cannot be used: {shown}{more}",
                hint='Fix or remove them, or set `on_error` to "skip".',
            )
        if not usable_count:
            left_out = f" Skipped: {shown}{more}" if self.messages else ""
            raise InvalidFile(f"there are no training examples in {source}.{left_out}")
