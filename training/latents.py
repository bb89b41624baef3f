"""Encode scenes once, so that training the denoiser costs no rendering and no autoencoder."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL

from training.captions import embellish
from training.config import Config, command_line
from training.models import SCALING_FACTOR, in_half
from training.pixels import Pixels, in_parts, to_tensor
from training.scenes import SceneMaker
from training.stored import Arrays, write_missing
from training.tokenizer import encode, load_tokenizer
from training.trainer import pick_device
from training.vae import load_trained

_CHUNK = 2000
"""Scenes per file; a finished file is not made again."""


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, pictures: Pixels) -> npt.NDArray[np.float16]:
    """Scaled latents of unit variance, (n, 4, h / 8, w / 8)."""
    parts = []
    for part in in_parts(to_tensor(pictures)):
        with in_half(vae.device):
            mean = vae.encode(part.to(vae.device)).latent_dist.mean
        parts.append((mean.float() * SCALING_FACTOR).half().cpu().numpy())
    return np.concatenate(parts)


def chunks(config: Config) -> list[tuple[str, int, int, int]]:
    """The files to write: name, width, height, number of scenes."""
    side, settings = config.data.resolution, config.unet
    size = min(_CHUNK, settings.scenes)
    usual = [
        (f"{side}x{side}-{number:05d}", side, side, size)
        for number in range(settings.scenes // size)
    ]
    others = [
        (f"{width}x{height}", width, height, settings.sized_scenes)
        for width, height in settings.sizes
    ]
    return usual + others


def encode_all(config: Config, work: Path) -> None:
    """Write `latents/WIDTHxHEIGHT-NNNNN.npz` until all that the config asks for are there."""
    folder = work / "latents"
    folder.mkdir(exist_ok=True)
    vae = load_trained(config, work).to(pick_device())
    maker = SceneMaker.from_config(config)
    tokenizer = load_tokenizer(work / "tokenizer")
    files = chunks(config)

    def make(number: int) -> Arrays:
        _, width, height, count = files[number]
        rng = np.random.default_rng((config.seed, 2, number))
        pictures, scenes = maker.batch(count, rng, width, height)
        captions = [embellish(scene.caption, rng) for scene in scenes]
        tokens = np.asarray(encode(tokenizer, captions), np.uint16)
        return {"latents": encode_pictures(vae, pictures), "tokens": tokens}

    write_missing([folder / f"{name}.npz" for name, *_ in files], make, config.unet.fit.workers)


def load_latents(work: Path) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """All scenes, those of one size together, the most numerous size first.

    Returns:
        Per size, latents, float16 (n, channels, h / 8, w / 8), and tokens, int64 (n, max_length).
    """
    groups: dict[str, list[dict[str, npt.NDArray[np.generic]]]] = {}
    for path in sorted((work / "latents").glob("*.npz")):
        with np.load(path) as file:
            groups.setdefault(path.stem.split("-")[0], []).append(dict(file))
    joined = [
        (
            torch.from_numpy(np.concatenate([file["latents"] for file in files])),
            torch.from_numpy(np.concatenate([file["tokens"] for file in files]).astype(np.int64)),
        )
        for files in groups.values()
    ]
    return sorted(joined, key=lambda group: -len(group[0]))


def main() -> None:
    """Draw and encode the denoiser's training scenes into `latents`/."""
    config, work = command_line(main.__doc__)
    encode_all(config, work)
    latents = load_latents(work)[0][0]
    wide = latents.float()
    print(f"{len(latents)} scenes, mean {wide.mean():.3f}, deviation {wide.std():.3f}")


if __name__ == "__main__":
    main()
