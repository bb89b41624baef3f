"""Pause the garbage collector, and free the frames that errors keep alive."""

from __future__ import annotations

import copy
import gc
import traceback
from collections.abc import Iterator

from nodegraph.errors import NodegraphError

_THRESHOLDS = (50_000, 20, 10)
"""New objects before a search of the youngest generation, and searches of one before the next's."""


class PausedGC:
    """Puts the collector off to the end of the `with`.

    A graph of many nodes is thousands of objects that stay; collecting again and again while they
    are made takes as long as making them.
    """

    __slots__ = ("_was_enabled",)

    def __enter__(self) -> None:
        self._was_enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_enabled:
            gc.enable()


def collect_rarely() -> None:
    """Enable the collector, for a process that imports libraries and computes with large tensors.

    What there is stays: it is left out of all searches. Python searches after 700 new objects, and
    importing libraries makes a million that stay: half a second of a first image went into that.
    Where memory runs short, `residency` collects garbage at once.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()


def release_frames(error: BaseException) -> None:
    """Let go of what the functions held that an error, or one behind it, has ended.

    The lines of its traceback stay. Of a load that failed, the variables may be half a model.
    """
    for exception in _chain(error):
        traceback.clear_frames(exception.__traceback__)


def copy_without_frames(error: Exception) -> Exception:
    """An error of the same kind and words, with the same causes, that holds no frames.

    For each thread that is told of it: one that they share would gather the frames of all.
    """
    copied_error: Exception | None = None
    for original in reversed(list(_causes(error))):
        duplicate = _copied(original)
        duplicate.__cause__ = copied_error
        copied_error = duplicate
    assert copied_error is not None
    return copied_error


def _copied(error: BaseException) -> Exception:
    try:
        duplicate = copy.copy(error)
    except Exception:  # noqa: BLE001 - the constructor of its class takes something else
        duplicate = error
    if duplicate is error or not isinstance(duplicate, Exception):
        return NodegraphError(str(error) or type(error).__name__)
    duplicate.args = error.args  # its constructor may have made others of these
    return duplicate


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    visited: set[int] = set()
    while error is not None and id(error) not in visited:
        visited.add(id(error))
        yield error
        error = error.__cause__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused it, and what was being handled when it was raised."""
    pending: list[BaseException | None] = [error]
    visited: set[int] = set()
    while pending:
        exception = pending.pop()
        if exception is not None and id(exception) not in visited:
            visited.add(id(exception))
            pending += exception.__cause__, exception.__context__
            yield exception
