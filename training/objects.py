"""The frozen list of things the model can draw, and the colours that it knows by name."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from training.recolour import HUES

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
        plural: The proper name in the plural.
        counted: Whether "a" or "an" goes before it ("a dog", but "grapes").
        hue: The colour that it mostly has and may exchange for another; empty if it keeps its own.
        tints: The colours it can be given, one of them held out of all training.
    """

    code_point: int
    names: tuple[str, ...]
    plural: str = ""
    counted: bool = True
    hue: str = ""
    tints: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The proper name, unique in the list."""
        return self.names[0]

    @cached_property
    def plain_names(self) -> tuple[str, ...]:
        """The names that say no colour, so that one can be put before them."""
        return tuple(name for name in self.names if not set(name.split()) & set(PALETTE))

    @property
    def held_out(self) -> str:
        """The tint in which no training picture shows this object; empty if it takes none."""
        return self.tints[self.code_point % len(self.tints)] if self.tints else ""

    @cached_property
    def taught(self) -> tuple[str, ...]:
        """The tints that training pictures have."""
        return tuple(tint for tint in self.tints if tint != self.held_out)


def load_objects(path: Path, count: int = 0) -> list[ObjectSpec]:
    """Read the list; the order in the file is the order of the classifier's labels.

    The file is frozen because names depend on Python's Unicode version and bitmaps on the font's.

    Args:
        count: How many of the file's objects to take, the first being the most iconic; 0 is all.

    Raises:
        ValueError: two objects share a name, so that a caption would be ambiguous.
    """
    rows = json.loads(path.read_text())
    rows = rows[:count] if count else rows
    taken = [name for row in rows for name in (row["name"], *row.get("synonyms", ()))]
    doubles = sorted({name for name in taken if taken.count(name) > 1})
    if doubles:
        raise ValueError(f"{path}: names given twice: {doubles}")
    return [_spec(row, set(taken)) for row in rows]


def _spec(row: dict[str, object], taken: set[str]) -> ObjectSpec:
    names = (str(row["name"]), *_texts(row.get("synonyms", ())))
    hue = str(row.get("hue") or "")
    spec = ObjectSpec(
        int(str(row["code_point"]), 16),
        names,
        str(row.get("plural", "")),
        bool(row.get("counted", True)),
        hue,
    )
    if not hue or not spec.plain_names:
        return ObjectSpec(spec.code_point, names, spec.plural, spec.counted)
    # "a green apple" is an object of its own, not an apple made green; and what is brown is nearly
    # orange already.
    tints = tuple(
        tint
        for tint in HUES
        if tint != hue
        and (hue, tint) != ("brown", "orange")
        and not {f"{tint} {name}" for name in spec.plain_names} & taken
    )
    return ObjectSpec(spec.code_point, names, spec.plural, spec.counted, hue, tints)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()
