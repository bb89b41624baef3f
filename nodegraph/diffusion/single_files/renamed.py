"""Layouts that differ from another in names alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from nodegraph.diffusion.single_files.base import FileLayout

Names = tuple[tuple[str, str], ...]
"""Patterns of how names begin here, and what stands there for that in the other layout."""

_Item = TypeVar("_Item")


def renamed_layout(name: str, like: FileLayout, names: Names) -> FileLayout:
    """A layout whose tensors are those of another by other names, without a prefix.

    Only names are looked at, so tensors may lie in whatever form.
    """

    def brought(items: Mapping[str, _Item]) -> dict[str, _Item]:
        return {_renamed(key, names): item for key, item in items.items()}

    def has_own(items: Mapping[str, object]) -> bool:
        return any(_renamed(key, names) != key for key in items)

    return replace(
        like,
        name=name,
        matches=lambda shapes: has_own(shapes) and like.matches(brought(shapes)),
        config=lambda shapes: like.config(brought(shapes)),
        convert=lambda tensors, config: like.convert(brought(tensors), config),
        prefixes=("",),
    )


def _renamed(name: str, names: Names) -> str:
    for pattern, replacement in names:
        found, count = re.subn(rf"^{pattern}", replacement, name)
        if count:
            return found
    return name
