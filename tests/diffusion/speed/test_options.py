"""Speed options in recipes: what was asked for comes back, and shares the weights below."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.digests import digest_value
from nodegraph.core.values import Adapter, DiffusionModel, RecipeFile
from nodegraph.errors import InvalidValue
from nodegraph.families.speed_options import (
    ATTENTIONS,
    Broadcast,
    FirstBlock,
    Magnitude,
    SpeedOptions,
    StepCaching,
    Taylor,
    check_caching,
    find_step_cache,
    parse_ratios,
    read_speed_options,
    speed_text,
    with_caching,
    with_speed,
)
from tests.messages import raises

RECIPE = DiffusionModel(
    "flux", (RecipeFile("transformer", "nowhere", "0" * 64),), options=(("storage", "int8"),)
)
NUMBERS = st.floats(0.001, 0.9)
COUNTS = st.integers(2, 90)


@given(
    st.builds(
        SpeedOptions, st.booleans(), st.booleans(), st.booleans(), st.sampled_from(ATTENTIONS)
    ),
    st.one_of(
        st.builds(FirstBlock, NUMBERS),
        st.builds(Magnitude, NUMBERS, COUNTS, NUMBERS, st.lists(NUMBERS).map(tuple)),
        st.builds(Taylor, COUNTS, COUNTS, st.integers(0, 4), st.booleans()),
        st.builds(Broadcast, COUNTS, COUNTS, st.just(1.0), NUMBERS),
    ),
)
def test_what_is_asked_for_comes_back(speed: SpeedOptions, caching: StepCaching) -> None:
    recipe = with_caching(with_speed(RECIPE, speed), caching)
    assert (read_speed_options(recipe), find_step_cache(recipe)) == (speed, caching)
    assert recipe.option("storage") == "int8"
    assert list(recipe.options) == sorted(recipe.options)
    assert recipe.base == RECIPE
    assert recipe.is_derived


def test_nothing_asked_for_is_the_recipe_itself() -> None:
    assert with_speed(RECIPE, SpeedOptions()) == RECIPE
    assert not RECIPE.is_derived
    assert find_step_cache(RECIPE) is None
    assert speed_text(RECIPE) == ""


def test_options_are_in_a_recipe_s_digest_and_told() -> None:
    found = [with_caching(RECIPE, FirstBlock(at)) for at in (0.1, 0.2)]
    assert len({digest_value(item) for item in (RECIPE, *found)}) == 3
    asked = with_speed(found[0], SpeedOptions(compiled=True, attention="math"))
    told = "attention math, cache first_block, cache.threshold 0.1, compiled"
    assert speed_text(asked) == told


def test_the_base_is_without_adapters_too() -> None:
    adapted = replace(RECIPE, adapters=(Adapter("lora", "a", "1" * 64),))
    assert with_speed(adapted, SpeedOptions(compiled=True)).base == RECIPE


def test_speed_is_chosen_anew_by_the_last() -> None:
    first = with_speed(with_caching(RECIPE, FirstBlock()), SpeedOptions(compiled=True))
    second = with_speed(first, SpeedOptions(fused=True))
    assert read_speed_options(second) == SpeedOptions(fused=True)
    assert find_step_cache(second) == FirstBlock()


def test_one_step_cache_at_a_time() -> None:
    with raises(InvalidValue, port="model"):
        with_caching(with_caching(RECIPE, FirstBlock()), Taylor())


@pytest.mark.parametrize(
    ("caching", "port"),
    [
        (FirstBlock(-0.1), "threshold"),
        (FirstBlock(float("nan")), "threshold"),
        (Magnitude(most=0), "most"),
        (Magnitude(retained=1.5), "retained"),
        (Magnitude(ratios=(1.0, 0.0)), "ratios"),
        (Taylor(interval=1), "interval"),
        (Taylor(order=5), "order"),
        (Broadcast(own=0), "own"),
        (Broadcast(noisiest=0.1, cleanest=0.1), "cleanest"),
    ],
)
def test_numbers_out_of_range_are_refused(caching: StepCaching, port: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_caching(caching)
    assert caught.value.problem.port == port


def test_ratios_are_read_as_diffusers_prints_them() -> None:
    assert parse_ratios("[1.0, 1.21094, 0.98]\n") == (1.0, 1.21094, 0.98)
    assert parse_ratios("") == ()
    with raises(InvalidValue, port="ratios", given="1.0, many"):
        parse_ratios("1.0, many")
