"""Molecules by RDKit: to and from its molecules, their properties, and their images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

from nodegraph.core.spatial_values import AtomSites, Molecule, PointCloud
from nodegraph.errors import InvalidValue, NumericalError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def properties_of(molecule: Any, *, qed: bool = True) -> dict[str, float]:
    """Numbers by name, of a sanitized molecule of RDKit's.

    Args:
        qed: Whether it is reckoned, which takes ten times as long as the others; else it is NaN.
    Returns:
        ``logp``: how much it prefers octanol to water, as a power of ten (Wildman & Crippen 1999,
        doi:10.1021/ci990307l); ``qed``: how like drugs it is, 0 to 1 (Bickerton et al. 2012,
        doi:10.1038/nchem.1243); ``rings``; ``atoms`` but hydrogen; ``mass`` in daltons.
    """
    with silence_rdkit():
        from rdkit.Chem import QED, rdMolDescriptors

        return {
            "logp": float(rdMolDescriptors.CalcCrippenDescriptors(molecule)[0]),
            "qed": float(QED.qed(molecule)) if qed else float("nan"),  # type: ignore[no-untyped-call]
            "rings": float(molecule.GetRingInfo().NumRings()),
            "atoms": float(molecule.GetNumHeavyAtoms()),
            "mass": float(rdMolDescriptors._CalcMolWt(molecule)),
        }


HEAVIEST = 118
"""Largest atomic number; 0 stands for any atom."""
_LONGEST_SMILES = 20_000
_MOST_EMBEDDED = 500
"""Atoms but hydrogen of a molecule that is laid in space, as it can't be cancelled meanwhile."""


def check_molecules_installed() -> None:
    """Refuse to work with molecules where RDKit is missing.

    Raises:
        InvalidValue: So it is.
    """
    if find_spec("rdkit") is None:
        raise InvalidValue(
            "molecules need the package rdkit, which is not installed",
            hint="Run `pip install 'nodegraph[molecules]'`.",
        )


@contextmanager
def silence_rdkit() -> Iterator[None]:
    """RDKit, which is checked to be there, without the lines that it writes of its own."""
    check_molecules_installed()
    from rdkit import rdBase

    with rdBase.BlockLogs():
        yield


def check_molecule(molecule: Molecule) -> None:
    """Refuse what can be neither written nor drawn.

    Raises:
        InvalidValue: There are no atoms, or the parts don't fit each other.
        NumericalError: NaN or infinity.
    """
    atoms, bonds = len(molecule.elements), len(molecule.bonds)
    forms = {
        "bonds": (molecule.bonds, (bonds, 2)),
        "orders": (molecule.orders, (bonds,)),
        "coordinates": (molecule.coordinates, (len(molecule.coordinates), atoms, 3)),
        "charges": (molecule.charges, (atoms,)),
        "hydrogens": (molecule.hydrogens, (atoms,)),
        "isotopes": (molecule.isotopes, (atoms,)),
        "chirality": (molecule.chirality, (atoms,)),
        "stereo": (molecule.stereo, (bonds, 3)),
    }
    if not atoms:
        raise InvalidValue("this molecule has no atoms", port="molecule")
    for name, (part, shape) in forms.items():
        if part is not None and tuple(part.shape) != shape:
            raise InvalidValue(
                f"the {name} of this molecule do not fit its atoms and bonds",
                port="molecule",
                given=f"shape {tuple(part.shape)}",
                expected=str(shape),
            )
    _check_range(molecule.elements, HEAVIEST, "an atomic number")
    _check_range(molecule.bonds, atoms - 1, "an atom of a bond")
    if not molecule.coordinates.isfinite().all():
        raise NumericalError("some atoms have no position: NaN or infinity", port="molecule")
    _check_sites(molecule.sites, atoms)


def _check_range(values: Tensor, most: int, what: str) -> None:
    if len(values) and not 0 <= int(values.min()) <= int(values.max()) <= most:
        raise InvalidValue(
            f"{what} is out of range",
            port="molecule",
            given=f"{int(values.min())} to {int(values.max())}",
            expected=f"0 to {most}",
        )


def _check_sites(sites: AtomSites | None, atoms: int) -> None:
    if sites is None:
        return
    columns = (sites.names, sites.residues, sites.numbers, sites.chains)
    if any(len(column) != atoms for column in columns):
        raise InvalidValue("the sites of this molecule do not fit its atoms", port="molecule")


def to_rdkit(molecule: Molecule) -> Any:
    """RDKit's molecule.

    Raises:
        InvalidValue: Its parts don't fit each other, or there is no such molecule.
        NumericalError: NaN or infinity.
    """
    check_molecule(molecule)
    with silence_rdkit():
        from rdkit import Chem

        made = Chem.RWMol()
        for atom in _atoms(molecule):
            made.AddAtom(atom)
        kinds = _bond_kinds()
        for (first, second), order in zip(
            molecule.bonds.tolist(), molecule.orders.tolist(), strict=True
        ):
            made.AddBond(first, second, kinds.get(order, Chem.BondType.ZERO))
        for places in molecule.coordinates:
            conformer = Chem.Conformer(len(molecule.elements))
            conformer.Set3D(bool((places[:, 2] != 0).any()))
            conformer.SetPositions(places.double().numpy())
            made.AddConformer(conformer, assignId=True)
        made.SetProp("_Name", " ".join(molecule.name.split()))
        return _finished(made, molecule)


def _atoms(molecule: Molecule) -> Iterator[Any]:
    from rdkit import Chem

    columns = {
        name: getattr(molecule, name).tolist()
        for name in ("charges", "hydrogens", "isotopes")
        if getattr(molecule, name) is not None
    }
    for at, element in enumerate(molecule.elements.tolist()):
        atom = Chem.Atom(element)
        if "charges" in columns:
            atom.SetFormalCharge(columns["charges"][at])
        if "isotopes" in columns:
            atom.SetIsotope(columns["isotopes"][at])
        if "hydrogens" in columns:
            atom.SetNoImplicit(True)
            atom.SetNumExplicitHs(columns["hydrogens"][at])
        if molecule.sites is not None:
            atom.SetMonomerInfo(_residue(molecule.sites, at))
        yield atom


def _residue(sites: AtomSites, at: int) -> Any:
    from rdkit import Chem

    # Names of atoms are four letters wide there, elements of one letter in the second.
    name = sites.names[at]
    padded = f" {name:<3}" if len(name) < 4 else name[:4]
    return Chem.AtomPDBResidueInfo(
        padded,
        residueName=sites.residues[at][:3],
        residueNumber=sites.numbers[at],
        chainId=sites.chains[at][:1] or " ",
    )


def _finished(made: Any, molecule: Molecule) -> Any:
    from rdkit import Chem

    try:
        if molecule.chirality is not None:
            tags = (
                Chem.ChiralType.CHI_UNSPECIFIED,
                Chem.ChiralType.CHI_TETRAHEDRAL_CCW,
                Chem.ChiralType.CHI_TETRAHEDRAL_CW,
            )
            for atom, tag in zip(made.GetAtoms(), molecule.chirality.tolist(), strict=True):
                atom.SetChiralTag(tags[tag])
        if molecule.stereo is not None:
            for bond, (kind, first, second) in zip(
                made.GetBonds(), molecule.stereo.tolist(), strict=True
            ):
                if kind:
                    bond.SetStereoAtoms(first, second)
                    is_cis = kind == 1
                    bond.SetStereo(
                        Chem.BondStereo.STEREOCIS if is_cis else Chem.BondStereo.STEREOTRANS
                    )
        Chem.SanitizeMol(made)
        Chem.AssignStereochemistry(made, cleanIt=False, force=True)
        # What takes hydrogens away looks at these alone.
        Chem.SetDoubleBondNeighborDirections(made)
    except (ValueError, RuntimeError, IndexError) as error:
        raise InvalidValue(f"this is not a valid molecule: {error}", port="molecule") from error
    return made.GetMol()


def _bond_kinds() -> dict[int, Any]:
    from rdkit import Chem

    kinds = Chem.BondType
    return {1: kinds.SINGLE, 2: kinds.DOUBLE, 3: kinds.TRIPLE, 4: kinds.QUADRUPLE}


def from_rdkit(molecule: Any) -> Molecule:
    """A molecule of RDKit's, which must be sanitized.

    Raises:
        InvalidValue: There are no atoms, or no way to tell single from double bonds.
    """
    import numpy as np
    import torch

    with silence_rdkit():
        from rdkit import Chem

        plain = Chem.Mol(molecule)
        try:
            Chem.Kekulize(plain, clearAromaticFlags=True)
        except ValueError as error:
            raise InvalidValue(f"this is not a valid molecule: {error}") from error
        atoms, bonds = list(plain.GetAtoms()), list(plain.GetBonds())
        if not atoms:
            raise InvalidValue("this molecule has no atoms")
        orders = {kind: order for order, kind in _bond_kinds().items()}
        conformers = [conformer.GetPositions() for conformer in plain.GetConformers()]
        coordinates = np.array(conformers, np.float32).reshape(-1, len(atoms), 3)
        return Molecule(
            elements=_whole(atom.GetAtomicNum() for atom in atoms),
            bonds=_whole(
                end for bond in bonds for end in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
            ).reshape(-1, 2),
            orders=_whole(orders.get(bond.GetBondType(), 0) for bond in bonds),
            coordinates=torch.from_numpy(coordinates),
            charges=_unless_zero(atom.GetFormalCharge() for atom in atoms),
            hydrogens=_whole(atom.GetTotalNumHs() for atom in atoms),
            isotopes=_unless_zero(atom.GetIsotope() for atom in atoms),
            chirality=_unless_zero(_chirality(atom) for atom in atoms),
            stereo=_stereo(bonds),
            sites=_sites(atoms),
            name=plain.GetProp("_Name") if plain.HasProp("_Name") else "",
        )


def _whole(values: Iterator[int]) -> Tensor:
    import torch

    return torch.tensor(list(values), dtype=torch.int64)


def _unless_zero(values: Iterator[int]) -> Tensor | None:
    tensor = _whole(values)
    return tensor if tensor.any() else None


def _chirality(atom: Any) -> int:
    from rdkit import Chem

    kinds = Chem.ChiralType
    tags = {kinds.CHI_TETRAHEDRAL_CCW: 1, kinds.CHI_TETRAHEDRAL_CW: 2}
    return tags.get(atom.GetChiralTag(), 0)


def _stereo(bonds: list[Any]) -> Tensor | None:
    from rdkit import Chem

    kinds = Chem.BondStereo
    sides = {kinds.STEREOCIS: 1, kinds.STEREOZ: 1, kinds.STEREOTRANS: 2, kinds.STEREOE: 2}
    rows = []
    for bond in bonds:
        side, ends = sides.get(bond.GetStereo(), 0), list(bond.GetStereoAtoms())
        rows += [side, *ends] if side and len(ends) == 2 else [0, 0, 0]
    flat = _unless_zero(iter(rows))
    return None if flat is None else flat.reshape(-1, 3)


def _sites(atoms: list[Any]) -> AtomSites | None:
    residues = [atom.GetPDBResidueInfo() for atom in atoms]
    if any(each is None for each in residues):
        return None
    return AtomSites(
        tuple(each.GetName().strip() for each in residues),
        tuple(each.GetResidueName().strip() for each in residues),
        tuple(each.GetResidueNumber() for each in residues),
        tuple(each.GetChainId().strip() for each in residues),
    )


def molecule_from_smiles(smiles: str) -> Molecule:
    """The molecule that a SMILES text names; without coordinates.

    Raises:
        InvalidValue: It names none, or RDKit isn't installed.
    Source: Weininger 1988, doi:10.1021/ci00057a005.
    """
    return from_rdkit(check_smiles(smiles))


def check_smiles(smiles: str) -> Any:
    """RDKit's molecule of a SMILES text, behind which its name may stand. Imports no torch.

    Raises:
        InvalidValue: It names none, or RDKit isn't installed.
    """
    with silence_rdkit():
        from rdkit import Chem

        text, _, name = smiles.strip().partition(" ")
        molecule = None
        if text and len(text) <= _LONGEST_SMILES:
            molecule = Chem.MolFromSmiles(text, sanitize=False)
        if molecule is None:
            raise InvalidValue("this is not SMILES text", port="smiles", given=text[:80])
        try:
            Chem.SanitizeMol(molecule)
            Chem.AssignStereochemistry(molecule, cleanIt=True, force=True)
        except (ValueError, RuntimeError) as error:
            raise InvalidValue(
                f"this is not a valid molecule: {error}", port="smiles", given=text[:80]
            ) from error
        if name.strip():
            molecule.SetProp("_Name", name.strip())
        return molecule


def to_smiles(molecule: Molecule) -> str:
    """The canonical SMILES text of a molecule.

    Raises:
        InvalidValue, NumericalError: See `to_rdkit`.
    """
    made = to_rdkit(molecule)
    with silence_rdkit():
        from rdkit import Chem

        text: str = Chem.MolToSmiles(Chem.RemoveHs(made))
        return text


def embed_conformers(molecule: Molecule, conformers: int, seed: int) -> Molecule:
    """A molecule with all its hydrogens, and where its atoms may be in space.

    Args:
        conformers: How many ways to lay it.
        seed: 0 and up; RDKit takes 31 bits of it.
    Raises:
        InvalidValue: No way was found, or see `to_rdkit`.
    Source: Wang et al. 2020 (ETKDGv3), doi:10.1021/acs.jcim.0c00025.
    """
    made = to_rdkit(molecule)
    if made.GetNumHeavyAtoms() > _MOST_EMBEDDED:
        raise InvalidValue(
            "this molecule is too large for 3D coordinates",
            port="molecule",
            given=f"{made.GetNumHeavyAtoms()} atoms",
            expected=f"at most {_MOST_EMBEDDED} without hydrogen",
        )
    with silence_rdkit():
        from rdkit import Chem
        from rdkit.Chem import rdDistGeom

        whole = Chem.AddHs(made)
        settings: Any = rdDistGeom.ETKDGv3()
        settings.randomSeed = seed % (2**31 - 1)
        settings.numThreads = 1
        settings.maxIterations = 20
        numbers = rdDistGeom.EmbedMultipleConfs(whole, conformers, settings)
        if len(numbers) < conformers:
            raise InvalidValue(
                "no 3D coordinates were found for this molecule",
                port="molecule",
                hint="Try another seed.",
            )
        return from_rdkit(whole)


MOST_DRAWN = 300
"""Atoms of a molecule that is drawn in the plane."""
_ATOM_COLORS = {
    1: (1.0, 1.0, 1.0),
    6: (0.45, 0.45, 0.45),
    7: (0.2, 0.3, 1.0),
    8: (1.0, 0.15, 0.1),
    15: (1.0, 0.6, 0.1),
    16: (1.0, 0.9, 0.2),
    17: (0.2, 0.9, 0.2),
}
"""By atomic number, as Corey, Pauling and Koltun have them."""
_OTHER_ATOM = (0.9, 0.45, 0.8)


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
    colors = [_ATOM_COLORS.get(atom.GetAtomicNum(), _OTHER_ATOM) for atom in molecule.GetAtoms()]
    return places, np.asarray(colors, np.float32)


def atom_cloud(molecule: Molecule) -> PointCloud:
    """The atoms of its first conformer as points in the usual colors of elements."""
    import torch

    colors = [_ATOM_COLORS.get(element, _OTHER_ATOM) for element in molecule.elements.tolist()]
    return PointCloud(molecule.coordinates[0], torch.tensor(colors, dtype=torch.float32))
