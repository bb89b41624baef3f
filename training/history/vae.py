"""A variational autoencoder: an encoder and a decoder that learn together.

Source: Kingma & Welling 2013, arXiv:1312.6114.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nodegraph.families.vector_decoders import VectorDecoder
from training.config import FitConfig
from training.history.scenes import Pool
from training.trainer import Trainer, place

FIT = FitConfig(
    samples=400_000,
    batch=64,
    lr=1e-3,
    warmup=100,
    weight_decay=0.0,
    ema=0.998,
    workers=1,
    checkpoint_seconds=60,
)
_GROUPS = 8


class Autoencoder(nn.Module):
    """Encoder and decoder; only the latter is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = VectorDecoder()
        layers: list[nn.Module] = []
        wide = self.decoder.made
        for count, kernel, stride in ((64, 3, 1), (96, 4, 2), (128, 4, 2)):
            conv = nn.Conv2d(wide, count, kernel, stride, 1)
            layers += [conv, nn.GroupNorm(_GROUPS, count), nn.SiLU()]
            wide = count
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        self.told = nn.Linear(wide * 16, 2 * self.decoder.latent)

    def loss(self, latents: Tensor, noise: Tensor) -> Tensor:
        """Negative evidence lower bound, per number of a latent.

        How much noise there is about what is decoded is what fits best: the mean squared error
        (Rybkin et al. 2020, arXiv:2006.13202). So nothing is chosen by hand.

        Args:
            noise: Normal, (batch, numbers in a vector).
        """
        mean, spread = self.told(self.encoder(latents)).float().chunk(2, 1)
        spread = spread.clamp(-10, 10)
        found = self.decoder(mean + (spread / 2).exp() * noise).float()
        missed = (found - latents).square().mean().log() / 2
        divergence = (mean.square() + spread.exp() - 1 - spread).sum(1).mean() / 2
        bound: Tensor = missed + divergence / latents[0].numel()
        return bound


def train(work: Path, samples: int = FIT.samples) -> VectorDecoder:
    """Go on from the folder's checkpoint to the end; the decoder with averaged weights."""
    torch.manual_seed(1)
    fit = replace(FIT, samples=samples)
    model, pool = Autoencoder(), Pool(work)
    place(model, fit)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        latents = pool.batch(count, rng).contiguous(memory_format=torch.channels_last)
        shape = (count, model.decoder.latent)
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        return model.loss(latents, noise)

    Trainer(model, loss, fit, seed=1, folder=work / "vae").run()
    return decoder(work)


def decoder(work: Path) -> VectorDecoder:
    """With the averaged weights of a checkpoint, of a run that still goes on, too."""
    model = Autoencoder()
    state = torch.load(work / "vae" / "checkpoint.pt", map_location="cpu", weights_only=True)
    model.load_state_dict({**model.state_dict(), **state["average"]})
    return model.decoder.eval()


def learned(work: Path) -> int:
    """Latents that a checkpoint has learned from, each counted as often as it came."""
    state = torch.load(work / "vae" / "checkpoint.pt", map_location="cpu", weights_only=True)
    return int(state["progress"]["samples"])
