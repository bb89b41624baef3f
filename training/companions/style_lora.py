"""A style as a LoRA: the same scenes as line drawings, dark strokes on white figures.

The text encoder stays as it is. Most training captions end in ", line drawing", the others do not:
the words may be said but need not be; what makes the style is that the LoRA is loaded.

The strokes are the edges of the glyph found at twice its size and made equally wide at every size
of the object. The inside is white as paper and the background keeps its colour, so prompts go on
saying what the background is, and dark strokes show on black too.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor, nn
from torch.nn import functional

from training.classifier import Classifier, random_view
from training.companions import lora
from training.companions.edges import find_edges
from training.companions.job import (
    Bar,
    Job,
    finished_model,
    prompts_for,
    start,
    write_record,
)
from training.companions.latent_scenes import hits, load_judge, load_stored, store
from training.config import FitConfig
from training.judge import background, background_rgb
from training.latents import encode_pictures
from training.objects import ObjectSpec
from training.pixels import Pixels, sheet, to_tensor
from training.sampling import sample
from training.scenes import Placement, SceneMaker
from training.scores import percent
from training.stored import Arrays
from training.tokenizer import encode
from training.trainer import Trainer, place
from training.unet import denoiser_loss, stratified_timesteps

NAME = "style_lora"
PHRASE = "line drawing"
BARS = (
    Bar("top1", least=85.0),
    Bar("background", least=95.0),
    Bar("colourful", most=10.0),
    Bar("half_way", least=3.0, most=97.0),
)
"""`top1`: percent named right by a judge of line drawings. `colourful`: percent of the object's
pixels that have a colour, on colourless backgrounds. `half_way`: how far, in percent, weight 0.5
goes from the base's share of colourful pixels to the style's."""
_DETAIL, _MARGIN = 256, 8
"""Side in pixels at which a glyph's lines are found, and the white round it."""
_LOW, _HIGH = 0.022, 0.06
_INK = 24.0
_COLOURFUL, _DIFFERENT = 40, 48
"""Of 255: span of the channels of a colour, distance from the background's colour."""


@dataclass(frozen=True)
class StyleConfig:
    """The style and its training.

    Attributes:
        fit: Training of the LoRA.
        rank: Of every layer's change.
        leave_out: Parts of the paths of layers that are not changed.
        scenes: How many are drawn and encoded.
        stroke: Width of the lines in pixels.
        said: Share of the captions that name the style.
        drop_caption: Share of the samples that are trained without their caption.
        prompts: How many pictures are measured.
        steps, guidance: With which they are sampled.
        judge_samples: On which the main judge is trained further, to read line drawings.
    """

    fit: FitConfig
    rank: int = 6
    leave_out: tuple[str, ...] = ()
    scenes: int = 16_000
    stroke: float = 1.5
    said: float = 0.7
    drop_caption: float = 0.1
    prompts: int = 240
    steps: int = 20
    guidance: float = 4.0
    judge_samples: int = 16_000


class LineMaker(SceneMaker):
    """Draws scenes as line drawings.

    Attributes:
        stroke: Width of the lines in pixels.
    """

    def __init__(
        self, objects: list[ObjectSpec], font: Path | None, size: int, mix: tuple[float, ...]
    ) -> None:
        super().__init__(objects, font, size, mix)
        self.stroke = 1.5
        self._known: dict[tuple[int, str], Tensor] = {}

    def _glyph(self, placement: Placement, side: int) -> npt.NDArray[np.float32]:
        fill = super()._glyph(placement, side)[..., 3].clip(0.0, 1.0)
        ink = self._ink(placement, side)
        value = 255.0 * fill * (1.0 - ink) + _INK * ink
        layers = [value, value, value, np.maximum(fill, ink)]
        return np.stack(layers, axis=-1).astype(np.float32)

    def _ink(self, placement: Placement, side: int) -> npt.NDArray[np.float32]:
        """How much of every pixel the strokes cover, 0 to 1, (side, side)."""
        wide = max(1, round((self.stroke * _DETAIL / side - 1) / 2)) * 2 + 1
        thick = functional.max_pool2d(self._lines(placement).float(), wide, 1, wide // 2)
        scaled = functional.interpolate(thick, (side, side), mode="bilinear", antialias=True)
        ink: npt.NDArray[np.float32] = scaled[0, 0].numpy()
        return ink

    def _lines(self, placement: Placement) -> Tensor:
        """Thin lines of a glyph on white, inner ones and outline; bool (1, 1, detail, detail)."""
        key = (placement.index, placement.tint)
        if key not in self._known:
            glyph = torch.from_numpy(super()._glyph(placement, _DETAIL)).permute(2, 0, 1)[None]
            clear = 1.0 - glyph[:, 3:]
            # White and clear are told apart by the fourth channel.
            layers = torch.cat([glyph[:, :3] / 255.0 + clear, clear], 1)
            room = functional.pad(layers, (_MARGIN,) * 4, value=1.0)
            inner = slice(_MARGIN, -_MARGIN)
            self._known[key] = find_edges(room, _LOW, _HIGH)[:, :, inner, inner].bool()
        return self._known[key]


def line_maker(job: Job[StyleConfig]) -> LineMaker:
    """Draws the main model's scenes in the style."""
    maker = LineMaker.from_config(job.config)
    assert isinstance(maker, LineMaker)
    maker.stroke = job.settings.stroke
    return maker


def make_scenes(job: Job[StyleConfig], pipeline: StableDiffusionPipeline) -> None:
    """Draw and encode the training scenes."""
    maker = line_maker(job)

    def draw(count: int, rng: np.random.Generator) -> Arrays:
        pictures, scenes = maker.batch(count, rng)
        captions = [
            f"{scene.caption}, {PHRASE}" if rng.random() < job.settings.said else scene.caption
            for scene in scenes
        ]
        tokens = np.asarray(encode(pipeline.tokenizer, captions), np.int32)
        return {"latents": encode_pictures(pipeline.vae, pictures), "tokens": tokens}

    store(
        job.scratch / "scenes",
        job.settings.scenes,
        draw,
        seed=job.config.seed,
        workers=job.settings.fit.workers,
    )


def train(job: Job[StyleConfig]) -> dict[str, float]:
    """Fit the LoRA and write its file; gives the run's progress."""
    pipeline, fit = finished_model(job.work), job.settings.fit
    make_scenes(job, pipeline)
    scenes = load_stored(job.scratch / "scenes")
    torch.manual_seed(job.config.seed)
    adapter = lora.Adapter(pipeline.unet, job.settings.rank, job.settings.leave_out)
    device = place(pipeline.unet, fit)
    place(adapter, fit)
    parts = nn.ModuleDict({"unet": pipeline.unet, "text": pipeline.text_encoder.to(device)})
    latents, tokens = scenes["latents"].to(device), scenes["tokens"].long().to(device)
    empty = torch.tensor(encode(pipeline.tokenizer, [""]), device=device)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        rows = torch.from_numpy(rng.integers(len(latents), size=count)).to(device)
        dropped = torch.from_numpy(rng.random(count) < job.settings.drop_caption).to(device)
        words = torch.where(dropped[:, None], empty, tokens[rows])
        times = stratified_timesteps(count, pipeline.scheduler.config.num_train_timesteps, rng)
        clean = latents[rows].float()
        return denoiser_loss(parts, pipeline.scheduler, clean, words, times.to(device))

    trainer = Trainer(adapter, loss, fit, seed=job.config.seed, folder=job.scratch)
    progress = trainer.run()
    lora.save(adapter, pipeline.unet, job.folder)
    return vars(progress)


def drawings(
    maker: LineMaker, indices: npt.NDArray[np.int64], rng: np.random.Generator, size: int
) -> Pixels:
    """A line drawing of each object as the judge's views show it, (n, size, size, 3)."""
    chosen = [random_view(maker, int(index), rng) for index in indices]
    # Drawn at the model's size, so that the strokes are as wide as in its pictures.
    return np.stack([item.draw(maker, maker.size, size) for item in chosen])


def judge_of_drawings(job: Job[StyleConfig]) -> tuple[Classifier, float]:
    """The main judge, trained further on real line drawings, and its accuracy in percent."""
    maker, judge = line_maker(job), load_judge(job.work)
    many = job.settings.judge_samples
    judge.requires_grad_(True)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        indices = rng.integers(len(maker.objects), size=count)
        logits = judge(to_tensor(drawings(maker, indices, rng, judge.size)))
        return functional.cross_entropy(logits.float(), torch.from_numpy(indices))

    fit = FitConfig(many, batch=64, lr=1e-3, warmup=20, tail=1.0, ema=0.98, workers=1)
    folder = job.scratch / "judge"
    Trainer(judge, loss, fit, seed=job.config.seed, folder=folder).run()
    judge.eval().requires_grad_(False)
    rng = np.random.default_rng((job.config.seed, 42))
    indices = rng.integers(len(maker.objects), size=min(many, 1000))
    names = [maker.objects[index].name for index in indices]
    return judge, percent(hits(judge, drawings(maker, indices, rng, judge.size), names))


def colourful(pictures: Pixels) -> float:
    """Percent of the pixels that differ from the background which have a colour."""
    differing = coloured = 0
    for picture in pictures:
        values = picture.astype(np.int16)
        differs = np.abs(values - background_rgb(picture)).max(axis=2) > _DIFFERENT
        differing += int(differs.sum())
        coloured += int((differs & (np.ptp(values, axis=2) > _COLOURFUL)).sum())
    return round(100.0 * coloured / max(1, differing), 2)


def evaluate(job: Job[StyleConfig]) -> dict[str, float]:
    """Pictures of the same prompts and seeds without, with half and with all of the style."""
    settings = job.settings
    judge, accuracy = judge_of_drawings(job)
    asked = prompts_for(line_maker(job).objects, settings.prompts, job.config.seed)
    prompts = [f"{words}, {PHRASE}" for words, _, _ in asked]
    names = [item[1] for item in asked]
    plain = [row for row, item in enumerate(asked) if item[2] in ("white", "gray", "black")]
    figures: dict[str, float] = {"judge_on_drawings": accuracy}
    shown, colour = [], []
    for weight in (0.0, 0.5, 1.0):
        pipeline = finished_model(job.work)
        lora.merge(pipeline.unet, job.folder / lora.FILE_NAME, weight)
        pictures = sample(
            pipeline,
            prompts,
            list(range(len(prompts))),
            steps=settings.steps,
            guidance=settings.guidance,
        )
        colour.append(colourful(pictures[plain]))
        shown.append(pictures[:12])
    figures |= {"colourful_base": colour[0], "colourful_half": colour[1], "colourful": colour[2]}
    figures["half_way"] = round(100 * (colour[0] - colour[1]) / max(1e-6, colour[0] - colour[2]), 1)
    figures["top1"] = percent(hits(judge, pictures, names))
    right = [background(p) == item[2] for p, item in zip(pictures, asked, strict=True)]
    figures["background"] = percent(right)
    sheet(np.concatenate(shown), len(shown[0])).save(job.scratch / "sheet.png")
    return figures


def main() -> None:
    """Train the line-drawing LoRA, measure it and write it to `companions/style_lora`."""
    toy = {"rank": 2, "scenes": 16, "prompts": 12, "steps": 2, "judge_samples": 64}
    job = start(NAME, StyleConfig, main.__doc__, toy)
    progress = train(job)
    write_record(job, evaluate(job), BARS, progress)


if __name__ == "__main__":
    main()
