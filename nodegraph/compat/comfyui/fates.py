"""What became of each node of a workflow of ComfyUI."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodegraph.compat.comfyui.foreign import ModelFile
from nodegraph.errors import Problem

CORE_PACK = "comfy-core"
"""What ComfyUI calls what comes along with it."""


@dataclass(frozen=True, slots=True)
class Fate:
    """One node.

    Attributes:
        id: Its id there; within a block, after the block's and a colon.
        name: The native node that stands for it; in blocks, ``block/node``. Empty if none does.
        missing: Why a placeholder stands for it; empty if it was translated.
        told: What differs.
        models: Files that it says it needs.
        misfit: The input from which on its values in the file don't fit what is known of its type;
            empty if all do. Defaults stand for them.
    """

    id: str
    type: str
    name: str = ""
    pack: str = ""
    missing: str = ""
    told: tuple[str, ...] = ()
    models: tuple[ModelFile, ...] = ()
    misfit: str = ""

    @property
    def is_placeholder(self) -> bool:
        return bool(self.missing)

    @property
    def problem(self) -> Problem | None:
        """What of the file is lost with it, so that it wouldn't make the same; None if nothing."""
        if not self.misfit or self.is_placeholder:
            return None
        return Problem(
            "values-not-read",
            f"its values in the file from ComfyUI's `{self.misfit}` on don't fit what is known of "
            f"{self.type}: its own defaults stand for them",
            node=self.name or None,
            hint="Set them to what ComfyUI shows, or import the file anew once ComfyUI has saved "
            "it again.",
        )

    def within(self, block: str) -> Fate:
        """The same, of a node in a block's definition."""
        return replace(self, name=f"{block}/{self.name}" if self.name else "")
