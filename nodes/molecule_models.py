"""Molecules by diffusion: what to ask for, and what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from nodegraph import (
    Advanced,
    Conditioning,
    Context,
    Latent,
    Molecule,
    Plot,
    Range,
    Seed,
    node,
)
from nodegraph.sampling.guiders.added_guidance import Valences
from nodegraph.sampling.sampling_parts import GuiderChoice

from ._guider_facts import check_guided_part, guider_facts
from ._molecule_facts import (
    check_chemistry,
    check_decoded_molecules,
    check_molecules,
    molecule_family,
)


@node(
    category="conditioning",
    infer=molecule_family,
    tags=("molecules", "chemistry", "logP", "QED", "rings", "drug", "generate"),
)
def MoleculeConditioning(
    logp: Annotated[float, Range(-10, 10, step=0.1)] | None = None,
    qed: Annotated[float, Range(0, 1, step=0.01)] | None = None,
    rings: Annotated[int, Range(0, 9)] | None = None,
    atoms: Annotated[int, Range(1, 9)] | None = None,
) -> Conditioning:
    """What molecules are to be like; what isn't told is left to the model.

    Args:
        logp: How much they prefer oil to water, as a power of ten: sugar has -3, benzene 1.7.
        qed: How like drugs they are, 0 to 1; of molecules this small 0.3 to 0.6.
        rings: How many rings they have.
        atoms: How many atoms, besides hydrogen.
    """
    from nodegraph.families.items.conditioning import item_conditioning

    return item_conditioning("molecules", numbers=(logp, qed, rings, atoms))


@node(
    category="sampling/guider",
    infer=guider_facts,
    validate=check_guided_part,
    tags=("molecules", "chemistry", "valence", "valid", "ValenceGuider", "gradient"),
)
def ValenceGuidance(
    guider: GuiderChoice,
    strength: Annotated[float, Range(0, 10, step=0.1)] = 1.0,
    start: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 0.0,
    end: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 1.0,
) -> GuiderChoice:
    """Lead molecules to where no atom has more bonds than it can have, or none: far more are valid.

    No network is asked for it: each step's prediction is pushed down the slope of what is wrong
    with its own bonds.

    Args:
        guider: What leads besides; of a MoleculeConditioning.
        strength: How far it is pushed, six times a step: 1 is as far as the slope says that nothing
            would be wrong any more, 0 is not at all.
        start, end: Part of the sampling in which it is, 0 to 1.
    """
    return replace(guider, added=(*guider.added, Valences(strength, start, end)))


class DecodedMolecules(NamedTuple):
    """Molecules, and how many of those that were sampled are any."""

    molecules: list[Molecule]
    valid: int
    sampled: int


@node(
    category="molecule",
    validate=check_decoded_molecules,
    numerics=True,
    tags=("molecules", "chemistry", "decode", "VAEDecode", "valid", "conformers", "SDF"),
)
def DecodeMolecules(
    ctx: Context,
    latent: list[Latent],
    invalid: Literal["leave out", "refuse"] = "leave out",
    distinct: bool = False,
    conformers: Annotated[int, Range(0, 100)] = 0,
    seed: Annotated[int, Seed(), Advanced()] = 0,
) -> DecodedMolecules:
    """Read the molecules from latents that a model of molecules has sampled; nothing is mended.

    Args:
        latent: One or several, of a KSampler with a model such as tiny/molecules.
        invalid: Whether those are left out that are no molecules (an atom with too many bonds, or
            several pieces), or the first of them is an error.
        distinct: Keep one of several that are the same molecule.
        conformers: How many ways to lay each in space, with its hydrogens; 0 leaves out where
            atoms are. Those for which there is no such way are left out, too.
        seed: Of how they are laid.
    """
    from nodegraph.families.items.latents import all_items
    from nodegraph.media.molecules.molecule_sets import (
        decode_molecules,
        unique_molecules,
        with_conformers,
    )

    items = all_items(latent, "molecules")
    decoded = decode_molecules(items, strict=invalid == "refuse")
    valid = len(decoded)
    kept = unique_molecules(decoded) if distinct else decoded
    if conformers:
        kept = with_conformers(kept, conformers, seed)
    ctx.log(f"{valid} of {len(items)} are valid, {len(kept)} kept")
    return DecodedMolecules(kept, valid, len(items))


class MoleculeFigures(NamedTuple):
    """What molecules are like."""

    text: str
    distinct: float
    novel: float
    plot: Plot


@node(
    category="molecule",
    version=2,
    validate=check_molecules,
    tags=("statistics", "unique", "novel", "histogram", "logP", "QED", "chemistry", "measure"),
)
def MoleculeStatistics(
    molecules: list[Molecule],
    known: list[Molecule] | None = None,
    plotted: Literal["logp", "qed", "rings", "atoms", "mass"] = "logp",
) -> MoleculeFigures:
    """Tell of many molecules how many are distinct and new, and what they are like.

    Args:
        molecules: At least one.
        known: Molecules that don't count as new.
        plotted: The property whose histogram is plotted.
    """
    from nodegraph.media.molecules.molecule_sets import compute_statistics, histogram

    statistics = compute_statistics(molecules, known or ())
    plot = histogram(statistics.values[plotted], plotted)
    return MoleculeFigures(statistics.text, statistics.distinct, statistics.novel, plot)


class PropertiesOfMolecule(NamedTuple):
    """Numbers of a molecule."""

    logp: float
    qed: float
    rings: int
    atoms: int
    mass: float


@node(
    category="molecule",
    validate=check_chemistry,
    tags=("logP", "QED", "rings", "weight", "descriptors", "chemistry", "measure"),
)
def MoleculeProperties(molecule: Molecule) -> PropertiesOfMolecule:
    """Tell what a molecule is like: oil or water, like drugs or not, rings, atoms, mass.

    Args:
        molecule: Where its atoms are makes no difference.
    """
    from nodegraph.media.molecules.chemistry import properties_of, to_rdkit

    properties = properties_of(to_rdkit(molecule))
    whole = int(properties["rings"]), int(properties["atoms"])
    return PropertiesOfMolecule(properties["logp"], properties["qed"], *whole, properties["mass"])


@node(
    category="molecule",
    validate=check_molecules,
    tags=("SMARTS", "substructure", "select", "choose", "logP", "chemistry"),
)
def FilterMolecules(
    molecules: list[Molecule],
    contains: str = "",
    without: str = "",
    property: Literal["logp", "qed", "rings", "atoms", "mass"] = "logp",
    low: float | None = None,
    high: float | None = None,
) -> list[Molecule]:
    """Keep the molecules of a list that have a pattern, lack one, or have a property in a range.

    Args:
        molecules: What is chosen from.
        contains: SMARTS pattern that must be there, such as c1ccccc1; empty for any.
        without: SMARTS pattern that must not be there, such as [F,Cl]; empty for none.
        property: Which is looked at.
        low: Its least value.
        high: Its largest value.
    """
    from nodegraph.media.molecules.molecule_sets import MoleculeFilter, filter_molecules

    least = () if low is None else ((property, low),)
    most = () if high is None else ((property, high),)
    return filter_molecules(molecules, MoleculeFilter(contains, without, least, most))
