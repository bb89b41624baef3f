"""A small network that makes a picture of a vector in one go: the generator of a GAN, and the
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

from nodegraph.diffusion.decoder_names import EMBEDDED

_GROUPS = 8
_AT_ONCE = 64


class PictureDecoder(nn.Module):
    """Pictures in -1..1, (batch, 3, side, side), of vectors of a normal distribution.

    Upsampling by repeating and a convolution, rather than transposed convolutions, which draw
    checkerboards (Odena et al. 2016, distill.pub/2016/deconv-checkerboard).

    Args:
        latent: Numbers in a vector.
        channels: From 4 x 4 places on; each further one doubles the side.
    """

    def __init__(self, latent: int = 64, channels: tuple[int, ...] = (128, 96, 64, 32, 24)) -> None:
        super().__init__()
        self.latent, self.channels = latent, tuple(channels)
        self.begin = nn.Linear(latent, channels[0] * 16)
        self.levels = nn.ModuleList(
            _Level(wide, count) for wide, count in itertools.pairwise(channels)
        )
        self.end = nn.Conv2d(channels[-1], 3, 3, padding=1)

    @property
    def side(self) -> int:
        """Of its pictures, in pixels."""
        return int(4 * 2 ** len(self.levels))

    def forward(self, vectors: Tensor) -> Tensor:
        states = self.begin(vectors).unflatten(1, (self.channels[0], 4, 4))
        for level in self.levels:
            states = level(states)
        picture: Tensor = self.end(states).tanh()
        return picture


class _Level(nn.Module):
    """Doubles the side; where there are few places it also has a residual block before that."""

    def __init__(self, wide: int, count: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(wide, wide, 3, padding=1) if wide > 32 else None
        self.before = nn.GroupNorm(_GROUPS, wide)
        self.conv = nn.Conv2d(wide, count, 3, padding=1)
        self.norm = nn.GroupNorm(_GROUPS, count)

    def forward(self, states: Tensor) -> Tensor:
        if self.inner is not None:
            states = states + self.inner(functional.silu(self.before(states)))
        else:
            states = self.before(states)
        larger = functional.interpolate(states, scale_factor=2.0, mode="nearest")
        changed: Tensor = functional.silu(self.norm(self.conv(larger)))
        return changed


def save_decoder(model: PictureDecoder, path: Path, about: dict[str, str]) -> None:
    """Write float16 weights; the shape is in the file's metadata, beside what is told of it."""
    from safetensors.torch import save_file

    weights = {name: item.half().contiguous() for name, item in model.state_dict().items()}
    shape = json.dumps({"latent": model.latent, "channels": model.channels})
    save_file(weights, path, {**about, "shape": shape})


@cache
def embedded_decoder(name: str) -> PictureDecoder:
    """The one of this name that comes with nodegraph; float32, on the CPU, for inference."""
    from safetensors import safe_open

    with safe_open(EMBEDDED / f"{name}.safetensors", framework="pt") as file:
        shape = json.loads(file.metadata()["shape"])
        weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    model = PictureDecoder(shape["latent"], tuple(shape["channels"]))
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def decoder_samples(name: str, count: int, seed: int, spread: float = 1.0) -> Tensor:
    """Pictures, float32 (count, side, side, 3) in 0..1; each is a function of its own seed.

    Args:
        seed: Of the first; the next ones count up.
        spread: Standard deviation of the vectors: below 1 more usual pictures, and fewer kinds
            (truncation; Brock et al. 2018, arXiv:1809.11096).
    """
    model = embedded_decoder(name)
    vectors = torch.stack(
        [
            torch.randn(model.latent, generator=torch.Generator().manual_seed((seed + at) % 2**63))
            for at in range(count)
        ]
    )
    parts = [model(part) for part in (vectors * spread).split(_AT_ONCE)]
    return ((torch.cat(parts) + 1) / 2).clamp(0, 1).movedim(1, -1).contiguous()
