"""Molecules that a model has sampled: read from tables, laid in space, counted, chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.core.spatial_values import Molecule
from nodegraph.errors import InvalidValue
from nodegraph.media.molecules.chemistry import (
    embed_conformers,
    from_rdkit,
    properties_of,
    silence_rdkit,
    to_rdkit,
    to_smiles,
)
from nodegraph.media.molecules.tables import items_to_tables, rows_to_molecule

if TYPE_CHECKING:
    from torch import Tensor


def decode_molecules(items: Tensor, *, strict: bool = False) -> list[Molecule]:
    """The molecules of items, without coordinates; those that are none are left out.

    Args:
        items: Tables of atoms and bonds, shape (batch, 9, 37).
        strict: Whether one that is none is an error.
    Raises:
        InvalidValue: So it is.
    """
    kinds, orders = items_to_tables(items)
    decoded = []
    for index, rows in enumerate(zip(kinds.tolist(), orders.tolist(), strict=True)):
        made = rows_to_molecule(*rows)
        if made is not None:
            decoded.append(from_rdkit(made))
        elif strict:
            raise InvalidValue(
                f"item {index} is no molecule: an atom has too many bonds, or it is in pieces",
                port="latent",
                hint="Leave such out, put a ValenceGuidance before the sampler, or take more "
                "steps.",
            )
    return decoded


def unique_molecules(molecules: Iterable[Molecule]) -> list[Molecule]:
    """Each once: the first of those that are the same."""
    by_smiles: dict[str, Molecule] = {}
    for molecule in molecules:
        by_smiles.setdefault(to_smiles(molecule), molecule)
    return list(by_smiles.values())


def with_conformers(molecules: Iterable[Molecule], conformers: int, seed: int) -> list[Molecule]:
    """Molecules in space, with all their hydrogens; those that can't be laid are left out."""
    return list(_embed_each(molecules, conformers, seed))


def _embed_each(molecules: Iterable[Molecule], conformers: int, seed: int) -> Iterator[Molecule]:
    for molecule in molecules:
        try:
            yield embed_conformers(molecule, conformers, seed)
        except InvalidValue:
            # Strained ones have no place in space; who wants to know counts what is left.
            continue


@dataclass(frozen=True, slots=True)
class MoleculeFilter:
    """Which molecules are chosen.

    Attributes:
        contains, without: SMARTS patterns that must be there, and that must not; empty for any.
        low, high: By name of a property, its least and largest value.
    """

    contains: str = ""
    without: str = ""
    low: tuple[tuple[str, float], ...] = ()
    high: tuple[tuple[str, float], ...] = ()


def filter_molecules(molecules: Sequence[Molecule], wanted: MoleculeFilter) -> list[Molecule]:
    """Those that are wanted, in their order.

    Raises:
        InvalidValue: A pattern is none.
    """
    having, lacking = _pattern(wanted.contains, "contains"), _pattern(wanted.without, "without")
    return [each for each in molecules if _is_wanted(to_rdkit(each), wanted, having, lacking)]


def _is_wanted(molecule: Any, wanted: MoleculeFilter, having: Any, lacking: Any) -> bool:
    with silence_rdkit():
        if having is not None and not molecule.HasSubstructMatch(having):
            return False
        if lacking is not None and molecule.HasSubstructMatch(lacking):
            return False
    if not (wanted.low or wanted.high):
        return True
    properties = properties_of(molecule)
    is_enough = all(properties[name] >= least for name, least in wanted.low)
    return is_enough and all(properties[name] <= most for name, most in wanted.high)


def _pattern(smarts: str, port: str) -> Any | None:
    if not smarts.strip():
        return None
    with silence_rdkit():
        from rdkit import Chem

        pattern = Chem.MolFromSmarts(smarts.strip())
    if pattern is None:
        raise InvalidValue(
            "this is no SMARTS pattern",
            port=port,
            given=smarts[:80],
            expected="such as c1ccccc1 for a ring of benzene, or [OH]",
        )
    return pattern
