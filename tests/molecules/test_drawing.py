"""A molecule's image shows its atoms."""

from __future__ import annotations

import torch

from nodegraph.media.molecules.chemistry import (
    atom_cloud,
    draw_molecule,
    embed_conformers,
    molecule_from_smiles,
)
from tests.molecules.making import CAFFEINE


def test_a_structure_is_drawn_with_its_elements_in_color() -> None:
    found = draw_molecule(molecule_from_smiles(CAFFEINE), 160, 128)

    assert (found.shape, found.dtype) == ((1, 128, 160, 3), torch.float32)
    red, green, blue = found[0].unbind(-1)
    assert ((red > 0.8) & (green < 0.3)).any()  # oxygen
    assert ((blue > 0.8) & (red < 0.3)).any()  # nitrogen
    assert found.mean() > 0.7
    assert torch.equal(draw_molecule(molecule_from_smiles(CAFFEINE), 160, 128), found)


def test_bridged_rings_are_drawn_without_marks_of_faults() -> None:
    found = draw_molecule(molecule_from_smiles("CN1CC2C=CN1CC2"), 180, 150)
    red, green, _ = found[0].unbind(-1)
    assert not ((red > 0.8) & (green < 0.5)).any()


def test_how_it_lies_in_space_does_not_change_the_drawing() -> None:
    flat = molecule_from_smiles("CCO")
    assert torch.equal(
        draw_molecule(embed_conformers(flat, 1, 0), 64, 64), draw_molecule(flat, 64, 64)
    )


def test_atoms_are_points_in_the_colors_of_their_elements() -> None:
    made = embed_conformers(molecule_from_smiles("CO"), 1, 0)

    found = atom_cloud(made)

    assert torch.equal(found.points, made.coordinates[0])
    assert found.colors is not None
    assert found.colors[0, 0] == found.colors[0, 1]
    assert found.colors[1].argmax() == 0
