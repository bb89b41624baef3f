"""Values on links that lie in space: meshes, point clouds, voxels and molecules.

They never import torch; see `nodegraph.core.values`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangle mesh with optional vertex colors or texture.

    Attributes:
        vertices: Positions, float32, shape (vertices, 3): x, y, z. The y axis points up, as in GLB.
        faces: Vertex indices of the triangles, int64, shape (faces, 3), counter-clockwise as seen
            from outside.
        colors: Vertex colors, float32 in 0..1, sRGB, shape (vertices, 3). None for no colors.
        uv: Texture coordinates of the vertices, float32, shape (vertices, 2). (0, 0) is the lower
            left corner of the texture, (1, 1) the upper right one.
        texture: Texture, float32 in 0..1, sRGB, shape (height, width, 3). Requires `uv`.
    """

    vertices: Tensor
    faces: Tensor
    colors: Tensor | None = None
    uv: Tensor | None = None
    texture: Tensor | None = None


@dataclass(frozen=True, slots=True)
class PointCloud:
    """Point cloud with optional colors.

    Attributes:
        points: Positions, float32, shape (points, 3): x, y, z.
        colors: Point colors, float32 in 0..1, sRGB, shape (points, 3). None for no colors.
    """

    points: Tensor
    colors: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Voxels:
    """Regular grid of numbers in space, for example densities or occupancy.

    Attributes:
        values: float32, shape (depth, height, width): z, y, x in the axes of `Mesh`. Higher numbers
            are further inside a solid.
    """

    values: Tensor


@dataclass(frozen=True, slots=True)
class AtomSites:
    """Residues and chains of the atoms of a large molecule, as in PDB files.

    Each attribute has one entry per atom.

    Attributes:
        names: Names of the atoms, such as ``CA``.
        residues: Names of the atoms' residues, such as ``ALA``.
        numbers: Numbers of the residues in their chains.
        chains: Names of the chains, such as ``A``.
    """

    names: tuple[str, ...]
    residues: tuple[str, ...]
    numbers: tuple[int, ...]
    chains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Molecule:
    """Molecule: atoms, bonds and conformers.

    Attributes:
        elements: Atomic numbers, int64, shape (atoms,).
        bonds: Indices of the two atoms of each bond, int64, shape (bonds, 2).
        orders: Bond orders, int64, shape (bonds,): 1, 2, 3, …. Aromatic rings have alternating 1
            and 2; other kinds of bonds have 0.
        coordinates: Positions in ångström, float32, shape (conformers, atoms, 3). Without known
            positions, there are no conformers.
        charges: Formal charges, int64, shape (atoms,). None if all are 0.
        hydrogens: Number of implicit hydrogen atoms of each atom, int64, shape (atoms,). None for
            the numbers that follow from the usual valences.
        isotopes: Mass numbers, int64, shape (atoms,). 0 is the natural mixture; None means 0 for
            all atoms.
        chirality: Chirality of each atom, int64, shape (atoms,). Seen from the first neighbor in
            the order of the bonds, the other neighbors are counter-clockwise for 1 and clockwise
            for 2. 0 for atoms without chirality.
        stereo: Stereo configuration of double bonds, int64, shape (bonds, 3). The first number is 1
            if a neighbor of the first atom and one of the second are on the same side, and 2 if
            they are on opposite sides. The others are the indices of these neighbors. Zeros for
            other bonds.
        sites: Residues and chains of a large molecule. None for other molecules.
        name: Name of the molecule, any text.
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
