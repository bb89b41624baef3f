"""Entry points of installed packages, read so that a damaged package hurts no other."""

from __future__ import annotations

from importlib.metadata import Distribution, EntryPoint, distributions
from logging import getLogger

_DAMAGED: set[str] = set()
"""Packages that were told to be damaged: they are read anew for each group."""


def entry_points(group: str) -> list[EntryPoint]:
    """Those of a group, by name and value; of packages of one name, those of the first.

    A package whose entry points can't be read is told, once, and left out. Looking through all
    that is installed takes a while.
    """
    points: list[EntryPoint] = []
    names: set[str] = set()
    for package in distributions():
        try:
            name = str(getattr(package, "_normalized_name", None) or package.name)
            if name in names:
                continue
            names.add(name)
            points += [point for point in package.entry_points if point.group == group]
        except Exception as error:  # noqa: BLE001 - the file may hold anything
            _tell(package, error)
    return sorted(points, key=lambda point: (point.name, point.value))


def package_of(point: EntryPoint) -> tuple[str, str]:
    """Name and version of the package that brings an entry point; empty where it doesn't say."""
    package = point.dist
    if package is None:
        return "", ""
    try:
        return package.name or "", package.version or ""
    except Exception:  # noqa: BLE001 - metadata may be missing, or no text
        return "", ""


def _tell(package: Distribution, error: Exception) -> None:
    folder = str(getattr(package, "_path", package))
    if folder not in _DAMAGED:
        _DAMAGED.add(folder)
        getLogger(__name__).warning(
            "the installed package %s is left out, as its entry_points.txt can't be read: each "
            "line has to be a [group] or a `name = module:attribute`, in UTF-8 (%s: %s)",
            folder,
            type(error).__name__,
            error,
        )
