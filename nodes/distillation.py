"""Faster or smaller models: distillation, quantization, and comparisons of their quality."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Choices,
    Context,
    Dataset,
    DiffusionModel,
    Facts,
    Finding,
    HookInputs,
    Image,
    Multiline,
    Plot,
    PromptText,
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
from nodegraph.weights.precision.storage import FLOAT8, FULL, INT4, INT8, UINT4

from ._training_facts import check_training, trained_outputs, training_memory
from .sampler import SamplerName, ScheduleName
from .training import Batch, Rate, Steps, TrainedModel

Scale = Annotated[float, Range(0, 100, step=0.1)]
Walked = Annotated[int, Range(1, MAX_STEPS)]
Side = Annotated[int, Range(0, 16384), Advanced()]


_MODELS = ("reference", "model", "second", "third")


def check_distilling(inputs: HookInputs) -> Iterator[Finding]:
    """Find parts of different models, and a missing dataset and prompts."""
    yield from check_training(inputs)
    prompts = inputs.literals.get("prompts")
    if prompts is not None and not prompts.strip() and "dataset" not in inputs.facts:
        yield Finding(
            "prompts",
            "there are no images to distill from",
            "no dataset and no prompts",
            hint="Link a dataset, or enter prompts, one per line.",
        )


def stored_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model, unchanged."""
    return {"model": dict(inputs.facts.get("model", {}))}


def check_compared(inputs: HookInputs) -> Iterator[Finding]:
    """Find models of several families, and missing prompts."""
    families = {port: inputs.fact(port, "family") for port in _MODELS}
    first = families["reference"]
    for port, family in families.items():
        if first and family and family != first:
            yield Finding(
                port,
                "the model is from another family than the reference",
                family,
                first,
                "Compare models with the same text encoder.",
                code="wrong-family",
            )
    prompts = inputs.literals.get("prompts")
    if prompts is not None and not prompts.strip():
        yield Finding("prompts", "the prompts are empty", "no prompts", "one per line")


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
    prompts: Annotated[str, PromptText()] = "",
    pictures: Annotated[int, Range(1, 10_000)] = 4,
    kind: DistillationKind = "trajectory",
    cfg: Scale = 4.0,
    negative: Annotated[str, PromptText()] = "",
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
    """Distill a model into a LoRA that samples in few steps and without guidance.

    The model is its own teacher. Sample the result in 2 to 8 steps, with the sampler lcm, the
    schedule normal and cfg 1.

    Args:
        model: The teacher, and the base of the student. Its own weights do not change.
        text_encoder: Text encoder of the same model.
        vae: VAE of the same model.
        dataset: Images with captions, similar to what the student should generate. If not linked,
            the model generates them from the prompts.
        prompts: Prompts, one per line, if there is no dataset.
        pictures: Number of images generated per prompt.
        kind: trajectory: the student learns the end point of the teacher's guided trajectory.
            consistency: it learns the same prediction at two neighboring points of the trajectory
            (LCM). Its steps are cheaper, but it needs far more of them.
        cfg: Guidance scale of the teacher. The student learns its effect.
        negative: Negative prompt of the teacher. Empty uses the empty prompt.
        steps: Number of training steps.
        batch: Images per step.
        learning_rate: Learning rate: 1e-4 for large models, up to 2e-3 for small ones.
        rank: Rank of the LoRA. 64 is usual for large models.
        layers: Layers that get a LoRA.
        teacher_steps: Steps of the teacher from the current point to the end. With consistency,
            steps of the whole schedule, of which it runs one. 0 means 4, or 50 with consistency.
        huber: Where the Huber loss changes from squared to absolute. LCM's scripts use 0.001.
        seed: Random seed of the training.
        options: More settings, from TrainingSettings.
        samples: Sample images during training, from WatchTraining. Use few steps and cfg 1.
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
    tags=(
        "quantization",
        "quantise",
        "fp8",
        "float8",
        "int8",
        "int4",
        "uint4",
        "nf4",
        "bits",
        "memory",
    ),
)
def QuantizeModel(
    model: DiffusionModel,
    storage: Annotated[str, Choices((FLOAT8, INT8, INT4, UINT4, FULL))] = INT8,
) -> SmallerModel:
    """Store a model's weights in fewer bits: it needs less memory, and results differ slightly.

    It has the same effect as the storage of LoadModel. Measure the loss of quality with
    CompareSamplings.

    Args:
        model: The model to quantize. If other nodes use the unquantized model, both copies are in
            memory.
        storage: float8 and int8 use one byte per weight, int4 and uint4 about 4.5 bits. full is
            the compute precision. Norms, embeddings and similar layers keep full precision; with
            int4 and uint4, convolutions too.
    """
    from nodegraph.weights.precision.storage import with_storage

    return SmallerModel(with_storage(model, storage))


class ComparedSamplings(NamedTuple):
    """Images of several models for the same prompts and seeds, and how much they differ.

    Attributes:
        images: One batch of images per model, the reference first.
        text: The results as a table.
        plot: Distance of the latents to those of the reference.
        times: Seconds per image.
        distances: Mean distance of the latents of each other model, relative to the size of the
            reference's.
        psnr: Mean PSNR of the images of each other model, in decibels.
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
    deterministic=False,  # seconds are measured on this machine now, so never taken from a cache
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
    prompts: Annotated[str, PromptText()] = "a fox face\na red apple",
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
    """Compare models with a reference: same prompts and seeds, results as a table and plots.

    Use it for a few-step student and its teacher, a quantized model and the original, or a step
    cache.

    Args:
        reference: The reference model.
        model: The model to compare. The reported memory includes its weights.
        text_encoder: Text encoder of all models.
        vae: VAE of all models.
        second: A further model, sampled with the same settings.
        third: A further model, sampled with the same settings.
        classifier: A classifier from TrainClassifier. It counts for how many images the predicted
            label is the same as for the reference.
        prompts: Prompts, one per line.
        names: Names of the models, one per line, the reference first.
        pictures: Number of images per prompt.
        seed: Seed of the first image. The next images count up from it.
        reference_steps: Steps of the reference.
        reference_cfg: Guidance scale of the reference.
        reference_sampler: Sampler of the reference.
        reference_schedule: Schedule of the reference.
        steps: Steps of the other models.
        cfg: Guidance scale of the other models.
        sampler: Sampler of the other models. Use lcm for students.
        schedule: Schedule of the other models. Use normal for students.
        width: Width in pixels. 0 uses the size the models were trained on.
        height: Height in pixels. 0 uses the size the models were trained on.
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
