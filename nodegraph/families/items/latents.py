"""Latents and conditioning of item models: sounds, motions, shapes, molecules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.errors import InvalidValue
from nodegraph.families.item_family import CLASSES, NUMBERS
from nodegraph.families.registry import get_family

if TYPE_CHECKING:
    from nodegraph.core.values import Latent


def all_items(latents: Iterable[Latent], name: str) -> Tensor:
    """The items of several latents, one after the other; see `items_of`."""
    features, tokens = get_family(name).latent.only_size or (0, 0)
    groups = [items_of(latent, name) for latent in latents]
    return torch.cat([torch.zeros(0, tokens, features), *groups])


def items_of(latent: Latent, name: str) -> Tensor:
    """The items of a latent of a family.

    Args:
        name: Of the family, which is that of its format, too.
    Returns:
        float32, shape (batch, tokens, features).
    Raises:
        InvalidValue: It is empty, or of something else.
    """
    title = get_family(name).title
    if latent.samples is None:
        raise InvalidValue(
            "the latent is empty", port="latent", hint="Put a KSampler before this node."
        )
    if latent.format != name:
        raise InvalidValue(
            f"this latent does not belong to {title}",
            port="latent",
            given=f"format {latent.format}",
            expected=f"format {name}",
            hint=f"Sample with a model of {title}, for example tiny/{name}.",
        )
    wanted = get_family(name).latent.only_size
    if tuple(reversed(latent.samples.shape[2:])) != wanted:
        raise InvalidValue(
            f"latents of {title} have one fixed size",
            port="latent",
            given=f"shape {tuple(latent.samples.shape)}",
            expected=f"{wanted[0]} x {wanted[1]}" if wanted else None,
        )
    return latent.samples[:, 0]


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
