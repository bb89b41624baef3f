"""How models are taught, and what is to be seen meanwhile."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Multiline, Range, Seed, node
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
    """How a model is taught: optimiser, learning rate's course, precision, loss.

    Args:
        optimizer: adamw8bit takes less memory, and needs bitsandbytes and a GPU; adafactor takes
            less, too.
        schedule: How the learning rate goes on after the warm-up.
        warmup: Steps over which it rises from 0.
        weight_decay: How strongly weights are drawn to 0.
        clip: Longest gradient, over all weights; 0 for any.
        accumulate: Batches that a step is made of: as a larger batch, in the memory of one.
        precision: What is computed in; auto: what the model's weights are kept in.
        saves_memory: Compute again what layers would hold (gradient checkpointing): about a third
            slower, in much less memory.
        average: Give weights that follow those that learn, slowly (EMA), such as by 0.999; 0 gives
            the last ones.
        min_snr: Levels with less noise than this signal-to-noise ratio count for less; 5 is usual,
            0 turns it off. Not for flow models.
        noise_offset: About 0.05 lets pictures become darker and brighter.
        levels: Noise levels all alike, or those in the middle more often; auto: the latter for flow
            models.
        kept_weight: How much kept pictures count.
        variations: Ways each picture is changed in at most, where the dataset changes them.
        embedded_guidance: What Flux.1 dev and the like are told while they learn.
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
    prompts: Annotated[str, Multiline()],
    every: Annotated[int, Range(1, 1_000_000)] = 100,
    steps: Annotated[int, Range(1, 1000)] = 20,
    cfg: Annotated[float, Range(0, 100, step=0.1)] = 5.0,
    width: Annotated[int, Range(0, 16384)] = 0,
    height: Annotated[int, Range(0, 16384)] = 0,
    seed: Annotated[int, Seed()] = 0,
) -> TrainingSamples:
    """Pictures that are made while a model learns, to see how far it is.

    Args:
        prompts: A picture for each line.
        every: Steps of the training from one time to the next.
        steps: Of sampling.
        cfg: How strongly prompts lead.
        width: In pixels; 0: as the model was trained on.
        height: In pixels; 0: as the model was trained on.
        seed: Of the pictures.
    """
    lines = tuple(line.strip() for line in prompts.splitlines() if line.strip())
    return TrainingSamples(lines, every, steps, cfg, seed, width, height)
