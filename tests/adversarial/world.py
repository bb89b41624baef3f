"""What a person has on disk: packs with their data, a script beside a module, and images."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.adversarial.cells import CELLS, FIRST
from tests.adversarial.texts import FILES, PACK_TYPES, PARTS
from tests.server.hosting import read_packs

_HOLE = re.compile("«(\\w+)»")
_NO_DIGITS = ("log", "assist", "near")
SCRIPT = "script.py"
PICTURE = "picture.png"
_ASSIST = "def scale(x):\n    return x * «assist_scale»\nBASE = «assist_base»\n"


def _in_place(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _time_restored(path: Path, data: bytes) -> None:
    times = _times(path)
    path.write_bytes(data)
    os.utime(path, ns=times)


def _replaced(path: Path, data: bytes) -> None:
    other = path.with_name(f".{path.name}.new")
    other.write_bytes(data)
    other.replace(path)


def _replaced_time_restored(path: Path, data: bytes) -> None:
    times = _times(path)
    other = path.with_name(f".{path.name}.new")
    other.write_bytes(data)
    os.utime(other, ns=times)
    other.replace(path)


def _removed_first(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def _times(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_atime_ns, status.st_mtime_ns


SAVES: dict[str, Callable[[Path, bytes], None]] = {
    "in-place": _in_place,
    "time-restored": _time_restored,
    "replaced": _replaced,
    "replaced-time-restored": _replaced_time_restored,
    "removed-first": _removed_first,
}
"""The ways in which programs save a file."""


class World:
    """One folder, of which it is known what should be in it.

    Attributes:
        root: The folder; also the home of servers.
        log: Nodes write their names here when they run.
        digits: What stands in the texts, by name; of a variable, 0 if it isn't set.
        parts: Those of `PARTS` that are there.
        lost: Files that are away for the moment.
        broken: Files in which something stands that is no Python for the moment.

    Args:
        number: Another one for each world of a process.
        specs: What `known_specs` gave, to save reading the installed packs.
    """

    def __init__(self, root: Path, number: int = 0, specs: Path | None = None) -> None:
        self.root = root
        self.log = root / "calls.log"
        self.assist = f"adversarial_assist_{number}"
        self.digits: dict[str, int] = {}
        self.lost: set[str] = set()
        self.grown: dict[str, int] = {}
        self.near = f"adversarial_near_{number}"
        files = {place.replace("«near»", self.near): text for place, text in FILES.items()}
        self.texts = files | {f"{self.assist}.py": _ASSIST, SCRIPT: self._script()}
        self.parts: set[str] = set()
        for text in (*self.texts.values(), *(text for _, text in PARTS.values())):
            self.digits |= dict.fromkeys(holes(text), 1)
        for kind in PACK_TYPES.values():
            self.digits |= dict.fromkeys((name for name in kind.digits if name[0] == "$"), 0)
        self.colour = 1
        self.broken: set[str] = set()
        if specs is not None:
            shutil.copytree(specs, root / "cache" / "specs")
        self.log.write_bytes(b"")
        for place in self.texts:
            path = root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.text(place))
        _in_place(root / PICTURE, picture(self.colour))

    def _script(self) -> str:
        cells = [cell.text.replace("«d»", f"«{name}»") for name, cell in CELLS.items()]
        return "\n".join([FIRST, *cells])

    def text(self, place: str) -> bytes:
        """What should stand in a file now."""
        text = self._filled(self.texts[place]) + "#" * self.grown.get(place, 0)
        return text.encode()

    def _filled(self, text: str) -> str:
        text = text.replace("«log»", str(self.log)).replace("«assist»", self.assist)
        text = text.replace("«near»", self.near)
        for name in holes(text):
            text = text.replace(f"«{name}»", str(self.digits[name]))
        return text

    def cell(self, name: str) -> str:
        """The code of a cell as it would be run now."""
        return self._filled(CELLS[name].text.replace("«d»", f"«{name}»"))

    def first(self) -> str:
        """The code that is run before any cell."""
        return self._filled(FIRST)

    def poke(self, name: str) -> str:
        """What changes a cell's number in place; empty if nothing does."""
        return self._filled(CELLS[name].poke.replace("«d»", f"«{name}»"))

    @property
    def environ(self) -> dict[str, str | None]:
        """The variables as they should be."""
        variables = {name[1:]: digit for name, digit in self.digits.items() if name[0] == "$"}
        return {name: str(digit) if digit else None for name, digit in variables.items()}

    def places_of(self, name: str) -> list[str]:
        """The files in which a digit stands."""
        return [place for place, text in self.texts.items() if f"«{name}»" in text]

    def edit(self, name: str, digit: int, how: str) -> None:
        """Change a digit and save."""
        self.digits[name] = digit
        for place in self.places_of(name):
            self.save(place, how)

    def save(self, place: str, how: str) -> None:
        """Save a file as it should be, unless it is away."""
        self.broken.discard(place)
        if place not in self.lost:
            SAVES[how](self.root / place, self.text(place))

    def appear(self, part: str, how: str) -> None:
        """Have a part written that wasn't there."""
        place, text = PARTS[part]
        self.parts.add(part)
        self.texts[place] = self.texts.get(place, "") + text
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        self.save(place, how if path.exists() else "in-place")

    def vanish(self, part: str, how: str) -> None:
        """Have it taken away."""
        place, text = PARTS[part]
        self.parts.remove(part)
        self.texts[place] = self.texts[place].removesuffix(text)
        if self.texts[place]:
            return self.save(place, how)
        del self.texts[place]
        self.grown.pop(place, None)
        self.lost.discard(place)
        self.broken.discard(place)
        path = self.root / place
        path.unlink(missing_ok=True)
        if not any(other.startswith(f"{Path(place).parent}/") for other in self.texts):
            shutil.rmtree(path.parent)
        return None

    def lose(self, place: str) -> None:
        """Take a file away."""
        self.lost.add(place)
        (self.root / place).unlink()

    def break_off(self, place: str, how: str) -> None:
        """Save a file in the middle of a line."""
        self.broken.add(place)
        SAVES[how](self.root / place, self.text(place) + b"\ndef (")

    def mend(self, how: str) -> None:
        """Bring back what is away, and make good what is broken."""
        for place in sorted(self.lost):
            self.lost.remove(place)
            (self.root / place).write_bytes(self.text(place))
        for place in sorted(self.broken):
            self.save(place, how)

    def paint(self, colour: int, how: str) -> None:
        """Another image of the same size."""
        self.colour = colour
        SAVES[how](self.root / PICTURE, picture(colour))

    def state(self) -> tuple[object, ...]:
        """Equal where everything on disk is equal."""
        return (*self.digits.values(), self.colour, *sorted(self.lost | self.broken | self.parts))


def holes(text: str) -> list[str]:
    """Names of the digits in a text."""
    return [
        name for name in dict.fromkeys(_HOLE.findall(text)) if name not in ("log", "assist", "near")
    ]


def known_specs(folder: Path) -> Path:
    """What the installed packs declare, read by a process of its own.

    One that has imported a pack before doesn't write down what it says.
    """
    read_packs(folder)
    return folder / "cache" / "specs"


def picture(colour: int) -> bytes:
    """A PNG whose length doesn't depend on its colors."""
    from io import BytesIO

    data = BytesIO()
    Image.new("RGB", (4, 4), (colour * 20, colour, 3)).save(data, "PNG", compress_level=0)
    return data.getvalue()
