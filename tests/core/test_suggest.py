"""Did you mean."""

from __future__ import annotations

import pytest

from nodegraph.core.suggest import did_you_mean, nearest
from nodegraph.families.sampler_names import SAMPLER_NAMES, SCHEDULE_NAMES


def test_the_nearest_name_is_found_whatever_its_case() -> None:
    assert nearest("ksampler", ["KSampler", "VAEDecode"]) == "KSampler"
    assert nearest("KSamplr", ["KSampler", "VAEDecode"]) == "KSampler"


@pytest.mark.parametrize(
    ("short", "name"),
    [
        ("dpm2m", "dpmpp_2m"),
        ("dpm++2m", "dpmpp_2m"),
        ("euler_a", "euler_ancestral"),
        ("dpm2msde", "dpmpp_2m_sde"),
        ("EncPrompt", "EncodePrompt"),
        ("neg", "negative"),
        ("cond", "conditioning"),
        ("start", "start_step"),
    ],
)
def test_an_abbreviation_is_the_name_that_it_shortens(short: str, name: str) -> None:
    names = [
        *("dpm_2", "dpm_2_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "euler", "euler_ancestral"),
        *("EncodePrompt", "EncodePromptApart", "KSampler", "VAEDecode", "VAEEncode"),
        *("negative", "positive", "conditioning", "start_step", "steps"),
    ]
    assert nearest(short, names) == name


def test_what_could_be_short_for_several_names_is_none() -> None:
    assert nearest("vae", ["VAEDecode", "VAEEncode"]) is None


def test_nothing_near_is_nothing() -> None:
    assert nearest("xyz", ["KSampler"]) is None
    assert nearest("xyz", []) is None


def test_a_hint_names_the_nearest_or_lists_the_valid_names() -> None:
    assert did_you_mean("stepz", ["steps", "seed"]) == "Did you mean `steps`?"
    assert did_you_mean("zzz", ["b", "a"]) == "Valid: a, b."
    assert did_you_mean("zzz", "abcd", listed=2) == "Valid: a, b and 2 more."
    assert did_you_mean("zzz", []) == ""


def test_among_thousands_only_the_case_may_differ() -> None:
    names = [f"node{number}" for number in range(5000)]
    assert nearest("NODE77", names) == "node77"
    assert nearest("nod77", names) is None


def test_samplers_and_node_types_are_found_by_their_abbreviations() -> None:
    assert nearest("dpm2m", SAMPLER_NAMES) == "dpmpp_2m"
    assert nearest("dpm2msde", SAMPLER_NAMES) == "dpmpp_2m_sde"
    assert nearest("exp", SCHEDULE_NAMES) == "exponential"


def test_names_of_many_like_words_are_compared_without_trying_all_ways() -> None:
    """Each word more made it three times as slow: this took longer than anybody would wait."""
    name = "_".join(["aaa"] * 40)
    assert nearest("a" * 60, [name]) == name
    assert nearest("a" * 60 + "z", [name]) is None
