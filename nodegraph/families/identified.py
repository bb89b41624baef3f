"""What a file or folder turned out to be, and what folders are, told without reading weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from nodegraph.families.base import Config, Family
from nodegraph.families.registry import FAMILIES, call_family, families_of_pipeline

if TYPE_CHECKING:
    from nodegraph.families.alone import StandalonePart

UNKNOWN = "no model that is known here"


class Identification(NamedTuple):
    """What a file or folder turned out to be.

    Attributes:
        title: In words.
        family: Of a whole model; None where it is none, or isn't supported.
        node: The node that takes it, where that isn't LoadModel.
        parts: Of a part of a model by itself, for each family that has it.
    """

    title: str
    family: Family | None = None
    node: str | None = None
    parts: Sequence[StandalonePart] = ()

    def instead_of(self, wanted: str) -> str:
        """What it is, where something else is wanted."""
        return self.title if self.title == UNKNOWN else f"{self.title}, not {wanted}"

    @property
    def refusal(self) -> str:
        """What it is, as a sentence that says why LoadModel doesn't take it."""
        if self.node:
            return f"{self.title}: {self.node} takes it."
        says_so = self.title.endswith("known here")
        return f"{self.title}." if says_so else f"{self.title}, which can't be loaded here."


def supported() -> str:
    """The families whose models are opened whole, in words: those that have encoders."""
    return ", ".join(family.title for family in FAMILIES.values() if family.encoders)


def identify_folder(class_name: str, configs: Mapping[str, Config]) -> Identification:
    """What a diffusers folder holds, by its pipeline class and its parts' configurations."""
    description = f"a {class_name}"
    for family in families_of_pipeline(class_name):
        failed: str | None = f"{description} whose family `{family.name}` failed to look at it"
        mismatch = call_family(family, lambda each: each.mismatch(configs), failed)
        if mismatch is None:
            return Identification(family.title, family)
        description = mismatch
    return Identification(description)
