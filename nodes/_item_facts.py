"""Facts and checks of nodes for items other than images. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs
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
