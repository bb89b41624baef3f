"""Known molecules."""

from __future__ import annotations

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
CAFFEINE = "Cn1c(=O)c2c(ncn2C)n(C)c1=O"
MENTHONE = "CC(C)[C@H]1CC[C@@H](C)C(=O)C1"
SMILES = [
    "CCO",
    ASPIRIN,
    CAFFEINE,
    MENTHONE,
    "c1cc[nH]c1",
    "C[C@@H](O)F",
    "F/C=C/F",
    "F/C=C\\F",
    "C/C=C\\C=C\\C",
    "[13CH4]",
    "[CH3]",
    "[NH4+]",
    "CC(=O)[O-].[Na+]",
    "C[N+](=O)[O-]",
    "[H][H]",
    "*CC",
]
PEPTIDE = """\
HEADER    PEPTIDE
ATOM      1  N   GLY A   1       0.000   0.000   0.000  1.00  0.00           N
ATOM      2  CA  GLY A   1       1.450   0.000   0.000  1.00  0.00           C
ATOM      3  C   GLY A   1       2.000   1.420   0.000  1.00  0.00           C
ATOM      4  O   GLY A   1       1.250   2.390   0.000  1.00  0.00           O
ATOM      5  N   ALA A   2       3.330   1.530   0.000  1.00  0.00           N
ATOM      6  CA  ALA A   2       3.970   2.840   0.000  1.00  0.00           C
TER
END
"""
