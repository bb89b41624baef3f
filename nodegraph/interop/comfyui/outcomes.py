"""What became of each node of a workflow of ComfyUI."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodegraph.interop.comfyui.foreign import ModelFile

CORE_PACK = "comfy-core"
"""What ComfyUI calls what comes along with it."""


@dataclass(frozen=True, slots=True)
class TranslationOutcome:
    """One node.

    Attributes:
        id: Its id there; within a block, after the block's and a colon.
        name: The native node that stands for it; in blocks, ``block/node``. Empty if none does.
        missing: Why a placeholder stands for it; empty if it was translated.
        told: What differs.
        models: Files that it says it needs.
    """

    id: str
    type: str
    name: str = ""
    pack: str = ""
    missing: str = ""
    told: tuple[str, ...] = ()
    models: tuple[ModelFile, ...] = ()

    @property
    def is_placeholder(self) -> bool:
        return bool(self.missing)

    def within(self, block: str) -> TranslationOutcome:
        """The same, of a node in a block's definition."""
        return replace(self, name=f"{block}/{self.name}" if self.name else "")
