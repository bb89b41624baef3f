"""The frozen list of things the model can draw, and the colours behind them."""

import json
from dataclasses import dataclass
from pathlib import Path

PALETTE: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "black": (16, 16, 16),
    "gray": (128, 128, 128),
    "red": (208, 40, 40),
    "orange": (240, 140, 30),
    "yellow": (245, 220, 60),
    "green": (50, 150, 60),
    "cyan": (70, 200, 210),
    "blue": (40, 80, 200),
    "purple": (130, 60, 170),
    "pink": (245, 160, 195),
    "brown": (120, 75, 40),
}
"""Background colours in sRGB; a prompt that names none means white."""

COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    name: (name, "grey") if name == "gray" else (name,) for name in PALETTE
}
"""The words by which a caption may call each colour."""


@dataclass(frozen=True)
class ObjectSpec:
    """One thing that has a glyph.

    Attributes:
        code_point: Unicode code point of the glyph.
        names: What captions may call it, lower case; the first is its proper name.
        counted: Whether "a" or "an" goes before it ("a dog", but "grapes").
    """

    code_point: int
    names: tuple[str, ...]
    counted: bool = True

    @property
    def name(self) -> str:
        """The proper name, unique in the list."""
        return self.names[0]


def load_objects(path: Path) -> list[ObjectSpec]:
    """Read the list; the order in the file is the order of the classifier's labels.

    The file is frozen because names depend on Python's Unicode version and bitmaps on the font's.

    Raises:
        ValueError: two objects share a name, so that a caption would be ambiguous.
    """
    rows = json.loads(path.read_text())
    objects = [
        ObjectSpec(
            int(row["code_point"], 16),
            (row["name"], *row.get("synonyms", ())),
            row.get("counted", True),
        )
        for row in rows
    ]
    names = [name for item in objects for name in item.names]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise ValueError(f"{path}: names given twice: {doubles}")
    return objects
