"""Errors that are told to others, or kept, hold nothing of what failed."""

from __future__ import annotations

import traceback
import weakref

import pytest

from nodegraph.core.garbage_collection import copy_without_frames, release_frames
from nodegraph.errors import InvalidFile, InvalidWorkflow, NodeFailed, Problem


class Thing:
    """Something large."""


MADE: list[weakref.ref[Thing]] = []


def fail() -> None:
    held = Thing()
    MADE.append(weakref.ref(held))
    raise MemoryError("no room")


def failed() -> Exception:
    """An error whose cause was raised by a function that held something."""
    try:
        try:
            fail()
        except MemoryError as error:
            raise InvalidFile("could not be read", hint="Get it again.") from error
    except InvalidFile as error:
        return error


def test_frames_let_go_and_their_lines_stay() -> None:
    error = failed()
    assert MADE[-1]() is not None
    release_frames(error)
    assert MADE[-1]() is None
    assert "held" not in "".join(traceback.format_exception(error))
    assert "in fail" in "".join(traceback.format_exception(error))


def test_an_error_is_retold_in_the_same_words_without_frames() -> None:
    error = failed()
    told = copy_without_frames(error)
    assert told is not error
    assert (type(told), str(told)) == (InvalidFile, str(error))
    assert told.problem.hint == "Get it again."  # type: ignore[attr-defined]
    assert isinstance(told.__cause__, MemoryError)
    assert str(told.__cause__) == "no room"
    assert (told.__traceback__, told.__cause__.__traceback__, told.__context__) == (None,) * 3


class Stubborn(Exception):
    """One that can't be copied."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"about {name}")


@pytest.mark.parametrize(
    "error",
    [
        Stubborn(name="it"),
        OSError(2, "no such file", "a.txt"),
        InvalidWorkflow([Problem("c", "one"), Problem("c", "two")]),
        NodeFailed(ValueError("no"), node="a", node_type="A", inputs={}),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "wrong"),
    ],
)
def test_whatever_its_class_the_words_stay(error: Exception) -> None:
    assert str(copy_without_frames(error)) == str(error)
    assert copy_without_frames(error).__traceback__ is None


def test_causes_in_a_circle_come_to_an_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert str(copy_without_frames(one).__cause__) == "other"
    release_frames(one)
