"""Molecules of up to nine atoms, as tables. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.families.item_family import item_family
from nodegraph.media.molecules.tables import FEATURES, MOST_ATOMS, READ_FEATURES

if TYPE_CHECKING:
    from torch import Tensor

MOLECULE_PROPERTIES = ("logp", "qed", "rings", "atoms")
"""The numbers that lead its models, in their order; see `nodegraph.media.molecules.chemistry`."""


def _drawn(items: Tensor) -> Tensor | None:
    from nodegraph.families.item_family import draw_molecules

    return draw_molecules(items)


MOLECULES = item_family(
    "molecules",
    "Molecules",
    "a transformer of molecules",
    tokens=MOST_ATOMS,
    features=FEATURES,
    drawn=_drawn,
    asked_by="MoleculeConditioning",
    model="MoleculeTransformer",
    read=READ_FEATURES,
)
