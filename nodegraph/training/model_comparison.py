"""Compare models: what they make of the same prompts and seeds, and how far apart it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import torch
from torch import Tensor

from nodegraph.core.context import Context
from nodegraph.core.plots import Plot, Series
from nodegraph.core.text_format import format_size
from nodegraph.core.training_values import TrainedWeights
from nodegraph.core.values import Conditioning, DiffusionModel, Latent, TextEncoder, Vae
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.registry import get_family
from nodegraph.media.images.editing.metrics import compare
from nodegraph.models.loading import estimate_bytes
from nodegraph.models.vae import decode_latent
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.sampling_parts import build_sampling_parts
from nodegraph.training.classifiers import classify_pictures
from nodegraph.weights.precision.storage import recipe_storage

_HIGHEST_PSNR = 100.0
"""Of equal images."""


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How a model is sampled; as of KSampler."""

    steps: int
    cfg: float
    sampler: str
    schedule: str


@dataclass(frozen=True)
class ComparisonPrompts:
    """What all models are asked for.

    Attributes:
        prompts: One image or more for each.
        pictures: Of each prompt.
        seed: Of the first image; the next ones count up from it.
        size: Width and height in pixels; 0: as the model was trained on.
    """

    prompts: tuple[str, ...]
    pictures: int = 1
    seed: int = 0
    size: tuple[int, int] = (0, 0)

    def each(self) -> list[tuple[str, int]]:
        """Prompt and seed of each image."""
        several = [text for text in self.prompts for _ in range(self.pictures)]
        return [(text, self.seed + at) for at, text in enumerate(several)]


@dataclass(frozen=True)
class ComparedModel:
    """A model that is compared.

    Attributes:
        name: As the report calls it.
    """

    name: str
    model: DiffusionModel
    settings: SamplingSettings


@dataclass(frozen=True)
class ModelOutputs:
    """What a model made.

    Attributes:
        latents: float32 on the CPU, of each image (1, channels, …).
        pictures: In 0..1, shape (images, height, width, channels).
        seconds: Of sampling, by image.
        weights: Bytes that it takes in memory, about.
        labels: What a classifier takes the images to show; empty without one.
    """

    name: str
    settings: SamplingSettings
    storage: str
    latents: Sequence[Tensor]
    pictures: Tensor
    seconds: float
    weights: int
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Distances:
    """How far what a model made is from what the first one made.

    Attributes:
        latent: Of each image: root mean square of the difference of latents, as a share of the
            first's root mean square.
        psnr: Decibels, mean over the images; 100 for equal ones.
        ssim: Structural similarity, mean over the images.
        agreement: Share of images that a classifier takes to show the same; None without one.
    """

    latent: tuple[float, ...]
    psnr: float
    ssim: float
    agreement: float | None

    @property
    def mean(self) -> float:
        """Of the latents."""
        return sum(self.latent) / len(self.latent)


@dataclass(frozen=True)
class SamplingComparison:
    """Models side by side, the one that others are held against first."""

    made: tuple[ModelOutputs, ...]
    distances: tuple[Distances, ...] = field(default=())

    def text(self) -> str:
        """A table in Markdown."""
        judged = bool(self.made[0].labels)
        head = ["model", "steps", "cfg", "latent distance", "PSNR", "SSIM"]
        head += ["judged the same"] * judged + ["seconds per image", "weights"]
        rows = [head, ["---"] * len(head)]
        for index, made in enumerate(self.made):
            distances = self.distances[index - 1] if index else None
            row = [made.name, str(made.settings.steps), f"{made.settings.cfg:g}"]
            row += _distance_cells(distances, judged=judged)
            row += [f"{made.seconds:.3g}", f"{format_size(made.weights)} {made.storage}".strip()]
            rows.append(row)
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([*lines, "", self._caption()])

    def _caption(self) -> str:
        count = len(self.made[0].latents)
        return (
            f"{count} image{'s' * (count > 1)} per model, with equal prompts and seeds, "
            f"compared with those of {self.made[0].name}. Different images are not worse "
            "images: a model that draws fresh noise between steps, or that was trained "
            "again, gives other ones."
        )

    def distance_plot(self) -> Plot:
        """The latents' distances, from the least to the largest of the images."""
        distances = self.distances
        series = Series(
            "latent distance",
            tuple(item.name for item in self.made[1:]),
            tuple(item.mean for item in distances),
            "bars",
            low=tuple(min(item.latent) for item in distances),
            high=tuple(max(item.latent) for item in distances),
        )
        label = "RMS of the difference / RMS"
        notes = ("Mean over the images; whiskers from the minimum to the maximum.",)
        title = f"Distance from {self.made[0].name}"
        return Plot(title, "", label, (series,), notes=notes)

    def time_plot(self) -> Plot:
        """Seconds that an image takes to sample."""
        names = tuple(item.name for item in self.made)
        seconds = tuple(item.seconds for item in self.made)
        return Plot("Time", "", "seconds per image", (Series("sampling", names, seconds, "bars"),))


def _distance_cells(distances: Distances | None, *, judged: bool) -> list[str]:
    if distances is None:
        return ["", "", ""] + [""] * judged
    cells = [f"{distances.mean:.4f}", f"{distances.psnr:.2f} dB", f"{distances.ssim:.4f}"]
    if distances.agreement is None:
        return cells
    # Of a few images a share would promise more than is known.
    count = len(distances.latent)
    return [*cells, f"{round(distances.agreement * count)} of {count}"]


def compare_models(
    ctx: Context,
    models: Sequence[ComparedModel],
    text_encoder: TextEncoder,
    vae: Vae,
    questions: ComparisonPrompts,
    classifier: TrainedWeights | None = None,
) -> SamplingComparison:
    """What models make of equal prompts and seeds; the others are held against the first.

    Args:
        text_encoder, vae: Of all of them.
        classifier: Says whether images show the same.
    Raises:
        InvalidValue: There are no prompts, models are of other families, and see `Denoising`.
    """
    from nodegraph.models.conditioning import encode_prompt

    _check(models, questions)
    with ctx.weights(text_encoder, calls_only=True) as text_model:
        conditionings = {
            text: encode_prompt(text_model, text) for text in dict.fromkeys(questions.prompts)
        }
    total = sum(item.settings.steps for item in models) * len(questions.each())
    progress = _Progress(ctx, total)
    walked = [_walked(ctx, item, conditionings, questions, progress) for item in models]
    made = []
    with ctx.weights(vae, calls_only=True) as autoencoder:
        for item, (latents, seconds) in zip(models, walked, strict=True):
            pictures = torch.cat([decode_latent(autoencoder, latent) for latent in latents])
            samples = [latent.samples for latent in latents if latent.samples is not None]
            class_answers = (
                () if classifier is None else classify_pictures(classifier, pictures, ctx.device)
            )
            labels = tuple(answer.label for answer in class_answers)
            size, storage = estimate_bytes(item.model), recipe_storage(item.model)
            made.append(
                ModelOutputs(
                    item.name, item.settings, storage, samples, pictures, seconds, size, labels
                )
            )
    first, *others = made
    return SamplingComparison(tuple(made), tuple(_apart(first, other) for other in others))


def _check(models: Sequence[ComparedModel], questions: ComparisonPrompts) -> None:
    if not questions.prompts:
        raise InvalidValue("there are no prompts", port="prompts", given="no prompts")
    families = {item.model.family for item in models}
    if len(families) > 1:
        raise InvalidValue(
            "models of different families cannot use the prompts of one text encoder",
            port="model",
            given=", ".join(sorted(families)),
            expected="models of one family",
        )


class _Progress:
    """Steps of all samplings, told as one."""

    def __init__(self, ctx: Context, total: int) -> None:
        self._ctx, self._total, self._done = ctx, total, 0

    def step(self) -> None:
        self._done += 1
        self._ctx.progress(self._done, max(self._total, self._done))


def _walked(
    ctx: Context,
    item: ComparedModel,
    conditionings: Mapping[str, Conditioning],
    questions: ComparisonPrompts,
    progress: _Progress,
) -> tuple[list[Latent], float]:
    """Latents, and the seconds that each took."""
    latents = []
    with ctx.weights(item.model, calls_only=True) as denoiser:
        size = _size(denoiser, questions)
        began = perf_counter()
        for text, seed in questions.each():
            walk = item.settings
            parts = build_sampling_parts(
                conditionings[text],
                None,
                seed=seed,
                steps=walk.steps,
                cfg=walk.cfg,
                sampler=walk.sampler,
                schedule=walk.schedule,
            )
            denoising = Denoising(denoiser, size, parts)
            for _ in denoising:
                progress.step()
            latents.append(denoising.result())
    return latents, (perf_counter() - began) / len(latents)


def _size(denoiser: Denoiser, questions: ComparisonPrompts) -> Latent:
    usual = get_family(denoiser.family).trained_size(denoiser.config)
    width, height = (
        side or trained_side for side, trained_side in zip(questions.size, usual, strict=True)
    )
    return Latent(None, width, height)


def _apart(first: ModelOutputs, other: ModelOutputs) -> Distances:
    latent = tuple(
        float(
            (actual - expected).square().mean().sqrt()
            / expected.square().mean().sqrt().clamp(min=1e-12)
        )
        for actual, expected in zip(other.latents, first.latents, strict=True)
    )
    alike = [
        compare(actual[None], expected[None])
        for actual, expected in zip(other.pictures, first.pictures, strict=True)
    ]
    same = [actual == expected for actual, expected in zip(other.labels, first.labels, strict=True)]
    return Distances(
        latent,
        sum(min(item.psnr, _HIGHEST_PSNR) for item in alike) / len(alike),
        sum(item.ssim for item in alike) / len(alike),
        sum(same) / len(same) if same else None,
    )
