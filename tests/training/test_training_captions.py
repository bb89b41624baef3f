import numpy as np
import pytest

from training import captions
from training.config import ROOT
from training.objects import COLOUR_WORDS, PALETTE, ObjectSpec, load_objects

APPLE = ObjectSpec(0x1F34E, ("red apple", "apple"))
GRAPES = ObjectSpec(0x1F347, ("grapes",), counted=False)


def drawn(make, count=200):
    rng = np.random.default_rng(0)
    return {make(rng) for _ in range(count)}


def test_the_list_holds_sixty_objects_with_distinct_lower_case_names():
    objects = load_objects(ROOT / "training/objects.json")
    names = [name for item in objects for name in item.names]
    assert len(objects) == 60
    assert len(set(names)) == len(names)
    assert all(name == name.lower() for name in names)


def test_a_name_given_twice_is_refused(tmp_path):
    path = tmp_path / "objects.json"
    path.write_text(
        '[{"code_point": "1F34E", "name": "apple"}, {"code_point": "1F34F", "name": "apple"}]'
    )
    with pytest.raises(ValueError, match="apple"):
        load_objects(path)


@pytest.mark.parametrize(
    ("name", "expected"), [("apple", "an"), ("dog", "a"), ("unicorn", "a"), ("octopus", "an")]
)
def test_the_article_follows_the_sound(name, expected):
    assert captions.article(name) == expected


def test_the_article_is_optional_and_synonyms_are_used():
    assert drawn(lambda rng: captions.noun(APPLE, rng)) == {
        "red apple",
        "a red apple",
        "apple",
        "an apple",
    }


def test_what_is_not_counted_takes_no_article():
    assert drawn(lambda rng: captions.noun(GRAPES, rng)) == {"grapes"}


def test_a_small_object_is_called_small_and_placed():
    for caption in drawn(lambda rng: captions.small_object(GRAPES, "top left", rng)):
        assert caption.split()[0] in {"small", "little", "tiny"}
        assert caption.endswith("in the top left")


def test_the_first_of_two_objects_is_on_the_left():
    seen = drawn(lambda rng: captions.two_objects(GRAPES, APPLE, False, rng))
    assert {"grapes and a red apple", "an apple right of grapes"} <= seen
    assert "a red apple and grapes" not in seen


def test_the_first_of_two_stacked_objects_is_above():
    seen = drawn(lambda rng: captions.two_objects(GRAPES, APPLE, True, rng))
    assert {"grapes above a red apple", "an apple below grapes"} <= seen


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
