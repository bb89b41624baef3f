import numpy as np
import pytest

from training import captions
from training.config import ROOT
from training.objects import COLOUR_WORDS, PALETTE, ObjectSpec, load_objects

APPLE = ObjectSpec(0x1F34E, ("red apple", "apple"), "red apples")
GRAPES = ObjectSpec(0x1F347, ("grapes",), "grapes", counted=False)
CAR = ObjectSpec(0x1F697, ("car",), "cars", hue="red", tints=("blue", "green"))


def drawn(make, count=200):
    rng = np.random.default_rng(0)
    return {make(rng) for _ in range(count)}


def test_the_list_is_long_and_its_names_are_distinct_and_lower_case():
    objects = load_objects(ROOT / "training/objects.json")
    names = [name for item in objects for name in item.names]
    assert len(objects) >= 600
    assert len(set(names)) == len(names)
    assert all(name == name.lower() for name in names)
    assert all(item.plural for item in objects)


def test_a_tint_is_held_out_of_training_and_never_names_another_object():
    objects = load_objects(ROOT / "training/objects.json")
    names = {name for item in objects for name in item.names}
    tinted = [item for item in objects if item.tints]
    assert len(tinted) > 200
    for item in tinted:
        assert item.held_out in item.tints
        assert item.held_out not in item.taught
        assert item.hue not in item.tints
        assert not {f"{tint} {name}" for tint in item.tints for name in item.plain_names} & names


def test_fewer_objects_can_be_taken():
    assert len(load_objects(ROOT / "training/objects.json", 24)) == 24


def test_a_name_given_twice_is_refused(tmp_path):
    path = tmp_path / "objects.json"
    path.write_text(
        '[{"code_point": "1F34E", "name": "apple"}, {"code_point": "1F34F", "name": "apple"}]'
    )
    with pytest.raises(ValueError, match="apple"):
        load_objects(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("apple", "an"), ("dog", "a"), ("unicorn", "a"), ("hourglass", "an"), ("ufo", "a")],
)
def test_the_article_follows_the_sound(name, expected):
    assert captions.article(name) == expected


def test_the_article_is_optional_and_synonyms_are_used():
    seen = drawn(lambda rng: captions.noun(APPLE, rng))
    assert {"red apple", "a red apple", "apple", "an apple"} <= seen


def test_what_is_not_counted_takes_no_article():
    seen = drawn(lambda rng: captions.noun(GRAPES, rng))
    assert not any(words.split()[0] in {"a", "an"} for words in seen)


def test_a_size_and_a_colour_come_before_the_name():
    seen = drawn(lambda rng: captions.noun(CAR, rng, size="small", tint="blue"))
    assert {"a small blue car", "small blue car"} <= seen
    assert all("red" not in words for words in seen)


def test_the_colour_that_a_thing_has_is_said_now_and_then():
    seen = drawn(lambda rng: captions.noun(CAR, rng))
    assert {"a car", "a red car"} <= seen


def test_several_are_counted_in_the_plural():
    seen = drawn(lambda rng: captions.noun(CAR, rng, count=2, tint="blue"))
    assert {"two blue cars", "2 blue cars", "a pair of blue cars", "blue cars"} <= seen
    assert "three cars" in drawn(lambda rng: captions.noun(CAR, rng, count=3))


def test_a_coloured_plural_drops_the_colour_of_its_own():
    seen = drawn(lambda rng: captions.noun(APPLE, rng, count=2, tint="blue"))
    assert "two blue apples" in seen
    assert all("red" not in words for words in seen)


def test_words_that_mean_nothing_stand_before_a_name():
    seen = drawn(lambda rng: captions.noun(GRAPES, rng), 500)
    assert "funny grapes" in seen
    assert all(words.endswith("grapes") for words in seen)


@pytest.mark.parametrize("position", captions.POSITIONS)
def test_a_place_is_named(position):
    for words in drawn(lambda rng: captions.place(position, rng)):
        assert set(position.split()) <= set(words.split()) | {"center"}
        assert words or position == "center"


def test_the_first_of_two_objects_is_on_the_left():
    seen = drawn(lambda rng: captions.relation("grapes", "an apple", False, rng))
    assert {"grapes and an apple", "an apple right of grapes", "grapes beside an apple"} <= seen
    assert "an apple and grapes" not in seen


def test_the_first_of_two_stacked_objects_is_above():
    seen = drawn(lambda rng: captions.relation("grapes", "an apple", True, rng))
    assert {"grapes above an apple", "an apple below grapes"} <= seen
    assert "grapes below an apple" not in seen


def test_meaningless_words_are_added_at_the_end_or_stand_alone():
    seen = drawn(lambda rng: captions.embellish("a cat", rng), 2000)
    assert "a cat" in seen
    assert any(caption.startswith("a cat, ") for caption in seen)
    assert any("cat" not in caption for caption in seen)


def test_only_white_goes_unsaid():
    assert "x" in drawn(lambda rng: captions.with_background("x", "white", rng))
    for colour in set(PALETTE) - {"white"}:
        for caption in drawn(lambda rng, c=colour: captions.with_background("x", c, rng), 20):
            assert any(word in caption for word in COLOUR_WORDS[colour])
