"""Painting a part of a picture anew, by the main model as it is, and how well that goes.

The plain masked-latent method: at each step what is kept is set back to the original with the
noise of that level, as nodegraph's sampling does for a latent with a noise mask. There are no
weights of its own; `train.json` has the figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from torch.nn import functional

from training import judge as eyes
from training.captions import article
from training.companions.job import Bar, Job, finished_model, start, write_record
from training.companions.latent_scenes import HELD_OUT, decode, hits, load_judge
from training.latents import encode_pictures
from training.objects import PALETTE, ObjectSpec
from training.pixels import Pixels, sheet
from training.scenes import PAIR, SIDES, Placement, Scene, SceneMaker, pair_places, place_of
from training.scores import percent
from training.vae import psnr

NAME = "inpainting"
BARS = (
    Bar("half_top1_percent", least=80.0),
    Bar("box_top1_percent", least=80.0),
    Bar("half_outside_psnr_db", least=35.0),
    Bar("box_outside_psnr_db", least=35.0),
    Bar("half_seam", most=5.0),
    Bar("box_seam", most=5.0),
)
_TOY = {"pictures": 4, "steps": 2}
_RING = 4
"""Width in pixels of the rings on both sides of a mask's border that are compared."""
_FAR = 2
"""Latent cells from a mask's border at which what is behind it should hardly show."""
_BOXES = (("small", "top left"), ("small", "bottom right"), ("medium", "center"), ("small", "top"))


@dataclass(frozen=True)
class InpaintingConfig:
    """How inpainting is measured.

    Attributes:
        seed: Start of all randomness.
        pictures: Of each kind: half of a picture painted anew, and the box round an object.
        margin: Kept free round an object's box, as a share of its side.
        steps, guidance: Of sampling.
        batch: Pictures painted at once.
    """

    seed: int = 47
    pictures: int = 132
    margin: float = 0.15
    steps: int = 20
    guidance: float = 4.0
    batch: int = 22


Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, in whole latent cells."""


@dataclass(frozen=True)
class Case:
    """A picture, the part of it to be painted anew, and what is wanted there.

    Attributes:
        scene: What the picture shows.
        box: What is painted anew.
        prompt: Says the whole new picture.
        wanted: The new object.
    """

    scene: Scene
    box: Box
    prompt: str
    wanted: Placement


@torch.no_grad()
def inpaint(
    pipeline: StableDiffusionPipeline,
    latents: Tensor,
    mask: Tensor,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int,
    guidance: float,
) -> Tensor:
    """Latents with the masked part painted anew; the rest is the original's.

    Args:
        latents: Of the original pictures, scaled, (n, c, h, w).
        mask: 1 is painted anew, 0 is kept, (n, 1, h, w).
        prompts, seeds: One per picture.
        guidance: Scale; 1 and less asks the denoiser once per step, not twice.
    """
    scheduler, guided = pipeline.scheduler, guidance > 1.0
    states, empty = pipeline.encode_prompt(list(prompts), "cpu", 1, guided)
    if guided:
        states = torch.cat([empty, states])
    shape = latents.shape[1:]
    noise = torch.stack(
        [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )
    scheduler.set_timesteps(steps)
    times = scheduler.timesteps
    painted = scheduler.add_noise(latents, noise, times[:1])
    for number, timestep in enumerate(times):
        twice = torch.cat([painted, painted]) if guided else painted
        velocity = pipeline.unet(twice, timestep, states).sample
        if guided:
            without, asked = velocity.chunk(2)
            velocity = without + guidance * (asked - without)
        painted = scheduler.step(velocity, timestep, painted).prev_sample
        after = times[number + 1 : number + 2]
        kept = scheduler.add_noise(latents, noise, after) if len(after) else latents
        painted = mask * painted + (1.0 - mask) * kept
    result: Tensor = painted
    return result


def mask_of(boxes: Sequence[Box], cells: int, factor: int) -> Tensor:
    """1 inside each box, (n, 1, cells, cells)."""
    mask = torch.zeros(len(boxes), 1, cells, cells)
    for row, box in enumerate(boxes):
        left, top, right, bottom = (value // factor for value in box)
        mask[row, :, top:bottom, left:right] = 1.0
    return mask


def half_case(objects: list[ObjectSpec], number: int, size: int, rng: np.random.Generator) -> Case:
    """Two objects side by side; the half with one of them is to show another one."""
    rows = [int(row) for row in rng.permutation(len(objects))[:3]]
    colour, rgb = _colour(rng)
    places, hidden = pair_places(stacked=False), number % 2
    placements = tuple(
        Placement(row, *place, PAIR) for row, place in zip(rows[:2], places, strict=True)
    )
    shown = rows[:2]
    shown[hidden] = rows[2]
    prompt = f"{_named(objects[shown[0]])} and {_named(objects[shown[1]])} on a {colour} background"
    box = (0, 0, size // 2, size) if hidden == 0 else (size // 2, 0, size, size)
    scene = Scene("", colour, rgb, placements)
    return Case(scene, box, prompt, Placement(rows[2], *places[hidden], PAIR))


def box_case(
    objects: list[ObjectSpec], number: int, size: int, factor: int, margin: float,
    rng: np.random.Generator,
) -> Case:  # fmt: skip
    """One small or medium object; the box round it is to show another one of its size."""
    old, new = (int(row) for row in rng.permutation(len(objects))[:2])
    colour, rgb = _colour(rng)
    word, place = _BOXES[number % len(_BOXES)]
    x, y = place_of(place, word)
    side = SIDES[word]
    reach = side * (0.5 + margin)
    edges = [value * size for value in (x - reach, y - reach, x + reach, y + reach)]
    low = [max(0, int(edge // factor) * factor) for edge in edges[:2]]
    high = [min(size, -int(-edge // factor) * factor) for edge in edges[2:]]
    where = "" if place == "center" else f" in the {place}"
    words = f"{word} {objects[new].name}"
    words = f"{article(words)} {words}" if objects[new].counted else words
    prompt = f"{words}{where} on a {colour} background"
    scene = Scene("", colour, rgb, (Placement(old, x, y, side),))
    box = (low[0], low[1], high[0], high[1])
    return Case(scene, box, prompt, Placement(new, x, y, side))


def _colour(rng: np.random.Generator) -> tuple[str, tuple[int, int, int]]:
    name = list(PALETTE)[int(rng.integers(len(PALETTE)))]
    return name, PALETTE[name]


def _named(item: ObjectSpec) -> str:
    return f"{article(item.name)} {item.name}" if item.counted else item.name


def seam(picture: Pixels, box: Box) -> float:
    """Difference of the median colours just inside and just outside a box, of 255.

    Medians, so that objects which reach the border count little.
    """
    within = _inside(picture, box, 0)
    rings = (within & ~_inside(picture, box, -_RING), _inside(picture, box, _RING) & ~within)
    if not rings[1].any():
        return 0.0  # nothing is left outside
    medians = [np.median(picture[ring], axis=0) for ring in rings]
    return float(np.abs(medians[0] - medians[1]).mean())


def _inside(picture: Pixels, box: Box, grown: int) -> npt.NDArray[np.bool_]:
    """Which pixels lie in a box grown to all sides, (h, w)."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    across = (columns >= left - grown) & (columns < right + grown)
    return np.asarray(across & (rows >= top - grown) & (rows < bottom + grown))


def outside_psnr(first: Pixels, second: Pixels, boxes: Sequence[Box], far: int = 0) -> float:
    """Likeness outside the boxes, and at least `far` pixels away from them, in dB.

    Exactly equal is 99 dB.
    """
    pairs = list(zip(first, second, boxes, strict=True))
    kept = [(one[~_inside(one, box, far)], two[~_inside(one, box, far)]) for one, two, box in pairs]
    before, after = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return 99.0 if (before == after).all() else round(psnr(before, after), 2)


def measure_kind(
    job: Job[InpaintingConfig], pipeline: StableDiffusionPipeline, kind: str, cases: list[Case]
) -> dict[str, float]:
    """Paint all cases of a kind; its figures, and a sheet of before, mask and after."""
    settings, factor = job.settings, job.config.vae.factor
    maker = _maker(job)
    pictures = np.stack([maker.draw(case.scene) for case in cases])
    latents = torch.from_numpy(encode_pictures(pipeline.vae, pictures)).float()
    boxes = [case.box for case in cases]
    mask = mask_of(boxes, latents.shape[-1], factor)
    parts = []
    for begin in range(0, len(cases), settings.batch):
        piece = slice(begin, begin + settings.batch)
        prompts = [case.prompt for case in cases[piece]]
        seeds = range(begin, begin + len(prompts))
        parts.append(
            inpaint(
                pipeline,
                latents[piece],
                mask[piece],
                prompts,
                seeds,
                steps=settings.steps,
                guidance=settings.guidance,
            )
        )
    painted, plain = decode(pipeline.vae, torch.cat(parts)), decode(pipeline.vae, latents)
    _show(job.scratch / f"{kind}.png", pictures, mask, painted)
    judge = load_judge(job.work)
    crops = np.stack(
        [
            eyes.look_at(picture, case.wanted, judge.size)
            for picture, case in zip(painted, cases, strict=True)
        ]
    )
    right = hits(judge, crops, [maker.objects[case.wanted.index].name for case in cases])
    seams = [seam(picture, box) for picture, box in zip(painted, boxes, strict=True)]
    plain_seams = [seam(picture, box) for picture, box in zip(plain, boxes, strict=True)]
    figures = {
        "top1_percent": percent(right),
        "outside_psnr_db": outside_psnr(plain, painted, boxes),
        "far_outside_psnr_db": outside_psnr(plain, painted, boxes, _FAR * factor),
        "seam": round(float(np.mean(seams)), 2),
        "seam_of_original": round(float(np.mean(plain_seams)), 2),
    }
    return {f"{kind}_{name}": value for name, value in figures.items()}


def _maker(job: Job[InpaintingConfig]) -> SceneMaker:
    return SceneMaker.from_config(job.config)


def _show(path: Path, pictures: Pixels, mask: Tensor, painted: Pixels) -> None:
    """Originals, what is kept of them, and what they became, in rows of twelve."""
    shown = min(12, len(pictures))
    size = pictures.shape[1:3]
    hidden = functional.interpolate(mask[:shown], size, mode="nearest").permute(0, 2, 3, 1).numpy()
    kept = np.where(hidden > 0, np.uint8(200), pictures[:shown])
    sheet(np.concatenate([pictures[:shown], kept, painted[:shown]]), shown, 2).save(path)


def measure(job: Job[InpaintingConfig]) -> dict[str, float]:
    """Figures of both kinds."""
    pipeline, settings = finished_model(job.work), job.settings
    objects, size = _maker(job).objects, job.config.data.resolution
    rng = np.random.default_rng((settings.seed, HELD_OUT))
    numbers = range(settings.pictures)
    kinds = {
        "half": [half_case(objects, number, size, rng) for number in numbers],
        "box": [
            box_case(objects, number, size, job.config.vae.factor, settings.margin, rng)
            for number in numbers
        ],
    }
    figures: dict[str, float] = {}
    for kind, cases in kinds.items():
        figures |= measure_kind(job, pipeline, kind, cases)
    return figures


def main() -> None:
    """Paint parts of pictures anew with the main model and measure how well that goes."""
    job = start(NAME, InpaintingConfig, main.__doc__, _TOY)
    write_record(job, measure(job), BARS, {})


if __name__ == "__main__":
    main()
