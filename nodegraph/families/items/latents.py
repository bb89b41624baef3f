"""Convert latents to items, and check their format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue
from nodegraph.families.registry import get_family

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import Latent


def all_items(latents: Iterable[Latent], name: str) -> Tensor:
    """The items of several latents, one after the other; see `items_of`."""
    import torch

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
