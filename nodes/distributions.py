"""What a model shows how often: labels counted with intervals, and compared."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Context, Latent, Plot, Range, Seed, node
from nodegraph.families.helper_recipes import LatentClassifier

Level = Annotated[float, Range(0.5, 0.999, step=0.005), Advanced()]


class LatentPredictions(NamedTuple):
    """What a classifier says of latents, in their order.

    Attributes:
        labels: What they show.
        backgrounds: The names of what is behind it.
        confidences: How likely it takes each label to be, 0 to 1.
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
    """Say what latents show, and on what background, without decoding them.

    Args:
        latent: One or several, of batches of any size; without noise.
        classifier: Of LoadClassifier: tiny/guidance_classifier knows the things and the background
            colours of the model tiny.
    """
    from nodegraph.models.noisy_classifier import classify_latents

    with ctx.weights(classifier, calls_only=True) as judge:
        return LatentPredictions(*classify_latents(judge, latent))


class CountedLabels(NamedTuple):
    """How often each label came.

    Attributes:
        plot: Bars with intervals.
        card: The figures as text, and what they can't show.
        labels: In the plot's order.
        shares: Of each, 0 to 1.
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
    """Count how often each label came, with confidence intervals, such as for a bias audit.

    Args:
        labels: What a classifier says of each picture.
        categories: All labels there are, so that those that never came show as well.
        groups: What each picture was made of, such as its prompt: intervals are then of drawing
            prompts anew (bootstrap), as pictures of one prompt are alike; else of chance (Wilson).
        name: Of the model or prompt, in the legend.
        title: Above the plot and the card.
        level: How sure intervals are: 0.95 misses one time in twenty.
        seed: Of the bootstrap.
    """
    from nodegraph.media.plots import distributions as counted

    distribution = counted.distribution(labels, categories or (), groups or (), level, seed)
    plot = counted.distribution_plot(distribution, name, title)
    card = counted.distribution_card(distribution, title or name, grouped=bool(groups))
    return CountedLabels(plot, card, list(distribution.labels), list(distribution.shares))


class ComparedLabels(NamedTuple):
    """How two distributions of labels differ.

    Attributes:
        plot: Bars of both, with intervals.
        differences: Of the shares, second less first, with intervals.
        card: The figures as text, and what they can't show.
        chance: Of sets as far apart if there were no difference (p-value of a permutation test).
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
    """Compare which labels two models or prompts give: differences with intervals, and a test.

    Pictures of one prompt are alike. Where there are several of each, link their prompts as groups:
    without, the test finds differences where there are none.

    Args:
        first: Labels of the pictures of one model or prompt.
        second: Of the other; as many or not.
        categories: All labels there are.
        first_groups: What each picture of the first was made of, such as its prompt: the test then
            permutes groups whole, and intervals are of drawing groups anew. Not linked: pictures
            are taken for independent.
        second_groups: The same of the second; prompts that both have are compared with each other.
        first_name: What the first is called.
        second_name: What the second is called.
        title: Above the plots and the card.
        level: How sure intervals are: 0.95 misses one time in twenty.
        seed: Of the permutations that are drawn, and of the bootstrap.
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
