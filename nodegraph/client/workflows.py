"""Workflows that a server keeps, and apps made of them, as clients see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.client.jobs import JobSummary, OutputFile
from nodegraph.errors import Problem


@dataclass(frozen=True, slots=True)
class SavedVersion:
    """A state of a saved workflow.

    Attributes:
        version: 1 is the first.
        digest: Of its text; names what a change is made to, see `Workflows.save`.
        saved: Unix time.
        size: Bytes of its text.
    """

    version: int
    digest: str
    saved: float
    size: int


@dataclass(frozen=True, slots=True)
class SavedItem:
    """A saved workflow in a list.

    Attributes:
        parameters: Names of what people vary.
        nodes: How many there are.
        problem: Why its file can't be read; None if it can.
    """

    name: str
    title: str
    description: str
    digest: str
    saved: float
    parameters: tuple[str, ...]
    nodes: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A workflow that comes with the server, to start from.

    Attributes:
        parameters: Names of what people vary.
        needs: Files that it reads, which have to be brought along; see `Templates.file`.
        types: Node types that it uses.
        picture: Where the server has a picture of what it makes; None if there is none.
    """

    name: str
    title: str
    description: str
    parameters: tuple[str, ...]
    needs: tuple[str, ...]
    types: tuple[str, ...] = ()
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class AppItem:
    """An app in a list: a saved workflow that can be run by its name."""

    name: str
    title: str
    description: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class App:
    """A saved workflow as an app.

    Attributes:
        version, digest: Of the saved workflow.
        parameters: JSON Schema of the values that it takes.
        problems: Why some of it can't be used.
    """

    name: str
    title: str
    description: str
    version: int
    digest: str
    parameters: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class AppRun:
    """What became of a run of an app.

    Attributes:
        outputs: Files by the node that gave them; None if it hasn't finished.
    """

    job: JobSummary
    outputs: Mapping[str, tuple[OutputFile, ...]] | None = None
