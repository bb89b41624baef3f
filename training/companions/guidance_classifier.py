"""A classifier of noisy latents, whose gradient leads sampling to what is asked for.

After Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis" (arXiv:2105.05233),
section 4: it names the object and the background colour of a scene from its noised latents.

`guidance_classifier.safetensors` holds float16 weights of `GuidanceClassifier`; its metadata, all
JSON: `format`; `labels` and `backgrounds`, the names in the order of the logits; `latent_channels`
and `channels`, the network's shape; `latent_size`, [height, width] in cells that it was trained on
(others work); `scaling_factor` of the latents; `schedule`, the noise levels as in a diffusers
scheduler file. The network itself needs nothing but torch.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from training import judge as eyes
from training.companions.job import Bar, Job, finished_model, percent, start, write_record
from training.companions.latent_scenes import (
    HELD_OUT,
    Arrays,
    decode,
    hits,
    load_judge,
    load_stored,
    load_vae,
    maker_of,
    store,
)
from training.config import FitConfig
from training.latents import encode_pictures
from training.models import SCALING_FACTOR, build_scheduler, seeded
from training.objects import PALETTE
from training.pixels import Pixels, in_parts, sheet
from training.scenes import SceneMaker
from training.trainer import Trainer, load_average, pick_device, place

NAME = "guidance_classifier"
FORMAT = "nodegraph guidance classifier 1"
BARS = (
    Bar("top1_at_t000_percent", least=95.0),
    Bar("top1_at_t100_percent", least=95.0),
    Bar("top1_at_t200_percent", least=95.0),
    Bar("largest_rise_percent", most=3.0),
    Bar("guided_gain_percent", least=20.0),
    Bar("megabytes", most=2.0),
)
_TOY = {"scenes": 24, "test_scenes": 8, "guided": 2, "scales": (1.0,), "steps": 2}
_GROUPS = 8
_TIME, _WAVES = 128, 64
"""Features of a timestep, and the waves they are made of."""
_SCHEDULE = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")


@dataclass(frozen=True)
class GuidanceConfig:
    """Settings of the guidance classifier.

    Attributes:
        fit: The training run.
        seed: Start of all randomness.
        channels: Of its two levels, the second at half the size.
        scenes: How many single objects, of all sizes and places, are encoded for training.
        mix: Shares of large objects, and of small and medium ones.
        early: Timesteps are drawn as a share of all, raised to this power; above 1 favours little
            noise, where more is to be learnt.
        background_weight: Of the colour's loss beside the object's.
        test_scenes: On which it is measured.
        guided: Pictures per scale by which guidance is measured.
        scales: Of the gradient.
        steps: Of sampling.
    """

    fit: FitConfig
    seed: int = 43
    channels: tuple[int, int] = (64, 112)
    scenes: int = 30_000
    mix: tuple[float, float] = (0.5, 0.5)
    early: float = 1.5
    background_weight: float = 0.3
    test_scenes: int = 1320
    guided: int = 120
    scales: tuple[float, ...] = (1.0, 3.0, 10.0)
    steps: int = 20


class _Block(nn.Module):
    """Two convolutions, the second of states scaled and shifted by the time; (n, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.GroupNorm(_GROUPS, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.time = nn.Linear(_TIME, 2 * channels)
        self.second = nn.GroupNorm(_GROUPS, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, states: Tensor, time: Tensor) -> Tensor:
        changed = self.conv1(functional.silu(self.first(states)))
        scale, shift = self.time(time)[:, :, None, None].chunk(2, dim=1)
        changed = self.second(changed) * (1.0 + scale) + shift
        result: Tensor = states + self.conv2(functional.silu(changed))
        return result


class GuidanceClassifier(nn.Module):
    """Names what noisy latents show; for any height and width.

    Args:
        labels: Names of the objects, in the order of the logits.
        backgrounds: Names of the background colours, likewise.
        latent_channels: Of its input.
        channels: Of its two levels.
    """

    def __init__(
        self,
        labels: Sequence[str],
        backgrounds: Sequence[str],
        latent_channels: int,
        channels: tuple[int, int],
    ) -> None:
        super().__init__()
        self.labels, self.backgrounds = list(labels), list(backgrounds)
        self.latent_channels, self.channels = latent_channels, channels
        wide, deep = channels
        self.time = nn.Sequential(nn.Linear(_WAVES, _TIME), nn.SiLU(), nn.Linear(_TIME, _TIME))
        self.enter = nn.Conv2d(latent_channels, wide, 3, 1, 1)
        self.large = _Block(wide)
        self.halve = nn.Conv2d(wide, deep, 3, 2, 1)
        self.small = nn.ModuleList([_Block(deep), _Block(deep)])
        self.norm = nn.GroupNorm(_GROUPS, deep)
        self.look = nn.Conv2d(deep, 1, 1)
        self.name = nn.Linear(2 * deep, len(self.labels))
        self.colour = nn.Linear(2 * deep, len(self.backgrounds))

    def forward(self, latents: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of objects, (n, labels), and of backgrounds, (n, backgrounds).

        Args:
            latents: Noisy and scaled, (n, latent_channels, h, w).
            timesteps: 0 to 999, (n,).
        """
        time = functional.silu(self.time(_waves(timesteps).to(latents.dtype)))
        states = self.large(self.enter(latents), time)
        states = self.halve(states)
        for block in self.small:
            states = block(states, time)
        states = functional.silu(self.norm(states))
        # A small object covers few cells: let the network choose where to look.
        weights = self.look(states).flatten(2).softmax(dim=2)
        cells = states.flatten(2)
        features = torch.cat([(cells * weights).sum(2), cells.mean(2)], dim=1)
        return self.name(features), self.colour(features)


def _waves(timesteps: Tensor) -> Tensor:
    """Sines and cosines of timesteps, (n, _WAVES), float32 (arXiv:1706.03762, section 3.5)."""
    half = _WAVES // 2
    places = torch.arange(half, device=timesteps.device, dtype=torch.float32)
    angles = timesteps.float()[:, None] * torch.exp(-math.log(10_000.0) * places / half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def save_guidance_classifier(
    model: GuidanceClassifier, path: Path, latent_size: tuple[int, int]
) -> None:
    """Write what this module's docstring says."""
    weights = {name: value.detach().half().contiguous() for name, value in _state(model).items()}
    about = {
        "format": FORMAT,
        "labels": model.labels,
        "backgrounds": model.backgrounds,
        "latent_channels": model.latent_channels,
        "channels": model.channels,
        "latent_size": latent_size,
        "scaling_factor": SCALING_FACTOR,
        "schedule": {name: build_scheduler().config[name] for name in _SCHEDULE},
    }
    save_file(weights, path, {name: json.dumps(value) for name, value in about.items()})


def _state(model: nn.Module) -> dict[str, Tensor]:
    state: dict[str, Tensor] = model.state_dict()
    return state


def load_guidance_classifier(path: Path) -> GuidanceClassifier:
    """Read what `save_guidance_classifier` wrote; float32, CPU, frozen.

    Raises:
        ValueError: the file holds something else.
    """
    with safe_open(path, framework="pt") as file:
        about = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    if about.get("format") != FORMAT:
        raise ValueError(f"{path} is no {FORMAT}")
    model = GuidanceClassifier(
        about["labels"], about["backgrounds"], about["latent_channels"], tuple(about["channels"])
    )
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class Wish:
    """What pictures should show: rows of the classifier's labels, int64 (n,); None is anything."""

    objects: Tensor | None = None
    backgrounds: Tensor | None = None


def log_chance_gradient(
    model: GuidanceClassifier, noisy: Tensor, timestep: int, wish: Wish
) -> Tensor:
    """Gradient, by the noisy latents, of the log of the chance that they show what is wished."""
    with torch.enable_grad():
        latents = noisy.detach().requires_grad_()
        times = torch.full((len(noisy),), timestep, device=noisy.device)
        chance = latents.new_zeros(())
        for logits, rows in zip(
            model(latents, times), (wish.objects, wish.backgrounds), strict=True
        ):
            if rows is not None:
                chance = chance - functional.cross_entropy(logits, rows, reduction="sum")
        (gradient,) = torch.autograd.grad(chance, latents)
    return gradient


def guided_noise(noise: Tensor, gradient: Tensor, alpha: Tensor, scale: float) -> Tensor:
    """The noise to remove instead of the predicted one (arXiv:2105.05233, algorithm 2).

    Args:
        noise: Predicted by the denoiser, (n, c, h, w).
        gradient: Of the log-chance by the noisy latents, (n, c, h, w).
        alpha: Cumulative product of the alphas at the timestep, a scalar.
        scale: How strongly to guide.
    """
    return noise - (1.0 - alpha).sqrt() * scale * gradient


def guided_velocity(velocity: Tensor, gradient: Tensor, alpha: Tensor, scale: float) -> Tensor:
    """`guided_noise` for a denoiser that predicts v (arXiv:2202.00512).

    With the noisy latents x as they are, noise is sqrt(alpha) v + sqrt(1 - alpha) x: what is
    added to the noise is added to v over sqrt(alpha).
    """
    change = guided_noise(torch.zeros_like(gradient), gradient, alpha, scale)
    return velocity + change / alpha.sqrt()


@torch.no_grad()
def sample_guided(
    pipeline: StableDiffusionPipeline,
    model: GuidanceClassifier,
    wish: Wish,
    seeds: Sequence[int],
    *,
    scale: float,
    steps: int,
) -> Pixels:
    """Pictures for the empty prompt, led by the classifier alone; scale 0 leaves them alone."""
    unet, scheduler = pipeline.unet, pipeline.scheduler
    side = unet.config.sample_size
    shape = (unet.config.in_channels, side, side)
    draws = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    latents = torch.stack(draws)
    states = pipeline.encode_prompt("", "cpu", 1, False)[0].expand(len(seeds), -1, -1)
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        velocity = unet(latents, timestep, states).sample
        if scale:
            gradient = log_chance_gradient(model, latents, int(timestep), wish)
            alpha = scheduler.alphas_cumprod[timestep]
            velocity = guided_velocity(velocity, gradient, alpha, scale)
        latents = scheduler.step(velocity, timestep, latents).prev_sample
    return decode(pipeline.vae, latents)


def labelled(maker: SceneMaker, count: int, rng: np.random.Generator) -> tuple[Pixels, Arrays]:
    """Scenes of single objects and what they show, `objects` and `backgrounds`, int64 (n,)."""
    pictures, scenes = maker.batch(count, rng)
    colours = list(PALETTE)
    objects = [scene.placements[0].index for scene in scenes]
    backgrounds = [colours.index(scene.colour) for scene in scenes]
    return pictures, {
        "objects": np.asarray(objects, np.int64),
        "backgrounds": np.asarray(backgrounds, np.int64),
    }


def _maker(job: Job[GuidanceConfig]) -> SceneMaker:
    return maker_of(job.config, (*job.settings.mix, 0.0, 0.0))


def draw_scenes(job: Job[GuidanceConfig]) -> None:
    """Store latents, float16, and their labels."""
    vae, maker = load_vae(job.config, job.work).to(pick_device()), _maker(job)

    def make(count: int, rng: np.random.Generator) -> Arrays:
        pictures, labels = labelled(maker, count, rng)
        return labels | {"latents": encode_pictures(vae, pictures)}

    settings = job.settings
    store(
        job.scratch / "scenes",
        settings.scenes,
        make,
        seed=settings.seed,
        workers=settings.fit.workers,
    )


def build(job: Job[GuidanceConfig]) -> GuidanceClassifier:
    """Untrained, for all objects and colours of the main model."""
    seeded(job.settings.seed)
    labels = [item.name for item in _maker(job).objects]
    channels = job.config.vae.latent_channels
    return GuidanceClassifier(labels, list(PALETTE), channels, job.settings.channels)


def train(job: Job[GuidanceConfig]) -> dict[str, float]:
    """Fit the classifier and write its file; what the run took."""
    settings, scheduler = job.settings, build_scheduler()
    model = build(job)
    device = place(model, settings.fit)
    scenes = {name: part.to(device) for name, part in load_stored(job.scratch / "scenes").items()}
    total = scheduler.config.num_train_timesteps

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        rows = torch.from_numpy(rng.integers(len(scenes["latents"]), size=count)).to(device)
        shares = (rng.permutation(count) + rng.random(count)) / count
        times = torch.from_numpy((shares**settings.early * total).astype(np.int64)).to(device)
        clean = scenes["latents"][rows].float()
        noisy = scheduler.add_noise(clean, torch.randn_like(clean), times)
        named, coloured = model(noisy, times)
        by_name = functional.cross_entropy(named.float(), scenes["objects"][rows])
        by_colour = functional.cross_entropy(coloured.float(), scenes["backgrounds"][rows])
        return by_name + settings.background_weight * by_colour

    trainer = Trainer(model, loss, settings.fit, seed=settings.seed, folder=job.scratch)
    progress = trainer.run()
    best = build(job)
    load_average(best, job.scratch)
    side = job.config.latent_size
    save_guidance_classifier(best, job.folder / f"{NAME}.safetensors", (side, side))
    return vars(progress)


@torch.no_grad()
def measure_naming(job: Job[GuidanceConfig], model: GuidanceClassifier) -> dict[str, float]:
    """Right answers, in percent, on held-out scenes by timestep."""
    rng = np.random.default_rng((job.settings.seed, HELD_OUT))
    pictures, labels = labelled(_maker(job), job.settings.test_scenes, rng)
    latents = torch.from_numpy(encode_pictures(load_vae(job.config, job.work), pictures)).float()
    scheduler, generator = build_scheduler(), torch.Generator().manual_seed(job.settings.seed)
    names: dict[str, float] = {}
    colours: dict[str, float] = {}
    for timestep in range(0, 1000, 100):
        times = torch.full((len(latents),), timestep)
        noise = torch.randn(latents.shape, generator=generator)
        noisy = scheduler.add_noise(latents, noise, times)
        answers = [model(*part) for part in zip(in_parts(noisy), in_parts(times), strict=True)]
        for found, head, wanted in ((names, 0, "objects"), (colours, 1, "backgrounds")):
            rows = torch.cat([answer[head] for answer in answers]).argmax(1).numpy()
            found[f"at_t{timestep:03d}_percent"] = percent((rows == labels[wanted]).tolist())
    curve = list(names.values())
    rises = [later - earlier for earlier, later in pairwise(curve)]
    figures = {f"top1_{name}": value for name, value in names.items()}
    figures |= {f"background_{name}": value for name, value in colours.items()}
    return figures | {"largest_rise_percent": round(max(0.0, *rises), 2)}


def measure_guidance(job: Job[GuidanceConfig], model: GuidanceClassifier) -> dict[str, float]:
    """How often empty-prompt pictures show, to the judge, the object and colour wished for.

    Without an exported main model there is nothing to guide, and the gain is 0: not good.
    """
    if not (job.work / "model" / "unet").exists():
        print("no exported model yet: guidance is not measured; run again when there is one")
        return {"guided_gain_percent": 0.0}
    settings = job.settings
    pipeline, judge = finished_model(job.work), load_judge(job.work)
    rng = np.random.default_rng((settings.seed, HELD_OUT, 1))
    objects = torch.from_numpy(rng.permutation(len(model.labels))[: settings.guided])
    backgrounds = torch.from_numpy(rng.integers(len(model.backgrounds), size=len(objects)))
    names = [model.labels[int(row)] for row in objects]
    colours = [model.backgrounds[int(row)] for row in backgrounds]
    figures: dict[str, float] = {}
    found: list[float] = []
    for scale in (0.0, *settings.scales):
        pictures = _guided(pipeline, model, Wish(objects, backgrounds), scale, settings.steps)
        sheet(pictures, 12).save(job.scratch / f"guided-{scale:g}.png")
        looks = np.stack([eyes.look_at_ink(picture, judge.size) for picture in pictures])
        found.append(percent(hits(judge, looks, names)))
        figures[f"objects_right_at_scale_{scale:g}_percent"] = found[-1]
        seen = [eyes.background(picture) for picture in pictures]
        right = [one == other for one, other in zip(seen, colours, strict=True)]
        figures[f"backgrounds_right_at_scale_{scale:g}_percent"] = percent(right)
    best = int(np.argmax(found[1:]))
    figures["guided_best_scale"] = settings.scales[best]
    return figures | {"guided_gain_percent": round(found[1 + best] - found[0], 2)}


def _guided(
    pipeline: StableDiffusionPipeline,
    model: GuidanceClassifier,
    wish: Wish,
    scale: float,
    steps: int,
    batch: int = 20,
) -> Pixels:
    assert wish.objects is not None
    assert wish.backgrounds is not None
    parts = []
    for begin in range(0, len(wish.objects), batch):
        piece = slice(begin, begin + batch)
        part = Wish(wish.objects[piece], wish.backgrounds[piece])
        seeds = range(begin, begin + len(wish.objects[piece]))
        parts.append(sample_guided(pipeline, model, part, seeds, scale=scale, steps=steps))
    return np.concatenate(parts)


def main() -> None:
    """Train the guidance classifier and measure it."""
    job = start(NAME, GuidanceConfig, main.__doc__, _TOY)
    draw_scenes(job)
    progress = train(job)
    path = job.folder / f"{NAME}.safetensors"
    model = load_guidance_classifier(path)
    figures = measure_naming(job, model) | measure_guidance(job, model)
    figures["parameters"] = sum(part.numel() for part in model.parameters())
    figures["megabytes"] = round(path.stat().st_size / 1e6, 3)
    write_record(job, figures, BARS, progress)


if __name__ == "__main__":
    main()
