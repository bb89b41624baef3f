"""Molecules of up to nine atoms, as tables. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.diffusion.families.base import Part
from nodegraph.diffusion.families.index import INDEX
from nodegraph.diffusion.families.items import ItemFamily
from nodegraph.diffusion.items.formats import item_format
from nodegraph.diffusion.single_files.items import item_layout
from nodegraph.molecules.tables import FEATURES, MOST_ATOMS, READ_FEATURES

if TYPE_CHECKING:
    from torch import Tensor

MOLECULE_PROPERTIES = ("logp", "qed", "rings", "atoms")
"""The numbers that lead its models, in their order; see `nodegraph.molecules.properties`."""

_FILE = item_layout(
    "molecules-transformer",
    "a transformer of molecules",
    "MoleculeTransformer",
    tokens=MOST_ATOMS,
    features=FEATURES,
    read=READ_FEATURES,
    gives_clean=True,
)


def _drawn(items: Tensor) -> Tensor | None:
    from nodegraph.diffusion.items.drawing import drawn_molecules

    return drawn_molecules(items)


MOLECULES = ItemFamily(
    "molecules",
    "Molecules",
    latent=item_format("molecules", MOST_ATOMS, FEATURES, _drawn),
    pipelines=INDEX["molecules"].pipelines,
    denoisers=(Part("transformer", ("MoleculeTransformer",), files=(_FILE,)),),
    encoders=(),
    tokenizers=(),
    noise="flow",
    multiple=1,
    wide=True,
    asked_by="MoleculeConditioning",
)
