"""The molecules as tensors to train on: tables, and what each is asked by."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from nodegraph.families.item_family import MOLECULE_PROPERTIES
from nodegraph.media.molecules.chemistry import properties_of
from nodegraph.media.molecules.tables import MOST_ATOMS, molecule_to_rows, tables_to_items
from training.items.fitting import Batch
from training.items.molecules.growing import make_molecules

_QED = 45_000
"""Molecules whose likeness to drugs is told: it takes far longer than all the rest."""


@dataclass(frozen=True)
class Tables:
    """Molecules in the order of their file.

    Attributes:
        smiles: Canonical.
        kinds: uint8, shape (count, 9).
        orders: uint8, shape (count, 9, 9).
        numbers: float32, shape (count, properties); NaN where one wasn't reckoned.
    """

    smiles: list[str]
    kinds: Tensor
    orders: Tensor
    numbers: Tensor

    def part(self, start: int, end: int | None = None) -> "Tables":
        """Those of some rows."""
        rows = slice(start, end)
        return Tables(self.smiles[rows], self.kinds[rows], self.orders[rows], self.numbers[rows])

    def batch(self, count: int, rng: np.random.Generator) -> Batch:
        """Some of them by chance."""
        rows = torch.from_numpy(rng.integers(len(self.smiles), size=count))
        items = tables_to_items(self.kinds[rows].long(), self.orders[rows].long())
        nothing = torch.zeros(count, 0, dtype=torch.int64)
        return Batch(items, nothing, self.numbers[rows])

    def figures(self) -> tuple[Tensor, Tensor]:
        """Mean and spread of the numbers."""
        known = np.ma.masked_invalid(self.numbers.double().numpy())
        return torch.from_numpy(known.mean(0).data), torch.from_numpy(known.std(0).data)


def load_tables(work: Path, count: int, seed: int) -> Tables:
    """The molecules of a work folder, made where they aren't yet."""
    smiles = make_molecules(work / "molecules.txt", count, seed)
    file = work / "tables.pt"
    if not file.exists():
        torch.save(_arrays(smiles), file)
    return Tables(smiles, **torch.load(file, weights_only=True))


def _arrays(smiles: list[str]) -> dict[str, Tensor]:
    count = len(smiles)
    kinds = np.zeros((count, MOST_ATOMS), np.uint8)
    orders = np.zeros((count, MOST_ATOMS, MOST_ATOMS), np.uint8)
    numbers = np.full((count, len(MOLECULE_PROPERTIES)), np.nan, np.float32)
    for row, text in enumerate(smiles):
        found = Chem.MolFromSmiles(text)
        kinds[row], orders[row] = molecule_to_rows(found)
        told = properties_of(found, qed=row < _QED)
        numbers[row] = [told[name] for name in MOLECULE_PROPERTIES]
    named = {"kinds": kinds, "orders": orders, "numbers": numbers}
    return {name: torch.from_numpy(array) for name, array in named.items()}
