"""A stored pool of clips as latents, made once for a run, and batches drawn from it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from nodegraph.families.items.motions import FRAMES, MOTIONS, PLACES, frames_to_tokens
from training.config import ROOT
from training.fonts import require_font
from training.items.fitting import Batch, DrawBatch
from training.items.motions.clips import Clip, draw, random_clip
from training.latents import encode_pictures
from training.objects import ObjectSpec, load_objects
from training.pixels import Pixels
from training.stored import Arrays, write_missing

TINY = ROOT / "nodegraph/families/embedded/tiny"
_TOGETHER = 1000
_HELD_OUT = 11
"""Each so-manieth thing is never seen in training."""
_OFTEN = {"turn": 3.0, "grow": 1.5, "shrink": 3.0}
"""Motions that are harder to learn are drawn so many times as often as the others."""


@dataclass(frozen=True)
class Clips:
    """A pool.

    Attributes:
        tokens: float16, shape (count, 256, 32).
        motions: Places in MOTIONS; int64, shape (count,).
        amounts: float32, shape (count,).
    """

    tokens: Tensor
    motions: Tensor
    amounts: Tensor


def things() -> list[ObjectSpec]:
    """What the base model can draw."""
    return load_objects(ROOT / "training/objects.json", 0)


def seen_and_held() -> tuple[list[int], list[int]]:
    """Places of things that the training sees, and of those that it doesn't."""
    everything = range(len(things()))
    held = [place for place in everything if place % _HELD_OUT == 0]
    return [place for place in everything if place % _HELD_OUT], held


def load_vae() -> AutoencoderKL:
    """The base model's autoencoder, in float32."""
    vae = AutoencoderKL.from_pretrained(TINY, subfolder="vae").float().eval()
    assert isinstance(vae, AutoencoderKL)
    return vae.requires_grad_(False)


def drawn(clips: list[Clip]) -> Pixels:
    """The frames of clips, (clips, 16, 64, 64, 3)."""
    font, known = require_font(), things()
    return np.stack([draw(clip, font, known[clip.index].code_point) for clip in clips])


def encoded(vae: AutoencoderKL, frames: Pixels) -> Tensor:
    """Frames, (clips, frames, 64, 64, 3), as tokens in float16."""
    latents = torch.from_numpy(encode_pictures(vae, frames.reshape(-1, *frames.shape[2:])))
    return frames_to_tokens(latents.reshape(*frames.shape[:2], *latents.shape[1:]))


def clips_of(places: list[int], count: int, rng: np.random.Generator) -> list[Clip]:
    """Clips of random things, each motion as often."""
    return [
        random_clip(places[int(rng.integers(len(places)))], number % len(MOTIONS), rng)
        for number in range(count)
    ]


def make_pool(folder: Path, count: int, seed: int, workers: int) -> None:
    """Write what is missing of a pool."""
    vae, (seen, _) = load_vae(), seen_and_held()

    def make(number: int) -> Arrays:
        clips = clips_of(seen, _TOGETHER, np.random.default_rng((seed, number)))
        return {
            "tokens": encoded(vae, drawn(clips)).numpy(),
            "motions": np.array([clip.motion for clip in clips], np.int64),
            "amounts": np.array([clip.amount for clip in clips], np.float32),
        }

    folder.mkdir(parents=True, exist_ok=True)
    names = [folder / f"{seed}-{number:03d}.npz" for number in range(count // _TOGETHER)]
    write_missing(names, make, workers)


def load_pool(folder: Path) -> Clips:
    """All clips of a folder."""
    files = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            files.append(dict(file))

    def joined(name: str) -> Tensor:
        return torch.from_numpy(np.concatenate([file[name] for file in files]))

    return Clips(joined("tokens"), joined("motions"), joined("amounts"))


def drawing(clips: Clips) -> DrawBatch:
    """Batches of a pool."""
    often = np.array([_OFTEN.get(motion, 1.0) for motion in MOTIONS])[clips.motions.numpy()]
    below = np.cumsum(often / often.sum())

    def draw_batch(count: int, rng: np.random.Generator) -> Batch:
        rows = torch.from_numpy(np.searchsorted(below[:-1], rng.random(count), side="right"))
        tokens = clips.tokens[rows].float()
        assert tokens.shape[1] == FRAMES * PLACES
        asked = clips.motions[rows, None], clips.amounts[rows, None]
        return Batch(tokens, *asked, (tokens[:, :PLACES],))

    return draw_batch
