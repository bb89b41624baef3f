"""A training run: setup, checkpoints, previews, and images that the model generates.

Prior preservation trains on generated images of the subject's class. Source: Ruiz et al. 2022,
arXiv:2208.12242 (DreamBooth).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodegraph.core.context import Context
from nodegraph.core.plots import Plot, Series
from nodegraph.core.training_values import Dataset, Example
from nodegraph.core.values import (
    Conditioning,
    ConditioningEntry,
    DiffusionModel,
    Latent,
    TextEncoder,
    Vae,
)
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.registry import get_family
from nodegraph.models.adapters.layer_changes import structural_copy
from nodegraph.sampling.sampling_parts import build_sampling_parts
from nodegraph.training.denoising_task import DenoisingTask, EncodedDataset, cell_mask
from nodegraph.training.examples import (
    BatchOrder,
    DatasetReader,
    encode_latents,
    encode_prompts,
    generator_of,
)
from nodegraph.training.loop import Parameters, Training, TrainingTask
from nodegraph.training.options import (
    TrainingPlan,
    TrainingSamples,
    check_dataset,
    check_trainable,
    without_speed,
)


def with_caption(dataset: Dataset, prompt: str) -> Dataset:
    """Examples that all have one caption.

    Raises:
        InvalidValue: It is empty.
    """
    if not prompt.strip():
        raise InvalidValue("the subject has no prompt", port="prompt", given=repr(prompt))
    return dataset.with_examples(
        replace(item, caption=prompt, tags=()) for item in dataset.examples
    )


def class_pictures(
    setup: TrainingSetup, prompt: str, count: int, *, steps: int = 25, cfg: float = 5.0
) -> Dataset:
    """Images of a subject's class, as the model paints them before it learns.

    They are of the size of the first image that is learned from, changed as the dataset says.

    Raises:
        InvalidValue: See `Denoising`.
    """
    from nodegraph.media.datasets.reading import training_size

    seeds = torch.randint(
        2**62, (count,), generator=generator_of(setup.plan.seed, "class")
    ).tolist()
    wanted = [PictureRequest(f"class {at + 1}", prompt, seed) for at, seed in enumerate(seeds)]
    examples = generate_pictures(
        setup, wanted, training_size(setup.dataset, 0), steps=steps, cfg=cfg
    )
    return setup.dataset.with_examples(examples)


class PictureRequest(NamedTuple):
    """An image to be painted.

    Attributes:
        name: Of the example that it becomes.
        prompt: What it shows; its caption.
        seed: Of its noise.
    """

    name: str
    prompt: str
    seed: int


def generate_pictures(
    setup: TrainingSetup,
    wanted: Sequence[PictureRequest],
    size: tuple[int, int] | None = None,
    *,
    steps: int = 25,
    cfg: float = 5.0,
) -> tuple[Example, ...]:
    """Images as the model paints them before it learns, as examples.

    Args:
        size: Width and height in pixels; None: as the model was trained on.
        steps, cfg: Of sampling.
    Raises:
        InvalidValue: See `Denoising`.
    """
    from nodegraph.models.conditioning import encode_prompt
    from nodegraph.models.vae import decode_latent
    from nodegraph.sampling.denoise import Denoising

    ctx, family = setup.ctx, get_family(setup.model.family)
    with ctx.weights(setup.text_encoder, calls_only=True) as text_model:
        conditionings = {
            text: encode_prompt(text_model, text) for text in {item.prompt for item in wanted}
        }
    is_flow = family.noise == "flow"
    made = []
    with ctx.weights(setup.training_model, calls_only=True) as model:
        width, height = size or family.trained_size(model.config)
        for item in wanted:
            parts = build_sampling_parts(
                conditionings[item.prompt],
                None,
                seed=item.seed,
                steps=steps,
                cfg=cfg,
                sampler="euler" if is_flow else "dpmpp_2m",
                schedule="normal" if is_flow else "karras",
            )
            denoising = Denoising(model, Latent(None, width, height), parts)
            for _ in denoising:
                ctx.check_cancelled()
            made.append(denoising.result())
    with ctx.weights(setup.vae, calls_only=True) as autoencoder:
        pictures = [decode_latent(autoencoder, latent)[0] for latent in made]
    return tuple(
        Example(picture, item.name, item.prompt)
        for picture, item in zip(pictures, wanted, strict=True)
    )


MOST = 500
"""Points of a curve: longer ones are told by means."""
_MEMORY = 0.98


def loss_plot(losses: Sequence[float], title: str = "Loss") -> Plot:
    """The loss of each step, of long trainings the mean over several, and how it goes on in all.

    The second line is a running mean of which a step counts for 2 %, from the first step on.
    """
    width = max(1, -(-len(losses) // MOST))
    running, weight, smooth = 0.0, 0.0, []
    for loss in losses:
        running = _MEMORY * running + (1 - _MEMORY) * loss
        weight = _MEMORY * weight + (1 - _MEMORY)
        smooth.append(running / weight)
    spans = [losses[at : at + width] for at in range(0, len(losses), width)]
    ends = tuple(min(at + width, len(losses)) for at in range(0, len(losses), width))
    means = tuple(sum(span) / len(span) for span in spans)
    each = Series("each step" if width == 1 else f"mean of {width} steps", ends, means)
    mean = Series("running mean", ends, tuple(smooth[end - 1] for end in ends))
    return Plot(title, "step", "loss", (each, mean))


_SMALL = 64 << 20
"""Bytes of a state that is saved as often as it may be."""
_RATE = 100 << 20
"""Bytes that are written in a second, about."""
_SHARE = 0.05
"""Of the time, that may be spent on writing what is large."""

PreparedModel = tuple[Denoiser, Parameters]
"""A denoiser of one's own, and what of it learns."""
TaskFactory = Callable[
    [Denoiser, Parameters, Sequence[EncodedDataset], Mapping[str, ConditioningEntry], TrainingPlan],
    TrainingTask,
]
"""Makes a lesson of a denoiser, what of it learns, examples, and prompts by their text."""


@dataclass(frozen=True)
class TrainingSetup:
    """A model to be taught, and what it is taught with.

    Attributes:
        model, text_encoder, vae: Its recipes.
        dataset: What is learned.
        kept: What is to stay as it is, beside it; as many of it are in each batch.
    """

    ctx: Context
    model: DiffusionModel
    text_encoder: TextEncoder
    vae: Vae
    dataset: Dataset
    kept: Dataset | None
    plan: TrainingPlan
    samples: TrainingSamples | None = None

    def check(self) -> None:
        """Find what can be told before anything is loaded.

        Raises:
            InvalidValue: Something can't be taught, or not so.
        """
        check_trainable(self.model, self.text_encoder, self.vae)
        check_dataset(self.dataset)
        if self.kept is not None:
            check_dataset(self.kept, port="kept")

    def encode_datasets(self) -> list[EncodedDataset]:
        """What is learned and what is kept, encoded by the VAE."""
        plan, encoded = self.plan, []
        weighted_datasets = [(self.dataset, 1.0)]
        if self.kept is not None:
            weighted_datasets.append((self.kept, plan.options.kept_weight))
        with self.ctx.weights(self.vae, calls_only=True) as autoencoder:
            for dataset, share in weighted_datasets:
                order = BatchOrder(dataset, plan.batch, plan.seed)
                reading = DatasetReader(dataset, order, plan.options.variations)
                keys = reading.keys(range(plan.steps * plan.options.accumulate))
                breathe = self.ctx.check_cancelled
                latents = encode_latents(autoencoder, reading, keys, breathe)
                masks = {key: reading.mask(key) for key in keys}
                counted = {
                    key: cell_mask(mask, latents[key])
                    for key, mask in masks.items()
                    if mask is not None
                }
                encoded.append(EncodedDataset(reading, latents, share, counted))
        return encoded

    def captions(self, datasets: Sequence[EncodedDataset]) -> list[str]:
        """All that is said in the training, each once."""
        texts = {item.reading.caption(key) for item in datasets for key in item.latents}
        return sorted(texts)

    def prompts(
        self, datasets: Sequence[EncodedDataset]
    ) -> tuple[dict[str, ConditioningEntry], dict[str, Conditioning]]:
        """What is said, and what images to look at are asked for, encoded."""
        from nodegraph.models.conditioning import encode_prompt

        shown = () if self.samples is None else self.samples.prompts
        with self.ctx.weights(self.text_encoder, calls_only=True) as text_model:
            breathe = self.ctx.check_cancelled
            encoded_captions = encode_prompts(text_model, self.captions(datasets), breathe)
            sample_prompts = {text: encode_prompt(text_model, text) for text in shown}
        return encoded_captions, sample_prompts

    @property
    def training_model(self) -> DiffusionModel:
        """The model as it is in memory while it is taught."""
        return without_speed(self.model)

    @property
    def saves_memory(self) -> bool:
        """Whether layers compute again what they would hold."""
        return self.plan.options.saves_memory or self.ctx.footprint != "full"

    def own_modules(self, shared: Denoiser) -> dict[str, Any]:
        """The modules of a denoiser that learns nothing itself, to be asked for gradients."""
        if not self.saves_memory:
            return dict(shared.modules)
        twins = {role: structural_copy(module) for role, module in shared.modules.items()}
        for twin in twins.values():
            enable_gradient_checkpointing(twin)
        return twins

    def train(
        self,
        prepare: Callable[[Denoiser], PreparedModel],
        task_factory: TaskFactory = DenoisingTask,
        sampler: str = "",
    ) -> TrainingOutcome:
        """Teach the model.

        Args:
            prepare: Makes of the shared denoiser one of this training's own.
            task_factory: Makes what is learned by of that.
            sampler: Of the images to look at; if empty, what is usual for the model.
        Raises:
            Cancelled: Within a step, too.
            NumericalError: The loss is NaN or infinite.
        """
        self.check()
        datasets = self.encode_datasets()
        caption_prompts, sample_prompts = self.prompts(datasets)
        with self.ctx.weights(self.training_model) as shared, torch.enable_grad():
            model, parameters = prepare(shared)
            if self.saves_memory:
                for module in model.modules.values():
                    enable_gradient_checkpointing(module)
            task = task_factory(model, parameters, datasets, caption_prompts, self.plan)
            previews = TrainingPreviews(
                self.ctx, self.samples, model, self.vae, sample_prompts, sampler
            )
            return run_training(self.ctx, task, self.plan, previews.show)


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training ended with.

    Attributes:
        weights: By name; float32 on the CPU.
        losses: Of each step.
    """

    weights: Mapping[str, Tensor]
    losses: Plot


def run_training(
    ctx: Context,
    task: TrainingTask,
    plan: TrainingPlan,
    show: Callable[[Training], object] = lambda training: None,
) -> TrainingOutcome:
    """A training to its end, taken up where an earlier attempt at it got to.

    Args:
        show: Called after each step.
    """
    training = Training(task, plan, ctx.check_cancelled)
    _restore(ctx, training)
    saving = CheckpointSaver(ctx, training)
    for done in training:
        saving.save_if_due()
        ctx.progress(done.step, done.total, preview=lambda: loss_plot(training.losses))
        show(training)
    return TrainingOutcome(training.weights(), loss_plot(training.losses))


def _restore(ctx: Context, training: Training) -> None:
    checkpoint = ctx.restored(up_to=training.total)
    if checkpoint is None:
        return
    try:
        training.restore(checkpoint.state)
    except (ValueError, KeyError) as error:
        text = f"{error}: it starts at step 1, not at {checkpoint.step + 1}"
        ctx.log(text, "warning", about="run")


class CheckpointSaver:
    """Offers a training to be saved: what is large so seldom that it takes little of the time."""

    def __init__(self, ctx: Context, training: Training) -> None:
        self._ctx, self._training = ctx, training
        size = training.state_bytes
        self._interval = 0.0 if size <= _SMALL else size / _RATE / _SHARE
        self._last = monotonic()

    def save_if_due(self) -> None:
        """After a step."""
        if monotonic() - self._last >= self._interval:
            self._ctx.checkpoint(self._training.step, self._training.total, self._state)

    def _state(self) -> Mapping[str, Any]:
        self._last = monotonic()
        return self._training.state()


class TrainingPreviews:
    """Makes images to look at while a model learns.

    Args:
        samples: What to make; None for nothing.
        prompts: Those of the samples, encoded.
        sampler: That makes them; if empty, what is usual for the model.
    """

    def __init__(
        self,
        ctx: Context,
        samples: TrainingSamples | None,
        model: Denoiser,
        vae: Vae,
        prompts: Mapping[str, Conditioning],
        sampler: str = "",
    ) -> None:
        self._sampler = sampler
        self._ctx, self._samples, self._model, self._vae = ctx, samples, model, vae
        self._prompts = prompts

    def show(self, training: Training) -> None:
        """Show some, if it is time for it; then let the model learn on."""
        samples = self._samples
        if samples is None or not samples.prompts or training.step % samples.every:
            return
        with training.averaged(), torch.no_grad():
            pictures = self._pictures(samples)
        self._ctx.preview(pictures)

    def _pictures(self, samples: TrainingSamples) -> Tensor:
        from nodegraph.models.vae import decode_latent
        from nodegraph.sampling.denoise import Denoising

        family = get_family(self._model.family)
        width, height = family.trained_size(self._model.config)
        size = Latent(None, samples.width or width, samples.height or height)
        is_flow = family.noise == "flow"
        made = []
        for text in samples.prompts:
            parts = build_sampling_parts(
                self._prompts[text],
                None,
                seed=samples.seed,
                steps=samples.steps,
                cfg=samples.cfg,
                sampler=self._sampler or ("euler" if is_flow else "dpmpp_2m"),
                schedule="normal" if is_flow or self._sampler else "karras",
            )
            denoising = Denoising(self._model, size, parts)
            for _ in denoising:
                self._ctx.check_cancelled()
            made.append(denoising.result())
        with ExitStack() as held:
            autoencoder = held.enter_context(self._ctx.weights(self._vae, calls_only=True))
            return torch.cat([decode_latent(autoencoder, latent) for latent in made])


def enable_gradient_checkpointing(module: Any) -> None:
    """Let a network compute again, for gradients, what its layers would hold."""
    if getattr(module, "_supports_gradient_checkpointing", False):
        # diffusers' own way takes no named arguments, which some networks give.
        module.enable_gradient_checkpointing(_computed_again)
    elif hasattr(module, "gradient_checkpointing_enable"):
        module.gradient_checkpointing_enable()


def _computed_again(layer: Any, *args: Any, **named: Any) -> Any:
    from torch.utils.checkpoint import checkpoint

    return checkpoint(layer.__call__, *args, use_reentrant=False, **named)
