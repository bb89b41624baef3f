"""Training options and sample images."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, PromptText, Range, Seed, node
from nodegraph.training.options import (
    LevelSpread,
    OptimizerName,
    RateSchedule,
    TrainingOptions,
    TrainingPrecision,
    TrainingSamples,
)


@node(
    category="training",
    label="Training settings",
    tags=("optimizer", "min-SNR", "EMA", "scheduler", "gradient", "precision"),
)
def TrainingSettings(
    optimizer: OptimizerName = "adamw",
    schedule: RateSchedule = "cosine",
    warmup: Annotated[int, Range(0, 1_000_000)] = 0,
    weight_decay: Annotated[float, Range(0, 10)] = 0.01,
    clip: Annotated[float, Range(0, 1000)] = 1.0,
    accumulate: Annotated[int, Range(1, 1024)] = 1,
    precision: TrainingPrecision = "auto",
    saves_memory: bool = False,
    average: Annotated[float, Range(0, 0.99999)] = 0.0,
    min_snr: Annotated[float, Range(0, 100)] = 0.0,
    noise_offset: Annotated[float, Range(0, 1)] = 0.0,
    levels: LevelSpread = "auto",
    kept_weight: Annotated[float, Range(0, 100)] = 1.0,
    variations: Annotated[int, Range(1, 1000), Advanced()] = 8,
    embedded_guidance: Annotated[float, Range(0, 100), Advanced()] = 1.0,
) -> TrainingOptions:
    """Training options: optimizer, learning rate schedule, precision, loss.

    Args:
        optimizer: adamw8bit takes less memory, and needs bitsandbytes and a GPU. adafactor takes
            less memory, too.
        schedule: Learning rate schedule after the warm-up.
        warmup: Steps over which the learning rate rises from 0.
        weight_decay: Weight decay.
        clip: Maximum gradient norm over all weights. 0 does not clip.
        accumulate: Gradient accumulation: batches per step. It acts as a larger batch, in the
            memory of one batch.
        precision: Compute precision. auto uses the precision of the model's weights.
        saves_memory: Gradient checkpointing: recompute activations instead of storing them. It is
            about a third slower and takes much less memory.
        average: Decay of the exponential moving average (EMA) of the weights, for example 0.999. 0
            returns the last weights.
        min_snr: Min-SNR gamma: noise levels with a larger signal-to-noise ratio get less weight. 5
            is usual, 0 turns it off. Not for flow matching models.
        noise_offset: Offset noise. About 0.05 allows darker and brighter images.
        levels: Sampling of noise levels: all equally, or middle levels more often. auto is the
            latter for flow matching models.
        kept_weight: Loss weight of regularization images.
        variations: Maximum number of augmented versions of each image, if the dataset uses
            augmentation.
        embedded_guidance: Guidance scale input of Flux.1 dev and similar models during training.
    """
    return TrainingOptions(
        optimizer=optimizer,
        schedule=schedule,
        warmup=warmup,
        weight_decay=weight_decay,
        clip=clip,
        accumulate=accumulate,
        precision=precision,
        saves_memory=saves_memory,
        average=average,
        min_snr=min_snr,
        noise_offset=noise_offset,
        levels=levels,
        kept_weight=kept_weight,
        variations=variations,
        embedded_guidance=embedded_guidance,
    )


@node(
    category="training",
    label="Watch training",
    tags=("sample", "preview", "validation prompt"),
)
def WatchTraining(
    prompts: Annotated[str, PromptText()],
    every: Annotated[int, Range(1, 1_000_000)] = 100,
    steps: Annotated[int, Range(1, 1000)] = 20,
    cfg: Annotated[float, Range(0, 100, step=0.1)] = 5.0,
    width: Annotated[int, Range(0, 16384)] = 0,
    height: Annotated[int, Range(0, 16384)] = 0,
    seed: Annotated[int, Seed()] = 0,
) -> TrainingSamples:
    """Generate sample images during a training, to watch its progress.

    Args:
        prompts: One prompt per line. Each gives an image.
        every: Training steps between samples.
        steps: Sampling steps.
        cfg: Guidance scale.
        width: Width in pixels. 0 uses the training size of the model.
        height: Height in pixels. 0 uses the training size of the model.
        seed: Seed of the images.
    """
    lines = tuple(line.strip() for line in prompts.splitlines() if line.strip())
    return TrainingSamples(lines, every, steps, cfg, seed, width, height)
