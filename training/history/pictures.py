"""What both learn from: one large thing on a plain background, the 64 most iconic things."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.config import ROOT
from training.fonts import find_font
from training.objects import load_objects
from training.pixels import Pixels, to_tensor
from training.scenes import SceneMaker

SIDE = 64
THINGS = 64
COUNT = 16_384
_PART = 1024


def maker() -> SceneMaker:
    """Draws scenes of one large thing."""
    objects = load_objects(ROOT / "training/objects.json", THINGS)
    return SceneMaker(objects, find_font(""), SIDE, (1.0, 0.0, 0.0, 0.0))


def drawn(count: int, seed: int) -> tuple[Pixels, list[str]]:
    """Renders, (count, 64, 64, 3), and their captions."""
    scenes = maker()
    pictures, told = scenes.batch(count, np.random.default_rng(seed))
    return pictures, [scene.caption for scene in told]


class Pool:
    """Renders that are drawn once and kept in a file, and batches of them in any order.

    Args:
        folder: Where `pictures.npy` is or will be.
    """

    def __init__(self, folder: Path, count: int = COUNT) -> None:
        path = folder / "pictures.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            parts = [drawn(_PART, seed)[0] for seed in range(-(-count // _PART))]
            partial = folder / "pictures.partial.npy"
            np.save(partial, np.concatenate(parts)[:count])
            partial.replace(path)
        self._pictures: Pixels = np.load(path, mmap_mode="r")

    def batch(self, count: int, rng: np.random.Generator) -> Tensor:
        """Float32, (count, 3, 64, 64) in -1..1; half of them mirrored."""
        chosen = self._pictures[np.sort(rng.integers(len(self._pictures), size=count))]
        pictures = to_tensor(np.ascontiguousarray(chosen))
        flipped = torch.from_numpy(rng.random(count) < 0.5)[:, None, None, None]
        return torch.where(flipped, pictures.flip(3), pictures)
