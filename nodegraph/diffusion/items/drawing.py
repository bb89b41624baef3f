"""Pictures of items, to look at while they are sampled."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_SIDE = 128


def drawn_molecules(items: Tensor) -> Tensor | None:
    """The molecules of tables as chemists draw them; white where a table is none.

    Args:
        items: float32 on the CPU, shape (batch, 9, 37).
    Returns:
        In -1..1, shape (batch, 3, 128, 128); None where RDKit isn't installed.
    """
    import torch

    from nodegraph.molecules.drawing import draw_molecule
    from nodegraph.molecules.sampled import decoded_molecules

    if find_spec("rdkit") is None:
        return None
    pictures = torch.ones(len(items), 3, _SIDE, _SIDE)
    for place, item in enumerate(items):
        for molecule in decoded_molecules(item[None]):
            pictures[place] = draw_molecule(molecule, _SIDE, _SIDE)[0].movedim(-1, 0) * 2 - 1
    return pictures
