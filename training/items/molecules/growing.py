"""Molecules without any data set: graphs grown atom by atom, no valence ever exceeded."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from rdkit import Chem, rdBase

from nodegraph.media.molecules.tables import MOST_ATOMS, VALENCES
from training.items.molecules.filtering import is_wanted

_ELEMENTS = {6: 0.70, 7: 0.13, 8: 0.14, 9: 0.03}
_SIZES = {3: 0.2, 4: 0.5, 5: 1.0, 6: 3.0, 7: 8.0, 8: 25.0, MOST_ATOMS: 62.0}
"""Weights of how many atoms a molecule is to have: there are far more large ones."""
_BOND_ORDERS = {1: 0.86, 2: 0.12, 3: 0.02}
_RINGS = {0: 0.20, 1: 0.45, 2: 0.27, 3: 0.08}
_RAISED = {0: 0.45, 1: 0.25, 2: 0.15, 3: 0.15}
_CLOSING = {2: 0.5, 3: 0.6, 4: 2.0, 5: 2.0, 6: 0.4}
"""Weights of rings by how many bonds lie between the atoms that are joined."""
_NEAR_END = 0.6
"""Share of atoms that go on one of the last four: chains, not stars."""


@dataclass(frozen=True)
class Bond:
    """Two atoms by number, and how often they are bound."""

    first: int
    second: int
    order: int


class Growing:
    """A molecule that grows: atoms, bonds, and how many more each atom may have."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._mol = Chem.RWMol()
        self._room: list[int] = []

    def tree(self, elements: list[int]) -> bool:
        """Grow a tree of atoms; False where the last ones find no place."""
        self._add(elements[0])
        for element in elements[1:]:
            free = [atom for atom, room in enumerate(self._room) if room]
            if not free:
                return False
            near = self._rng.random() < _NEAR_END
            at = self._rng.choice(free[-4:] if near else free)
            order = min(_drawn(self._rng, _BOND_ORDERS), self._room[at], VALENCES[element])
            self._bind(Bond(at, self._add(element), order))
        return True

    def close_rings(self, count: int) -> None:
        """Join atoms that lie near each other by single bonds, as far as there are such."""
        for _ in range(count):
            free = [atom for atom, room in enumerate(self._room) if room]
            apart = Chem.GetDistanceMatrix(self._mol, force=True)
            pairs = [p for p in combinations(free, 2) if int(apart[p]) in _CLOSING]
            if not pairs:
                return
            weights = [_CLOSING[int(apart[pair])] for pair in pairs]
            self._bind(Bond(*self._rng.choices(pairs, weights)[0], 1))

    def raise_bonds(self, count: int) -> None:
        """Make double bonds of single ones, as far as there is room."""
        for _ in range(count):
            raisable = [bond for bond in self._mol.GetBonds() if self._may_rise(bond)]
            if not raisable:
                return
            bond = self._rng.choice(raisable)
            bond.SetBondType(Chem.BondType.DOUBLE)
            self._room[bond.GetBeginAtomIdx()] -= 1
            self._room[bond.GetEndAtomIdx()] -= 1

    def finished(self) -> Any | None:
        """The molecule, sanitized; None where RDKit finds it impossible."""
        made = self._mol.GetMol()
        failed = Chem.SanitizeMol(made, catchErrors=True)
        return None if failed != Chem.SanitizeFlags.SANITIZE_NONE else made

    def _may_rise(self, bond: Any) -> bool:
        ends = self._room[bond.GetBeginAtomIdx()], self._room[bond.GetEndAtomIdx()]
        return bool(bond.GetBondType() == Chem.BondType.SINGLE and min(ends) > 0)

    def _add(self, element: int) -> int:
        self._room.append(VALENCES[element])
        return int(self._mol.AddAtom(Chem.Atom(element)))

    def _bind(self, bond: Bond) -> None:
        kinds = Chem.BondType
        kind = {1: kinds.SINGLE, 2: kinds.DOUBLE, 3: kinds.TRIPLE}[bond.order]
        self._mol.AddBond(bond.first, bond.second, kind)
        self._room[bond.first] -= bond.order
        self._room[bond.second] -= bond.order


def _drawn(rng: random.Random, weights: dict[int, float]) -> int:
    return rng.choices(list(weights), list(weights.values()))[0]


def grown(rng: random.Random) -> Any | None:
    """One molecule of RDKit's; None where the draw came to nothing."""
    growing = Growing(rng)
    count = _drawn(rng, _SIZES)
    # The first is carbon, so that there are no molecules without.
    elements = [6, *(_drawn(rng, _ELEMENTS) for _ in range(count - 1))]
    if not growing.tree(elements):
        return None
    growing.close_rings(_drawn(rng, _RINGS))
    growing.raise_bonds(_drawn(rng, _RAISED))
    return growing.finished()


def distinct_molecules(seed: int) -> Iterator[str]:
    """Canonical SMILES of wanted molecules, each once, without end."""
    rng, seen = random.Random(seed), set[str]()
    with rdBase.BlockLogs():
        while True:
            made = grown(rng)
            if made is None or not is_wanted(made):
                continue
            smiles = Chem.MolToSmiles(made)
            if smiles not in seen:
                seen.add(smiles)
                yield smiles


def make_molecules(path: Path, count: int, seed: int) -> list[str]:
    """So many distinct molecules, from the file where it has them, else grown and written there."""
    if path.exists():
        held = path.read_text(encoding="utf-8").split()
        if len(held) == count:
            return held
    molecules = distinct_molecules(seed)
    made = [next(molecules) for _ in range(count)]
    # The first are found easily, and the last are rare: those held out must be like the others.
    random.Random(seed).shuffle(made)
    path.write_text("\n".join(made) + "\n", encoding="utf-8")
    return made
