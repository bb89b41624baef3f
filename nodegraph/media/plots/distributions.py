"""How often each label came, with intervals, and how far two such distributions are apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from nodegraph.core.plots import Plot, Series
from nodegraph.core.text_format import format_percentage, format_share, pluralize
from nodegraph.errors import InvalidValue

Interval = tuple[float, float]
_ROUNDS = 9999
"""Draws of a bootstrap or a permutation test: the smallest p-value is 1 / 10,000."""
_CARD = (
    "Limits of this plot. A classifier assigns labels, and its errors and blind spots "
    "affect these shares; evaluate it first on images labeled by people. An image that "
    "fits none of its labels is counted as one of them. Intervals cover only random "
    "variation for these prompts, this model and these settings: other words, seeds or "
    "samplers may give other shares. A difference from an even share is not an error, and "
    "an even share does not prove fairness: no measure decides what a share should be. "
    "Labels about people are guesses from their appearance, never facts about a person."
)


@dataclass(frozen=True)
class Distribution:
    """How often each label came.

    Attributes:
        labels: In the order of their places.
        counts: Of each.
        shares: Of all, 0 to 1.
        intervals: Of the shares.
        level: How sure the intervals are.
    """

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    intervals: tuple[Interval, ...]
    level: float

    @property
    def total(self) -> int:
        """All that were counted."""
        return sum(self.counts)


def wilson_interval(count: int, total: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share, 0 to 1: right for few images and for shares near 0.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = count / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(share * (1 - share) / total + (z / total / 2) ** 2)
    # Exactly the ends where rounding would miss them.
    low = max(0.0, middle - half) if count else 0.0
    high = min(1.0, middle + half) if count < total else 1.0
    return low, high


def newcombe_interval(
    first: int, of: int, second: int, of_second: int, level: float = 0.95
) -> Interval:
    """Newcombe's interval of the second share less the first, of independent samples.

    Source: Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I,
    method 10: made of both Wilson intervals.
    """
    first_share, second_share = first / of, second / of_second
    (low1, high1), (low2, high2) = (
        wilson_interval(first, of, level),
        wilson_interval(second, of_second, level),
    )
    down, up = (
        math.hypot(second_share - low2, high1 - first_share),
        math.hypot(high2 - second_share, first_share - low1),
    )
    return second_share - first_share - down, second_share - first_share + up


def distribution(
    labels: Sequence[str],
    categories: Sequence[str] = (),
    groups: Sequence[str] = (),
    level: float = 0.95,
    seed: int = 0,
) -> Distribution:
    """Count labels.

    Args:
        categories: All labels there are, so that those that never came are counted, too; the
            labels that came, most frequent first, if empty.
        groups: What each image was made of, such as its prompt. Images of one prompt are alike,
            so prompts are drawn anew then, whole, and the intervals say how other prompts of their
            kind might do (cluster bootstrap); else Wilson's.
        level: How sure intervals are, such as 0.95.
    Raises:
        InvalidValue: There are no labels, one is no category, or groups are fewer or more.
    """
    names = _names(labels, categories)
    counts = [Counter(labels)[name] for name in names]
    total = len(labels)
    if groups:
        table = np.stack(list(count_by_group(labels, names, groups).values()))
        intervals = _by_groups(table, level, seed)
    else:
        intervals = [wilson_interval(count, total, level) for count in counts]
    shares = tuple(count / total for count in counts)
    return Distribution(names, tuple(counts), shares, tuple(intervals), level)


def _names(labels: Sequence[str], categories: Sequence[str]) -> tuple[str, ...]:
    if not labels:
        raise InvalidValue("there are no labels to count", port="labels")
    counts = Counter(labels)
    names = tuple(dict.fromkeys(categories))
    strange = [name for name in counts if name not in names] if names else []
    if strange:
        raise InvalidValue(
            "some labels are not in the list of categories",
            port="categories",
            given=", ".join(strange[:5]),
            expected="a list of all labels",
        )
    return names or tuple(sorted(counts, key=lambda name: (-counts[name], name)))


Counts = npt.NDArray[np.int64]
"""Of labels, in their order: of one group, (labels,), or of several, (groups, labels)."""


def count_by_group(
    labels: Sequence[str], names: Sequence[str], groups: Sequence[str], port: str = "groups"
) -> dict[str, Counts]:
    """Counts of labels, by group.

    Raises:
        InvalidValue: Groups are fewer or more than labels, or there is only one.
    """
    if len(groups) != len(labels):
        raise InvalidValue(
            "each label needs one group",
            port=port,
            given=str(len(groups)),
            expected=str(len(labels)),
        )
    counts = {group: np.zeros(len(names), np.int64) for group in groups}
    if len(counts) < 2:
        raise InvalidValue("there are fewer than two groups", port=port, given=str(len(counts)))
    for label, group in zip(labels, groups, strict=True):
        counts[group][names.index(label)] += 1
    return counts


def _bootstrap_counts(rng: np.random.Generator, groups: int) -> Counts:
    """How often each of some groups is drawn, in each round of a bootstrap; (rounds, groups)."""
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=_ROUNDS)


def _drawn_shares(table: Counts, drawn: Counts) -> npt.NDArray[np.float64]:
    """Shares of the labels when groups are drawn so often; (rounds, labels)."""
    counts = drawn @ table
    shares: npt.NDArray[np.float64] = counts / counts.sum(1, keepdims=True)
    return shares


def _ends(values: npt.NDArray[np.float64], level: float) -> list[Interval]:
    """Of a bootstrap's values, (rounds, labels), the quantiles that a level leaves in between."""
    ends = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [(float(low), float(high)) for low, high in ends.T]


def _by_groups(table: Counts, level: float, seed: int) -> list[Interval]:
    drawn = _bootstrap_counts(np.random.default_rng(seed), len(table))
    return _ends(_drawn_shares(table, drawn), level)


def _differences_by_groups(
    first: Mapping[str, Counts], second: Mapping[str, Counts], level: float, seed: int
) -> list[Interval]:
    """Of the second shares less the first, when groups are drawn anew: the same ones of both where
    both have the same."""
    rng = np.random.default_rng(seed)
    first_counts, second_counts = np.stack(list(first.values())), np.stack(list(second.values()))
    drawn = _bootstrap_counts(rng, len(first_counts))
    if first.keys() == second.keys():
        again, second_counts = drawn, np.stack([second[group] for group in first])
    else:
        again = _bootstrap_counts(rng, len(second_counts))
    return _ends(_drawn_shares(second_counts, again) - _drawn_shares(first_counts, drawn), level)


def homogeneity(first: Sequence[int], second: Sequence[int], seed: int = 0) -> float:
    """Chance of two samples as far apart, or further, if both were of one distribution.

    By a permutation test of the chi-squared statistic, which is right for small counts, too.

    Args:
        first, second: Counts of the same labels, in the same order.
    """
    first_counts, second_counts = np.asarray(first), np.asarray(second)
    both = first_counts + second_counts
    rng = np.random.default_rng(seed)
    return _p_value(
        first_counts, both, rng.multivariate_hypergeometric(both, first_counts.sum(), size=_ROUNDS)
    )


def homogeneity_of_groups(
    first: Mapping[str, Counts], second: Mapping[str, Counts], seed: int = 0
) -> float:
    """The same of two samples whose images come in groups, such as of one prompt.

    Images of a group are alike, so groups are permuted whole: one that both samples have changes
    its two parts, and the others are dealt out to the samples anew.

    Args:
        first, second: Counts of the same labels, in the same order, by group.
    """
    first_counts, second_counts = (np.stack(list(each.values())).sum(0) for each in (first, second))
    rng = np.random.default_rng(seed)
    drawn = np.zeros((_ROUNDS, len(first_counts)), np.int64)
    if shared := [group for group in first if group in second]:
        ours, theirs = (np.stack([each[group] for group in shared]) for each in (first, second))
        changed = rng.integers(2, size=(_ROUNDS, len(shared)))
        drawn += ours.sum(0) + changed @ (theirs - ours)
    alone = [first[group] for group in first if group not in second]
    others = [second[group] for group in second if group not in first]
    if alone or others:
        dealt = np.repeat([1, 0], [len(alone), len(others)])
        places = rng.permuted(np.tile(dealt, (_ROUNDS, 1)), axis=1)
        drawn += places @ np.stack([*alone, *others])
    return _p_value(first_counts, first_counts + second_counts, drawn)


def _p_value(sample: Counts, both: Counts, drawn: Counts) -> float:
    """The share of permutations that are as far from homogeneous as a sample, or further.

    Args:
        sample: Counts of the sample; `both`: of all.
        drawn: Of its permutations, (rounds, labels).
    """
    observed = _chi_squared(sample[None], both)[0]
    # What is equal counts as further: sums of floats differ in their last bits.
    further = (_chi_squared(drawn, both) >= observed - 1e-9 * max(1.0, observed)).sum()
    return float((further + 1) / (len(drawn) + 1))


def _chi_squared(counts: Counts, both: Counts) -> npt.NDArray[np.float64]:
    """Of samples, (n, labels), of all, (labels,); the other sample is the rest."""
    is_present = both > 0
    sizes, total = counts.sum(1, keepdims=True), both.sum()
    expected = both[is_present] * sizes / total
    apart = (counts[:, is_present] - expected) ** 2
    sums: npt.NDArray[np.float64] = (apart / expected).sum(1) * (total / (total - sizes[:, 0]))
    return sums


@dataclass(frozen=True)
class DistributionComparison:
    """How the second of two distributions differs from the first.

    Attributes:
        first, second: Over the same labels.
        differences: Of the shares, second less first.
        intervals: Of these.
        p_value: Of samples as far apart if there were no difference; see `homogeneity`.
        distance: Half the sum of what shares differ by, 0 to 1 (total variation).
        groups: How many the two have, if images come in groups; else None.
    """

    first: Distribution
    second: Distribution
    differences: tuple[float, ...]
    intervals: tuple[Interval, ...]
    p_value: float
    distance: float
    groups: tuple[int, int] | None = None


def compare_distributions(
    first: Sequence[str],
    second: Sequence[str],
    categories: Sequence[str] = (),
    level: float = 0.95,
    seed: int = 0,
    *,
    first_groups: Sequence[str] = (),
    second_groups: Sequence[str] = (),
) -> DistributionComparison:
    """Compare the labels of two sets of images.

    Args:
        first_groups, second_groups: What each image was made of, such as its prompt; see
            `distribution` and `homogeneity_of_groups`. Of both sets, or of none: images are then
            taken for independent.
    Raises:
        InvalidValue: A set is empty, a label is no category, or groups don't fit.
    """
    for port, labels in (("first", first), ("second", second)):
        if not labels:
            raise InvalidValue("there are no labels to count", port=port)
    names = _names([*first, *second], categories)
    if first_groups or second_groups:
        tables = (
            count_by_group(first, names, first_groups, "first_groups"),
            count_by_group(second, names, second_groups, "second_groups"),
        )
        first_dist = distribution(first, names, first_groups, level, seed)
        second_dist = distribution(second, names, second_groups, level, seed)
        intervals = _differences_by_groups(*tables, level, seed)
        comparison = _comparison(
            first_dist, second_dist, intervals, homogeneity_of_groups(*tables, seed)
        )
        return replace(comparison, groups=(len(tables[0]), len(tables[1])))
    first_dist, second_dist = (
        distribution(labels, names, level=level) for labels in (first, second)
    )
    pairs = zip(first_dist.counts, second_dist.counts, strict=True)
    intervals = [
        newcombe_interval(a, first_dist.total, b, second_dist.total, level) for a, b in pairs
    ]
    return _comparison(
        first_dist, second_dist, intervals, homogeneity(first_dist.counts, second_dist.counts, seed)
    )


def _comparison(
    first: Distribution, second: Distribution, intervals: Sequence[Interval], chance: float
) -> DistributionComparison:
    differences = tuple(b - a for a, b in zip(first.shares, second.shares, strict=True))
    distance = sum(abs(each) for each in differences) / 2
    return DistributionComparison(first, second, differences, tuple(intervals), chance, distance)


def distribution_plot(dist: Distribution, name: str = "", title: str = "") -> Plot:
    """Bars with whiskers."""
    note = f"{dist.total} images; whiskers are {_percent(dist.level)} intervals."
    return Plot(title, "", "share of images", (_bars(dist, name),), notes=(note,))


def comparison_plot(pair: DistributionComparison, names: tuple[str, str], title: str = "") -> Plot:
    """Bars of both, side by side."""
    both = (pair.first, pair.second)
    note = (
        f"{pair.first.total} and {pair.second.total} images; whiskers are "
        f"{_percent(pair.first.level)} intervals; p = {pair.p_value:.4f}."
    )
    series = tuple(_bars(each, name) for each, name in zip(both, names, strict=True))
    return Plot(title, "", "share of images", series, notes=(note,))


def difference_plot(pair: DistributionComparison, names: tuple[str, str], title: str = "") -> Plot:
    """Points of the differences, with whiskers: where one keeps clear of 0, shares differ."""
    low, high = zip(*pair.intervals, strict=True)
    series = Series("", pair.first.labels, pair.differences, "points", low, high)
    note = f"{names[1]} minus {names[0]}; whiskers are {_percent(pair.first.level)} intervals."
    return Plot(title, "", "difference of shares", (series,), notes=(note,))


def _bars(dist: Distribution, name: str) -> Series:
    low, high = zip(*dist.intervals, strict=True)
    return Series(name, dist.labels, dist.shares, "bars", low, high)


def distribution_card(dist: Distribution, about: str = "", *, grouped: bool = False) -> str:
    """The figures as text, and what they can't show."""
    kind = "the choice of prompts of this kind (bootstrap)" if grouped else "chance (Wilson)"
    head = f"{about or 'Labels'}: {pluralize(dist.total, 'image')}"
    lines = [f"{head}, {_percent(dist.level)} intervals of {kind}"]
    rows = zip(dist.labels, dist.counts, dist.shares, dist.intervals, strict=True)
    for name, count, share, interval in rows:
        counted, shown = f"{count} of {dist.total}", format_share(share, dist.total)
        parts = dict.fromkeys((counted, shown))  # one and the same of few images
        low, high = (format_percentage(end, dist.total) for end in interval)
        lines.append(f"{name}: {', '.join(parts)} ({low} to {high})")
    return "\n".join([*lines, "", _several(len(dist.labels), dist.level), _CARD])


def comparison_card(pair: DistributionComparison, names: tuple[str, str], about: str = "") -> str:
    """The same of two distributions."""
    first_name, second_name = names
    fewest = min(pair.first.total, pair.second.total)
    lines = [
        f"{about or 'Labels'}: {first_name}, {pair.first.total} images; {second_name}, "
        f"{pair.second.total} images",
        (
            f"Distance of the distributions: {format_percentage(pair.distance, fewest)} of the "
            "images would need other labels to make them equal."
        ),
        (
            "Probability of this distance by chance, if there were no difference: p = "
            f"{pair.p_value:.4f} (permutation test{_of_groups(pair)})"
        ),
    ]
    rows: Mapping[str, tuple[float, Interval]] = dict(
        zip(pair.first.labels, zip(pair.differences, pair.intervals, strict=True), strict=True)
    )
    shares = zip(rows.items(), pair.first.shares, pair.second.shares, strict=True)
    for (name, (change, interval)), a, b in shares:
        before, after = format_share(a, pair.first.total), format_share(b, pair.second.total)
        ends = (format_percentage(each, fewest, has_sign=True) for each in (change, *interval))
        lines.append("{}: {} → {}, {} ({} to {})".format(name, before, after, *ends))
    apart = [_INDEPENDENT] if pair.groups is None else []
    return "\n".join([*lines, "", _several(len(rows), pair.first.level), *apart, _CARD])


_INDEPENDENT = (
    "All images are treated as independent. If several images come from one prompt, "
    "give the prompts as groups; without groups, differences may be reported where there "
    "are none. With equal seeds, the intervals are slightly too wide."
)


def _percent(level: float) -> str:
    return f"{100 * level:.4g}%"


def _of_groups(pair: DistributionComparison) -> str:
    if pair.groups is None:
        return ""
    first, second = pair.groups
    return f" of whole groups, {first} and {second}; intervals resample groups (bootstrap)"


def _several(count: int, level: float) -> str:
    missed = 1 - level
    return (
        f"Each interval misses its share one time in {1 / missed:.0f}; for {count} "
        f"intervals, {count * missed:.1f} misses are expected."
    )
