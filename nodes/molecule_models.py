"""Molecules from diffusion models: conditioning, decoding and statistics."""

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
    """Conditioning for a molecule model: the properties the molecules should have.

    Properties that are left out are not conditioned.

    Args:
        logp: Preference for oil over water, as a power of ten: sugar has -3, benzene 1.7.
        qed: Drug-likeness, 0 to 1. Molecules this small have 0.3 to 0.6.
        rings: Number of rings.
        atoms: Number of atoms, without hydrogen.
    """
    from nodegraph.families.item_family import item_conditioning

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
    """Guide molecules so that no atom has too many bonds. Far more of them are valid.

    No extra network is evaluated. In each step, the prediction moves along the gradient of its
    valence errors.

    Args:
        guider: The guider to extend, with a MoleculeConditioning.
        strength: Size of the correction, which is applied six times per step. 1 is the full step
            along the gradient, 0 is none.
        start, end: Range of the sampling in which it applies, 0 to 1.
    """
    return replace(guider, added=(*guider.added, Valences(strength, start, end)))


class DecodedMolecules(NamedTuple):
    """Molecules, and how many of the sampled ones are valid."""

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
    """Decode latents of a molecule model to molecules. Invalid molecules are not repaired.

    Args:
        latent: Latents from a KSampler with a molecule model, for example tiny/molecules.
        invalid: Whether to leave out invalid molecules (an atom with too many bonds, or several
            pieces), or to raise an error for the first one.
        distinct: Keep only one of several identical molecules.
        conformers: Number of 3D conformers per molecule, with hydrogens. 0 makes no atom positions.
            Molecules without a conformer are left out, too.
        seed: Seed of the conformers.
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
    ctx.log(f"{valid} of {len(items)} molecules are valid, {len(kept)} kept")
    return DecodedMolecules(kept, valid, len(items))


class MoleculeFigures(NamedTuple):
    """Statistics of molecules."""

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
    """Return statistics of molecules: how many are distinct and new, and their properties.

    Args:
        molecules: At least one molecule.
        known: Molecules that do not count as new.
        plotted: Property to plot as a histogram.
    """
    from nodegraph.media.molecules.molecule_sets import compute_statistics, histogram

    statistics = compute_statistics(molecules, known or ())
    plot = histogram(statistics.values[plotted], plotted)
    return MoleculeFigures(statistics.text, statistics.distinct, statistics.novel, plot)


class PropertiesOfMolecule(NamedTuple):
    """Properties of a molecule."""

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
    """Return the properties of a molecule: logP, drug-likeness, rings, atoms, mass.

    Args:
        molecule: Any molecule. Atom positions do not matter.
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
    """Keep molecules that contain a pattern, lack a pattern, or have a property in a range.

    Args:
        molecules: The molecules to filter.
        contains: SMARTS pattern that must occur, for example c1ccccc1. Empty for any.
        without: SMARTS pattern that must not occur, for example [F,Cl]. Empty for none.
        property: Property to check.
        low: Minimum value.
        high: Maximum value.
    """
    from nodegraph.media.molecules.molecule_sets import MoleculeFilter, filter_molecules

    least = () if low is None else ((property, low),)
    most = () if high is None else ((property, high),)
    return filter_molecules(molecules, MoleculeFilter(contains, without, least, most))
