"""What an error keeps alive: the frames that it was raised in, and what their variables hold."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Iterator

from nodegraph.errors import NodegraphError


def release_frames(error: BaseException) -> None:
    """Let go of what the functions held that an error, or one behind it, has ended.

    The lines of its traceback stay. Of a load that failed, the variables may be half a model.
    """
    for one in _chain(error):
        traceback.clear_frames(one.__traceback__)


def retold(error: Exception) -> Exception:
    """An error of the same kind and words, with the same causes, that holds no frames.

    For each thread that is told of it: one that they share would gather the frames of all.
    """
    found: Exception | None = None
    for one in reversed(list(_causes(error))):
        told = _copied(one)
        told.__cause__ = found
        found = told
    assert found is not None
    return found


def _copied(error: BaseException) -> Exception:
    try:
        found = copy.copy(error)
    except Exception:  # noqa: BLE001 - the constructor of its class takes something else
        found = error
    if found is error or not isinstance(found, Exception):
        return NodegraphError(str(error) or type(error).__name__)
    found.args = error.args  # its constructor may have made others of these
    return found


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused it, and what was being handled when it was raised."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            pending += one.__cause__, one.__context__
            yield one
