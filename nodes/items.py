"""Latents of things that are not images: molecules, sounds, shapes, motions."""

from __future__ import annotations

from typing import Annotated

from nodegraph import DiffusionModel, InvalidValue, Latent, Range, node

from ._item_facts import check_items_model, items_latent


@node(
    category="latent",
    infer=items_latent,
    validate=check_items_model,
    tags=("molecules", "sounds", "shapes", "motions", "empty latent", "KSampler"),
)
def EmptyItems(model: DiffusionModel, batch_size: Annotated[int, Range(1, 4096)] = 16) -> Latent:
    """Create empty latents for models that do not make images: molecules, sounds, shapes, motions.

    Args:
        model: The model that samples them, for example tiny/molecules. It defines the latent size.
        batch_size: Number of items.
    """
    from nodegraph.families.registry import get_family

    family = get_family(model.family)
    size = family.latent.only_size
    if size is None:
        raise InvalidValue(
            f"{family.title} makes images",
            port="model",
            given=family.name,
            expected="a model of molecules, sounds, shapes or motions",
            hint="Use an EmptyLatent node instead.",
        )
    return Latent(None, *size, batch_size)
