"""Which molecules are wanted: none that a chemist would call strained, unstable or reactive."""

from functools import cache
from itertools import combinations
from typing import Any

from rdkit import Chem

_UNWANTED = {
    "peroxide": "[O]~[O]",
    "fluorine on nitrogen or oxygen": "[F]~[#7,#8]",
    "four nitrogens in a row": "[#7]~[#7]~[#7]~[#7]",
    "nitrogen between oxygens": "[#8]~[#7]~[#8]",
    "three nitrogens in a chain": "[N;R0]-[N;R0]-[N;R0]",
    "double bonds side by side": "*=*=*",
    "multiple bond at a ring of three": "[r3]=,#*",
    "triple bond at a ring of four": "[r4]#*",
    "triple bond in a ring of five": "[r5]#[r5]",
    "triple bond in a ring of six": "[r6]#[r6]",
    "triple bond in a ring of seven": "[r7]#[r7]",
    "triple bond in a ring of eight": "[r8]#[r8]",
    "gem-diol": "[CX4]([OX2H])[OX2H]",
    "hemiaminal": "[CX4]([OX2H])[NX3;H2,H1]",
    "fluorine beside OH or NH": "[CX4]([F])[OX2H,NX3;!H0]",
    "enol": "[CX3]=[CX3][OX2H]",
    "enamine": "[CX3;!a]=[CX3;!a][NX3;H2]",
    "ynol, ynamine": "[C]#[C][OX2H,NX3H2,F]",
    "azo in a chain": "[NX2]=[NX2;!R]",
    "nitrogen with two ethers": "[OX2][NX3;!R][OX2]",
    "spiro or fused ring of three": "[x3]~[r3]",
    "acyl fluoride": "[C;R0](=O)[F]",
}
_MOST_RINGS, _MOST_SMALL, _MOST_THREES = 3, 2, 1


@cache
def _patterns() -> tuple[Any, ...]:
    return tuple(Chem.MolFromSmarts(smarts) for smarts in _UNWANTED.values())


def is_wanted(mol: Any) -> bool:
    """Whether a sanitized molecule of RDKit's is one that the model is to learn."""
    return _has_good_rings(mol) and not any(mol.HasSubstructMatch(p) for p in _patterns())


def _has_good_rings(mol: Any) -> bool:
    rings = [set(ring) for ring in mol.GetRingInfo().AtomRings()]
    sizes = [len(ring) for ring in rings]
    few = len(rings) <= _MOST_RINGS and sizes.count(3) <= _MOST_THREES
    if not few or sizes.count(3) + sizes.count(4) > _MOST_SMALL:
        return False
    return not any(_is_bent(mol, first & second) for first, second in combinations(rings, 2))


def _is_bent(mol: Any, shared: set[int]) -> bool:
    """Whether two rings that share more than a bond have a multiple one at the bridgehead: such
    can't lie flat (Bredt's rule), and few of them can be laid in space."""
    if len(shared) <= 2:
        return False
    single = Chem.BondType.SINGLE
    for number in shared:
        bonds = mol.GetAtomWithIdx(number).GetBonds()
        within = sum(bond.GetOtherAtomIdx(number) in shared for bond in bonds)
        if within == 1 and any(bond.GetBondType() != single for bond in bonds):
            return True
    return False
