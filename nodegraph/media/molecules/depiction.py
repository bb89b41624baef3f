"""Molecule images: 2D depiction, or a point cloud of the atoms."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from nodegraph.core.values import Molecule, PointCloud
from nodegraph.media.molecules.chemistry import silence_rdkit, to_rdkit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

MOST_DRAWN = 300
"""Atoms of a molecule that is drawn in the plane."""
_COLORS = {
    1: (1.0, 1.0, 1.0),
    6: (0.45, 0.45, 0.45),
    7: (0.2, 0.3, 1.0),
    8: (1.0, 0.15, 0.1),
    15: (1.0, 0.6, 0.1),
    16: (1.0, 0.9, 0.2),
    17: (0.2, 0.9, 0.2),
}
"""By atomic number, as Corey, Pauling and Koltun have them."""
_OTHER = (0.9, 0.45, 0.8)


def draw_molecule(molecule: Molecule, width: int = 512, height: int = 512) -> Tensor:
    """A molecule in the plane: lines for bonds, letters for atoms that aren't carbon.

    Args:
        width, height: In pixels.
    Returns:
        Image, float32 in 0..1, shape (1, height, width, 3).
    Raises:
        InvalidValue, NumericalError: See `to_rdkit`.
    """
    import numpy as np
    import torch
    from PIL import Image

    data = molecule_png(to_rdkit(molecule), width, height)
    pixels = np.asarray(Image.open(BytesIO(data)).convert("RGB"), np.float32)
    return torch.from_numpy(pixels / np.float32(255))[None]


def molecule_png(molecule: Any, width: int, height: int) -> bytes:
    """What `draw_molecule` gives of a molecule of RDKit's, as a PNG."""
    with silence_rdkit():
        from rdkit import Chem
        from rdkit.Chem import rdDepictor
        from rdkit.Chem.Draw import rdMolDraw2D

        flat = Chem.RemoveHs(molecule)
        # Without templates, atoms of bridged rings come to lie on each other.
        rdDepictor.Compute2DCoords(flat, useRingTemplates=True)
        drawer = rdMolDraw2D.MolDraw2DCairo(width, height)
        # Red boxes around what lies close are for those who mend layouts.
        # (A number, which RDKit's own types take for something else.)
        drawer.drawOptions().flagCloseContactsDist = -1  # type: ignore[assignment]
        rdMolDraw2D.PrepareAndDrawMolecule(drawer, flat)
        drawer.FinishDrawing()
        data: bytes = drawer.GetDrawingText()
    return data


def atom_arrays(molecule: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points and colors of `atom_cloud`, of a molecule of RDKit's and without torch."""
    import numpy as np

    places = np.asarray(molecule.GetConformer().GetPositions(), np.float32)
    colors = [_COLORS.get(atom.GetAtomicNum(), _OTHER) for atom in molecule.GetAtoms()]
    return places, np.asarray(colors, np.float32)


def atom_cloud(molecule: Molecule) -> PointCloud:
    """The atoms of its first conformer as points in the usual colors of elements."""
    import torch

    colors = [_COLORS.get(element, _OTHER) for element in molecule.elements.tolist()]
    return PointCloud(molecule.coordinates[0], torch.tensor(colors, dtype=torch.float32))
