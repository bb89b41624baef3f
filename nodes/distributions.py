"""Distributions of predicted labels: counts with confidence intervals, and comparisons."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Context, Latent, Plot, Range, Seed, node
from nodegraph.families.helper_recipes import LatentClassifier

Level = Annotated[float, Range(0.5, 0.999, step=0.005), Advanced()]


class LatentPredictions(NamedTuple):
    """Predictions of a classifier for latents, in order.

    Attributes:
        labels: Predicted object.
        backgrounds: Name of the predicted background.
        confidences: Probability of the predicted label, 0 to 1.
    """

    labels: list[str]
    backgrounds: list[str]
    confidences: list[float]


@node(
    category="latent",
    lane="gpu",
    numerics=True,
    tags=("classification", "label", "predict", "judge", "recognise", "bias"),
)
def ClassifyLatents(
    ctx: Context, latent: list[Latent], classifier: LatentClassifier
) -> LatentPredictions:
    """Predict the object and background of latents without decoding them.

    Args:
        latent: One or several latents without noise, with batches of any size.
        classifier: A classifier from LoadClassifier. tiny/guidance_classifier knows the objects and
            background colors of the model tiny.
    """
    from nodegraph.models.noisy_classifier import classify_latents

    with ctx.weights(classifier, calls_only=True) as judge:
        return LatentPredictions(*classify_latents(judge, latent))


class CountedLabels(NamedTuple):
    """How often each label occurs.

    Attributes:
        plot: Bars with confidence intervals.
        card: The numbers as text, and their limitations.
        labels: Labels in the order of the plot.
        shares: Share of each label, 0 to 1.
    """

    plot: Plot
    card: str
    labels: list[str]
    shares: list[float]


@node(
    category="plot",
    version=2,
    tags=("bias audit", "fairness", "histogram", "confidence interval", "Wilson", "bootstrap"),
)
def LabelDistribution(
    labels: list[str],
    categories: list[str] | None = None,
    groups: list[str] | None = None,
    name: str = "",
    title: str = "",
    level: Level = 0.95,
    seed: Annotated[int, Seed(), Advanced()] = 0,
) -> CountedLabels:
    """Count how often each label occurs, with confidence intervals, for example for a bias audit.

    Args:
        labels: Predicted label of each image, from a classifier.
        categories: All possible labels, so that those with a count of zero are shown too.
        groups: Group of each image, for example its prompt. Intervals then come from a bootstrap
            over prompts, because images of one prompt are similar. Without groups they are Wilson
            intervals.
        name: Name of the model or prompt in the legend.
        title: Title of the plot and the card.
        level: Confidence level. 0.95 misses the true value one time in twenty.
        seed: Seed of the bootstrap.
    """
    from nodegraph.media.plots import distributions as counted

    distribution = counted.distribution(labels, categories or (), groups or (), level, seed)
    plot = counted.distribution_plot(distribution, name, title)
    card = counted.distribution_card(distribution, title or name, grouped=bool(groups))
    return CountedLabels(plot, card, list(distribution.labels), list(distribution.shares))


class ComparedLabels(NamedTuple):
    """How two label distributions differ.

    Attributes:
        plot: Bars of both, with confidence intervals.
        differences: Differences of the shares, second minus first, with confidence intervals.
        card: The numbers as text, and their limitations.
        chance: p-value of a permutation test: the probability of a difference this large if there
            were none.
    """

    plot: Plot
    differences: Plot
    card: str
    chance: float


@node(
    category="plot",
    version=2,
    tags=("bias audit", "fairness", "chi-squared", "significance", "p-value", "two models"),
)
def CompareDistributions(
    first: list[str],
    second: list[str],
    categories: list[str] | None = None,
    first_groups: list[str] | None = None,
    second_groups: list[str] | None = None,
    first_name: str = "first",
    second_name: str = "second",
    title: str = "",
    level: Level = 0.95,
    seed: Annotated[int, Seed(), Advanced()] = 0,
) -> ComparedLabels:
    """Compare the label distributions of two models or prompts: differences, intervals and a test.

    Images of one prompt are similar. If there are several images per prompt, link the prompts as
    groups. Without groups, the test finds differences that do not exist.

    Args:
        first: Labels of the images of one model or prompt.
        second: Labels of the other. The number of images may differ.
        categories: All possible labels.
        first_groups: Group of each image of the first, for example its prompt. The test then
            permutes whole groups, and intervals resample groups. If not linked, images are treated
            as independent.
        second_groups: The same for the second. Prompts that occur in both are compared with each
            other.
        first_name: Name of the first.
        second_name: Name of the second.
        title: Title of the plots and the card.
        level: Confidence level. 0.95 misses the true value one time in twenty.
        seed: Seed of the permutations and the bootstrap.
    """
    from nodegraph.media.plots import distributions as counted

    comparison = counted.compare_distributions(
        first,
        second,
        categories or (),
        level,
        seed,
        first_groups=first_groups or (),
        second_groups=second_groups or (),
    )
    names = (first_name, second_name)
    return ComparedLabels(
        counted.comparison_plot(comparison, names, title),
        counted.difference_plot(comparison, names, title),
        counted.comparison_card(comparison, names, title),
        comparison.p_value,
    )
