"""Tensors of a Swin transformer as its authors name them, named as transformers' files have them.

Source: microsoft/Swin-Transformer (MIT), and what transformers' folders of Swin hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

_RENAMED = (
    (re.compile(r"^patch_embed\.proj\."), "embeddings.patch_embeddings.projection."),
    (re.compile(r"^patch_embed\.norm\."), "embeddings.norm."),
    (re.compile(r"^layers\."), "encoder.layers."),
    (re.compile(r"\.norm1\."), ".layernorm_before."),
    (re.compile(r"\.norm2\."), ".layernorm_after."),
    (re.compile(r"\.attn\.proj\."), ".attention.output.dense."),
    (re.compile(r"\.attn\.relative"), ".attention.self.relative"),
    (re.compile(r"\.mlp\.fc1\."), ".intermediate.dense."),
    (re.compile(r"\.mlp\.fc2\."), ".output.dense."),
)
_FINAL = re.compile(r"^norm(\d)\.")
_JOINED = ".attn.qkv."
_COMPUTED = ("relative_position_index", "attn_mask")
"""What files may hold though it follows from the window's size."""


def as_transformers(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors by other names; queries, keys and values apart.

    Args:
        tensors: Whose names begin with `prefix`, which is dropped.
    """
    found: dict[str, Tensor] = {}
    for name, item in tensors.items():
        if not name.endswith(_COMPUTED):
            found |= dict(_renamed(name.removeprefix(prefix), item))
    return found


def _renamed(name: str, item: Tensor) -> Iterator[tuple[str, Tensor]]:
    for pattern, other in _RENAMED:
        name = pattern.sub(other, name)
    name = _FINAL.sub(lambda found: f"hidden_states_norms.stage{int(found[1]) + 1}.", name)
    if _JOINED not in name:
        yield name, item
        return
    for part, which in zip(item.chunk(3), ("query", "key", "value"), strict=True):
        yield name.replace(_JOINED, f".attention.self.{which}."), part.contiguous()
