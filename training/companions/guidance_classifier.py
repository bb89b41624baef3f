"""Train and measure the classifier of noisy latents that `guidance` describes."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from torch.nn import functional

from training import judge as eyes
from training.companions.guidance import (
    GuidanceClassifier,
    Wish,
    load_guidance_classifier,
    sample_guided,
    save_guidance_classifier,
)
from training.companions.job import Bar, Job, finished_model, start, write_record
from training.companions.latent_scenes import (
    HELD_OUT,
    hits,
    load_judge,
    load_stored,
    load_vae,
    store,
)
from training.config import FitConfig
from training.latents import encode_pictures
from training.models import build_scheduler, seeded
from training.objects import PALETTE
from training.pixels import Pixels, in_parts, sheet
from training.scenes import SceneMaker
from training.scores import percent
from training.stored import Arrays
from training.trainer import Trainer, load_average, pick_device, place

NAME = "guidance_classifier"
BARS = (
    Bar("top1_at_t000_percent", least=95.0),
    Bar("top1_at_t100_percent", least=95.0),
    Bar("top1_at_t200_percent", least=95.0),
    Bar("largest_rise_percent", most=3.0),
    Bar("guided_gain_percent", least=20.0),
    Bar("megabytes", most=2.0),
)
_TOY = {"scenes": 24, "test_scenes": 8, "guided": 2, "scales": (1.0,), "steps": 2}


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
    return SceneMaker.from_config(job.config, (*job.settings.mix, 0.0, 0.0))


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
