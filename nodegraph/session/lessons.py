"""Lessons: steps through a workflow of the gallery, for the editor to show.

A lesson is a JSON file in the gallery's folder ``lessons``, under the name of its workflow:

- ``lesson``: 1, the number of the format.
- ``title`` and ``summary``: texts by language, such as ``{"en": "Forward diffusion"}``.
- ``steps``: each with ``title`` and ``text`` by language; ``at``, what it points at; ``until``,
  goals that all have to be reached; ``shows_run``, whether the nodes of the last run are listed.
- ``order``: its place in lists, from 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from nodegraph.core.suggest import did_you_mean
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidValue

PACKAGE = "nodegraph.gallery"
FOLDER = "lessons"
FORMAT = 1
ENGLISH = "en"
PARTS = ("canvas", "run", "results", "inspector", "help")
"""Parts of the editor that a step may point at."""

_GOALS = ("changed", "is", "below", "above")


@dataclass(frozen=True, slots=True)
class LessonHeader:
    """What lists say of a lesson.

    Attributes:
        title: Its title by language.
        summary: A sentence by language.
        steps: Number of steps.
        order: Place in lists, from 0.
    """

    title: Mapping[str, str]
    summary: Mapping[str, str]
    steps: int
    order: int


def lesson_names() -> tuple[str, ...]:
    """Names of the gallery's workflows that have a lesson, sorted."""
    folder = files(PACKAGE) / FOLDER
    names = (item.name for item in folder.iterdir()) if folder.is_dir() else ()
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


def lesson_text(name: str) -> bytes:
    """The file of a workflow's lesson.

    Raises:
        InvalidValue: The workflow has no lesson.
    """
    known = lesson_names()
    if name not in known:
        raise InvalidValue(
            "this workflow has no lesson",
            given=ascii(name[:80]),
            hint=did_you_mean(name, known) or None,
        )
    return (files(PACKAGE) / FOLDER / f"{name}.json").read_bytes()


def read_lesson(text: bytes, workflow: Workflow) -> LessonHeader:
    """Check a lesson against the workflow that it is about.

    Args:
        text: The JSON file.
        workflow: Its nodes and inputs are what the steps name.

    Raises:
        InvalidFile: The file is no lesson, or names nodes or inputs that the workflow lacks. The
            message lists all faults.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidFile("a lesson is JSON", given=str(error)) from None
    faults = list(_faults(document, workflow))
    if faults:
        raise InvalidFile(
            "this is no lesson", given="; ".join(faults), expected=f"format {FORMAT} of lessons"
        )
    return LessonHeader(
        document["title"], document["summary"], len(document["steps"]), document.get("order", 0)
    )


def _faults(document: Any, workflow: Workflow) -> Iterator[str]:
    if not isinstance(document, dict) or document.get("lesson") != FORMAT:
        yield f"`lesson` must be {FORMAT}"
        return
    yield from _others(document, "the lesson", ("lesson", "title", "summary", "order", "steps"))
    for key in ("title", "summary"):
        yield from _texts(document.get(key), key)
    if not isinstance(document.get("order", 0), int):
        yield "`order` must be a whole number"
    steps = document.get("steps")
    if not isinstance(steps, list) or not steps:
        yield "`steps` must be a list of at least one step"
        return
    for index, step in enumerate(steps):
        yield from _step(step, f"steps[{index}]", workflow)


def _step(step: Any, where: str, workflow: Workflow) -> Iterator[str]:
    if not isinstance(step, dict):
        yield f"{where} must be an object"
        return
    yield from _others(step, where, ("title", "text", "at", "until", "shows_run"))
    for key in ("title", "text"):
        yield from _texts(step.get(key), f"{where}.{key}")
    if "at" in step:
        yield from _pointer(step["at"], f"{where}.at", workflow)
    goals = step.get("until", [])
    if not isinstance(goals, list):
        yield f"{where}.until must be a list"
        return
    for index, goal in enumerate(goals):
        yield from _goal(goal, f"{where}.until[{index}]", workflow)


def _texts(texts: Any, where: str) -> Iterator[str]:
    if not isinstance(texts, dict) or ENGLISH not in texts:
        yield f"{where} must be texts by language, with `{ENGLISH}` among them"
    elif not all(isinstance(text, str) and text for text in texts.values()):
        yield f"{where} must have a text for each of its languages"


def _pointer(pointer: Any, where: str, workflow: Workflow) -> Iterator[str]:
    if not isinstance(pointer, dict) or ("node" in pointer) == ("part" in pointer):
        yield f"{where} must name a `node` or a `part`"
        return
    yield from _others(pointer, where, ("node", "input", "part"))
    if "part" in pointer and pointer["part"] not in PARTS:
        yield f"{where}: there is no part `{pointer['part']}`, only {', '.join(PARTS)}"
    if "node" in pointer:
        yield from _input(pointer["node"], pointer.get("input"), where, workflow)


def _goal(goal: Any, where: str, workflow: Workflow) -> Iterator[str]:
    if not isinstance(goal, dict):
        yield f"{where} must be an object"
        return
    kinds = [key for key in ("run", "download", "select", "input") if key in goal]
    if len(kinds) != 1:
        yield f"{where} must be one of a run, a download, a selected node, and an input"
        return
    if kinds == ["select"]:
        yield from _others(goal, where, ("select",))
        yield from _input(goal["select"], None, where, workflow)
    elif kinds == ["input"]:
        yield from _others(goal, where, ("input", *_GOALS))
        if sum(key in goal for key in _GOALS) != 1:
            yield f"{where} must have one of {', '.join(_GOALS)}"
        node, _, port = str(goal["input"]).partition(".")
        yield from _input(node, port, where, workflow)
    else:
        yield from _others(goal, where, ("run", "download"))
        if goal[kinds[0]] is not True:
            yield f"{where}.{kinds[0]} must be true"


def _input(node: Any, port: Any, where: str, workflow: Workflow) -> Iterator[str]:
    if node not in workflow.nodes:
        yield f"{where}: the workflow has no node `{node}`"
    elif port is not None and port not in workflow.nodes[node].inputs:
        yield f"{where}: the workflow sets no input `{node}.{port}`"


def _others(document: Mapping[str, Any], where: str, known: tuple[str, ...]) -> Iterator[str]:
    for key in document.keys() - set(known):
        yield f"{where} has no `{key}`, only {', '.join(known)}"
