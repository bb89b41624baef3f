"""Train the autoencoder on scenes drawn as it goes."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from training.config import Config, VaeConfig, command_line
from training.models import build_vae, seeded
from training.pixels import Pixels, in_parts, sheet, to_pixels, to_tensor
from training.scenes import Scene, SceneMaker
from training.trainer import Trainer, load_average, place

_HELD_OUT = 987_654_321
"""Seed of scenes that no training step draws."""


def reconstruction_loss(output: Tensor, target: Tensor, settings: VaeConfig) -> Tensor:
    """L1, plus L1 of the neighbour differences (edges), plus squared error (flat colours)."""
    edges = functional.l1_loss(output.diff(dim=-1), target.diff(dim=-1))
    edges = edges + functional.l1_loss(output.diff(dim=-2), target.diff(dim=-2))
    squared = settings.squared * functional.mse_loss(output, target)
    result: Tensor = functional.l1_loss(output, target) + settings.edge * edges + squared
    return result


def vae_loss(vae: AutoencoderKL, target: Tensor, settings: VaeConfig) -> Tensor:
    """Loss of a batch of images, (n, 3, h, w), -1..1."""
    posterior = vae.encode(target).latent_dist
    output = vae.decode(posterior.sample()).sample.float()
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    divergence = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()
    loss: Tensor = reconstruction_loss(output, target, settings) + settings.kl * divergence
    return loss


@dataclass(frozen=True)
class Spread:
    """Mean and deviation of the latents' channels, before they are made 0 and 1.

    Attributes:
        samples: That the autoencoder had been trained on.
    """

    mean: list[float]
    deviation: list[float]
    samples: int = 0


@torch.no_grad()
def measure_latents(vae: AutoencoderKL, images: Tensor) -> Spread:
    """The spread of the latents of pictures, (n, 3, h, w), -1..1."""
    means = torch.cat([vae.encode(part).latent_dist.mean for part in in_parts(images)])
    return Spread(means.mean(dim=(0, 2, 3)).tolist(), means.std(dim=(0, 2, 3)).tolist())


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, spread: Spread) -> None:
    """Shift and scale the latents so that `scaling_factor` gives them mean 0 and deviation 1.

    The change is folded into the last convolution before the latent and undone in the first one
    after it, so the reconstruction stays the same.
    """
    shift = torch.tensor(spread.mean)
    scale = torch.tensor(spread.deviation) * vae.config.scaling_factor
    channels = shift.numel()
    before, after = vae.quant_conv, vae.post_quant_conv
    after.bias += after.weight[:, :, 0, 0] @ shift
    after.weight *= scale[None, :, None, None]
    before.bias[:channels] = (before.bias[:channels] - shift) / scale
    before.weight[:channels] /= scale[:, None, None, None]
    before.bias[channels:] -= 2.0 * scale.log()


def held_out_scenes(config: Config, count: int) -> Pixels:
    """Pictures for measuring, the same in every run, (count, size, size, 3)."""
    return SceneMaker.from_config(config).batch(count, np.random.default_rng(_HELD_OUT))[0]


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, pictures: Pixels) -> Pixels:
    """Encode and decode, without sampling the posterior."""
    parts = []
    for part in in_parts(to_tensor(pictures)):
        latent = vae.encode(part.to(vae.device)).latent_dist.mean
        parts.append(to_pixels(vae.decode(latent).sample))
    return np.concatenate(parts)


def psnr(first: Pixels, second: Pixels) -> float:
    """Peak signal-to-noise ratio over all pixels of all pictures, in dB."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float(10 * np.log10(255.0**2 / error))


def load_trained(config: Config, work: Path) -> AutoencoderKL:
    """The averaged weights of the checkpoint in a work folder, latents normalised; float32, CPU."""
    vae = build_vae(config)
    load_average(vae, work / "vae")
    vae.eval().requires_grad_(False)
    normalise_latents(vae, _kept_spread(vae, config, work / "vae"))
    return vae


def _kept_spread(vae: AutoencoderKL, config: Config, folder: Path) -> Spread:
    """Measured once per checkpoint, as a denoiser is trained on the latents as they were then."""
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True, mmap=True)
    samples, kept = state["progress"]["samples"], folder / "spread.json"
    if kept.exists():
        spread = Spread(**json.loads(kept.read_text()))
        if spread.samples == samples:
            return spread
    rng = np.random.default_rng(config.seed + 1)
    pictures, _ = SceneMaker.from_config(config).batch(config.evaluate.scenes, rng)
    spread = replace(measure_latents(vae, to_tensor(pictures)), samples=samples)
    kept.write_text(json.dumps(asdict(spread)))
    return spread


def training_pictures(
    maker: SceneMaker, settings: VaeConfig, count: int, rng: np.random.Generator
) -> Pixels:
    """`count` pieces of scenes, cut round their objects, or whole scenes of as many pixels.

    Most of a scene is plain background, which costs as much as objects and teaches less. Whole
    scenes teach the group norms what share of a picture is background.
    """
    if settings.crop >= maker.size:
        return maker.batch(count, rng)[0]
    if rng.random() < settings.whole:
        return maker.batch(max(1, count * settings.crop**2 // maker.size**2), rng)[0]
    pictures, scenes = maker.batch(count, rng)
    pairs = zip(pictures, scenes, strict=True)
    return np.stack([_piece(picture, scene, settings.crop, rng) for picture, scene in pairs])


def _piece(picture: Pixels, scene: Scene, side: int, rng: np.random.Generator) -> Pixels:
    item = scene.placements[int(rng.integers(len(scene.placements)))]
    size = len(picture)
    x, y = (
        round((centre + rng.uniform(-0.45, 0.45) * item.side) * size - side / 2)
        for centre in (item.x, item.y)
    )
    left, top = (min(max(0, value), size - side) for value in (x, y))
    return picture[top : top + side, left : left + side]


def train(config: Config, work: Path) -> None:
    """Fit the autoencoder and write its checkpoint into `work`/vae."""
    seeded(config.seed)
    vae = build_vae(config)
    place(vae, config.vae.fit)
    maker = SceneMaker.from_config(config, config.vae.mix)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        pictures = training_pictures(maker, config.vae, count, rng)
        return vae_loss(vae, to_tensor(pictures).to(vae.device), config.vae)

    Trainer(vae, loss, config.vae.fit, seed=config.seed, folder=work / "vae").run()


def main() -> None:
    """Train the autoencoder; `vae.png` shows held-out scenes above their reconstructions."""
    config, work = command_line(main.__doc__)
    train(config, work)
    vae = load_trained(config, work)
    pictures = held_out_scenes(config, config.evaluate.scenes)
    again = reconstruct(vae, pictures)
    shown = min(12, len(pictures))
    sheet(np.concatenate([pictures[:shown], again[:shown]]), shown).save(work / "vae.png")
    print(f"{psnr(pictures, again):.2f} dB on {len(pictures)} held-out scenes")


if __name__ == "__main__":
    main()
