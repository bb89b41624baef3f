"""Scenes as latents: drawn, encoded and stored once; decoded, and named by the judge."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.classifier import Classifier, load_classifier
from training.config import Config
from training.decoder import load_polished
from training.pixels import Pixels, in_parts, to_pixels
from training.stored import Arrays, write_missing

TRAINING, HELD_OUT = 41, 42
"""Name the random numbers of scenes to train on, and of those that no training step sees."""
_PER_FILE = 500


def load_vae(config: Config, work: Path) -> AutoencoderKL:
    """The main model's autoencoder, frozen, float32: the exported one, else the trained one."""
    folder = work / "model" / "vae"
    if not folder.exists():
        return load_polished(config, work)
    return AutoencoderKL.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False)


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Tensor, size: int = 32) -> Pixels:
    """Pictures, (n, h, w, 3), of scaled latents, (n, channels, h / 8, w / 8), `size` at once."""
    device, scale = vae.device, vae.config.scaling_factor
    parts = in_parts(latents, size)
    return np.concatenate(
        [to_pixels(vae.decode(part.float().to(device) / scale).sample) for part in parts]
    )


def store(
    folder: Path,
    count: int,
    make: Callable[[int, np.random.Generator], Arrays],
    *,
    seed: int,
    workers: int,
) -> None:
    """Make `count` scenes in files of some hundreds; a file that is there is not made again.

    Args:
        make: So many scenes, from this source of randomness.
        workers: Processes that share the files on a CPU.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [min(_PER_FILE, count - start) for start in range(0, count, _PER_FILE)]

    def make_one(number: int) -> Arrays:
        return make(sizes[number], np.random.default_rng((seed, TRAINING, number)))

    paths = [folder / f"{number:04d}-{size}.npz" for number, size in enumerate(sizes)]
    write_missing(paths, make_one, workers)


def load_stored(folder: Path) -> dict[str, Tensor]:
    """What `store` made, the files joined."""
    paths = sorted(folder.glob("*.npz"))
    files = []
    for path in paths:
        with np.load(path) as file:
            files.append({name: file[name] for name in file.files})
    return {
        name: torch.from_numpy(np.concatenate([file[name] for file in files])) for name in files[0]
    }


def load_judge(work: Path) -> Classifier:
    """The independent judge of the main model."""
    return load_classifier(work / "classifier.safetensors")


def names_seen(judge: Classifier, pictures: Pixels) -> list[str]:
    """What the judge takes each picture, (n, h, w, 3), to show."""
    rows = judge.probabilities(pictures).argmax(axis=1)
    return [judge.labels[int(row)] for row in rows]


def hits(judge: Classifier, pictures: Pixels, names: list[str]) -> list[bool]:
    """For each picture, whether the judge calls it by its name."""
    return [seen == name for seen, name in zip(names_seen(judge, pictures), names, strict=True)]
