"""Teaching: LoRAs and more from datasets, and what they are used by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Context,
    Dataset,
    DiffusionModel,
    Multiline,
    Plot,
    Range,
    Seed,
    TextEncoder,
    TrainedWeights,
    Vae,
    node,
)
from nodegraph.diffusion.teaching.options import (
    LevelSpread,
    OptimizerName,
    RateSchedule,
    TaughtLayers,
    TrainingOptions,
    TrainingPlan,
    TrainingPrecision,
    TrainingSamples,
)

from ._beside import save_result
from ._facts import check_result_name
from ._teaching_facts import check_training, taught_outputs, training_memory

Steps = Annotated[int, Range(1, 1_000_000)]
Batch = Annotated[int, Range(1, 256)]
Rate = Annotated[float, Range(0, 1)]


class TaughtModel(NamedTuple):
    """What a LoRA was taught on, with it on, and the LoRA itself.

    Attributes:
        losses: Of each step.
    """

    model: DiffusionModel
    text_encoder: TextEncoder
    weights: TrainedWeights
    losses: Plot


@node(
    category="teaching",
    label="Train LoRA",
    lane="gpu",
    numerics=True,
    infer=taught_outputs,
    validate=check_training,
    estimate=training_memory,
    tags=("lora", "fine-tune", "finetune", "style", "kohya", "peft", "learn"),
)
def TrainLoRA(
    ctx: Context,
    model: DiffusionModel,
    text_encoder: TextEncoder,
    vae: Vae,
    dataset: Dataset,
    kept: Dataset | None = None,
    *,
    steps: Steps = 500,
    batch: Batch = 4,
    learning_rate: Rate = 1e-4,
    rank: Annotated[int, Range(1, 1024)] = 16,
    alpha: Annotated[float, Range(0, 1024), Advanced()] = 0.0,
    layers: Annotated[TaughtLayers, Advanced()] = "attention and feed-forward",
    seed: Annotated[int, Seed()] = 0,
    options: TrainingOptions | None = None,
    samples: TrainingSamples | None = None,
) -> TaughtModel:
    """Teach a model a style or a subject from a few pictures: small weights beside its own.

    The model with what it learned comes out, ready to be sampled. A training that is stopped goes
    on later from where it was, to the same bits.

    Args:
        model: What learns; its own weights stay as they are.
        text_encoder: What reads the captions; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures with captions.
        kept: Pictures that are to look as they do now, under captions without the new words: such
            as what the model makes itself. They keep a style from spreading to all that it paints.
            As many of them are in each batch.
        steps: Changes of the weights.
        batch: Pictures for each of them.
        learning_rate: How large they are; 1e-4 for large models, up to 2e-3 for small ones.
        rank: How much it can hold: 4 to 16 for a style, 32 and up for more.
        alpha: What it is multiplied by, times the rank; 0: the rank, which is by 1.
        layers: Where it is put; all takes convolutions, too, which a style gains by.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
        samples: Pictures to watch meanwhile: WatchTraining.
    """
    from nodegraph.diffusion.teaching.lora_training import LoraShape, taught_lora, with_taught_lora
    from nodegraph.diffusion.teaching.running import Classroom

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    room = Classroom(ctx, model, text_encoder, vae, dataset, kept, plan, samples)
    weights = taught_lora(room, LoraShape(rank, alpha, layers))
    adapted, _ = with_taught_lora(weights, model, None)
    assert weights.losses is not None
    return TaughtModel(adapted, text_encoder, weights, weights.losses)


@node(
    category="teaching",
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
    category="teaching",
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


class AppliedWeights(NamedTuple):
    """Parts of a model with what was taught."""

    model: DiffusionModel
    text_encoder: TextEncoder


@node(
    category="teaching",
    label="Apply trained weights",
    lane="io",
    infer=taught_outputs,
    tags=("lora", "adapter", "strength"),
)
def ApplyWeights(
    model: DiffusionModel,
    text_encoder: TextEncoder,
    weights: TrainedWeights,
    strength: Annotated[float, Range(-10, 10, step=0.05)] = 1.0,
) -> AppliedWeights:
    """Put what was taught on a model, at any strength.

    Args:
        model: Of the family that it was taught on.
        text_encoder: Of the same model; a learned word is put on it.
        weights: A LoRA, a whole model, or a word.
        strength: How strongly a LoRA applies; 1 is as it was taught.
    """
    from nodegraph.diffusion.teaching.applying import applied

    return AppliedWeights(*applied(weights, model, text_encoder, strength))


@node(
    category="teaching",
    label="Save trained weights",
    output="files",
    lane="io",
    validate=check_result_name,
    tags=("lora", "safetensors", "export"),
)
def SaveWeights(
    ctx: Context,
    weights: TrainedWeights,
    name: str = "lora",
) -> None:
    """Write what was taught as a file that diffusers and others read.

    Files are numbered: lora_00001.safetensors. One with the same content is not written again.

    Args:
        weights: What a training made.
        name: What the file names begin with; style/ink makes a sub-folder.
    """
    for file in map(Path, (item.path for item in weights.files)):
        save_result(ctx, name, file.suffix, file.read_bytes(), kind="weights")
