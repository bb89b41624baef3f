"""Molecules as tables, and back."""

from __future__ import annotations

import pytest
import torch
from rdkit import Chem
from torch import Tensor

from nodegraph.media.molecules.chemistry import to_smiles
from nodegraph.media.molecules.molecule_sets import (
    decode_molecules,
    unique_molecules,
    with_conformers,
)
from nodegraph.media.molecules.tables import (
    items_to_tables,
    molecule_to_rows,
    rows_to_molecule,
    tables_to_items,
)

SMALL = ["C", "CCO", "c1ccccc1", "C#N", "O=C1CCCN1", "Cc1ncc[nH]1", "FC(F)F", "OC1CC2CCC1C2"]


def items_of(*smiles: str) -> Tensor:
    rows = [molecule_to_rows(Chem.MolFromSmiles(each)) for each in smiles]
    kinds, orders = (torch.tensor(each) for each in zip(*rows, strict=True))
    return tables_to_items(kinds, orders)


def test_a_table_says_the_molecule_it_was_made_of() -> None:
    found = decode_molecules(items_of(*SMALL), strict=True)
    assert [to_smiles(each) for each in found] == [Chem.CanonSmiles(each) for each in SMALL]


def test_however_a_molecule_is_written_it_has_one_table() -> None:
    assert torch.equal(items_of("OCC", "C1=CC=CN1"), items_of("CCO", "c1cc[nH]c1"))


def test_noise_that_is_not_too_strong_changes_no_table() -> None:
    items = items_of(*SMALL)
    noisy = items + (torch.rand(items.shape, generator=torch.Generator().manual_seed(0)) - 0.5)
    for one, other in zip(items_to_tables(noisy), items_to_tables(items), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("kinds", "bonds"),
    [
        ([4, 1, 4], {(0, 1): 1, (1, 2): 2}),  # fluorine bound twice
        ([1, 0, 1], {(0, 1): 1, (0, 2): 1}),  # a bond to no atom
        ([1, 1, 1], {(0, 1): 1}),  # two pieces
        ([0, 0, 0], {}),
    ],
)
def test_what_is_no_molecule_is_none(kinds: list[int], bonds: dict[tuple[int, int], int]) -> None:
    orders = [[0] * 3 for _ in range(3)]
    for (first, second), order in bonds.items():
        orders[first][second] = orders[second][first] = order
    assert rows_to_molecule(kinds, orders) is None


def test_the_same_molecule_is_kept_once() -> None:
    found = decode_molecules(items_of("CCO", "C", "OCC"))
    assert [to_smiles(each) for each in unique_molecules(found)] == ["CCO", "C"]


def test_what_cannot_be_laid_in_space_is_left_out() -> None:
    found = decode_molecules(items_of("CCO", "C1=C2CC(C1)C2"))
    placed = with_conformers(found, 2, seed=0)
    assert {to_smiles(each) for each in placed} <= {to_smiles(each) for each in found}
    assert placed[0].coordinates.shape == (2, 9, 3)
