"""What molecules are like, in numbers."""

from __future__ import annotations

from typing import Any

from nodegraph.molecules.chemistry import quiet_chemistry


def properties_of(found: Any, *, qed: bool = True) -> dict[str, float]:
    """Numbers by name, of a sanitized molecule of RDKit's.

    Args:
        qed: Whether it is reckoned, which takes ten times as long as the others; else it is NaN.
    Returns:
        ``logp``: how much it prefers octanol to water, as a power of ten (Wildman & Crippen 1999,
        doi:10.1021/ci990307l); ``qed``: how like drugs it is, 0 to 1 (Bickerton et al. 2012,
        doi:10.1038/nchem.1243); ``rings``; ``atoms`` but hydrogen; ``mass`` in daltons.
    """
    with quiet_chemistry():
        from rdkit.Chem import QED, rdMolDescriptors

        return {
            "logp": float(rdMolDescriptors.CalcCrippenDescriptors(found)[0]),
            "qed": float(QED.qed(found)) if qed else float("nan"),  # type: ignore[no-untyped-call]
            "rings": float(found.GetRingInfo().NumRings()),
            "atoms": float(found.GetNumHeavyAtoms()),
            "mass": float(rdMolDescriptors._CalcMolWt(found)),
        }
