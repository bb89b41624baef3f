"""A tiny decoder that shows, while a picture is being sampled, what it will be.

The file is stock `AutoencoderTiny`: it takes the main model's scaled latents as they are (its
`scaling_factor` is 1), so it can stand in for the autoencoder of a pipeline. It learns to decode
as the autoencoder decodes, and not only clean latents: what a preview shows is the denoiser's
guess, and guesses are blurred and mixed of several pictures. Its encoder is a by-product.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor
from torch.nn import functional

from training.companions.job import Bar, Job, finished_model, start, write_record
from training.companions.latent_scenes import (
    HELD_OUT,
    decode,
    hits,
    load_judge,
    load_stored,
    load_vae,
    store,
)
from training.config import FitConfig
from training.latents import encode_pictures
from training.models import seeded
from training.pixels import Pixels, in_parts, sheet, to_pixels, to_tensor
from training.scenes import SceneMaker
from training.scores import percent
from training.stored import Arrays
from training.trainer import Trainer, load_average, pick_device, place
from training.vae import psnr, reconstruction_loss

NAME = "preview_decoder"
BARS = (
    Bar("times_faster", least=5.0),
    Bar("psnr_to_vae_db", least=24.0),
    Bar("judge_top1_percent", least=90.0),
    Bar("megabytes", most=2.0),
)
_TOY = {"scenes": 24, "test_scenes": 8}
_MOST_MIXED = 8
"""Pictures of which a softened latent may be the mean."""
_RUNS = 7


@dataclass(frozen=True)
class PreviewConfig:
    """Settings of the preview decoder.

    Attributes:
        fit: The training run.
        seed: Start of all randomness.
        width: Channels of all its convolutions; a stock `AutoencoderTiny` can't change them.
        decoder_blocks, encoder_blocks: Residual blocks per level, decoder from small to large.
        scenes: How many are drawn, encoded and decoded for training.
        softened: Share of them whose latents are blurred or mixed before they are decoded.
        encoder_weight: Of the encoder's squared error beside the decoder's loss.
        test_scenes: On which it is measured.
        timesteps: At which the denoiser's guesses are shown, to measure previews.
    """

    fit: FitConfig
    seed: int = 41
    width: int = 16
    decoder_blocks: tuple[int, ...] = (5, 3, 1, 0)
    encoder_blocks: tuple[int, ...] = (0, 1, 1, 1)
    scenes: int = 8000
    softened: float = 0.35
    encoder_weight: float = 0.1
    test_scenes: int = 400
    timesteps: tuple[int, ...] = (800, 600, 400, 200)


def build_preview(settings: PreviewConfig, latent_channels: int, levels: int) -> AutoencoderTiny:
    """Untrained; scaled latents, (n, channels, h, w), to pictures of 2 ** (levels - 1) the side."""
    return AutoencoderTiny(
        latent_channels=latent_channels,
        encoder_block_out_channels=(settings.width,) * levels,
        decoder_block_out_channels=(settings.width,) * levels,
        num_encoder_blocks=settings.encoder_blocks[-levels:],
        num_decoder_blocks=settings.decoder_blocks[-levels:],
        # The latents it gets have unit variance already; the decoder itself keeps them within ±3.
        scaling_factor=1.0,
    )


def soften(latents: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Make a share of latents such as a denoiser guesses halfway: mixed with others and blurred.

    The best guess of a clean latent is the mean of all that the noise leaves possible
    (arXiv:2006.11239, eq. 15, solved for x0): at first of many pictures, in the end of one.
    """
    count = len(latents)
    means = [
        latents[rng.integers(count, size=int(rng.integers(1, _MOST_MIXED + 1)))].mean(0)
        for _ in range(count)
    ]
    amounts = torch.from_numpy(rng.random((2, count, 1, 1, 1))).float()
    mixed = torch.lerp(latents, torch.stack(means), 0.7 * amounts[0])
    padded = functional.pad(mixed, (1, 1, 1, 1), mode="replicate")
    soft = torch.lerp(mixed, functional.avg_pool2d(padded, 3, 1), amounts[1])
    chosen = torch.from_numpy(rng.random(count) < share)
    return torch.where(chosen[:, None, None, None], soft, latents)


def draw_pairs(job: Job[PreviewConfig]) -> None:
    """Store latents, float16, and what the autoencoder makes of them, uint8."""
    vae = load_vae(job.config, job.work).to(pick_device())
    maker = SceneMaker.from_config(job.config, job.config.vae.mix)

    def make(count: int, rng: np.random.Generator) -> Arrays:
        latents = torch.from_numpy(encode_pictures(vae, maker.batch(count, rng)[0])).float()
        latents = soften(latents, job.settings.softened, rng).half()
        return {"latents": latents.numpy(), "pictures": decode(vae, latents)}

    settings = job.settings
    store(
        job.scratch / "scenes",
        settings.scenes,
        make,
        seed=settings.seed,
        workers=settings.fit.workers,
    )


def train(job: Job[PreviewConfig]) -> dict[str, float]:
    """Fit decoder and encoder, write them as float16; what the run took."""
    settings, levels = job.settings, len(job.config.vae.channels)
    scenes = load_stored(job.scratch / "scenes")
    latents, pictures = scenes["latents"], scenes["pictures"]
    seeded(settings.seed)
    model = build_preview(settings, latents.shape[1], levels)
    device = place(model, settings.fit)
    latents, pictures = latents.to(device), pictures.to(device)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        rows = torch.from_numpy(rng.integers(len(latents), size=count)).to(device)
        clean = latents[rows].float()
        target = pictures[rows].permute(0, 3, 1, 2).float() / 127.5 - 1.0
        output = model.decode(clean).sample.float()
        again = functional.mse_loss(model.encode(target).latents.float(), clean)
        decoded = reconstruction_loss(output, target, job.config.vae)
        return decoded + settings.encoder_weight * again

    trainer = Trainer(model, loss, settings.fit, seed=settings.seed, folder=job.scratch)
    progress = trainer.run()
    best = build_preview(settings, latents.shape[1], levels)
    load_average(best, job.scratch)
    best.half().save_pretrained(job.folder)
    return vars(progress)


def load_preview(folder: Path) -> AutoencoderTiny:
    """The trained decoder; float32, CPU, frozen."""
    model = AutoencoderTiny.from_pretrained(folder, local_files_only=True)
    loaded: AutoencoderTiny = model.eval().requires_grad_(False)
    return loaded


@torch.no_grad()
def preview(model: AutoencoderTiny, latents: Tensor) -> Pixels:
    """Pictures of scaled latents."""
    return np.concatenate([to_pixels(model.decode(part).sample) for part in in_parts(latents)])


def rgb_factors(latents: Tensor, pictures: Pixels) -> npt.NDArray[np.float64]:
    """The least-squares way from a latent cell to its mean colour in -1..1: (channels + 1, 3).

    The last row is what is added to the product of a cell with the others.
    """
    colours = _cell_colours(latents, pictures)
    cells = _cells(latents)
    factors, *_ = np.linalg.lstsq(cells, colours, rcond=None)
    return np.asarray(factors, np.float64)


def rgb_psnr(factors: npt.NDArray[np.float64], latents: Tensor, pictures: Pixels) -> float:
    """How near the factors come to the pictures made small, in dB."""
    error = (_cells(latents) @ factors).clip(-1, 1) - _cell_colours(latents, pictures)
    return float(10 * np.log10(4.0 / np.mean(error**2)))


def _cells(latents: Tensor) -> npt.NDArray[np.float64]:
    rows = latents.double().permute(0, 2, 3, 1).flatten(0, 2).numpy()
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def _cell_colours(latents: Tensor, pictures: Pixels) -> npt.NDArray[np.float64]:
    height, width = latents.shape[-2:]
    small = functional.adaptive_avg_pool2d(to_tensor(pictures), (height, width))
    return np.asarray(small.double().permute(0, 2, 3, 1).flatten(0, 2).numpy())


def seconds_of(work: Callable[[], object]) -> float:
    """CPU time of one run on one thread, the least of a few, whatever else the machine does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    taken = []
    for _ in range(_RUNS):
        started = time.thread_time()
        work()
        taken.append(time.thread_time() - started)
    torch.set_num_threads(threads)
    return min(taken)


@torch.no_grad()
def speed(model: AutoencoderTiny, vae: AutoencoderKL, latent: Tensor) -> dict[str, float]:
    """Milliseconds per picture of both decoders on one thread, (1, channels, h, w)."""
    slow = seconds_of(lambda: vae.decode(latent / vae.config.scaling_factor))
    fast = seconds_of(lambda: model.decode(latent))
    return {
        "vae_milliseconds": round(1000 * slow, 2),
        "milliseconds": round(1000 * fast, 2),
        "times_faster": round(slow / fast, 2),
    }


@torch.no_grad()
def guesses(work: Path, latents: Tensor, timestep: int, seed: int) -> Tensor:
    """What the main model, asked for nothing, takes noised latents to be when clean."""
    pipeline = finished_model(work)
    scheduler, unet = pipeline.scheduler, pipeline.unet
    states = pipeline.encode_prompt("", "cpu", 1, False)[0]
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
    times = torch.full((len(latents),), timestep)
    noisy = scheduler.add_noise(latents, noise, times)
    velocity = unet(noisy, times, states.expand(len(latents), -1, -1)).sample
    alpha = scheduler.alphas_cumprod[timestep]
    guess: Tensor = alpha.sqrt() * noisy - (1 - alpha).sqrt() * velocity
    return guess


def measure(job: Job[PreviewConfig]) -> tuple[dict[str, float], dict[str, Any]]:
    """Its figures, and the linear factors with theirs."""
    settings, work = job.settings, job.work
    vae, model = load_vae(job.config, work), load_preview(job.folder)
    rng = np.random.default_rng((settings.seed, HELD_OUT))
    pictures = SceneMaker.from_config(job.config, job.config.vae.mix).batch(
        settings.test_scenes, rng
    )[0]
    latents = torch.from_numpy(encode_pictures(vae, pictures)).float()
    wanted, shown = decode(vae, latents), preview(model, latents)
    soft = soften(latents, 1.0, rng)
    figures = speed(model, vae, latents[:1])
    figures |= {
        "psnr_to_vae_db": round(psnr(wanted, shown), 2),
        "psnr_to_vae_softened_db": round(psnr(decode(vae, soft), preview(model, soft)), 2),
        "psnr_to_scenes_db": round(psnr(pictures, shown), 2),
        "psnr_of_vae_to_scenes_db": round(psnr(pictures, wanted), 2),
        "psnr_of_encoder_db": round(_encoder_psnr(model, vae, pictures), 2),
        "megabytes": round(_megabytes(job.folder), 3),
    }
    figures |= _named(job, vae, model, rng)
    if (work / "model" / "unet").exists():
        for timestep in settings.timesteps:
            guess = guesses(work, latents[:64], timestep, settings.seed)
            value = psnr(decode(vae, guess), preview(model, guess))
            figures[f"psnr_to_vae_at_t{timestep:03d}_db"] = round(value, 2)
    rows = min(12, len(pictures))
    sheet(np.concatenate([wanted[:rows], shown[:rows]]), rows).save(job.scratch / "sheet.png")
    return figures, _factors(latents, pictures)


def _named(
    job: Job[PreviewConfig], vae: AutoencoderKL, model: AutoencoderTiny, rng: np.random.Generator
) -> dict[str, float]:
    """The judge's share of right answers on large single objects, by either decoder."""
    maker, judge = SceneMaker.from_config(job.config, (1.0, 0.0, 0.0, 0.0)), load_judge(job.work)
    pictures, scenes = maker.batch(job.settings.test_scenes, rng)
    names = [maker.objects[scene.placements[0].index].name for scene in scenes]
    latents = torch.from_numpy(encode_pictures(vae, pictures)).float()
    return {
        "judge_top1_percent": percent(hits(judge, preview(model, latents), names)),
        "judge_top1_of_vae_percent": percent(hits(judge, decode(vae, latents), names)),
    }


@torch.no_grad()
def _encoder_psnr(model: AutoencoderTiny, vae: AutoencoderKL, pictures: Pixels) -> float:
    parts = [model.encode(part).latents for part in in_parts(to_tensor(pictures))]
    return psnr(pictures, decode(vae, torch.cat(parts)))


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6


def _factors(latents: Tensor, pictures: Pixels) -> dict[str, Any]:
    half = len(latents) // 2
    factors = rgb_factors(latents[:half], pictures[:half])
    return {
        "about": "colour in -1..1 of a latent cell: its scaled channels times factors, plus bias",
        "factors": factors[:-1].round(5).tolist(),
        "bias": factors[-1].round(5).tolist(),
        "psnr_db": round(rgb_psnr(factors, latents[half:], pictures[half:]), 2),
    }


def main() -> None:
    """Train the preview decoder and measure it."""
    job = start(NAME, PreviewConfig, main.__doc__, _TOY)
    draw_pairs(job)
    progress = train(job)
    figures, factors = measure(job)
    write_record(job, figures, BARS, progress)
    path = job.folder / "train.json"
    record = json.loads(path.read_text()) | {"latent_rgb": factors}
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(f"linear factors: {factors['psnr_db']} dB")


if __name__ == "__main__":
    main()
