"""What may be uploaded, and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from nodegraph.server.settings import Uploads, UploadType

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class UploadRules:
    """What may be uploaded, and how long it is kept.

    Attributes:
        types: What is taken in. Weights aren't, unless they are named here; pickle never is.
        bytes: Of one file.
        pixels: Of a picture.
        json_bytes, json_depth, json_values, nodes: Of a workflow.
        held: Bytes of all uploads together.
        seconds: Without being used, after which an upload is deleted; None to keep it.
        spared_seconds: Without being used, before which it isn't deleted to make room either.
    """

    types: frozenset[UploadType] = frozenset(Uploads().types)
    bytes: int = 512 << 20
    pixels: int = 64_000_000
    json_bytes: int = 32 << 20
    json_depth: int = 64
    json_values: int = 1_000_000
    nodes: int = 10_000
    held: int = 20 << 30
    seconds: float | None = 30 * _DAY
    spared_seconds: float = 3_600.0
