"""Molecules as the bytes of files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue
from nodegraph.media.molecules.chemistry import silence_rdkit, to_rdkit, to_smiles
from nodegraph.media.molecules.molecule_files import MoleculeFormat, pdb_remarks, sdf_fields

if TYPE_CHECKING:
    from nodegraph.core.spatial_values import Molecule

MOLECULE_SUFFIXES: Mapping[MoleculeFormat, str] = {"sdf": ".sdf", "pdb": ".pdb", "smi": ".smi"}


def encode_molecule(
    molecule: Molecule, format: MoleculeFormat = "sdf", metadata: Mapping[str, str] | None = None
) -> bytes:
    """A molecule as the bytes of a file; equal molecules give equal bytes.

    Args:
        format: ``sdf`` has bonds and places to 4 digits, in the plane where none are known; ``pdb``
            residues and all conformers, to 3; ``smi`` is the canonical SMILES text, without places.
        metadata: Texts of one line each by name, such as ``workflow``; SMILES have no room for any.
    Raises:
        InvalidValue, NumericalError: It is none that can be written; see `to_rdkit`.
    """
    if format not in MOLECULE_SUFFIXES:
        raise InvalidValue(
            f"no format of molecules is called {format!r}",
            port="format",
            expected=", ".join(MOLECULE_SUFFIXES),
        )
    if format == "smi":
        name = " ".join(molecule.name.split())
        return f"{to_smiles(molecule)} {name}".rstrip().encode() + b"\n"
    made, texts = to_rdkit(molecule), metadata or {}
    with silence_rdkit():
        from rdkit import Chem
        from rdkit.Chem import rdDepictor

        if format == "pdb":
            return (pdb_remarks(texts) + Chem.MolToPDBBlock(made)).encode()
        if not made.GetNumConformers():
            # Which way around atoms and double bonds are is told by places.
            rdDepictor.Compute2DCoords(made)
        block = Chem.MolToMolBlock(made, confId=-1)
        # The second line would tell the time.
        first, _, remaining = block.split("\n", 2)
        mark = "  nodegraph"
        return f"{first}\n{mark}\n{remaining}{sdf_fields(texts)}$$$$\n".encode()
