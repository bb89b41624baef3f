"""Latents of things that are not images: molecules, sounds, shapes, motions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from nodegraph import DiffusionModel, Facts, Finding, HookInputs, InvalidValue, Latent, Range, node
from nodegraph.families.registry import FAMILIES


def items_latent(inputs: HookInputs) -> dict[str, Facts]:
    """Size and number of the items that a model samples."""
    known: dict[str, object] = {}
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    if family is not None and family.latent.only_size is not None:
        width, height = family.latent.only_size
        known = {"width": width, "height": height}
    count = inputs.literals.get("batch_size")
    return {"latent": known if count is None else {**known, "batch": count}}


def check_items_model(inputs: HookInputs) -> Iterator[Finding]:
    """Find models of images."""
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    if family is not None and family.latent.only_size is None:
        yield Finding(
            "model",
            f"{family.title} makes images",
            family.name,
            "a model of molecules, sounds, shapes or motions",
            "Use an EmptyLatent node instead.",
        )


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
