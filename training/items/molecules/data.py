"""The molecules as tensors to train on: tables, and what each is asked by."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from nodegraph.molecules.properties import properties_of
from nodegraph.molecules.tables import rows_of, table_items
from training.items.fitting import Batch
from training.items.molecules.growing import make_molecules

PROPERTIES = ("logp", "qed", "rings", "atoms")
"""The numbers that lead the model, in their order."""


@dataclass(frozen=True)
class Tables:
    """Molecules in the order of their file.

    Attributes:
        smiles: Canonical.
        kinds: uint8, shape (count, 9).
        orders: uint8, shape (count, 9, 9).
        numbers: float32, shape (count, properties).
    """

    smiles: list[str]
    kinds: Tensor
    orders: Tensor
    numbers: Tensor

    def part(self, start: int, end: int | None = None) -> "Tables":
        """Those of some rows."""
        rows = slice(start, end)
        return Tables(
            self.smiles[rows], self.kinds[rows], self.orders[rows], self.numbers[rows]
        )

    def batch(self, count: int, rng: np.random.Generator) -> Batch:
        """Some of them by chance."""
        rows = torch.from_numpy(rng.integers(len(self.smiles), size=count))
        items = table_items(self.kinds[rows].long(), self.orders[rows].long())
        nothing = torch.zeros(count, 0, dtype=torch.int64)
        return Batch(items, nothing, self.numbers[rows])


def load_tables(work: Path, count: int, seed: int) -> Tables:
    """The molecules of a work folder, made where they aren't yet."""
    smiles = make_molecules(work / "molecules.txt", count, seed)
    file = work / "tables.pt"
    if not file.exists():
        torch.save(_arrays([Chem.MolFromSmiles(text) for text in smiles]), file)
    return Tables(smiles, **torch.load(file, weights_only=True))


def _arrays(molecules: list[Any]) -> dict[str, Tensor]:
    rows = [rows_of(molecule) for molecule in molecules]
    asked = [[properties_of(each)[name] for name in PROPERTIES] for each in molecules]
    return {
        "kinds": torch.tensor([kinds for kinds, _ in rows], dtype=torch.uint8),
        "orders": torch.tensor([orders for _, orders in rows], dtype=torch.uint8),
        "numbers": torch.tensor(asked, dtype=torch.float32),
    }
