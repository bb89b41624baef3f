"""Distance between two sets of pictures, as distributions of a network's features.

Heusel et al. 2017, arXiv:1706.08500, in the features of the classifier at hand instead of
Inception's: the figures compare with one another, not with those of other papers.
"""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.floating]
_Matrix = npt.NDArray[np.float64]


def frechet_distance(first: Vectors, second: Vectors) -> float:
    """Squared 2-Wasserstein distance of Gaussians fitted to two sets of features, each (n, d).

    It falls with n, and is not 0 for two samples of one distribution: read it beside the distance
    of two sets of real pictures, as many each.

    Raises:
        ValueError: a set has fewer than two members, or the features differ in number.
    """
    if min(len(first), len(second)) < 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"needs two sets of vectors, got {first.shape} and {second.shape}")
    one, two = first.astype(np.float64), second.astype(np.float64)
    shift = one.mean(axis=0) - two.mean(axis=0)
    spread, other = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    spread, other = np.atleast_2d(spread), np.atleast_2d(other)
    root = _root(spread)
    # The product of two covariances is not symmetric; this one is, and has the same eigenvalues.
    shared = np.linalg.eigvalsh(root @ other @ root)
    overlap = np.sqrt(np.clip(shared, 0.0, None)).sum()
    return float(shift @ shift + np.trace(spread) + np.trace(other) - 2.0 * overlap)


def _root(matrix: _Matrix) -> _Matrix:
    """Square root of a symmetric matrix without negative eigenvalues, (d, d)."""
    values, vectors = np.linalg.eigh(matrix)
    root: _Matrix = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    return root
