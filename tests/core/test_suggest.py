"""Did you mean."""

from __future__ import annotations

from nodegraph.core.suggest import did_you_mean, nearest


def test_the_nearest_name_is_found_whatever_its_case() -> None:
    assert nearest("ksampler", ["KSampler", "VAEDecode"]) == "KSampler"
    assert nearest("KSamplr", ["KSampler", "VAEDecode"]) == "KSampler"


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
