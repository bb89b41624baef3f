"""Pictures of items, to look at while they are sampled."""

from __future__ import annotations

from importlib.util import find_spec
from math import isqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_SIDE = 128


def draw_molecules(items: Tensor) -> Tensor | None:
    """The molecules of tables as chemists draw them; white where a table is none.

    Args:
        items: float32 on the CPU, shape (batch, 9, 37).
    Returns:
        In -1..1, shape (batch, 3, 128, 128); None where RDKit isn't installed.
    """
    import torch

    from nodegraph.media.molecules.drawing import draw_molecule
    from nodegraph.media.molecules.sampled import decode_molecules

    if find_spec("rdkit") is None:
        return None
    pictures = torch.ones(len(items), 3, _SIDE, _SIDE)
    for index, item in enumerate(items):
        for molecule in decode_molecules(item[None]):
            pictures[index] = draw_molecule(molecule, _SIDE, _SIDE)[0].movedim(-1, 0) * 2 - 1
    return pictures


def draw_motions(items: Tensor) -> Tensor:
    """The frames of clips in rows, each cell of their latents in its colour.

    Args:
        items: float32 on the CPU, shape (batch, 256, 32).
    Returns:
        In -1..1, shape (batch, 3, 256, 256).
    """
    import torch

    from nodegraph.families.embedded_models import embedded_colours
    from nodegraph.families.items.motions import CELLS, FRAMES, SIDE, tokens_to_frames
    from nodegraph.families.latent_colours import latent_rgb

    columns = isqrt(FRAMES)
    sheets = []
    for frames in tokens_to_frames(items):
        colours = latent_rgb(frames, *embedded_colours()).movedim(1, 0).clamp(-1, 1)
        rows = colours.reshape(3, FRAMES // columns, columns, CELLS, CELLS)
        sheet = rows.movedim(3, 2).reshape(3, -1, columns * CELLS)
        sheets.append(sheet.repeat_interleave(SIDE // CELLS, 1).repeat_interleave(SIDE // CELLS, 2))
    return torch.stack(sheets)
