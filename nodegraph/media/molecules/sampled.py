"""Molecules that a model has sampled: read from tables, laid in space, counted, chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.core.spatial_values import Molecule
from nodegraph.errors import InvalidValue
from nodegraph.media.molecules.chemistry import (
    embedded,
    from_rdkit,
    properties_of,
    quiet_chemistry,
    smiles_of,
    to_rdkit,
)
from nodegraph.media.molecules.tables import item_tables, molecule_of_rows

if TYPE_CHECKING:
    from torch import Tensor


def decoded_molecules(items: Tensor, *, refuse: bool = False) -> list[Molecule]:
    """The molecules of items, without coordinates; those that are none are left out.

    Args:
        items: Tables of atoms and bonds, shape (batch, 9, 37).
        refuse: Whether one that is none is an error.
    Raises:
        InvalidValue: So it is.
    """
    kinds, orders = item_tables(items)
    decoded = []
    for index, rows in enumerate(zip(kinds.tolist(), orders.tolist(), strict=True)):
        made = molecule_of_rows(*rows)
        if made is not None:
            decoded.append(from_rdkit(made))
        elif refuse:
            raise InvalidValue(
                f"item {index} is no molecule: an atom has too many bonds, or it is in pieces",
                port="latent",
                hint="Leave such out, put a ValenceGuidance before the sampler, or take more "
                "steps.",
            )
    return decoded


def once(molecules: Iterable[Molecule]) -> list[Molecule]:
    """Each once: the first of those that are the same."""
    by_smiles: dict[str, Molecule] = {}
    for molecule in molecules:
        by_smiles.setdefault(smiles_of(molecule), molecule)
    return list(by_smiles.values())


def with_conformers(molecules: Iterable[Molecule], conformers: int, seed: int) -> list[Molecule]:
    """Molecules in space, with all their hydrogens; those that can't be laid are left out."""
    return list(_embed_each(molecules, conformers, seed))


def _embed_each(molecules: Iterable[Molecule], conformers: int, seed: int) -> Iterator[Molecule]:
    for molecule in molecules:
        try:
            yield embedded(molecule, conformers, seed)
        except InvalidValue:
            # Strained ones have no place in space; who wants to know counts what is left.
            continue


@dataclass(frozen=True, slots=True)
class MoleculeChoice:
    """Which molecules are chosen.

    Attributes:
        contains, without: SMARTS patterns that must be there, and that must not; empty for any.
        low, high: By name of a property, its least and largest value.
    """

    contains: str = ""
    without: str = ""
    low: tuple[tuple[str, float], ...] = ()
    high: tuple[tuple[str, float], ...] = ()


def chosen(molecules: Sequence[Molecule], wanted: MoleculeChoice) -> list[Molecule]:
    """Those that are wanted, in their order.

    Raises:
        InvalidValue: A pattern is none.
    """
    having, lacking = _pattern(wanted.contains, "contains"), _pattern(wanted.without, "without")
    return [each for each in molecules if _is_wanted(to_rdkit(each), wanted, having, lacking)]


def _is_wanted(molecule: Any, wanted: MoleculeChoice, having: Any, lacking: Any) -> bool:
    with quiet_chemistry():
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
    with quiet_chemistry():
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
