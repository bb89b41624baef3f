"""Values of classes that only the process of an isolated pack knows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ForeignValue:
    """Value on a link between nodes of isolated packs, as bytes that only these packs read.

    Other nodes pass it on. It is identified by its content and kept in memory only: the store does
    not write it, because only the pack's own code can read it.

    Attributes:
        type: Name of the port type.
        pack: Name of the pack whose process wrote it.
        data: Encoded value, or a token for a value that only lives in that process.
        process: Identifies the process that holds the value of a token. Empty for an encoded value.
    """

    type: str
    pack: str
    data: bytes
    process: str = ""
