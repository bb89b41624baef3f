"""Molecules as tables of numbers that a diffusion model works on, and back.

A row is an atom: its kind, and its bonds to the atoms before it. Atoms stand breadth first from
that of the lowest canonical rank, so that a molecule has one table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nodegraph.media.molecules.chemistry import silence_rdkit

if TYPE_CHECKING:
    from torch import Tensor

MOST_ATOMS = 9
"""Rows of a table: atoms but hydrogen."""
ELEMENTS = (0, 6, 7, 8, 9)
"""Atomic number of each kind; 0 for a row without an atom."""
VALENCES: Mapping[int, int] = MappingProxyType({0: 0, 6: 4, 7: 3, 8: 2, 9: 1})
"""Bonds that each element has at most."""
ORDERS = 4
"""Orders of bonds: none, single, double, triple."""
FEATURES = len(ELEMENTS) + ORDERS * (MOST_ATOMS - 1)
"""Numbers of a row."""
READ_FEATURES = len(ELEMENTS) + ORDERS * MOST_ATOMS
"""Numbers of a row in which bonds are told at both of their ends."""
_SPREAD = 2.0
"""A class is told as 1 or 0 less its share, times this: about unit variance."""


def molecule_to_rows(molecule: Any) -> tuple[list[int], list[list[int]]]:
    """Kinds, 0..4, and bond orders, 0..3, of a sanitized molecule of RDKit's, as a table.

    Returns:
        Nine kinds, and nine rows of nine orders, the same on both sides of the diagonal.
    """
    with silence_rdkit():
        from rdkit import Chem

        plain = Chem.Mol(molecule)
        Chem.Kekulize(plain, clearAromaticFlags=True)
        row_of_atom = {atom: row for row, atom in enumerate(_breadth_first(molecule))}
        kinds = [0] * MOST_ATOMS
        orders = [[0] * MOST_ATOMS for _ in range(MOST_ATOMS)]
        for atom, row in row_of_atom.items():
            kinds[row] = ELEMENTS.index(plain.GetAtomWithIdx(atom).GetAtomicNum())
        for bond in plain.GetBonds():
            first, second = row_of_atom[bond.GetBeginAtomIdx()], row_of_atom[bond.GetEndAtomIdx()]
            orders[first][second] = orders[second][first] = int(bond.GetBondTypeAsDouble())
        return kinds, orders


def _breadth_first(molecule: Any) -> list[int]:
    from rdkit import Chem

    rank = list(Chem.CanonicalRankAtoms(molecule))
    visited = [rank.index(min(rank))]
    for at in visited:
        neighbours = (atom.GetIdx() for atom in molecule.GetAtomWithIdx(at).GetNeighbors())
        visited += [
            atom for atom in sorted(neighbours, key=rank.__getitem__) if atom not in visited
        ]
    return visited


def tables_to_items(kinds: Tensor, orders: Tensor) -> Tensor:
    """Tables as items to diffuse.

    Args:
        kinds: int64, shape (batch, 9).
        orders: int64, shape (batch, 9, 9).
    Returns:
        float32, shape (batch, 9, 37).
    """
    import torch
    from torch.nn.functional import one_hot

    atoms = (one_hot(kinds, len(ELEMENTS)).float() - 1 / len(ELEMENTS)) * _SPREAD
    bonds = (one_hot(orders, ORDERS).float() - 1 / ORDERS) * _SPREAD
    bonds = (bonds * lower_triangle()[..., None])[:, :, : MOST_ATOMS - 1]
    return torch.cat([atoms, bonds.flatten(2)], 2)


def lower_triangle() -> Tensor:
    """1 where a column's atom stands before the row's; float32, shape (9, 9)."""
    import torch

    return torch.ones(MOST_ATOMS, MOST_ATOMS).tril(-1)


def bond_scores(items: Tensor) -> Tensor:
    """The part of items that tells of bonds, (batch, 9, 9, 4); zeros on and above the diagonal."""
    from torch.nn.functional import pad

    bonds = items[..., len(ELEMENTS) :].reshape(*items.shape[:-1], MOST_ATOMS - 1, ORDERS)
    mask = lower_triangle().to(items)[..., None]
    return pad(bonds, (0, 0, 0, 1)) * mask


def probabilities_to_items(kinds: Tensor, orders: Tensor) -> Tensor:
    """Items of how likely each class is.

    Args:
        kinds: Shape (batch, 9, 5), each row adding up to 1.
        orders: Shape (batch, 9, 9, 4); what is on and above the diagonal goes for nothing.
    Returns:
        Shape (batch, 9, 37).
    """
    import torch

    bonds = (orders - 1 / ORDERS) * _SPREAD * lower_triangle().to(orders)[..., None]
    atoms = (kinds - 1 / len(ELEMENTS)) * _SPREAD
    return torch.cat([atoms, bonds[:, :, : MOST_ATOMS - 1].flatten(2)], 2)


def items_to_tables(items: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest kinds, (batch, 9), and orders, (batch, 9, 9), of items; nothing is mended."""
    kinds = items[..., : len(ELEMENTS)].argmax(-1)
    below = (bond_scores(items).argmax(-1) * lower_triangle().to(items)).long()
    return kinds, below + below.transpose(1, 2)


def rows_to_molecule(kinds: Sequence[int], orders: Sequence[Sequence[int]]) -> Any | None:
    """RDKit's molecule of a table; None where it is none: a valence is exceeded, an absent atom
    bound, it is in pieces or empty."""
    with silence_rdkit():
        from rdkit import Chem

        types = Chem.BondType
        bonds = {1: types.SINGLE, 2: types.DOUBLE, 3: types.TRIPLE}
        made = Chem.RWMol()
        there = [row for row, kind in enumerate(kinds) if kind]
        atom_of_row = {row: made.AddAtom(Chem.Atom(ELEMENTS[kinds[row]])) for row in there}
        for row in range(len(kinds)):
            for before in range(row):
                order = orders[row][before]
                if order and not (kinds[row] and kinds[before]):
                    return None
                if order:
                    made.AddBond(atom_of_row[row], atom_of_row[before], bonds[order])
        failed = Chem.SanitizeMol(made, catchErrors=True)
        if failed != Chem.SanitizeFlags.SANITIZE_NONE or len(Chem.GetMolFrags(made)) != 1:
            return None
        return made.GetMol()
