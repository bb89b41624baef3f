"""Image classifiers: train and apply them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Context, Dataset, Image, MultipleOf, Plot, Range, Seed, TrainedWeights, node
from nodegraph.training.options import ClassifierSize, TrainingOptions, TrainingPlan

from .training import Batch, Rate, Steps


class TrainedClassifier(NamedTuple):
    """A trained classifier.

    Attributes:
        accuracy: Share of the validation images that are classified correctly. Without a validation
            split, share of the training images.
        losses: Training loss of each step.
    """

    classifier: TrainedWeights
    accuracy: float
    losses: Plot


@node(
    category="training",
    label="Train classifier",
    lane="gpu",
    numerics=True,
    tags=("classification", "labels", "convnext", "image classifier", "learn"),
)
def TrainClassifier(
    ctx: Context,
    dataset: Dataset,
    *,
    steps: Steps = 300,
    batch: Batch = 16,
    learning_rate: Rate = 1e-3,
    size: ClassifierSize = "tiny",
    side: Annotated[int, Range(32, 1024), MultipleOf(32)] = 64,
    seed: Annotated[int, Seed()] = 0,
    options: TrainingOptions | None = None,
) -> TrainedClassifier:
    """Train a small image classifier from scratch on a labeled dataset.

    The weights are saved in the format of transformers: a ConvNeXt with its image processor.

    Args:
        dataset: Images with labels. The accuracy is measured on the validation split.
        steps: Number of training steps.
        batch: Images per step.
        learning_rate: Learning rate.
        size: Size of the network: tiny has 0.2 million weights, small 1.6, medium 8.
        side: Side of the square, in pixels, to which images are resized.
        seed: Random seed of the training.
        options: More settings, from TrainingSettings. Settings about noise have no effect.
    """
    from nodegraph.training.classifiers import train_classifier

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    judged = train_classifier(ctx, dataset, plan, size, side)
    ctx.log(f"accuracy: {judged.correct} of {judged.evaluated} images are classified correctly")
    assert judged.weights.losses is not None
    return TrainedClassifier(judged.weights, judged.accuracy, judged.weights.losses)


class PredictedClasses(NamedTuple):
    """Predicted classes of images, in the order of the batch.

    Attributes:
        confidences: Probability of the predicted label, 0 to 1.
    """

    labels: list[str]
    confidences: list[float]


@node(
    category="training",
    label="Classify images",
    lane="gpu",
    numerics=True,
    tags=("classification", "label", "predict", "judge"),
)
def ClassifyImages(ctx: Context, image: Image, classifier: TrainedWeights) -> PredictedClasses:
    """Predict the class of each image of a batch with a trained classifier.

    Args:
        image: Images of any size.
        classifier: A classifier from TrainClassifier.
    """
    from nodegraph.training.classifiers import classify_pictures

    answers = classify_pictures(classifier, image, ctx.device)
    return PredictedClasses([item.label for item in answers], [item.share for item in answers])
