"""Layouts that differ from another in names alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TypeVar

from nodegraph.weights.single_files.base import FileLayout

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
        return any(map(_any_of(names).match, items))

    return replace(
        like,
        name=name,
        matches=lambda shapes: has_own(shapes) and like.matches(brought(shapes)),
        config=lambda shapes: like.config(brought(shapes)),
        convert=lambda tensors, config: like.convert(brought(tensors), config),
        prefixes=("",),
    )


@cache
def _compiled(names: Names) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(rf"^{pattern}"), replacement) for pattern, replacement in names]


@cache
def _any_of(names: Names) -> re.Pattern[str]:
    """One pattern for all: most files are tried for layouts of which they have no name at all."""
    return re.compile("|".join(f"(?:{pattern})" for pattern, _ in names))


def _renamed(name: str, names: Names) -> str:
    for pattern, replacement in _compiled(names):
        new_name, count = pattern.subn(replacement, name)
        if count:
            return new_name
    return name
