"""Latents of things that are no pictures: molecules, sounds, shapes, clips."""

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
    """So many things that are no pictures, to be made of noise: molecules, sounds, shapes, clips.

    Args:
        model: That is to make them, such as tiny/molecules; it says how large their latents are.
        batch_size: How many.
    """
    from nodegraph.families.registry import get_family

    family = get_family(model.family)
    size = family.latent.only_size
    if size is None:
        raise InvalidValue(
            f"{family.title} makes pictures",
            port="model",
            given=family.name,
            expected="a model of molecules, sounds, shapes or motions",
            hint="Link an EmptyLatent in place of this node.",
        )
    return Latent(None, *size, batch_size)
