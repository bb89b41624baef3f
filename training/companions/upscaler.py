"""A small network that makes the model's pictures twice as large.

It is of the kind that published "compact" upscalers are of, so its file loads wherever theirs do.
It learns from renders at twice the size, made small by one of several filters; half of them have
also been through the model's autoencoder, so that it learns to take its softness back as well.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from nodegraph.families.helper_networks import CompactShape
from nodegraph.models.upscaling import CompactUpscaler
from training.companions.job import Bar, Job, start, write_record
from training.companions.latent_scenes import HELD_OUT, decode, load_stored, load_vae, store
from training.config import FitConfig
from training.latents import encode_pictures
from training.models import seeded
from training.pixels import Pixels, sheet
from training.scenes import SceneMaker
from training.stored import Arrays
from training.trainer import Trainer, load_average, pick_device, place
from training.vae import psnr

NAME = "upscaler"
FILE = "upscaler.safetensors"
BARS = (
    Bar("gain_shrunk_db", least=2.0),
    # What the autoencoder has lost, no network of this size finds again: it just mustn't get worse.
    Bar("gain_decoded_db", least=0.0),
    Bar("megabytes", most=1.0),
)
_TOY = {"scenes": 8, "pieces": 4, "test_scenes": 4}
_FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
_SOFTENING = 1e-3
"""What rounds the absolute difference off at zero (Charbonnier's loss)."""


@dataclass(frozen=True)
class UpscalerConfig:
    """Settings of the upscaler.

    Attributes:
        fit: The training run.
        seed: Start of all randomness.
        scale: How many times larger its pictures are.
        width, layers: Channels within, and convolutions between the first and the last.
        mix: Shares of scenes with one large object, one smaller, two, two or three alike. Few have
            a large one: at twice the model's size the font has no more detail for it.
        decoded: Share of scenes that have been through the autoencoder.
        scenes: How many are drawn for training.
        pieces: How many are cut from each.
        side: Pixels of a piece before it is made larger.
        test_scenes: On which it is measured.
    """

    fit: FitConfig
    seed: int = 47
    scale: int = 2
    width: int = 32
    layers: int = 8
    mix: tuple[float, ...] = (0.15, 0.4, 0.25, 0.2)
    decoded: float = 0.5
    scenes: int = 2500
    pieces: int = 10
    side: int = 32
    test_scenes: int = 200


def build_upscaler(settings: UpscalerConfig) -> CompactUpscaler:
    """Untrained."""
    return CompactUpscaler(CompactShape(3, 3, settings.width, settings.layers, settings.scale))


def shrunk(pictures: Pixels, scale: int, filters: list[Image.Resampling]) -> Pixels:
    """Pictures, (n, h, w, 3), of a `scale`-th of the size, each by its filter."""
    height, width = pictures.shape[1] // scale, pictures.shape[2] // scale
    small = [
        np.asarray(Image.fromarray(picture).resize((width, height), kind))
        for picture, kind in zip(pictures, filters, strict=True)
    ]
    return np.stack(small)


def through_vae(vae: AutoencoderKL, pictures: Pixels) -> Pixels:
    """What the autoencoder makes of pictures."""
    return decode(vae, torch.from_numpy(encode_pictures(vae, pictures)).float())


def draw_pieces(job: Job[UpscalerConfig]) -> None:
    """Store pieces, uint8, as ``small`` and ``large``."""
    settings, vae = job.settings, load_vae(job.config, job.work).to(pick_device())
    maker = SceneMaker.from_config(job.config, settings.mix)

    def make(count: int, rng: np.random.Generator) -> Arrays:
        large, small = _pairs(maker, vae, count, settings, rng, settings.decoded)
        corners = _corners(maker.size - settings.side, count * settings.pieces, rng)
        rows = np.repeat(np.arange(count), settings.pieces)
        return {
            "small": _cut(small, rows, corners, settings.side),
            "large": _cut(large, rows, corners * settings.scale, settings.side * settings.scale),
        }

    store(
        job.scratch / "pieces",
        settings.scenes,
        make,
        seed=settings.seed,
        workers=settings.fit.workers,
    )


def _pairs(
    maker: SceneMaker,
    vae: AutoencoderKL,
    count: int,
    settings: UpscalerConfig,
    rng: np.random.Generator,
    decoded: float,
) -> tuple[Pixels, Pixels]:
    """Scenes at `scale` times the model's size, and at its own."""
    side = maker.size * settings.scale
    large = maker.batch(count, rng, side, side)[0]
    kinds = [_FILTERS[int(number)] for number in rng.integers(len(_FILTERS), size=count)]
    small = shrunk(large, settings.scale, kinds)
    rows = np.flatnonzero(rng.random(count) < decoded)
    if len(rows):
        small[rows] = through_vae(vae, small[rows])
    return large, small


def _corners(most: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Left upper corners, (count, 2), nearer to the middle, where things are, than to the edges."""
    return np.round(rng.beta(1.5, 1.5, (count, 2)) * most).astype(np.int64)


def _cut(pictures: Pixels, rows: np.ndarray, corners: np.ndarray, side: int) -> Pixels:
    return np.stack(
        [
            pictures[row, top : top + side, left : left + side]
            for row, (top, left) in zip(rows, corners, strict=True)
        ]
    )


def train(job: Job[UpscalerConfig]) -> dict[str, float]:
    """Fit it, write it as float16; what the run took."""
    settings = job.settings
    pieces = load_stored(job.scratch / "pieces")
    seeded(settings.seed)
    model = build_upscaler(settings)
    device = place(model, settings.fit)
    small, large = pieces["small"].to(device), pieces["large"].to(device)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        rows = torch.from_numpy(rng.integers(len(small), size=count)).to(device)
        turn, mirror = int(rng.integers(4)), bool(rng.random() < 0.5)
        given, wanted = (_turned(item[rows], turn, mirror) for item in (small, large))
        difference = model(given).float() - wanted
        distance: Tensor = (difference.square() + _SOFTENING**2).sqrt().mean()
        return distance

    trainer = Trainer(model, loss, settings.fit, seed=settings.seed, folder=job.scratch)
    progress = trainer.run()
    best = build_upscaler(settings)
    load_average(best, job.scratch)
    tensors = {name: item.half().contiguous() for name, item in best.state_dict().items()}
    save_file(tensors, job.folder / FILE, metadata={"format": "pt"})
    return vars(progress)


def _turned(pictures: Tensor, turn: int, mirror: bool) -> Tensor:
    """(n, h, w, 3), 0..255, to (n, 3, h, w), 0..1, turned by quarters and mirrored."""
    images = pictures.permute(0, 3, 1, 2).float() / 255.0
    images = images.flip(-1) if mirror else images
    return torch.rot90(images, turn, (-2, -1))


def load_upscaler(folder: Path, settings: UpscalerConfig) -> CompactUpscaler:
    """The trained network; float32, CPU, frozen."""
    model = build_upscaler(settings)
    tensors = load_file(folder / FILE)
    model.load_state_dict({name: item.float() for name, item in tensors.items()})
    return model.eval().requires_grad_(False)


@torch.no_grad()
def upscaled(model: CompactUpscaler, pictures: Pixels) -> Pixels:
    """Pictures made larger by it, one at a time."""
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255.0
    large = torch.cat([model(image[None]) for image in images]).clamp(0, 1) * 255.0
    found: Pixels = large.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return found


def by_bicubic(pictures: Pixels, scale: int) -> Pixels:
    """Pictures made larger by a cubic filter."""
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    large = functional.interpolate(images, scale_factor=scale, mode="bicubic", align_corners=False)
    found: Pixels = large.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return found


def measure(job: Job[UpscalerConfig]) -> dict[str, float]:
    """How much nearer than a cubic filter it comes to held-out renders, and how long it takes."""
    settings, scale = job.settings, job.settings.scale
    vae, model = load_vae(job.config, job.work), load_upscaler(job.folder, settings)
    maker = SceneMaker.from_config(job.config, settings.mix)
    figures, rows = {}, []
    for kind, decoded in (("shrunk", 0.0), ("decoded", 1.0)):
        rng = np.random.default_rng((settings.seed, HELD_OUT))
        large, small = _pairs(maker, vae, settings.test_scenes, settings, rng, decoded)
        cubic, ours = by_bicubic(small, scale), upscaled(model, small)
        figures[f"psnr_bicubic_{kind}_db"] = round(psnr(large, cubic), 2)
        figures[f"psnr_{kind}_db"] = round(psnr(large, ours), 2)
        figures[f"gain_{kind}_db"] = round(psnr(large, ours) - psnr(large, cubic), 2)
        rows += [large[:6], cubic[:6], ours[:6]]
    sheet(np.concatenate(rows), len(rows[0])).save(job.scratch / "sheet.png")
    started = time.thread_time()
    upscaled(model, small[:8])
    figures["milliseconds"] = round(1000 * (time.thread_time() - started) / len(small[:8]), 1)
    figures["megabytes"] = round((job.folder / FILE).stat().st_size / 1e6, 3)
    return figures


def main() -> None:
    """Train the upscaler and measure it."""
    job = start(NAME, UpscalerConfig, main.__doc__, _TOY)
    draw_pieces(job)
    progress = train(job)
    write_record(job, measure(job), BARS, progress)


if __name__ == "__main__":
    main()
