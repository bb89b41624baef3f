"""Teaching models from datasets: LoRAs, whole weights, words, control networks."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Context,
    ControlNet,
    Dataset,
    DiffusionModel,
    Plot,
    Preprocessor,
    Range,
    Seed,
    TextEncoder,
    TrainedWeights,
    Vae,
    node,
)
from nodegraph.training.options import (
    TaughtLayers,
    TrainingOptions,
    TrainingPlan,
    TrainingSamples,
)

from ._training_facts import check_training, control_outputs, trained_outputs, training_memory

Steps = Annotated[int, Range(1, 1_000_000)]
Batch = Annotated[int, Range(1, 256)]
Rate = Annotated[float, Range(0, 1)]


class TrainedModel(NamedTuple):
    """What a LoRA was taught on, with it on, and the LoRA itself.

    Attributes:
        losses: Of each step.
    """

    model: DiffusionModel
    text_encoder: TextEncoder
    weights: TrainedWeights
    losses: Plot


@node(
    category="training",
    label="Train LoRA",
    lane="gpu",
    numerics=True,
    infer=trained_outputs,
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
) -> TrainedModel:
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
    from nodegraph.training.lora_training import LoraShape, train_lora, with_trained_lora
    from nodegraph.training.training_run import TrainingSetup

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    room = TrainingSetup(ctx, model, text_encoder, vae, dataset, kept, plan, samples)
    weights = train_lora(room, LoraShape(rank, alpha, layers))
    adapted, _ = with_trained_lora(weights, model, None)
    assert weights.losses is not None
    return TrainedModel(adapted, text_encoder, weights, weights.losses)


class TunedModel(NamedTuple):
    """A model whose weights were taught.

    Attributes:
        losses: Of each step.
    """

    model: DiffusionModel
    weights: TrainedWeights
    losses: Plot


@node(
    category="training",
    label="Fine-tune",
    lane="gpu",
    numerics=True,
    infer=trained_outputs,
    validate=check_training,
    estimate=training_memory,
    tags=("fine-tune", "finetune", "full", "checkpoint", "learn"),
)
def FineTune(
    ctx: Context,
    model: DiffusionModel,
    text_encoder: TextEncoder,
    vae: Vae,
    dataset: Dataset,
    kept: Dataset | None = None,
    *,
    steps: Steps = 500,
    batch: Batch = 4,
    learning_rate: Rate = 1e-5,
    seed: Annotated[int, Seed()] = 0,
    options: TrainingOptions | None = None,
    samples: TrainingSamples | None = None,
) -> TunedModel:
    """Teach all weights of a model: for small models, or much data. A LoRA takes far less memory.

    Args:
        model: What learns: a copy of it, in float32.
        text_encoder: What reads the captions; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures with captions.
        kept: Pictures that are to look as they do now; see TrainLoRA.
        steps: Changes of the weights.
        batch: Pictures for each of them.
        learning_rate: How large they are; 1e-6 to 1e-5 for large models.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
        samples: Pictures to watch meanwhile: WatchTraining.
    """
    from nodegraph.training.training_run import TrainingSetup
    from nodegraph.training.whole_networks import train_whole_model, with_trained_model

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    weights = train_whole_model(
        TrainingSetup(ctx, model, text_encoder, vae, dataset, kept, plan, samples)
    )
    assert weights.losses is not None
    return TunedModel(with_trained_model(weights, model), weights, weights.losses)


@node(
    category="training",
    label="DreamBooth",
    lane="gpu",
    numerics=True,
    infer=trained_outputs,
    validate=check_training,
    estimate=training_memory,
    tags=("subject", "person", "prior preservation", "class images", "lora", "learn"),
)
def DreamBooth(
    ctx: Context,
    model: DiffusionModel,
    text_encoder: TextEncoder,
    vae: Vae,
    dataset: Dataset,
    *,
    prompt: str = "a photo of sks dog",
    class_prompt: str = "a photo of a dog",
    class_pictures: Annotated[int, Range(0, 10_000)] = 50,
    steps: Steps = 400,
    batch: Batch = 2,
    learning_rate: Rate = 1e-4,
    rank: Annotated[int, Range(1, 1024)] = 16,
    layers: Annotated[TaughtLayers, Advanced()] = "attention and feed-forward",
    seed: Annotated[int, Seed()] = 0,
    options: TrainingOptions | None = None,
    samples: TrainingSamples | None = None,
) -> TrainedModel:
    """Teach a model a subject from a few pictures of it, as a LoRA, and let it keep its class.

    The model first paints pictures of the class, and learns beside the subject to paint them still
    (prior preservation). Their weight is `kept_weight` of TrainingSettings.

    Args:
        model: What learns; its own weights stay as they are.
        text_encoder: What reads the prompts; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures of the subject; their captions aren't heeded.
        prompt: Stands for the subject: its class with a rare word before it.
        class_prompt: Stands for the class.
        class_pictures: So many are painted; 0 for none: then the class becomes the subject.
        steps: Changes of the weights.
        batch: Pictures of the subject for each of them; as many are of the class.
        learning_rate: How large they are.
        rank: How much the LoRA can hold.
        layers: Where it is put.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
        samples: Pictures to watch meanwhile: WatchTraining.
    """
    from dataclasses import replace

    from nodegraph.training import training_run as subjects
    from nodegraph.training.lora_training import LoraShape, train_lora, with_trained_lora
    from nodegraph.training.training_run import TrainingSetup

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    called = subjects.with_caption(dataset, prompt)
    room = TrainingSetup(ctx, model, text_encoder, vae, called, None, plan, samples)
    room.check()
    if class_pictures:
        room = replace(room, kept=subjects.class_pictures(room, class_prompt, class_pictures))
    weights = train_lora(room, LoraShape(rank, 0.0, layers), (prompt,))
    adapted, _ = with_trained_lora(weights, model, None)
    assert weights.losses is not None
    return TrainedModel(adapted, text_encoder, weights, weights.losses)


class TrainedEmbedding(NamedTuple):
    """A text encoder that knows a new word.

    Attributes:
        losses: Of each step.
    """

    text_encoder: TextEncoder
    weights: TrainedWeights
    losses: Plot


@node(
    category="training",
    label="Textual inversion",
    lane="gpu",
    numerics=True,
    infer=trained_outputs,
    validate=check_training,
    estimate=training_memory,
    tags=("embedding", "token", "word", "learn"),
)
def TextualInversion(
    ctx: Context,
    model: DiffusionModel,
    text_encoder: TextEncoder,
    vae: Vae,
    dataset: Dataset,
    *,
    word: str = "<thing>",
    begin: str = "",
    template: str = "a photo of {}",
    vectors: Annotated[int, Range(1, 75)] = 1,
    steps: Steps = 500,
    batch: Batch = 4,
    learning_rate: Rate = 5e-3,
    seed: Annotated[int, Seed()] = 0,
    options: TrainingOptions | None = None,
) -> TrainedEmbedding:
    """Teach a text encoder a word for what pictures show. Nothing else changes: a file of a few KB.

    For Stable Diffusion 1.x, 2.x and XL, whose prompts are read by CLIP.

    Args:
        model: What the word is learned for.
        text_encoder: What learns it; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures of one thing, or of one style.
        word: The new word; as none is written otherwise.
        begin: A word like it, such as dog: what it begins as. At random if empty.
        template: What is said of pictures whose captions don't have the word; {} stands for it.
        vectors: Tokens that it stands for: more hold more, and leave less room in prompts.
        steps: Changes of the word.
        batch: Pictures for each of them.
        learning_rate: How large they are.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
    """
    from nodegraph.training.textual_inversion import train_word, with_trained_word
    from nodegraph.training.training_run import TrainingSetup

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    room = TrainingSetup(ctx, model, text_encoder, vae, dataset, None, plan)
    weights = train_word(room, word, begin=begin, vectors=vectors, template=template)
    assert weights.losses is not None
    return TrainedEmbedding(with_trained_word(weights, text_encoder), weights, weights.losses)


class TrainedControlNet(NamedTuple):
    """A control network that was taught.

    Attributes:
        losses: Of each step.
    """

    control_net: ControlNet
    weights: TrainedWeights
    losses: Plot


@node(
    category="training",
    label="Train ControlNet",
    lane="gpu",
    numerics=True,
    infer=control_outputs,
    validate=check_training,
    estimate=training_memory,
    tags=("control", "edges", "depth", "pose", "learn"),
)
def TrainControlNet(
    ctx: Context,
    model: DiffusionModel,
    text_encoder: TextEncoder,
    vae: Vae,
    dataset: Dataset,
    preprocessor: Preprocessor,
    *,
    steps: Steps = 1000,
    batch: Batch = 4,
    learning_rate: Rate = 1e-5,
    seed: Annotated[int, Seed()] = 0,
    options: TrainingOptions | None = None,
) -> TrainedControlNet:
    """Teach a network to lead a model by what a preprocessor makes of pictures, such as edges.

    For Stable Diffusion 1.x, 2.x and XL. It begins as a copy of the UNet's way down, which leads
    nowhere yet. With large models it takes thousands of pictures.

    Args:
        model: What is led; it stays as it is.
        text_encoder: What reads the captions; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures with captions.
        preprocessor: Makes of each picture what is to lead to it.
        steps: Changes of the weights.
        batch: Pictures for each of them.
        learning_rate: How large they are.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
    """
    from nodegraph.training.training_run import TrainingSetup
    from nodegraph.training.whole_networks import control_recipe, train_control_net

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    room = TrainingSetup(ctx, model, text_encoder, vae, dataset, None, plan)
    weights = train_control_net(room, preprocessor)
    assert weights.losses is not None
    return TrainedControlNet(control_recipe(weights, model.dtype), weights, weights.losses)
