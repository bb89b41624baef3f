"""Molecules go to RDKit and back without losing what makes them what they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from rdkit import Chem

from nodegraph import Molecule
from nodegraph.core.digests import digest_value
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.molecules import chemistry
from nodegraph.media.molecules.chemistry import (
    embed_conformers,
    molecule_from_smiles,
    to_rdkit,
    to_smiles,
)
from tests.messages import raises
from tests.molecules.making import ASPIRIN, CAFFEINE, SMILES


@pytest.mark.parametrize("smiles", SMILES)
def test_a_molecule_is_what_its_smiles_says(smiles: str) -> None:
    assert to_smiles(molecule_from_smiles(smiles)) == Chem.CanonSmiles(smiles)


def test_all_that_is_known_of_atoms_and_bonds_is_told() -> None:
    found = molecule_from_smiles("[O-]C(=O)/C=C/[C@H](F)[13CH3] an acid")

    assert found.name == "an acid"
    assert found.elements.tolist() == [8, 6, 8, 6, 6, 6, 9, 6]
    assert found.bonds.shape == (7, 2)
    assert found.orders.tolist().count(2) == 2
    assert found.charges is not None
    assert found.charges.tolist() == [-1, 0, 0, 0, 0, 0, 0, 0]
    assert found.hydrogens is not None
    assert found.hydrogens.tolist() == [0, 0, 0, 1, 1, 1, 0, 3]
    assert found.isotopes is not None
    assert found.isotopes[-1] == 13
    assert found.chirality is not None
    assert found.chirality[5] in (1, 2)
    assert found.stereo is not None
    assert found.stereo[found.stereo[:, 0] > 0].tolist() == [[2, 1, 5]]
    assert found.coordinates.shape == (0, 8, 3)


def test_mirror_images_differ() -> None:
    left, right = molecule_from_smiles("C[C@H](O)F"), molecule_from_smiles("C[C@@H](O)F")
    assert digest_value(left) != digest_value(right)
    assert digest_value(left) == digest_value(molecule_from_smiles("C[C@H](O)F"))


def test_atoms_alone_get_the_hydrogens_that_are_usual() -> None:
    atoms, bond = torch.tensor([6, 8]), torch.tensor([[0, 1]])
    found = Molecule(atoms, bond, torch.tensor([1]), torch.zeros(0, 2, 3))
    assert to_smiles(found) == "CO"


def test_a_molecule_is_laid_in_space_by_a_seed() -> None:
    flat = molecule_from_smiles(ASPIRIN)

    found = embed_conformers(flat, 2, 7)

    assert found.coordinates.shape == (2, 21, 3)
    assert found.hydrogens is not None
    assert not found.hydrogens.any()
    assert to_smiles(found) == to_smiles(flat)
    ends = found.coordinates[:, found.bonds]
    lengths = (ends[:, :, 0] - ends[:, :, 1]).norm(dim=-1)
    assert 0.9 < lengths.min() < lengths.max() < 1.7
    assert torch.equal(embed_conformers(flat, 2, 7).coordinates, found.coordinates)
    assert not torch.equal(embed_conformers(flat, 2, 8).coordinates, found.coordinates)


def test_what_is_too_large_is_not_laid_in_space() -> None:
    with raises(InvalidValue, port="molecule", given="501 atoms"):
        embed_conformers(molecule_from_smiles("C" * 501), 1, 0)


@pytest.mark.parametrize(
    "smiles",
    [
        "",
        "hello",
        "C(",
        "C" * 20_001,
        "C(C)(C)(C)(C)C",
        "c1cccc1",
    ],
)
def test_what_names_no_molecule_is_told(smiles: str) -> None:
    with raises(InvalidValue, port="smiles"):
        molecule_from_smiles(smiles)


def test_parts_that_do_not_fit_are_told() -> None:
    whole = molecule_from_smiles(CAFFEINE)
    wrong = {
        "no atoms": replace(whole, elements=torch.zeros(0, dtype=torch.long)),
        "orders": replace(whole, orders=whole.orders[1:]),
        "coordinates": replace(whole, coordinates=torch.zeros(1, 2, 3)),
        "charges": replace(whole, charges=torch.zeros(2, dtype=torch.long)),
        "an atomic number": replace(whole, elements=whole.elements + 113),
        "an atom of a bond": replace(whole, bonds=whole.bonds + 5),
        "not a valid molecule": replace(whole, orders=whole.orders * 3),
    }
    for message, molecule in wrong.items():
        with pytest.raises(InvalidValue, match=message):
            to_rdkit(molecule)
    nowhere = torch.full((1, len(whole.elements), 3), float("inf"))
    with raises(NumericalError, port="molecule"):
        to_rdkit(replace(whole, coordinates=nowhere))


def test_that_the_package_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chemistry, "find_spec", lambda name: None)
    with raises(InvalidValue):
        molecule_from_smiles("CCO")
