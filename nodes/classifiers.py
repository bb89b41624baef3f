"""Classifiers: taught, and asked what pictures show."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Context, Dataset, Image, MultipleOf, Plot, Range, Seed, TrainedWeights, node
from nodegraph.training.options import ClassifierSize, TrainingOptions, TrainingPlan

from .training import Batch, Rate, Steps


class TrainedClassifier(NamedTuple):
    """A classifier that was taught.

    Attributes:
        accuracy: Share of the pictures of the split validation that it tells right; of those that
            it learned from, where there are none.
        losses: Of each step.
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
    """Teach a small network from nothing to tell the labels of pictures.

    It is written as transformers reads it: a ConvNeXt with its preparation.

    Args:
        dataset: Pictures with labels. It is judged by those of the split validation.
        steps: Changes of the weights.
        batch: Pictures for each of them.
        learning_rate: How large they are.
        size: How much it can learn: tiny has 0.2 million weights, small 1.6, medium 8.
        side: Pixels of the square that pictures are brought to.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings. What is about noise isn't heeded.
    """
    from nodegraph.training.classifiers import train_classifier

    plan = TrainingPlan(steps, batch, learning_rate, seed, options or TrainingOptions())
    judged = train_classifier(ctx, dataset, plan, size, side)
    ctx.log(f"{judged.correct} of {judged.evaluated} pictures that it is judged by are told right")
    assert judged.weights.losses is not None
    return TrainedClassifier(judged.weights, judged.accuracy, judged.weights.losses)


class PredictedClasses(NamedTuple):
    """What a classifier says of pictures, in their order.

    Attributes:
        confidences: How likely it takes each label to be, 0 to 1.
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
    """Say which class each picture of a batch is of, by a classifier that was taught.

    Args:
        image: Of any size.
        classifier: Of TrainClassifier.
    """
    from nodegraph.training.classifiers import classify_pictures

    answers = classify_pictures(classifier, image, ctx.device)
    return PredictedClasses([item.label for item in answers], [item.share for item in answers])
