"""What both learn from: one large thing on a plain background, as latents of the embedded model."""

from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.config import ROOT
from training.fonts import find_font
from training.latents import encode_pictures
from training.models import SCALING_FACTOR
from training.objects import load_objects
from training.pixels import Pixels, in_parts, to_pixels
from training.scenes import SceneMaker

SIDE = 128
MOST_ICONIC, EVERY = 64, 4
"""Every fourth of the 64 most iconic things: sixteen, of all kinds."""
COUNT = 8192
_PART = 512

Latents = npt.NDArray[np.float16]


def maker() -> SceneMaker:
    """Draws scenes of one large thing."""
    objects = load_objects(ROOT / "training/objects.json", MOST_ICONIC)[::EVERY]
    return SceneMaker(objects, find_font(""), SIDE, (1.0, 0.0, 0.0, 0.0))


def drawn(count: int, seed: int) -> tuple[Pixels, list[str]]:
    """Renders, (count, 128, 128, 3), and their captions."""
    scenes = maker()
    pictures, told = scenes.batch(count, np.random.default_rng(seed))
    return pictures, [scene.caption for scene in told]


class Pool:
    """Latents of renders, made once and kept in a file, and batches of them in any order.

    Args:
        folder: Where `latents.npy` is or will be.
    """

    def __init__(self, folder: Path, count: int = COUNT) -> None:
        path = folder / "latents.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / "latents.partial.npy"
            np.save(partial, _encoded(count))
            partial.replace(path)
        self._latents: Latents = np.load(path)

    def batch(self, count: int, rng: np.random.Generator) -> Tensor:
        """Float32, (count, 8, 16, 16), of about unit variance."""
        chosen = self._latents[rng.integers(len(self._latents), size=count)]
        return torch.from_numpy(chosen).float()


def _encoded(count: int) -> Latents:
    parts = [encode_pictures(_vae(), drawn(_PART, seed)[0]) for seed in range(-(-count // _PART))]
    return np.concatenate(parts)[:count]


@torch.no_grad()
def shown(latents: Tensor) -> Pixels:
    """The pictures of latents, (count, 128, 128, 3)."""
    parts = [_vae().decode(part / SCALING_FACTOR).sample for part in in_parts(latents)]
    return np.concatenate([to_pixels(part) for part in parts])


@cache
def _vae() -> AutoencoderKL:
    vae = AutoencoderKL.from_pretrained(ROOT / "nodegraph/families/embedded/tiny/vae")
    return cast(AutoencoderKL, vae.eval())
