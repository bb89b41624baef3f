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
        untranslated_reason: Why a placeholder stands for it; empty if it was translated.
        messages: What differs.
        models: Files that it says it needs.
    """

    id: str
    type: str
    name: str = ""
    pack: str = ""
    untranslated_reason: str = ""
    messages: tuple[str, ...] = ()
    models: tuple[ModelFile, ...] = ()

    @property
    def is_placeholder(self) -> bool:
        return bool(self.untranslated_reason)

    def within(self, block: str) -> TranslationOutcome:
        """The same, of a node in a block's definition."""
        return replace(self, name=f"{block}/{self.name}" if self.name else "")
