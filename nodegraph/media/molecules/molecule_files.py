"""Files of molecules: what they are, and the texts in them.

Imports no torch, and no package that reads molecules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from nodegraph.errors import InvalidFile
from nodegraph.media.images.input_files import guess_file_kind, read_whole

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
            f"{path} holds no molecule that is read: it looks like {guess_file_kind(path)}.",
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
