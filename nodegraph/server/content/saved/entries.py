"""What is known of saved workflows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.core.json_text import read_json


@dataclass(frozen=True, slots=True)
class Version:
    """A state of a saved workflow.

    Attributes:
        number: 1 is the first; grows with each change.
        digest: blake3 of its text.
        saved: Unix time.
        size: Bytes of its text.
    """

    number: int
    digest: Digest
    saved: float
    size: int


@dataclass(frozen=True)
class SavedWorkflow:
    """A saved workflow's text, in one of its versions."""

    name: str
    version: Version
    text: str

    @cached_property
    def document(self) -> Any:
        """What the text says.

        Raises:
            InvalidFile: It is no JSON, which only a file that was changed by hand can be.
        """
        return read_json(self.text, name=self.name)


@dataclass(frozen=True, slots=True)
class SavedEntry:
    """A saved workflow as it is listed.

    Attributes:
        saved: Unix time of the last change.
        digest: blake3 of its text.
        title, description: Its own.
        parameters: Names of its parameters.
        nodes: How many it has.
        problem: Why it can't be read; None if it can.
    """

    name: str
    saved: float
    digest: Digest
    title: str = ""
    description: str = ""
    parameters: tuple[str, ...] = ()
    nodes: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class SavedPage:
    """Some saved workflows, by name.

    Attributes:
        next: Name after which the next page begins; None if this is the last.
    """

    entries: tuple[SavedEntry, ...]
    next: str | None
