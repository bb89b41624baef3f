"""Files of molecules as values, read by RDKit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodegraph.core.spatial_values import Molecule
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.molecules.chemistry import (
    check_molecules_installed,
    check_smiles,
    from_rdkit,
    silence_rdkit,
)
from nodegraph.media.molecules.molecule_files import MoleculeFormat, read_molecule_file, sdf_records


def read_molecule(path: Path, *, number: int = 0, names: bool = True) -> Molecule:
    """A molecule of a file; the models of a PDB are its conformers.

    Args:
        number: Which of several in an SDF or a file of SMILES, counted from 0.
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, damaged, or holds no molecule.
        InvalidValue: There aren't so many, or RDKit isn't installed.
    """
    parsed = parse_molecule_file(path, number=number, names=names)
    try:
        with silence_rdkit():
            return from_rdkit(parsed)
    except (InvalidValue, ValueError, RuntimeError) as error:
        raise _unreadable(path, error) from error


def parse_molecule_file(path: Path, *, number: int = 0, names: bool = True) -> Any:
    """What `read_molecule` gives, as RDKit has it."""
    check_molecules_installed()
    text, file_format = read_molecule_file(path, names=names)
    records = _records(text, file_format)
    if number >= len(records):
        raise InvalidValue(
            "there aren't so many molecules in this file",
            port="number",
            given=str(number),
            expected=f"0 to {len(records) - 1}" if records else "a file that holds some",
        )
    try:
        if file_format == "smi":
            return check_smiles(records[number])
        with silence_rdkit():
            return _parsed(records[number], file_format)
    except (InvalidValue, ValueError, RuntimeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InvalidFile:
    reason = error.problem.message if isinstance(error, InvalidValue) else error
    return InvalidFile(f"{path} holds no molecule that can be read: {reason}")


def _records(text: str, file_format: MoleculeFormat) -> list[str]:
    if file_format == "pdb":
        return [text]
    if file_format == "smi":
        return [line.strip() for line in text.splitlines() if line.strip()]
    return [record for record in sdf_records(text) if "M  END" in record]


def _parsed(text: str, file_format: MoleculeFormat) -> Any:
    from rdkit import Chem

    if file_format == "pdb":
        parsed = Chem.MolFromPDBBlock(text, sanitize=False, removeHs=False)
    else:
        parsed = Chem.MolFromMolBlock(text, sanitize=False, removeHs=False, strictParsing=False)
    if parsed is None:
        raise ValueError("it is damaged")
    Chem.SanitizeMol(parsed)
    if any(conformer.Is3D() for conformer in parsed.GetConformers()):
        Chem.AssignStereochemistryFrom3D(parsed)
    else:
        Chem.AssignChiralTypesFromBondDirs(parsed)
        Chem.AssignStereochemistry(parsed, cleanIt=True, force=True)
    return parsed
