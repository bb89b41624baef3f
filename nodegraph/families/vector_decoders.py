"""A small network that makes a latent of a vector in one go: the generator of a GAN, and the
decoder of a VAE, which differ in how they were taught alone.
"""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.core.values import Latent
from nodegraph.families.embedded_models import CELL, FORMAT, decoder_file

_GROUPS = 8
_AT_ONCE = 64


class VectorDecoder(nn.Module):
    """Latents, (batch, made, side, side), of vectors of a normal distribution.

    Upsampling by repeating and a convolution, rather than transposed convolutions, which draw
    checkerboards (Odena et al. 2016, distill.pub/2016/deconv-checkerboard).

    Args:
        latent: Numbers in a vector.
        channels: From 4 x 4 places on; each further one doubles the side.
        made: Channels of what it makes.
    """

    def __init__(
        self, latent: int = 64, channels: tuple[int, ...] = (112, 96, 64), made: int = 8
    ) -> None:
        super().__init__()
        self.latent, self.channels, self.made = latent, tuple(channels), made
        self.begin = nn.Linear(latent, channels[0] * 16)
        self.levels = nn.ModuleList(
            _Level(wide, count) for wide, count in itertools.pairwise(channels)
        )
        self.end = nn.Conv2d(channels[-1], made, 3, padding=1)

    def forward(self, vectors: Tensor) -> Tensor:
        states = self.begin(vectors).reshape(-1, self.channels[0], 4, 4)
        for level in self.levels:
            states = level(states)
        made: Tensor = self.end(states)
        return made


class _Level(nn.Module):
    """A residual block, then twice the side."""

    def __init__(self, wide: int, count: int) -> None:
        super().__init__()
        self.before = nn.GroupNorm(_GROUPS, wide)
        self.inner = nn.Conv2d(wide, wide, 3, padding=1)
        self.conv = nn.Conv2d(wide, count, 3, padding=1)
        self.norm = nn.GroupNorm(_GROUPS, count)

    def forward(self, states: Tensor) -> Tensor:
        states = states + self.inner(functional.silu(self.before(states)))
        larger = functional.interpolate(states, scale_factor=2.0, mode="nearest")
        changed: Tensor = functional.silu(self.norm(self.conv(larger)))
        return changed


def save_decoder(model: VectorDecoder, path: Path, about: dict[str, str]) -> None:
    """Write float16 weights; the shape is in the file's metadata, beside what is told of it."""
    from safetensors.torch import save_file

    weights = {name: item.half().contiguous() for name, item in model.state_dict().items()}
    shape = json.dumps({"latent": model.latent, "channels": model.channels, "made": model.made})
    save_file(weights, path, {**about, "shape": shape})


@cache
def embedded_decoder(name: str) -> VectorDecoder:
    """The one of this name that comes with nodegraph; float32, on the CPU, for inference."""
    from safetensors import safe_open

    with safe_open(decoder_file(name), framework="pt") as file:
        shape = json.loads(file.metadata()["shape"])
        weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    model = VectorDecoder(shape["latent"], tuple(shape["channels"]), shape["made"])
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def decoder_samples(name: str, count: int, seed: int, spread: float = 1.0) -> Latent:
    """Latents of the model ``tiny``; each is a function of its own seed.

    Args:
        seed: Of the first; the next ones count up.
        spread: Standard deviation of the vectors: below 1 more usual images, and fewer kinds
            (truncation; Brock et al. 2018, arXiv:1809.11096).
    """
    model = embedded_decoder(name)
    vectors = torch.stack(
        [
            torch.randn(model.latent, generator=torch.Generator().manual_seed((seed + at) % 2**63))
            for at in range(count)
        ]
    )
    starts = range(0, count, _AT_ONCE)
    samples = torch.cat([model(vectors[at : at + _AT_ONCE] * spread) for at in starts])
    height, width = (CELL * side for side in samples.shape[-2:])
    return Latent(samples.contiguous(), width, height, count, format=FORMAT)
