"""Scenes: glyphs placed on a plain background, each with a caption that says what is seen."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from training import captions
from training.config import ROOT, Config, command_line
from training.fonts import find_font, glyph, require_font
from training.objects import PALETTE, ObjectSpec, load_objects
from training.pixels import Pixels, sheet

LARGE, SMALL, PAIR = 0.80, 0.42, 0.46
"""Side of an object as a share of the picture's side."""
_BACKGROUND_JITTER = 8
_SIZE_JITTER = 0.08
_PLACE_JITTER = 0.03
_WHITE_SHARE = 0.2
_BARE_NAME_SHARE = 0.05


@dataclass(frozen=True)
class Placement:
    """An object in a scene: index in the list, centre and side as shares of the picture's side."""

    index: int
    x: float
    y: float
    side: float


@dataclass(frozen=True)
class Scene:
    """What a picture shows, before it is drawn."""

    caption: str
    colour: str
    rgb: tuple[int, int, int]
    placements: tuple[Placement, ...]


class SceneMaker:
    """Draws scenes at random from a list of objects.

    All randomness comes from the generator handed in, so a seed fixes the scenes.
    """

    def __init__(
        self, objects: list[ObjectSpec], font: Path | None, size: int, mix: tuple[float, ...]
    ) -> None:
        self.objects = objects
        self.size = size
        self._font = font
        self._edges = np.cumsum(mix) / sum(mix)
        self._scaled: dict[tuple[int, int], npt.NDArray[np.float32]] = {}

    @classmethod
    def from_config(cls, config: Config) -> "SceneMaker":
        """The maker that a config describes; the font may be missing until something is drawn."""
        data = config.data
        objects = load_objects(ROOT / data.objects)
        return cls(objects, find_font(data.font), data.resolution, data.mix)

    def scene(self, rng: np.random.Generator) -> Scene:
        """One random scene of any kind."""
        kind = int(np.searchsorted(self._edges, rng.random(), side="right"))
        return (self.one, self.small, self.pair)[kind](rng)

    def one(self, rng: np.random.Generator) -> Scene:
        """One object that fills most of the picture."""
        index = self._index(rng)
        item = self.objects[index]
        if rng.random() < _BARE_NAME_SHARE:
            name = item.names[int(rng.integers(len(item.names)))]
            return self._finish(name, "white", (Placement(index, 0.5, 0.5, LARGE),), rng)
        colour = self._colour(rng)
        words = captions.with_background(captions.one_object(item, rng), colour, rng)
        return self._finish(words, colour, (Placement(index, 0.5, 0.5, LARGE),), rng)

    def small(self, rng: np.random.Generator) -> Scene:
        """One small object in one of nine places."""
        index, colour = self._index(rng), self._colour(rng)
        position = list(captions.POSITIONS)[int(rng.integers(len(captions.POSITIONS)))]
        words = captions.small_object(self.objects[index], position, rng)
        x, y = captions.POSITIONS[position]
        words = captions.with_background(words, colour, rng)
        return self._finish(words, colour, (Placement(index, x, y, SMALL),), rng)

    def pair(self, rng: np.random.Generator) -> Scene:
        """Two different objects, side by side or one above the other."""
        first = self._index(rng)
        second = (first + 1 + int(rng.integers(len(self.objects) - 1))) % len(self.objects)
        colour, stacked = self._colour(rng), bool(rng.random() < 0.4)
        words = captions.two_objects(self.objects[first], self.objects[second], stacked, rng)
        centres = ((0.5, 0.26), (0.5, 0.74)) if stacked else ((0.26, 0.5), (0.74, 0.5))
        placements = tuple(
            Placement(index, x, y, PAIR)
            for index, (x, y) in zip((first, second), centres, strict=True)
        )
        return self._finish(captions.with_background(words, colour, rng), colour, placements, rng)

    def draw(self, scene: Scene) -> Pixels:
        """The picture of a scene, (size, size, 3)."""
        picture = np.empty((self.size, self.size, 3), np.float32)
        picture[:] = scene.rgb
        for placement in scene.placements:
            self._paste(picture, placement)
        rounded: Pixels = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
        return rounded

    def batch(self, count: int, rng: np.random.Generator) -> tuple[Pixels, list[Scene]]:
        """`count` random scenes and their pictures, (count, size, size, 3)."""
        scenes = [self.scene(rng) for _ in range(count)]
        return np.stack([self.draw(scene) for scene in scenes]), scenes

    def _paste(self, picture: npt.NDArray[np.float32], placement: Placement) -> None:
        side = max(4, round(placement.side * self.size))
        left = round(placement.x * self.size - side / 2)
        top = round(placement.y * self.size - side / 2)
        low_x, low_y = max(0, -left), max(0, -top)
        patch = self._glyph(placement.index, side)
        patch = patch[low_y : self.size - top, low_x : self.size - left]
        left, top = max(0, left), max(0, top)
        area = picture[top : top + patch.shape[0], left : left + patch.shape[1]]
        area *= 1.0 - patch[..., 3:]
        area += patch[..., :3]

    def _glyph(self, index: int, side: int) -> npt.NDArray[np.float32]:
        """Glyph at `side` px, (side, side, 4): colour times alpha 0 to 255, then alpha 0 to 1."""
        key = (index, side)
        if key not in self._scaled:
            font = self._font or require_font()
            full = glyph(font, self.objects[index].code_point)
            # Premultiplied, so that the colour of transparent pixels cannot bleed into edges.
            small = full.convert("RGBa").resize((side, side), Image.Resampling.LANCZOS)
            array = np.asarray(small, dtype=np.float32).copy()
            array[..., 3] /= 255.0
            self._scaled[key] = array
        return self._scaled[key]

    def _index(self, rng: np.random.Generator) -> int:
        return int(rng.integers(len(self.objects)))

    def _colour(self, rng: np.random.Generator) -> str:
        if rng.random() < _WHITE_SHARE:
            return "white"
        return list(PALETTE)[int(rng.integers(len(PALETTE)))]

    def _finish(
        self, words: str, colour: str, placements: tuple[Placement, ...], rng: np.random.Generator
    ) -> Scene:
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
    )


def main() -> None:
    """Write a contact sheet (`scenes.png`) and its captions (`scenes.txt`)."""
    config, work = command_line(main.__doc__)
    maker = SceneMaker.from_config(config)
    rng = np.random.default_rng(config.seed)
    pictures, scenes = maker.batch(96, rng)
    sheet(pictures, 12, 2).save(work / "scenes.png")
    (work / "scenes.txt").write_text("".join(f"{scene.caption}\n" for scene in scenes))
    print(f"{work / 'scenes.png'}: 96 scenes of {len(maker.objects)} objects")


if __name__ == "__main__":
    main()
