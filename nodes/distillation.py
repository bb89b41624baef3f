"""Models that are faster or smaller, and what that costs: students, few bits, comparisons."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Choices,
    Context,
    Dataset,
    DiffusionModel,
    Image,
    Multiline,
    Plot,
    Range,
    Seed,
    TextEncoder,
    TrainedWeights,
    Vae,
    node,
)
from nodegraph.families.schedule_checks import MAX_STEPS
from nodegraph.training.options import (
    DistillationKind,
    TaughtLayers,
    TrainingOptions,
    TrainingPlan,
    TrainingSamples,
)
from nodegraph.weights.precision.storage import FLOAT8, FULL, INT4, INT8

from ._distillation_facts import check_compared, check_distilling, stored_outputs
from ._training_facts import trained_outputs, training_memory
from .sampler import SamplerName, ScheduleName
from .training import Batch, Rate, Steps, TrainedModel

Scale = Annotated[float, Range(0, 100, step=0.1)]
Walked = Annotated[int, Range(1, MAX_STEPS)]
Side = Annotated[int, Range(0, 16384), Advanced()]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


@node(
    category="training",
    label="Distill",
    lane="gpu",
    numerics=True,
    infer=trained_outputs,
    validate=check_distilling,
    estimate=training_memory,
    tags=("lcm", "consistency", "few steps", "turbo", "lightning", "student", "lora", "distil"),
)
def Distill(
    ctx: Context,
    model: DiffusionModel,
    text_encoder: TextEncoder,
    vae: Vae,
    dataset: Dataset | None = None,
    *,
    prompts: Annotated[str, Multiline()] = "",
    pictures: Annotated[int, Range(1, 10_000)] = 4,
    kind: DistillationKind = "trajectory",
    cfg: Scale = 4.0,
    negative: str = "",
    steps: Steps = 500,
    batch: Batch = 4,
    learning_rate: Rate = 1e-4,
    rank: Annotated[int, Range(1, 1024)] = 16,
    layers: Annotated[TaughtLayers, Advanced()] = "all",
    teacher_steps: Annotated[int, Range(0, 1000), Advanced()] = 0,
    huber: Annotated[float, Range(1e-6, 10), Advanced()] = 0.03,
    seed: Annotated[int, Seed()] = 0,
    options: TrainingOptions | None = None,
    samples: TrainingSamples | None = None,
) -> TrainedModel:
    """Teach a model to paint in few steps and without guidance, as a LoRA, by itself as teacher.

    Sample what comes out in 2 to 8 steps, by the sampler lcm with the schedule normal and cfg 1.

    Args:
        model: What learns, and its teacher; its own weights stay as they are.
        text_encoder: What reads the prompts; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures with captions: what it is to paint later. If not linked, the model paints
            them itself from the prompts.
        prompts: One a line, where there is no dataset.
        pictures: Painted of each prompt.
        kind: trajectory: it learns where the teacher's guided way ends. consistency: it learns to
            say the same at two neighbouring places of that way (LCM): a step is cheaper, and it
            takes far more of them.
        cfg: Guidance of the teacher, which is built in.
        negative: What the teacher is led away from; the empty prompt if empty.
        steps: Changes of the weights.
        batch: Pictures for each of them.
        learning_rate: How large they are; 1e-4 for large models, up to 2e-3 for small ones.
        rank: How much the LoRA can hold; 64 is usual for large models.
        layers: Where it is put.
        teacher_steps: Of the teacher to the end, from wherever it begins; with consistency from
            noise to picture, of which it walks one. 0: 4, with consistency 50.
        huber: Where the loss turns from squared to absolute; 0.001 in LCM's scripts.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
        samples: Pictures to watch meanwhile: WatchTraining, with few steps and cfg 1.
    """
    from nodegraph.training.distillation import (
        DistillationPlan,
        distilled_lora,
        with_generated_dataset,
    )
    from nodegraph.training.lora_training import LoraShape, with_trained_lora
    from nodegraph.training.training_run import TrainingSetup

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    training_dataset = dataset or Dataset(())
    room = TrainingSetup(ctx, model, text_encoder, vae, training_dataset, None, plan, samples)
    if dataset is None:
        room = with_generated_dataset(room, _lines(prompts), pictures, cfg)
    how = DistillationPlan(kind, cfg, negative.strip(), teacher_steps, huber)
    weights = distilled_lora(room, LoraShape(rank, 0.0, layers), how)
    adapted, _ = with_trained_lora(weights, model, None)
    assert weights.losses is not None
    return TrainedModel(adapted, text_encoder, weights, weights.losses)


class SmallerModel(NamedTuple):
    model: DiffusionModel


@node(
    category="models",
    label="Quantize model",
    infer=stored_outputs,
    tags=("quantization", "quantise", "fp8", "float8", "int8", "int4", "nf4", "bits", "memory"),
)
def QuantizeModel(
    model: DiffusionModel,
    storage: Annotated[str, Choices((FLOAT8, INT8, INT4, FULL))] = INT8,
) -> SmallerModel:
    """Keep a model's weights in fewer bits: less memory, results that differ a little.

    As LoadModel does with its storage. CompareSamplings tells what it costs.

    Args:
        model: To be kept so; who uses it without has it whole beside.
        storage: float8 and int8 take a byte a number, int4 some 4.5 bits; full is what it computes
            in. Norms, embeddings and the like stay whole, with int4 convolutions, too.
    """
    from nodegraph.weights.precision.storage import with_storage

    return SmallerModel(with_storage(model, storage))


class ComparedSamplings(NamedTuple):
    """What models made of the same prompts and seeds, and how far it is apart.

    Attributes:
        images: A batch of each model, the reference's first.
        text: A table.
        plot: How far latents are from the reference's.
        times: Seconds a picture.
        distances: Mean of each model but the reference: of latents, as a share of their size.
        psnr: Of pictures, mean of each model but the reference, in decibels.
    """

    images: list[Image]
    text: str
    plot: Plot
    times: Plot
    distances: list[float]
    psnr: list[float]


@node(
    category="training",
    label="Compare samplings",
    lane="gpu",
    numerics=True,
    deterministic=False,  # seconds are of this machine, now: those that another one kept are not
    validate=check_compared,
    tags=("benchmark", "quality", "student", "teacher", "quantization", "psnr", "measure", "time"),
)
def CompareSamplings(
    ctx: Context,
    reference: DiffusionModel,
    model: DiffusionModel,
    text_encoder: TextEncoder,
    vae: Vae,
    second: DiffusionModel | None = None,
    third: DiffusionModel | None = None,
    classifier: TrainedWeights | None = None,
    *,
    prompts: Annotated[str, Multiline()] = "a fox face\na red apple",
    names: Annotated[str, Multiline()] = "",
    pictures: Annotated[int, Range(1, 1000)] = 1,
    seed: Annotated[int, Seed()] = 0,
    reference_steps: Walked = 20,
    reference_cfg: Scale = 4.0,
    reference_sampler: SamplerName = "dpmpp_2m",
    reference_schedule: ScheduleName = "karras",
    steps: Walked = 20,
    cfg: Scale = 4.0,
    sampler: SamplerName = "dpmpp_2m",
    schedule: ScheduleName = "karras",
    width: Side = 0,
    height: Side = 0,
) -> ComparedSamplings:
    """Measure how far models are from another one: same prompts, same seeds, as a table and plots.

    For a few-step student against its teacher, a model in few bits against itself, a step cache.

    Args:
        reference: What the others are held against.
        model: Sampled as said below; its weights count in the memory that is told.
        text_encoder: Of all of them.
        vae: Of all of them.
        second: Another one, sampled as model.
        third: And another.
        classifier: Of TrainClassifier: says for how many pictures it sees what it sees in the
            reference's.
        prompts: One a line.
        names: What the models are called, the reference first; one a line.
        pictures: Of each prompt.
        seed: Of the first picture; the next ones count up from it.
        reference_steps: Of the reference.
        reference_cfg: Of the reference.
        reference_sampler: Of the reference.
        reference_schedule: Of the reference.
        steps: Of the others.
        cfg: Of the others.
        sampler: Of the others; lcm for students.
        schedule: Of the others; normal for students.
        width: In pixels; 0: as the models were trained on.
        height: In pixels; 0: as the models were trained on.
    """
    from nodegraph.training.model_comparison import (
        ComparedModel,
        ComparisonPrompts,
        SamplingSettings,
        compare_models,
    )

    theirs = SamplingSettings(reference_steps, reference_cfg, reference_sampler, reference_schedule)
    walk = SamplingSettings(steps, cfg, sampler, schedule)
    others = [item for item in (model, second, third) if item is not None]
    called = [*_lines(names), *("reference", "model", "second", "third")[len(_lines(names)) :]]
    models = [ComparedModel(called[0], reference, theirs)]
    models += [
        ComparedModel(name, item, walk) for name, item in zip(called[1:], others, strict=False)
    ]
    questions = ComparisonPrompts(_lines(prompts), pictures, seed, (width, height))
    comparison = compare_models(ctx, models, text_encoder, vae, questions, classifier)
    ctx.log(comparison.text())
    return ComparedSamplings(
        [made.pictures for made in comparison.made],
        comparison.text(),
        comparison.distance_plot(),
        comparison.time_plot(),
        [item.mean for item in comparison.distances],
        [item.psnr for item in comparison.distances],
    )
