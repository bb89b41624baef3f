"""A variational autoencoder: an encoder and a decoder that learn together.

Source: Kingma & Welling 2013, arXiv:1312.6114.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nodegraph.diffusion.picture_decoders import PictureDecoder
from training.config import FitConfig
from training.history.pictures import Pool
from training.trainer import Trainer

FIT = FitConfig(
    samples=400_000,
    batch=64,
    lr=1e-3,
    warmup=200,
    weight_decay=0.0,
    ema=0.998,
    workers=1,
    checkpoint_seconds=60,
)
NOISE = 0.12
"""Standard deviation that pixels, in -1..1, are taken to have about what is decoded. It weighs
sharpness against how well vectors fill the normal distribution that samples are drawn from."""
_GROUPS = 8


class Autoencoder(nn.Module):
    """Encoder and decoder; only the latter is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = PictureDecoder()
        layers: list[nn.Module] = []
        wide = 3
        for count in (32, 64, 96, 128):
            layers += [nn.Conv2d(wide, count, 4, 2, 1), nn.GroupNorm(_GROUPS, count), nn.SiLU()]
            wide = count
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        self.told = nn.Linear(wide * 16, 2 * self.decoder.latent)

    def loss(self, pictures: Tensor, noise: Tensor) -> Tensor:
        """Negative evidence lower bound per picture, over its pixels; of pictures in -1..1.

        Args:
            noise: Normal, (batch, latent).
        """
        mean, spread = self.told(self.encoder(pictures)).float().chunk(2, 1)
        spread = spread.clamp(-10, 10)
        found = self.decoder(mean + (spread / 2).exp() * noise).float()
        missed = (found - pictures).square().sum((1, 2, 3)) / (2 * NOISE**2)
        divergence = (mean.square() + spread.exp() - 1 - spread).sum(1) / 2
        return (missed + divergence).mean() / pictures[0].numel()


def train(work: Path, samples: int = FIT.samples) -> PictureDecoder:
    """Go on from the folder's checkpoint to the end; the decoder with averaged weights."""
    torch.manual_seed(1)
    model, pool = Autoencoder(), Pool(work)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        pictures = pool.batch(count, rng)
        shape = (count, model.decoder.latent)
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        return model.loss(pictures, noise)

    Trainer(model, loss, replace(FIT, samples=samples), seed=1, folder=work / "vae").run()
    return decoder(work)


def decoder(work: Path) -> PictureDecoder:
    """With the averaged weights of a checkpoint, of a run that still goes on, too."""
    model = Autoencoder()
    state = torch.load(work / "vae" / "checkpoint.pt", map_location="cpu", weights_only=True)
    model.load_state_dict({**model.state_dict(), **state["average"]})
    return model.decoder.eval()
