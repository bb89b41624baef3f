"""Conditioning of items by classes and numbers, each of which may be left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.families.item_family import CLASSES, NUMBERS

OPEN_CLASS = -1
OPEN_NUMBER = float("nan")


def item_conditioning(
    family: str,
    classes: Sequence[int | None] = (),
    numbers: Sequence[float | None] = (),
    others: Mapping[str, Tensor] = MappingProxyType({}),
) -> Conditioning:
    """A conditioning of a family of items; that in which all is left open stands in for a negative
    one that isn't given.

    Args:
        family: Its name.
        classes, numbers: In the order that its models were trained with; None is left open.
        others: What else its models are led by, as of `ItemFamily.others`; never left open, so
            that guidance leads away from nothing of it.
    """
    return Conditioning(
        (_entry(classes, numbers, others),),
        family,
        _entry([None] * len(classes), [None] * len(numbers), others),
    )


def _entry(
    classes: Sequence[int | None], numbers: Sequence[float | None], others: Mapping[str, Tensor]
) -> ConditioningEntry:
    kinds = [OPEN_CLASS if item is None else item for item in classes]
    values = [OPEN_NUMBER if item is None else item for item in numbers]
    return ConditioningEntry(
        {
            CLASSES: torch.tensor([kinds], dtype=torch.int64),
            NUMBERS: torch.tensor([values], dtype=torch.float32),
            **others,
        }
    )
