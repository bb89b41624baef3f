"""Molecules: reading, writing, SMILES texts, and pictures of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from nodegraph import Advanced, Context, File, Image, Molecule, Range, Seed, node

from ._facts import image_state
from ._molecule_facts import (
    check_chemistry,
    check_molecule_file,
    check_saved_molecule,
    check_smiles_text,
)
from ._result_files import result_name, save_picture, save_result


@node(
    category="molecule",
    lane="io",
    validate=check_molecule_file,
    fingerprint=image_state,
    tags=("open", "read", "sdf", "pdb", "protein", "chemistry"),
)
def LoadMolecule(
    ctx: Context,
    path: Annotated[str, File("molecule")],
    number: Annotated[int, Range(0, 1_000_000_000), Advanced()] = 0,
) -> Molecule:
    """Read a molecule from a file.

    Args:
        path: SDF, MOL, PDB or SMILES; relative paths start from the inputs folder.
        number: Which of several in an SDF or a file of SMILES, counted from 0.
    """
    from nodegraph.media.molecules.molecule_files import read_molecule

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    return read_molecule(file, number=number, names=environment.readable is None)


@node(
    category="molecule",
    validate=check_smiles_text,
    numerics=True,
    tags=("smiles", "text", "embed", "conformer", "chemistry"),
)
def MoleculeFromSmiles(
    smiles: str,
    conformers: Annotated[int, Range(0, 1000)] = 1,
    seed: Annotated[int, Seed()] = 0,
) -> Molecule:
    """Make a molecule of a SMILES text, and lay it in space.

    Args:
        smiles: Such as CC(=O)Oc1ccccc1C(=O)O for aspirin.
        conformers: How many ways to lay it, with all its hydrogens; 0 leaves out where atoms are.
        seed: Of how it is laid.
    """
    from nodegraph.media.molecules.chemistry import embed_conformers, molecule_from_smiles

    molecule = molecule_from_smiles(smiles)
    return embed_conformers(molecule, conformers, seed) if conformers else molecule


@node(category="molecule", validate=check_chemistry, tags=("smiles", "text", "canonical"))
def SmilesFromMolecule(molecule: Molecule) -> str:
    """Write a molecule as SMILES text: the same text for the same molecule.

    Args:
        molecule: Without where its atoms are.
    """
    from nodegraph.media.molecules.chemistry import to_smiles

    return to_smiles(molecule)


@node(
    category="molecule",
    lane="io",
    output="files",
    validate=check_saved_molecule,
    tags=("write", "file", "sdf", "pdb", "export"),
)
def SaveMolecule(
    ctx: Context,
    molecule: Molecule,
    name: str = "molecule",
    format: Literal["sdf", "pdb", "smi"] = "sdf",
    picture: Annotated[bool, Advanced()] = True,
) -> None:
    """Write a molecule to the output folder, with the workflow that made it.

    Files are numbered: aspirin_00001.sdf. One with the same content is not written again.

    Args:
        molecule: With where its atoms are, if that is known.
        name: What the file names begin with; drugs/aspirin makes a sub-folder.
        format: SDF has bonds and the first conformer, PDB residues and all of them; SMILES has no
            room for a workflow.
        picture: Also write a drawing of it.
    """
    from nodegraph.media.images.workflow_metadata import workflow_metadata
    from nodegraph.media.molecules.chemistry import to_smiles
    from nodegraph.media.molecules.depiction import MOST_DRAWN
    from nodegraph.media.molecules.molecule_files import MOLECULE_SUFFIXES, encode_molecule

    texts = dict(workflow_metadata(ctx.workflow))
    if format == "sdf" and len(molecule.elements) <= MOST_DRAWN:
        # For readers that know no chemistry.
        texts["SMILES"] = to_smiles(molecule)
    content = encode_molecule(molecule, format, texts)
    name = result_name(ctx, name)
    save_result(ctx, name, MOLECULE_SUFFIXES[format], content, kind="molecule")
    if picture:
        save_picture(ctx, name, _drawn(molecule, 512, 512))


@node(
    category="molecule",
    version=2,
    validate=check_chemistry,
    tags=("picture", "structure", "chemistry"),
)
def DrawMolecule(
    molecule: Molecule,
    width: Annotated[int, Range(64, 4096)] = 512,
    height: Annotated[int, Range(64, 4096)] = 512,
) -> Image:
    """Draw a molecule: its structure in the plane, or of a large one its atoms in space.

    Args:
        molecule: Above 300 atoms, a cloud of them is drawn, as wide as high.
        width: In pixels.
        height: In pixels.
    """
    return _drawn(molecule, width, height)


def _drawn(molecule: Molecule, width: int, height: int) -> Image:
    from nodegraph.media.molecules.depiction import MOST_DRAWN, atom_cloud, draw_molecule
    from nodegraph.media.shapes.rendering import draw_shape

    if len(molecule.elements) > MOST_DRAWN and len(molecule.coordinates):
        return draw_shape(atom_cloud(molecule), min(width, height))
    return draw_molecule(molecule, width, height)
