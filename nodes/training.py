"""Training on datasets: LoRA, full fine-tuning, textual inversion, ControlNet."""

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
    PromptText,
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
    """The trained LoRA, and the model and text encoder with it.

    Attributes:
        losses: Loss of each step.
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
    """Train a LoRA on a few images of a style or subject.

    The output model includes the LoRA and is ready to sample. A training that was stopped continues
    later from its last state, with bit-identical results.

    Args:
        model: The model to train. Its original weights do not change.
        text_encoder: The text encoder of the same model. It encodes the captions.
        vae: The VAE of the same model. It encodes the images.
        dataset: Images with captions.
        kept: Regularization images, for example made by the model itself, with captions that do not
            contain the new words. They keep a style from spreading to all images. Each batch has as
            many of them.
        steps: Number of optimizer steps.
        batch: Images per step.
        learning_rate: Learning rate. 1e-4 for large models, up to 2e-3 for small ones.
        rank: Rank of the LoRA: 4 to 16 for a style, 32 and up for more.
        alpha: LoRA alpha. The LoRA is scaled by alpha / rank. 0 uses the rank, which is a scale of
            1.
        layers: Layers to train. all includes convolutions, which helps for a style.
        seed: Seed of all random choices of the training.
        options: More options, from TrainingSettings.
        samples: Sample images during training, from WatchTraining.
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
    """A model with fine-tuned weights.

    Attributes:
        losses: Loss of each step.
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
    """Fine-tune all weights of a model: for small models, or much data.

    A LoRA takes far less memory.

    Args:
        model: The model to train. A copy of it in float32 is trained.
        text_encoder: The text encoder of the same model. It encodes the captions.
        vae: The VAE of the same model. It encodes the images.
        dataset: Images with captions.
        kept: Regularization images, whose look should not change. See TrainLoRA.
        steps: Number of optimizer steps.
        batch: Images per step.
        learning_rate: Learning rate. 1e-6 to 1e-5 for large models.
        seed: Seed of all random choices of the training.
        options: More options, from TrainingSettings.
        samples: Sample images during training, from WatchTraining.
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
    prompt: Annotated[str, PromptText()] = "a photo of sks dog",
    class_prompt: Annotated[str, PromptText()] = "a photo of a dog",
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
    """Train a LoRA on a few images of a subject, with prior preservation of its class (DreamBooth).

    The model first generates images of the class. The training uses them together with the subject,
    so that the model can still generate the class. `kept_weight` of TrainingSettings is their
    weight.

    Args:
        model: The model to train. Its original weights do not change.
        text_encoder: The text encoder of the same model. It encodes the prompts.
        vae: The VAE of the same model. It encodes the images.
        dataset: Images of the subject. Their captions are not used.
        prompt: Prompt for the subject: its class with a rare word before it.
        class_prompt: Prompt for the class.
        class_pictures: Number of class images to generate. 0 uses none, and the whole class then
            becomes the subject.
        steps: Number of optimizer steps.
        batch: Images of the subject per step. As many class images are added.
        learning_rate: Learning rate.
        rank: Rank of the LoRA.
        layers: Layers to train.
        seed: Seed of all random choices of the training.
        options: More options, from TrainingSettings.
        samples: Sample images during training, from WatchTraining.
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
    """A text encoder with a new word.

    Attributes:
        losses: Loss of each step.
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
    template: Annotated[str, PromptText()] = "a photo of {}",
    vectors: Annotated[int, Range(1, 75)] = 1,
    steps: Steps = 500,
    batch: Batch = 4,
    learning_rate: Rate = 5e-3,
    seed: Annotated[int, Seed()] = 0,
    options: TrainingOptions | None = None,
) -> TrainedEmbedding:
    """Train a new word for what images show (textual inversion). The result is a file of a few KB.

    Only the embedding of the word is trained. It works with Stable Diffusion 1.x, 2.x and XL, which
    use CLIP.

    Args:
        model: The model to train the word for.
        text_encoder: The text encoder of the same model. It gets the new word.
        vae: The VAE of the same model. It encodes the images.
        dataset: Images of one object or of one style.
        word: The new word. It must not be an existing word.
        begin: A similar word to start from, for example dog. If empty, it starts from random
            values.
        template: Caption for images whose caption does not contain the word. {} stands for the
            word.
        vectors: Number of tokens for the word. More tokens hold more detail, and leave less room in
            prompts.
        steps: Number of optimizer steps.
        batch: Images per step.
        learning_rate: Learning rate.
        seed: Seed of all random choices of the training.
        options: More options, from TrainingSettings.
    """
    from nodegraph.training.textual_inversion import train_word, with_trained_word
    from nodegraph.training.training_run import TrainingSetup

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    room = TrainingSetup(ctx, model, text_encoder, vae, dataset, None, plan)
    weights = train_word(room, word, begin=begin, vectors=vectors, template=template)
    assert weights.losses is not None
    return TrainedEmbedding(with_trained_word(weights, text_encoder), weights, weights.losses)


class TrainedControlNet(NamedTuple):
    """A trained ControlNet.

    Attributes:
        losses: Loss of each step.
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
    """Train a ControlNet for the output of a preprocessor, for example edges.

    It works with Stable Diffusion 1.x, 2.x and XL. The ControlNet starts as a copy of the UNet
    encoder with zero-initialized outputs. Large models need thousands of images.

    Args:
        model: The model that the ControlNet is for. It does not change.
        text_encoder: The text encoder of the same model. It encodes the captions.
        vae: The VAE of the same model. It encodes the images.
        dataset: Images with captions.
        preprocessor: Makes the control image from each image.
        steps: Number of optimizer steps.
        batch: Images per step.
        learning_rate: Learning rate.
        seed: Seed of all random choices of the training.
        options: More options, from TrainingSettings.
    """
    from nodegraph.training.training_run import TrainingSetup
    from nodegraph.training.whole_networks import control_recipe, train_control_net

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    room = TrainingSetup(ctx, model, text_encoder, vae, dataset, None, plan)
    weights = train_control_net(room, preprocessor)
    assert weights.losses is not None
    return TrainedControlNet(control_recipe(weights, model.dtype), weights, weights.losses)
