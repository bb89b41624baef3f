"""Sets of sampled molecules: decode, deduplicate, filter, compute statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from nodegraph.core.plots import Plot, Series
from nodegraph.core.spatial_values import Molecule
from nodegraph.core.text_format import format_share, pluralize
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

PROPERTY_TITLES = {
    "logp": "logP",
    "qed": "QED",
    "rings": "rings",
    "atoms": "atoms",
    "mass": "mass (Da)",
}
_WHOLE = ("rings", "atoms")
_BARS = 12


@dataclass(frozen=True, slots=True)
class MoleculeStatistics:
    """Of some molecules.

    Attributes:
        count: How many there are.
        distinct: Share of them that are left if each is counted once.
        novel: Share of the distinct ones that aren't among those that were known; 1 if none were.
        values: Of each molecule, by property.
    """

    count: int
    distinct: float
    novel: float
    values: dict[str, list[float]]

    @property
    def text(self) -> str:
        """In a few lines."""
        means = "\n".join(
            f"{title}: {fmean(self.values[name]):.3g} ({min(self.values[name]):.3g} to "
            f"{max(self.values[name]):.3g})"
            for name, title in PROPERTY_TITLES.items()
        )
        distinct = format_share(self.distinct, self.count)
        novel = format_share(self.novel, round(self.count * self.distinct))
        head = f"{pluralize(self.count, 'molecule')}, {distinct} distinct, of these {novel}"
        return f"{head} not known before\n{means}"


def compute_statistics(
    molecules: Sequence[Molecule], known: Sequence[Molecule] = ()
) -> MoleculeStatistics:
    """What molecules are like.

    Args:
        molecules: At least one.
        known: Those that aren't new.
    Raises:
        InvalidValue: There are none.
    """
    if not molecules:
        raise InvalidValue(
            "there are no molecules to count",
            port="molecules",
            hint="Sample more of them, or put a ValenceGuidance before the sampler.",
        )
    names = {to_smiles(each) for each in molecules}
    fresh = names - {to_smiles(each) for each in known}
    properties = [properties_of(to_rdkit(each)) for each in molecules]
    values = {name: [each[name] for each in properties] for name in PROPERTY_TITLES}
    return MoleculeStatistics(
        len(molecules), len(names) / len(molecules), len(fresh) / len(names), values
    )


def histogram(values: Sequence[float], name: str) -> Plot:
    """How often a property has which values.

    Args:
        values: At least one.
        name: One of `PROPERTY_TITLES`.
    """
    import numpy as np

    if name in _WHOLE:
        edges = np.arange(min(values) - 0.5, max(values) + 1)
    else:
        edges = np.histogram_bin_edges(values, _BARS)
    counts, edges = np.histogram(values, edges)
    middles = (edges[1:] + edges[:-1]) / 2
    shares = counts / len(values)
    series = Series("", tuple(middles.tolist()), tuple(shares.tolist()), "bars")
    note = f"of {len(values)} molecules"
    title = PROPERTY_TITLES[name]
    return Plot("", title, "share of molecules", (series,), notes=(note,))


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
                f"item {index} is not a molecule: an atom has too many bonds, or it is in pieces",
                port="latent",
                hint="Remove such items, put a ValenceGuidance before the sampler, or use more "
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
            "this is not a SMARTS pattern",
            port=port,
            given=smarts[:80],
            expected="for example c1ccccc1 for a benzene ring, or [OH]",
        )
    return pattern
