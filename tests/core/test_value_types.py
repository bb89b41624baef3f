"""Values of the wrong form are told at the port, before anybody computes with them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nodegraph import Audio, Dataset, Example, Mesh, Molecule, Plot, PointCloud, Voxels
from nodegraph.core.annotations import describe_type, is_of_type
from nodegraph.core.digests import digest_value
from nodegraph.core.types import parse_type

LINE, ROWS = torch.zeros(3), torch.zeros(3, 3)
WHOLE, PAIRS = torch.zeros(3, dtype=torch.long), torch.zeros(3, 2, dtype=torch.long)
CONFORMERS = torch.zeros(0, 3, 3)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Audio(ROWS, 8000), "Audio"),
        (Mesh(ROWS, PAIRS), "Mesh"),
        (PointCloud(ROWS), "PointCloud"),
        (Voxels(CONFORMERS), "Voxels"),
        (Molecule(WHOLE, PAIRS, WHOLE, CONFORMERS), "Molecule"),
        (Plot(), "Plot"),
        (Dataset((Example(CONFORMERS),)), "Dataset"),
    ],
)
def test_a_value_is_of_its_type_and_of_no_other(value: Any, name: str) -> None:
    kinds = ("Audio", "Mesh", "PointCloud", "Voxels", "Molecule", "Plot", "Dataset")
    assert [kind for kind in kinds if is_of_type(value, parse_type(kind))] == [name]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Audio(LINE, 8000), "Audio"),
        (Audio(PAIRS, 8000), "Audio"),
        (Audio([[0.0]], 8000), "Audio"),  # type: ignore[arg-type]
        (Mesh(ROWS, ROWS), "Mesh"),
        (PointCloud(LINE), "PointCloud"),
        (Voxels(ROWS), "Voxels"),
        (Molecule(LINE, PAIRS, WHOLE, CONFORMERS), "Molecule"),
        (Molecule(WHOLE, PAIRS, WHOLE, ROWS), "Molecule"),
        (Dataset(("apple.png",)), "Dataset"),  # type: ignore[arg-type]
    ],
)
def test_a_value_of_another_form_is_none(value: Any, name: str) -> None:
    assert not is_of_type(value, parse_type(name))
    assert name in describe_type(parse_type(name))


def test_what_lies_in_space_is_named_by_its_content() -> None:
    meshes = [
        Mesh(ROWS, PAIRS),
        Mesh(ROWS + 1, PAIRS),
        Mesh(ROWS, PAIRS, ROWS),
        Mesh(ROWS, PAIRS, uv=ROWS),
    ]
    molecule = Molecule(WHOLE, PAIRS, WHOLE, CONFORMERS)
    values = [*meshes, PointCloud(ROWS), Voxels(ROWS), molecule]
    assert len({digest_value(value) for value in values}) == len(values)
    assert digest_value(Mesh(ROWS.clone(), PAIRS)) == digest_value(meshes[0])
