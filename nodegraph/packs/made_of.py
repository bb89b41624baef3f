"""Packs whose node types are made of what other packages hold, such as one for each of its classes.

A pack that is a folder says so by a file `made_of.txt` in it: import names of packages, one a line.
Then its manifest is made anew when one of them is installed, replaced or removed, too, and it is
read only once somebody asks for one of its types, or for a list of all.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from nodegraph.packs.snapshot import stamp_of

FILE = "made_of.txt"


def packages_of(root: Path) -> tuple[str, ...]:
    """Import names of the packages that a pack's node types are made of; none for most packs.

    Args:
        root: The pack's folder or file.
    """
    if root.suffix == ".py":
        return ()
    try:
        text = (root / FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ()
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def stamp_of_packages(names: tuple[str, ...]) -> str:
    """Changes when one of some packages comes, goes or is replaced; imports none of them.

    An installer writes all of a package's files, so the one that it begins with stands for them.
    """
    return " ".join(_stamp(name) for name in names)


def _stamp(name: str) -> str:
    try:
        found = find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None:
        return f"{name} absent"
    return f"{name} {found.origin} {tuple(stamp_of(found.origin) or ())}"
