"""How alike two sets of pictures are, as sets: by features of each picture, (pictures, features).

Figures compare with one another where features and numbers of pictures are the same, and not with
those of other papers. Read each beside that of two sets of real pictures, as many each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nodegraph.errors import InvalidValue

Vectors = npt.NDArray[np.floating]
_Matrix = npt.NDArray[np.float64]


class SetMeasures(NamedTuple):
    """How a made set is beside a reference.

    Attributes:
        frechet: Fréchet distance; 0 is alike.
        precision: Share of what is made that lies among the reference: how good single ones are.
        recall: Share of the reference that lies among what is made: how much of it could be made.
        coverage: Share of the reference that something made is near to: how much of it was made.
    """

    frechet: float
    precision: float
    recall: float
    coverage: float


def set_measures(reference: Vectors, generated: Vectors, neighbours: int = 3) -> SetMeasures:
    """Compare two sets by their features.

    Sources: Heusel et al. 2017, arXiv:1706.08500; Kynkäänniemi et al. 2019, arXiv:1904.06991,
    equations 1 and 2; coverage: Naeem et al. 2020, arXiv:2002.09797, equation 5.

    Args:
        neighbours: A picture's surroundings reach as far as its neighbour of this number.
    Raises:
        InvalidValue: A set is too small for so many neighbours.
    """
    fewest = min(len(reference), len(generated))
    if fewest <= max(neighbours, 1):
        raise InvalidValue(
            "a set has too few pictures to have that many neighbours",
            port="reference" if len(reference) == fewest else "made",
            given=f"{fewest} pictures",
            expected=f"more than {max(neighbours, 1)}",
        )
    apart = _distances(generated, reference)
    around, around_made = (_radii(each, neighbours) for each in (reference, generated))
    within = apart <= around[None, :]
    return SetMeasures(
        frechet_distance(reference, generated),
        float(within.any(1).mean()),
        float((apart <= around_made[:, None]).any(0).mean()),
        float(within.any(0).mean()),
    )


def _distances(first: Vectors, second: Vectors) -> _Matrix:
    """Squared, (first, second)."""
    first_vectors, second_vectors = first.astype(np.float64), second.astype(np.float64)
    squares = (
        (first_vectors**2).sum(1)[:, None]
        + (second_vectors**2).sum(1)[None, :]
        - 2 * first_vectors @ second_vectors.T
    )
    distances: _Matrix = np.maximum(squares, 0.0)
    return distances


def _radii(vectors: Vectors, neighbours: int) -> _Matrix:
    """Squared distance of each to its neighbour of this number, itself not counted."""
    radii: _Matrix = np.partition(_distances(vectors, vectors), neighbours, axis=1)[:, neighbours]
    return radii


def frechet_distance(first: Vectors, second: Vectors) -> float:
    """Squared 2-Wasserstein distance of Gaussians fitted to two sets of features, each (n, d).

    It falls with n, and is not 0 for two samples of one distribution: read it beside the distance
    of two sets of real pictures, as many each.

    Raises:
        ValueError: a set has fewer than two members, or the features differ in number.
    """
    if min(len(first), len(second)) < 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"needs two sets of vectors, got {first.shape} and {second.shape}")
    first_vectors, second_vectors = first.astype(np.float64), second.astype(np.float64)
    shift = first_vectors.mean(axis=0) - second_vectors.mean(axis=0)
    spread, other = np.cov(first_vectors, rowvar=False), np.cov(second_vectors, rowvar=False)
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
