"""What many molecules are like together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from nodegraph.core.plots import Plot, Series
from nodegraph.core.spatial_values import Molecule
from nodegraph.errors import InvalidValue
from nodegraph.media.molecules.chemistry import properties_of, to_rdkit, to_smiles

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
        head = f"{self.count} molecules, {self.distinct:.1%} distinct, of these {self.novel:.1%}"
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
