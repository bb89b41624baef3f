"""Molecules: load, save, SMILES texts, and drawings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from nodegraph import Advanced, Context, File, Image, Molecule, Range, Seed, node

from ._credentials import warn_if_changed
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
    """Load a molecule from a file.

    Args:
        path: SDF, MOL, PDB or SMILES file. Relative paths start from the inputs folder.
        number: Index of the molecule in an SDF or SMILES file with several, starting at 0.
    """
    from nodegraph.media.molecules.molecule_files import read_molecule

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    molecule = read_molecule(file, number=number, names=environment.readable is None)
    warn_if_changed(ctx, file)
    return molecule


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
    """Make a molecule from SMILES text, with 3D conformers.

    Args:
        smiles: SMILES text, for example CC(=O)Oc1ccccc1C(=O)O for aspirin.
        conformers: Number of 3D conformers, with all hydrogens. 0 makes no atom positions.
        seed: Seed of the conformers.
    """
    from nodegraph.media.molecules.chemistry import embed_conformers, molecule_from_smiles

    molecule = molecule_from_smiles(smiles)
    return embed_conformers(molecule, conformers, seed) if conformers else molecule


@node(category="molecule", validate=check_chemistry, tags=("smiles", "text", "canonical"))
def SmilesFromMolecule(molecule: Molecule) -> str:
    """Convert a molecule to canonical SMILES text.

    Args:
        molecule: Any molecule. Atom positions are not included in the text.
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
    """Save a molecule to the output folder, with the workflow that made it.

    Files are numbered: aspirin_00001.sdf. A file with the same content is not written again.

    Args:
        molecule: The molecule, with atom positions if they are known.
        name: Prefix of the file names. drugs/aspirin makes a sub-folder.
        format: SDF stores bonds and the first conformer. PDB stores residues and all conformers.
            SMILES cannot store a workflow.
        picture: Also save a drawing of the molecule.
    """
    from nodegraph.media.molecules.chemistry import MOST_DRAWN, to_smiles
    from nodegraph.media.molecules.molecule_files import MOLECULE_SUFFIXES, encode_molecule

    texts = ctx.file_metadata()
    if format == "sdf" and len(molecule.elements) <= MOST_DRAWN:
        # For viewers without chemistry support.
        texts["SMILES"] = to_smiles(molecule)
    content = encode_molecule(molecule, format, texts)
    name = result_name(ctx, name)
    suffix, is_bare = MOLECULE_SUFFIXES[format], format == "smi"
    save_result(ctx, name, suffix, content, kind="molecule", sidecar=is_bare)
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
    """Draw a molecule: its 2D structure, or the atoms of a large molecule in 3D.

    Args:
        molecule: Above 300 atoms, a square image of the atoms as a point cloud is drawn.
        width: Width in pixels.
        height: Height in pixels.
    """
    return _drawn(molecule, width, height)


def _drawn(molecule: Molecule, width: int, height: int) -> Image:
    from nodegraph.media.molecules.chemistry import MOST_DRAWN, atom_cloud, draw_molecule
    from nodegraph.media.shapes.rendering import draw_shape

    if len(molecule.elements) > MOST_DRAWN and len(molecule.coordinates):
        return draw_shape(atom_cloud(molecule), min(width, height))
    return draw_molecule(molecule, width, height)
