from collections import Counter

import numpy as np
import pytest

from training import captions
from training.captions import plural
from training.config import ROOT, EvaluateConfig
from training.objects import PALETTE, load_objects
from training.questions import (
    _RAMBLING,
    _UNHEARD,
    REHEARSAL_SEEDS,
    RELATIONS,
    SEEDS,
    Examiner,
)
from training.scenes import SIDES, SceneMaker, place_of

ROWS = """[
{"code_point": "1F353", "name": "strawberry", "plural": "strawberries", "synonyms": ["red berry"],
 "counted": true, "hue": "red"},
{"code_point": "1F347", "name": "grapes", "plural": "grapes", "synonyms": [], "counted": false,
 "hue": "purple"},
{"code_point": "1F422", "name": "turtle", "plural": "turtles", "synonyms": ["tortoise"],
 "counted": true, "hue": "green"},
{"code_point": "1F4D5", "name": "red book", "plural": "red books", "synonyms": ["book"],
 "counted": true, "hue": "red"},
{"code_point": "1F47B", "name": "ghost", "plural": "ghosts", "synonyms": [], "counted": true}
]"""
SETTINGS = EvaluateConfig(
    seeds=4,
    pairs=48,
    small=54,
    sizes=5,
    counts=30,
    colours=12,
    hues=6,
    robust=32,
    empty=6,
    diverse=3,
)


@pytest.fixture
def objects(tmp_path):
    path = tmp_path / "objects.json"
    path.write_text(ROWS)
    return load_objects(path)


@pytest.fixture
def examiner(objects):
    return Examiner(objects, SETTINGS, seed=3)


def test_questions_are_the_same_at_every_call(objects, examiner):
    again = Examiner(objects, SETTINGS, seed=3)
    for group in examiner.groups:
        assert examiner.questions(group) == again.questions(group)


def test_no_question_has_a_seed_that_training_or_a_rehearsal_may_have(objects, examiner):
    rehearsal = Examiner(objects, SETTINGS, seed=3, rehearsal=True)
    taken = [q.seed for group in examiner.groups for q in examiner.questions(group)]
    others = [q.seed for group in examiner.groups for q in rehearsal.questions(group)]
    assert len(set(taken)) == len(taken)
    assert not set(taken) & set(others)
    # torch keeps 32 bits of a seed, and training has those below 2**31.
    assert 2**31 <= SEEDS <= min(taken)
    assert max(taken) < REHEARSAL_SEEDS <= min(others)
    assert max(others) < 2**32


def test_a_rehearsal_asks_a_tenth(objects, examiner):
    rehearsal = Examiner(objects, SETTINGS, seed=3, rehearsal=True)
    assert len(rehearsal.questions("single")) == 2
    assert len(examiner.questions("single")) == 20
    assert len(rehearsal.questions("pair")) == 5


def test_every_object_is_asked_for_with_every_seed_and_by_every_name(objects, examiner):
    singles = Counter(q.placements[0].index for q in examiner.questions("single"))
    assert set(singles.values()) == {SETTINGS.seeds}
    names = examiner.questions("names")
    assert [q.prompt for q in names] == [name for item in objects for name in item.names]
    assert {q.colour for q in names} == {"white"}


def test_every_relation_of_the_captions_is_asked_and_means_the_same():
    ours = {(template, stacked) for template, stacked in RELATIONS.values()}
    theirs = {(template, False) for template in captions._BESIDE}
    assert theirs | {(template, True) for template in captions._STACKED} == ours


def test_pairs_are_of_two_objects_where_the_words_put_them(objects, examiner):
    for q in examiner.questions("pair"):
        first, second = q.placements
        assert first.index != second.index
        assert first.x < second.x or first.y < second.y
        one, two = (objects[item.index].name for item in (first, second))
        swapped = any(word in q.prompt for word in ("right of", "below", "under"))
        assert (q.prompt.index(one) > q.prompt.index(two)) == swapped, q.prompt


def test_all_places_and_sizes_are_asked(examiner):
    asked = examiner.questions("place")
    assert {(q.position, q.size) for q in asked} == {
        (place, size) for place in captions.POSITIONS for size in ("small", "medium")
    }
    for q in asked:
        assert (q.placements[0].x, q.placements[0].y) == place_of(q.position, q.size)
    assert {q.size for q in examiner.questions("size")} == set(SIDES)


def test_counts_are_in_the_plural_and_only_of_what_can_be_counted(objects, examiner):
    asked = examiner.questions("count")
    assert {len(q.placements) for q in asked} == {2, 3}
    for q in asked:
        item = objects[q.placements[0].index]
        assert item.counted
        assert plural(item, bool(q.placements[0].tint)) in q.prompt


def test_colours_are_taught_held_out_or_the_objects_own(objects, examiner):
    asked = examiner.questions("colour")
    assert Counter(q.kind for q in asked) == {"taught": 12, "held out": 4, "own": 6}
    for q in asked:
        item, tint = objects[q.placements[0].index], q.placements[0].tint
        assert q.colour != (tint or item.hue)
        expected = {"taught": item.taught, "held out": (item.held_out,), "own": ("",)}
        assert tint in expected[q.kind]
        assert f"{tint or item.hue} {item.plain_names[0]}" in q.prompt


def test_no_training_scene_shows_a_held_out_pair(objects, examiner):
    held_out = {
        (q.placements[0].index, q.placements[0].tint)
        for q in examiner.questions("colour")
        if q.kind == "held out"
    }
    maker = SceneMaker(objects, None, 32, (0.4, 0.2, 0.2, 0.2))
    rng = np.random.default_rng(0)
    shown = {(p.index, p.tint) for _ in range(3000) for p in maker.scene(rng).placements}
    assert len(held_out) == 4
    assert not held_out & shown


def test_unheard_words_are_in_no_caption():
    known = {*captions._ADJECTIVES, *captions.FILLERS, *PALETTE}
    objects = load_objects(ROOT / "training/objects.json")
    known |= {word for item in objects for name in item.names for word in name.split()}
    assert not known & {*_UNHEARD, *_RAMBLING.replace(",", "").split()}


def test_unusual_wordings_are_all_there(examiner):
    asked = examiner.questions("robust")
    assert len({q.kind for q in asked}) == 8
    assert any(q.prompt.isupper() for q in asked)
    assert {len(q.placements) for q in asked if q.kind == "bare plural"} == {2, 3}
