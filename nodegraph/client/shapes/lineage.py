"""Lineage of output files: what they were made from, and what was made from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from nodegraph.client.shapes.jobs import DIGEST, Artifact
from nodegraph.client.shapes.schema import described, example

LineageRole = Literal["result", "input", "model", "adapter", "pack", "seed"]


@dataclass(frozen=True, slots=True)
class LineageItem:
    """A file, or something else that an output file was made from.

    Attributes:
        key: Digest of the file or of the pack's code; of a seed, the number.
        role: What it is to the files that were made from it; ``result`` for an output file.
        name: Name of the file, of the pack or of the input that has the seed.
        detail: Kind of the model component, or version of the pack.
        artifact: The output file, with its addresses; None for everything else.
        href: Path of the file on the server; None if the client has no such file.
        thumbnail: Path of its thumbnail on the server; None if there is none.
    """

    __pydantic_config__ = described("LineageItem", is_open=False)

    key: Annotated[str, example(DIGEST)]
    role: LineageRole
    name: Annotated[str, example("apple.png")]
    detail: Annotated[str, example("DiffusionModel")] = ""
    artifact: Artifact | None = None
    href: str | None = None
    thumbnail: str | None = None


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """One file was made from another.

    Attributes:
        source: Key of what it was made from.
        result: Key of the output file.
    """

    __pydantic_config__ = described("LineageEdge", is_open=False)

    source: Annotated[str, example(DIGEST)]
    result: Annotated[str, example("9d3c1b70" * 8)]


@dataclass(frozen=True, slots=True)
class LineageGroup:
    """Output files that share a source with the subject.

    Attributes:
        source: Key of what they share.
        results: Keys of the newest of them, without the subject.
        has_more: Whether there are more.
    """

    __pydantic_config__ = described("LineageGroup", is_open=False)

    source: Annotated[str, example(DIGEST)]
    results: tuple[str, ...]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class FileLineage:
    """Lineage of a file, as far as the client may see it.

    Attributes:
        subject: Key of the file.
        items: Everything that the other fields name, by their keys.
        made_from: What the subject was made from, step by step.
        used_in: What was made from the subject, step by step.
        related: Output files that share an input, a model, an adapter or a seed with it.
        complete: Whether nothing was left out because there is too much.
    """

    __pydantic_config__ = described("FileLineage", is_open=False)

    subject: Annotated[str, example(DIGEST)]
    items: tuple[LineageItem, ...]
    made_from: tuple[LineageEdge, ...] = ()
    used_in: tuple[LineageEdge, ...] = ()
    related: tuple[LineageGroup, ...] = ()
    complete: bool = field(default=True)

    def item(self, key: str) -> LineageItem:
        """Return the item of a key.

        Raises:
            KeyError: There is none.
        """
        return {each.key: each for each in self.items}[key]
