"""Molecule files (SDF, PDB, SMILES): detect, read and write.

Imports no torch, and RDKit only when a molecule is parsed or encoded.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.core.spatial_values import Molecule
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.input_files import guess_file_kind, read_whole
from nodegraph.media.molecules.chemistry import (
    check_molecules_installed,
    check_smiles,
    from_rdkit,
    silence_rdkit,
    to_rdkit,
    to_smiles,
)

if TYPE_CHECKING:
    from nodegraph.core.spatial_values import Molecule


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
            "the file has fewer molecules",
            port="number",
            given=str(number),
            expected=f"0 to {len(records) - 1}" if records else "a file that contains molecules",
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
    return InvalidFile(f"{path} holds no readable molecule: {reason}")


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
            f"there is no molecule format {format!r}",
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


MoleculeFormat = Literal["sdf", "pdb", "smi"]
READABLE = "SDF or MOL, PDB, or SMILES (.smi)"
LARGEST = 64 << 20
"""Bytes of a file."""
_SMILES_SUFFIXES = (".smi", ".smiles")
READABLE_SUFFIXES = (".sdf", ".mol", ".pdb", *_SMILES_SUFFIXES)
_COUNTS = re.compile(rb"[ \d]{6}[ \d]*.*V[23]000\s*")
_PDB = re.compile(
    rb"(HEADER|TITLE |COMPND|SOURCE|KEYWDS|EXPDTA|AUTHOR|REVDAT|REMARK|CRYST1|MODEL |ATOM  |HETATM)"
    rb"[ -~]*"
)
_REMARK = "REMARK 999 "
_WIDTH = 55
"""Letters of a text in a line of a PDB, which has 80 columns."""


def molecule_format(start: bytes) -> MoleculeFormat | None:
    """What a file is by its first lines; SMILES look like any word, and aren't known by these."""
    lines = start.split(b"\n", 4)
    if len(lines) > 4 and _COUNTS.fullmatch(lines[3].rstrip(b"\r")):
        return "sdf"
    first = lines[0].rstrip(b"\r")
    is_whole = len(lines) > 1 and len(first) <= 80
    return "pdb" if is_whole and _PDB.fullmatch(first) else None


def read_molecule_file(path: Path, *, names: bool = True) -> tuple[str, MoleculeFormat]:
    """The text of a molecule's file, and what it is.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, too large, or of no form that is read.
    """
    data = read_whole(path, LARGEST, names=names)
    file_format = molecule_format(data[:4096])
    if file_format is None and path.suffix.lower() in _SMILES_SUFFIXES:
        file_format = "smi"
    if file_format is None or b"\0" in data:
        raise InvalidFile(
            f"{path} holds no readable molecule: it looks like {guess_file_kind(path)}",
            expected=READABLE,
        )
    return data.decode("utf-8", "replace"), file_format


def molecule_texts(path: Path) -> dict[str, str]:
    """The texts that a molecule's file carries, by name; SMILES have no room for any.

    Raises:
        InvalidFile: It is missing, or of no form that is read.
    """
    text, file_format = read_molecule_file(path)
    if file_format == "sdf":
        return dict(_sdf_texts(text))
    texts: dict[str, str] = {}
    for name, piece in _pdb_pieces(text) if file_format == "pdb" else ():
        texts[name] = texts.get(name, "") + piece
    return texts


def without_molecule_texts(
    data: bytes, file_format: MoleculeFormat, names: Collection[str]
) -> bytes:
    """A molecule's file without the texts of some names, as `encode_molecule` writes them."""
    either = b"|".join(re.escape(name.encode()) for name in sorted(names))
    if file_format == "sdf":
        return re.sub(rb"(?m)^> *<(?:%b)>.*\n.*\n\n" % either, b"", data)
    if file_format == "pdb":
        return re.sub(rb"(?m)^%b(?:%b): .*\n" % (_REMARK.encode(), either), b"", data)
    return data


def sdf_records(text: str) -> list[str]:
    """The molecules of an SDF with what belongs to each, and what follows the last one."""
    return re.split(r"^\$\$\$\$.*\n?", text, flags=re.MULTILINE)


def sdf_fields(texts: Mapping[str, str]) -> str:
    """Texts of one line each as data of an SDF."""
    return "".join(f">  <{name}>\n{text}\n\n" for name, text in texts.items())


def pdb_remarks(texts: Mapping[str, str]) -> str:
    """Texts as remarks of a PDB; each line ends with a stroke, so that blanks before it stay."""
    return "".join(
        f"{_REMARK}{name}: {text[at : at + _WIDTH]}|\n"
        for name, text in texts.items()
        for at in range(0, len(text), _WIDTH)
    )


def _sdf_texts(text: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"^> *<([^>\n]*)>.*\n(.*)$", sdf_records(text)[0], re.MULTILINE):
        yield match[1], match[2].rstrip("\r")


def _pdb_pieces(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, _, piece = line.removeprefix(_REMARK).rstrip().partition(": ")
        if line.startswith(_REMARK) and piece.endswith("|"):
            yield name, piece[:-1]
