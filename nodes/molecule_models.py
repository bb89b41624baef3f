"""Molecules by diffusion: what to ask for, and what came of it."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Conditioning, Range, node

from ._molecule_facts import molecule_family


@node(
    category="conditioning",
    infer=molecule_family,
    tags=("molecules", "chemistry", "logP", "QED", "rings", "drug", "generate"),
)
def MoleculeConditioning(
    logp: Annotated[float, Range(-10, 10, step=0.1)] | None = None,
    qed: Annotated[float, Range(0, 1, step=0.01)] | None = None,
    rings: Annotated[int, Range(0, 9)] | None = None,
    atoms: Annotated[int, Range(1, 9)] | None = None,
) -> Conditioning:
    """What molecules are to be like; what isn't told is left to the model.

    Args:
        logp: How much they prefer oil to water, as a power of ten: sugar has -3, benzene 1.7.
        qed: How like drugs they are, 0 to 1; of molecules this small 0.3 to 0.6.
        rings: How many rings they have.
        atoms: How many atoms, besides hydrogen.
    """
    from nodegraph.diffusion.items.conditioning import item_conditioning

    return item_conditioning("molecules", numbers=(logp, qed, rings, atoms))
