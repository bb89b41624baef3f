"""Scenes: glyphs placed on a plain background, each with a caption that says what is seen."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from training import captions
from training.config import ROOT, Config, command_line
from training.fonts import find_font, glyph, require_font
from training.objects import PALETTE, ObjectSpec, load_objects
from training.pixels import Pixels, sheet
from training.recolour import recolour

SIDES = {"large": 0.80, "medium": 0.60, "small": 0.42}
"""Side of a single object as a share of the picture's shorter side."""
OFFSETS = {"medium": 0.17, "small": 0.25}
"""How far from the centre, as a share of the picture's side, an object in a place is."""
PAIR, PAIR_OFFSET = 0.46, 0.24
"""Side of each of two objects, and how far from the centre they are."""
TRIANGLE = ((0.5, 0.27), (0.27, 0.73), (0.73, 0.73))
"""Centres of three objects."""
_THREE = 0.43
_BACKGROUND_JITTER = 8
_SIZE_JITTER = 0.08
_PLACE_JITTER = 0.03
_GRID = 4
"""Sides and places of objects are multiples of this many pixels.

A small network draws what it has seen; half a latent cell of freedom instead of all is less to see.
"""
_WHITE_SHARE = 0.2
_BARE_NAME_SHARE = 0.05
_PLACED_SHARE = 0.4
_STACKED_SHARE = 0.4
_TINTED_SHARE = {"one": 0.35, "other": 0.2}


@dataclass(frozen=True)
class Placement:
    """An object in a scene.

    Attributes:
        index: Its row in the list of objects.
        x, y: Its centre as a share of the picture's width and height.
        side: Its side as a share of the picture's shorter side.
        tint: The colour it has been given; empty is its own.
    """

    index: int
    x: float
    y: float
    side: float
    tint: str = ""


@dataclass(frozen=True)
class Scene:
    """What a picture shows, before it is drawn."""

    caption: str
    colour: str
    rgb: tuple[int, int, int]
    placements: tuple[Placement, ...]


@cache
def _tinted(font: Path, code_point: int, tint: str) -> Image.Image:
    """A glyph at its full size in a colour, premultiplied (mode RGBa).

    Premultiplied, so that the colour of transparent pixels cannot bleed into edges when scaled.
    """
    full = glyph(font, code_point)
    if tint:
        array = recolour(np.asarray(full, np.float32) / 255.0, tint)
        full = Image.fromarray((array * 255.0).round().clip(0, 255).astype(np.uint8), "RGBA")
    return full.convert("RGBa")


class SceneMaker:
    """Draws scenes at random from a list of objects.

    All randomness comes from the generator handed in, so a seed fixes the scenes.

    Args:
        mix: Shares of scenes with one large object; one small or medium object, maybe in a place;
            two objects; two or three alike.
    """

    def __init__(
        self, objects: list[ObjectSpec], font: Path | None, size: int, mix: tuple[float, ...]
    ) -> None:
        self.objects = objects
        self.size = size
        self._font = font
        self._edges = np.cumsum(mix) / sum(mix)
        self._several = [index for index, item in enumerate(objects) if item.counted]

    @classmethod
    def from_config(cls, config: Config, mix: tuple[float, ...] = ()) -> "SceneMaker":
        """The maker that a config describes, or with other shares of the kinds of scenes.

        The font may be missing until something is drawn.
        """
        data = config.data
        objects = load_objects(ROOT / data.objects, data.count)
        return cls(objects, find_font(data.font), data.resolution, mix or data.mix)

    def scene(self, rng: np.random.Generator) -> Scene:
        """One random scene of any kind."""
        kinds: tuple[Callable[[np.random.Generator], Scene], ...] = (
            self.one,
            self.placed,
            self.pair,
            self.alike,
        )
        return kinds[int(np.searchsorted(self._edges, rng.random(), side="right"))](rng)

    def one(self, rng: np.random.Generator) -> Scene:
        """One object that fills most of the picture."""
        index = self._index(rng)
        item = self.objects[index]
        if rng.random() < _BARE_NAME_SHARE:
            name = item.names[int(rng.integers(len(item.names)))]
            return finished_scene(name, "white", (Placement(index, 0.5, 0.5, SIDES["large"]),), rng)
        tint = self._tint(index, "one", rng)
        words = captions.noun(item, rng, size=captions.size_word("large", rng), tint=tint)
        return self._with_background(
            captions.lead(rng) + words, (Placement(index, 0.5, 0.5, SIDES["large"], tint),), rng
        )

    def placed(self, rng: np.random.Generator) -> Scene:
        """One small or medium object, in the middle or in one of nine places."""
        index = self._index(rng)
        size = "small" if rng.random() < 0.7 else "medium"
        said = rng.random() < (_PLACED_SHARE if size == "medium" else 0.9)
        names = list(captions.POSITIONS)
        position = names[int(rng.integers(len(names)))] if said else "center"
        x, y = place_of(position, size)
        tint = self._tint(index, "other", rng)
        word = captions.size_word(size, rng, placed=position != "center")
        words = captions.noun(self.objects[index], rng, size=word, tint=tint)
        words += captions.place(position, rng)
        return self._with_background(words, (Placement(index, x, y, SIDES[size], tint),), rng)

    def pair(self, rng: np.random.Generator) -> Scene:
        """Two different objects, side by side or one above the other."""
        first = self._index(rng)
        second = (first + 1 + int(rng.integers(len(self.objects) - 1))) % len(self.objects)
        stacked = bool(rng.random() < _STACKED_SHARE)
        tints = [self._tint(index, "other", rng) for index in (first, second)]
        nouns = [
            captions.noun(self.objects[index], rng, tint=tint)
            for index, tint in zip((first, second), tints, strict=True)
        ]
        words = captions.relation(nouns[0], nouns[1], stacked, rng)
        placements = tuple(
            Placement(index, x, y, PAIR, tint)
            for index, tint, (x, y) in zip(
                (first, second), tints, pair_places(stacked), strict=True
            )
        )
        return self._with_background(words, placements, rng)

    def alike(self, rng: np.random.Generator) -> Scene:
        """Two or three of one object."""
        index = self._several[int(rng.integers(len(self._several)))]
        count = int(rng.integers(2, 4))
        tint = self._tint(index, "other", rng)
        words = captions.lead(rng) + captions.noun(self.objects[index], rng, tint=tint, count=count)
        return self._with_background(words, alike(index, count, tint), rng)

    def draw(self, scene: Scene, width: int = 0, height: int = 0) -> Pixels:
        """The picture of a scene, (height, width, 3); the maker's own size if none is given."""
        picture = np.empty((height or self.size, width or self.size, 3), np.float32)
        picture[:] = scene.rgb
        for placement in scene.placements:
            self._paste(picture, placement)
        rounded: Pixels = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
        return rounded

    def batch(
        self, count: int, rng: np.random.Generator, width: int = 0, height: int = 0
    ) -> tuple[Pixels, list[Scene]]:
        """`count` random scenes and their pictures, (count, height, width, 3)."""
        scenes = [self.scene(rng) for _ in range(count)]
        return np.stack([self.draw(scene, width, height) for scene in scenes]), scenes

    def _paste(self, picture: npt.NDArray[np.float32], placement: Placement) -> None:
        height, width = picture.shape[:2]
        side = max(_GRID, _GRID * round(placement.side * min(height, width) / _GRID))
        left = _GRID * round((placement.x * width - side / 2) / _GRID)
        top = _GRID * round((placement.y * height - side / 2) / _GRID)
        patch = self._glyph(placement, side)
        patch = patch[max(0, -top) : height - top, max(0, -left) : width - left]
        left, top = max(0, left), max(0, top)
        area = picture[top : top + patch.shape[0], left : left + patch.shape[1]]
        area *= 1.0 - patch[..., 3:]
        area += patch[..., :3]

    def _glyph(self, placement: Placement, side: int) -> npt.NDArray[np.float32]:
        """Glyph at `side` px, (side, side, 4): colour times alpha 0 to 255, then alpha 0 to 1."""
        font = self._font or require_font()
        full = _tinted(font, self.objects[placement.index].code_point, placement.tint)
        array = np.array(full.resize((side, side), Image.Resampling.LANCZOS), np.float32)
        array[..., 3] /= 255.0
        return array

    def _index(self, rng: np.random.Generator) -> int:
        return int(rng.integers(len(self.objects)))

    def _tint(self, index: int, share: str, rng: np.random.Generator) -> str:
        taught = self.objects[index].taught
        if not taught or rng.random() > _TINTED_SHARE[share]:
            return ""
        return taught[int(rng.integers(len(taught)))]

    def _with_background(
        self, words: str, placements: tuple[Placement, ...], rng: np.random.Generator
    ) -> Scene:
        names = list(PALETTE)
        white = rng.random() < _WHITE_SHARE
        colour = "white" if white else names[int(rng.integers(len(names)))]
        return finished_scene(captions.with_background(words, colour, rng), colour, placements, rng)


def place_of(position: str, size: str) -> tuple[float, float]:
    """Centre, as shares of width and height, of an object of a size in one of the nine places."""
    right, down = captions.POSITIONS[position]
    return 0.5 + right * OFFSETS[size], 0.5 + down * OFFSETS[size]


def pair_places(stacked: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centres of two objects, the left or upper one first."""
    low, high = 0.5 - PAIR_OFFSET, 0.5 + PAIR_OFFSET
    return ((0.5, low), (0.5, high)) if stacked else ((low, 0.5), (high, 0.5))


def alike(index: int, count: int, tint: str = "") -> tuple[Placement, ...]:
    """Two or three of one object."""
    centres, side = (pair_places(stacked=False), PAIR) if count == 2 else (TRIANGLE, _THREE)
    return tuple(Placement(index, x, y, side, tint) for x, y in centres)


def finished_scene(
    words: str, colour: str, placements: tuple[Placement, ...], rng: np.random.Generator
) -> Scene:
    """A scene whose background and placements vary a little, as all do."""
    jitter = rng.integers(-_BACKGROUND_JITTER, _BACKGROUND_JITTER + 1, 3)
    red, green, blue = (int(v) for v in np.clip(PALETTE[colour] + jitter, 0, 255))
    moved = tuple(_jittered(item, rng) for item in placements)
    return Scene(words, colour, (red, green, blue), moved)


def _jittered(placement: Placement, rng: np.random.Generator) -> Placement:
    move_x, move_y = rng.uniform(-_PLACE_JITTER, _PLACE_JITTER, 2)
    scale = 1.0 + rng.uniform(-_SIZE_JITTER, _SIZE_JITTER)
    return Placement(
        placement.index,
        placement.x + float(move_x),
        placement.y + float(move_y),
        placement.side * float(scale),
        placement.tint,
    )


def main() -> None:
    """Write a contact sheet (`scenes.png`) and its captions (`scenes.txt`)."""
    config, work = command_line(main.__doc__)
    maker = SceneMaker.from_config(config)
    rng = np.random.default_rng(config.seed)
    pictures, scenes = maker.batch(96, rng)
    sheet(pictures, 12).save(work / "scenes.png")
    (work / "scenes.txt").write_text("".join(f"{scene.caption}\n" for scene in scenes))
    print(f"{work / 'scenes.png'}: 96 scenes of {len(maker.objects)} objects")


if __name__ == "__main__":
    main()
