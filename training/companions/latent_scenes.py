"""Scenes as latents: drawn, encoded and stored once; decoded, and named by the judge."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training import vae as autoencoder
from training.classifier import Classifier, load_classifier
from training.config import Config
from training.pixels import Pixels, in_parts, to_pixels
from training.scenes import SceneMaker
from training.team import Team
from training.trainer import pick_device

Arrays = dict[str, npt.NDArray[np.generic]]
"""Arrays by name, one row per scene in each."""

TRAINING, HELD_OUT = 41, 42
"""Name the random numbers of scenes to train on, and of those that no training step sees."""
_PER_FILE = 500


def load_vae(config: Config, work: Path) -> AutoencoderKL:
    """The main model's autoencoder, frozen, float32: the exported one, else the trained one."""
    folder = work / "model" / "vae"
    if not folder.exists():
        return autoencoder.load_trained(config, work)
    return AutoencoderKL.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False)


def maker_of(config: Config, mix: tuple[float, ...]) -> SceneMaker:
    """Draws the main model's objects in other shares of the kinds of scenes."""
    return SceneMaker.from_config(replace(config, data=replace(config.data, mix=mix)))


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
    on_cpu = pick_device().type == "cpu"
    team = Team(workers if on_cpu else 1, 1)

    def make_share() -> None:
        for number in range(team.rank, len(sizes), team.size):
            path = folder / f"{number:04d}-{sizes[number]}.npz"
            if path.exists():
                continue
            arrays = make(sizes[number], np.random.default_rng((seed, TRAINING, number)))
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            partial.replace(path)
            if team.rank == 0:
                print(f"scenes: file {number + 1} of {len(sizes)}", flush=True)

    if on_cpu:
        torch.set_num_threads(1)  # a pool of threads would not survive the fork
    team.run(make_share)


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
