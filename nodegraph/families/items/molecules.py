"""The network of molecules: rows of atoms that see their bonds on both sides, classes out."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.families.items.transformer import ItemTransformer
from nodegraph.media.molecules.tables import (
    ELEMENTS,
    FEATURES,
    MOST_ATOMS,
    ORDERS,
    READ_FEATURES,
    bond_scores,
    probabilities_to_items,
)


class MoleculeTransformer(ItemTransformer):
    """Gives the flow of noisy tables of molecules; see `nodegraph.media.molecules.tables`.

    A row of a table holds the bonds to the atoms before it alone. Here it reads those to the atoms
    behind it, too, so that each token sees all bonds of its atom, and both rows of a bond have a
    say in it. The network gives how likely each class is, which makes the clean item.

    Source: Dieleman et al. 2022, arXiv:2211.15089 (clean items by the likelihood of their classes).
    """

    @staticmethod
    def widths(features: int) -> tuple[int, int]:
        """See `ItemTransformer.widths`; kinds, and orders of bonds to all nine rows."""
        if features != FEATURES:
            raise ValueError(f"tables of molecules have {FEATURES} features, not {features}")
        return READ_FEATURES, READ_FEATURES

    def read(self, x: Tensor) -> Tensor:
        """Kinds, and bonds to the rows before and behind."""
        bonds = bond_scores(x)
        both = bonds + bonds.transpose(1, 2)
        return torch.cat([x[..., : len(ELEMENTS)], both.flatten(2)], 2)

    def logits(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Unnormalised log likelihoods of kinds, (batch, 9, 5), and orders, (batch, 9, 9, 4)."""
        kinds, bonds = prediction.float().tensor_split((len(ELEMENTS),), -1)
        sides = bonds.reshape(*bonds.shape[:-1], MOST_ATOMS, ORDERS)
        return kinds, sides + sides.transpose(1, 2)

    def finished(self, prediction: Tensor) -> Tensor:
        """The clean items that are expected."""
        kinds, orders = self.logits(prediction)
        return probabilities_to_items(kinds.softmax(-1), orders.softmax(-1))
