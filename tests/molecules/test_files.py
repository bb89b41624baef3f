"""Files of molecules: what is written comes back, with its texts; what is damaged is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nodegraph import Molecule
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.molecules import molecule_files
from nodegraph.media.molecules.chemistry import embed_conformers, molecule_from_smiles, to_smiles
from nodegraph.media.molecules.molecule_files import (
    MOLECULE_SUFFIXES,
    MoleculeFormat,
    encode_molecule,
    molecule_format,
    molecule_texts,
    read_molecule,
)
from tests.messages import raises
from tests.molecules.making import ASPIRIN, CAFFEINE, MENTHONE, PEPTIDE, SMILES

TEXTS = {"workflow": json.dumps({"prompt": "Fuchs 狐 | 🦊 \n  $$$$" * 500}), "nodegraph": "0.1.0"}


def written(
    folder: Path,
    made: Molecule,
    format: MoleculeFormat = "sdf",
    texts: dict[str, str] | None = None,
) -> Path:
    path = folder / f"molecule{MOLECULE_SUFFIXES[format]}"
    path.write_bytes(encode_molecule(made, format, texts))
    return path


@pytest.mark.parametrize("smiles", SMILES)
@pytest.mark.parametrize("format", ["sdf", "smi"])
def test_a_molecule_comes_back(tmp_path: Path, smiles: str, format: MoleculeFormat) -> None:
    made = molecule_from_smiles(smiles)
    assert to_smiles(read_molecule(written(tmp_path, made, format))) == to_smiles(made)


def test_places_come_back_as_an_sdf_has_them(tmp_path: Path) -> None:
    made = embed_conformers(molecule_from_smiles(f"{MENTHONE} menthone"), 1, 0)

    found = read_molecule(written(tmp_path, made))

    assert found.name == "menthone"
    torch.testing.assert_close(found.coordinates, made.coordinates, rtol=0, atol=6e-5)
    assert torch.equal(found.bonds, made.bonds)
    # What was read is written to the same bytes.
    assert encode_molecule(found) == encode_molecule(read_molecule(written(tmp_path, found)))


def test_residues_and_conformers_come_back_as_a_pdb_has_them(tmp_path: Path) -> None:
    path = tmp_path / "peptide.pdb"
    path.write_text(PEPTIDE)

    found = read_molecule(path)

    assert found.sites is not None
    assert found.sites.names == ("N", "CA", "C", "O", "N", "CA")
    assert found.sites.residues == ("GLY",) * 4 + ("ALA",) * 2
    assert (found.sites.numbers, found.sites.chains) == ((1, 1, 1, 1, 2, 2), ("A",) * 6)
    assert found.coordinates[0, 3].tolist() == [1.25, torch.tensor(2.39).item(), 0]
    again = read_molecule(written(tmp_path, found, "pdb"))
    assert again.sites == found.sites
    assert torch.equal(again.coordinates, found.coordinates)
    assert to_smiles(again) == to_smiles(found)
    both = embed_conformers(molecule_from_smiles(ASPIRIN), 2, 0)
    assert read_molecule(written(tmp_path, both, "pdb")).coordinates.shape == (2, 21, 3)


@pytest.mark.parametrize("format", ["sdf", "pdb"])
def test_equal_molecules_are_equal_bytes_with_their_texts(
    tmp_path: Path, format: MoleculeFormat
) -> None:
    made = embed_conformers(molecule_from_smiles(CAFFEINE), 1, 0)
    path = written(tmp_path, made, format, TEXTS)

    assert encode_molecule(made, format, TEXTS) == path.read_bytes()
    assert molecule_texts(path) == TEXTS
    assert molecule_format(path.read_bytes()[:4096]) == format
    assert to_smiles(read_molecule(path)) == to_smiles(made)


def test_one_of_several_is_read(tmp_path: Path) -> None:
    several = tmp_path / "several.sdf"
    parts = [encode_molecule(molecule_from_smiles(smiles)) for smiles in ("CCO", "CCN")]
    several.write_bytes(b"".join(parts))
    lines = tmp_path / "several.smi"
    lines.write_text("CCO ethanol\n\nCCN ethylamine\n")
    for path in (several, lines):
        assert to_smiles(read_molecule(path)) == "CCO"
        assert to_smiles(read_molecule(path, number=1)) == "CCN"
        with raises(InvalidValue, port="number", given="2"):
            read_molecule(path, number=2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.sdf", b""),
        ("a.sdf", b"just words\n"),
        ("a.smi", b"just words\n"),
        ("a.smi", b"\0\0"),
        ("a.smi", b""),
        ("a.smi", b"C(C)(C)(C)(C)C\n"),
        ("a.pdb", b"HEADER    NOTHING\nEND\n"),
        ("a.sdf", b"a\nb\nc\n  9  9  0  0  0  0  0  0  0  0999 V2000\nM  END\n$$$$\n"),
        ("a.sdf", b"a\nb\nc\n  9  9  0  0  0  0  0  0  0  0999 V2000\n"),
    ],
)
def test_what_is_no_molecule_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with raises((InvalidFile, InvalidValue)):
        read_molecule(path)


@pytest.mark.parametrize("format", ["sdf", "pdb"])
def test_no_damage_does_more_than_being_told(tmp_path: Path, format: MoleculeFormat) -> None:
    path = written(tmp_path, embed_conformers(molecule_from_smiles(ASPIRIN), 1, 0), format)
    data = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        broken = bytearray(data)
        for at in torch.randint(0, len(data), (3,), generator=generator).tolist():
            broken[at] = int(torch.randint(0, 256, (1,), generator=generator))
        path.write_bytes(broken)
        try:
            found = read_molecule(path)
        except (InvalidFile, InvalidValue):
            continue
        assert len(found.elements)


def test_missing_and_large_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, molecule_from_smiles("CCO"))
    with raises(InvalidFile):
        read_molecule(tmp_path / "moelcule.sdf")
    monkeypatch.setattr(molecule_files, "LARGEST", 100)
    with raises(InvalidFile):
        read_molecule(path)


def test_an_unknown_format_is_told() -> None:
    with raises(InvalidValue, port="format"):
        encode_molecule(molecule_from_smiles("CCO"), "xyz")  # type: ignore[arg-type]
