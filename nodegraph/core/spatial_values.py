"""The values on links that lie in space: meshes, clouds of points, molecules.

They hold tensors on the CPU but never import torch; see `nodegraph.core.values`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Mesh:
    """A surface of triangles.

    Attributes:
        vertices: float32, shape (vertices, 3): x, y, z; y is up, as in GLB.
        faces: int64, shape (faces, 3): the vertices of each triangle, counter-clockwise as seen
            from outside.
        colors: float32 in 0..1, sRGB, shape (vertices, 3); None where it has none.
        uv: float32, shape (vertices, 2): where in the texture each vertex lies; (0, 0) is its lower
            left corner, (1, 1) the upper right one.
        texture: float32 in 0..1, sRGB, shape (height, width, 3); needs `uv`.
    """

    vertices: Tensor
    faces: Tensor
    colors: Tensor | None = None
    uv: Tensor | None = None
    texture: Tensor | None = None


@dataclass(frozen=True, slots=True)
class PointCloud:
    """Points in space.

    Attributes:
        points: float32, shape (points, 3): x, y, z.
        colors: float32 in 0..1, sRGB, shape (points, 3); None where it has none.
    """

    points: Tensor
    colors: Tensor | None = None


@dataclass(frozen=True, slots=True)
class AtomSites:
    """Where in a large molecule its atoms belong, as PDB files say it; each has one entry an atom.

    Attributes:
        names: Of atoms, such as ``CA``.
        residues: Names of what they are parts of, such as ``ALA``.
        numbers: Of the residues in their chain.
        chains: Such as ``A``.
    """

    names: tuple[str, ...]
    residues: tuple[str, ...]
    numbers: tuple[int, ...]
    chains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Molecule:
    """Atoms, what binds them, and where they are.

    Attributes:
        elements: int64, shape (atoms,): atomic numbers.
        bonds: int64, shape (bonds, 2): the two atoms of each.
        orders: int64, shape (bonds,): 1, 2, 3, …; rings that are called aromatic have 1 and 2 by
            turns; 0 for bonds of other kinds.
        coordinates: float32, shape (conformers, atoms, 3), in ångström; no conformers where it
            isn't known.
        charges: int64, shape (atoms,): formal ones; None for none.
        hydrogens: int64, shape (atoms,): hydrogen at each atom that is no atom here; None for what
            the usual valences leave open.
        isotopes: int64, shape (atoms,): mass numbers, 0 for the natural mixture; None for that.
        chirality: int64, shape (atoms,): as seen from the first of an atom's neighbours in the
            order of the bonds, 1 where the others follow counter-clockwise, 2 clockwise, else 0.
        stereo: int64, shape (bonds, 3): of a double bond 1 where a neighbour of its first and one
            of its second atom lie on one side, 2 on opposite ones, and these two; else zeros.
        sites: Of large molecules.
        name: Free text.
    """

    elements: Tensor
    bonds: Tensor
    orders: Tensor
    coordinates: Tensor
    charges: Tensor | None = None
    hydrogens: Tensor | None = None
    isotopes: Tensor | None = None
    chirality: Tensor | None = None
    stereo: Tensor | None = None
    sites: AtomSites | None = None
    name: str = ""
