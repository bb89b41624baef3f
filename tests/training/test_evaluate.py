"""The figures must be able to be perfect, and to fail."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from nodegraph.media.images.editing.metrics import frechet_distance
from tests.messages import raises
from training import scores
from training.classifier import Classifier, accuracy, labelled, shuffled_tiles, train
from training.clock import Clock
from training.config import ROOT, ClassifierConfig, EvaluateConfig, FitConfig, load_config
from training.evaluate import choose_groups, write_sheets
from training.evaluation import GROUPS, Evaluation, Subject
from training.questions import Examiner, Question, render
from training.report import markdown
from training.sampling import Way
from training.scenes import SceneMaker, alike
from training.sheets import Tile, captioned_sheet

NAMES = {
    "1F353": ("strawberry", "strawberries", "red"),
    "1F422": ("turtle", "turtles", "green"),
    "1F680": ("rocket", "rockets", None),
    "2B50": ("star", "stars", "yellow"),
    "1F40B": ("whale", "whales", "blue"),
    "1F3E0": ("house", "houses", None),
}
FIT = FitConfig(
    samples=8000, batch=32, lr=4e-3, warmup=10, tail=1.0, shape="cosine", ema=0.9, workers=1
)
SETTINGS = EvaluateConfig(
    seeds=3,
    pairs=24,
    small=36,
    sizes=6,
    counts=18,
    colours=12,
    hues=6,
    robust=16,
    empty=12,
    diverse=3,
    frechet=80,
    sampler_singles=8,
    sampler_pairs=4,
    scenes=24,
)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("objects") / "objects.json"
    rows = [
        {"code_point": code, "name": name, "plural": plural, "counted": True, "hue": hue}
        for code, (name, plural, hue) in NAMES.items()
    ]
    path.write_text(json.dumps(rows))
    config = load_config(ROOT / "training/configs/smoke.toml")
    return replace(
        config,
        data=replace(config.data, objects=str(path), resolution=128, mix=(0.4, 0.2, 0.2, 0.2)),
        classifier=ClassifierConfig(resolution=32, channels=(8, 24, 48), fit=FIT),
        evaluate=SETTINGS,
    )


@pytest.fixture(scope="module")
def maker(config, font):
    return SceneMaker.from_config(config)


@pytest.fixture(scope="module")
def model(config, maker, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Threads of several tests at once would mostly wait for each other.
        patch.setattr("training.trainer.os.cpu_count", lambda: 1)
        return train(config, tmp_path_factory.mktemp("classifier"))


def test_the_classifier_learns_its_objects_in_seconds(model, config, maker):
    assert accuracy(model, maker, 20, config.seed, worse=False).mean() >= 0.97


def test_the_classifier_is_not_sure_where_there_is_nothing_to_recognise(model, maker):
    rng = np.random.default_rng(0)
    real = labelled(maker, np.arange(60) % len(NAMES), rng, 32)
    mixed = shuffled_tiles(real, 8, rng)
    sure, unsure = (model.probabilities(part).max(axis=1).mean() for part in (real, mixed))
    assert sure >= 0.85
    assert unsure <= sure - 0.25


@pytest.fixture(scope="module")
def perfect(config, maker, model):
    """Figures of a model that really draws what it is asked for."""
    rng = np.random.default_rng(7)
    asked = []

    def ask(questions, way):
        asked.append(way)
        return render(maker, questions, rng)

    evaluation = Evaluation(config, Subject(ask, lambda pictures: pictures), model, maker)
    return evaluation, evaluation.run(GROUPS, Clock()), asked


@pytest.fixture(scope="module")
def careless(config, maker, model):
    """Figures of a model that draws the right images for the wrong prompts."""
    rng = np.random.default_rng(8)

    def ask(questions, way):
        pictures = render(maker, questions, rng)
        return pictures[rng.permutation(len(pictures))]

    def reconstruct(pictures):
        return pictures[::-1].copy()

    evaluation = Evaluation(config, Subject(ask, reconstruct, few_step=True), model, maker)
    return evaluation.run([name for name in GROUPS if name != "judge"], Clock())


def marks(figures, group):
    return {name: figures[group][name] for name in scores_of(figures[group])}


def scores_of(figures):
    return [name for name in figures["renders"] if name not in ("n", "kinds")]


@pytest.mark.parametrize(
    "group", ["single", "names", "pair", "place", "size", "count", "colour", "robust", "diverse"]
)
def test_a_perfect_model_is_right_everywhere(perfect, group):
    """Nearly: of 12 to 36 questions, a judge taught for seconds gets a few wrong, and another few
    on a CPU that rounds otherwise. Images of other things are right in 60 % at the most."""
    for name, share in marks(perfect[1], group).items():
        assert share >= 80.0, (name, perfect[1]["wrong"][group])


def test_real_scenes_are_sane_answers_to_the_empty_prompt(perfect):
    empty = perfect[1]["empty"]
    assert empty["plain"] == 100.0
    assert empty["sure"] >= 90.0
    assert empty["distinct_objects"] >= 4


def test_a_perfect_model_is_as_far_from_reality_as_reality(perfect):
    figures = perfect[1]["frechet"]
    assert figures["distance"] <= 1.5 * figures["floor"]
    assert figures["n"] == 80


def test_a_perfect_autoencoder_has_no_error(perfect):
    assert perfect[1]["vae"]["psnr"] == perfect[1]["vae"]["small"]["psnr"] >= 90.0


def test_every_sampler_is_asked_as_the_table_says(perfect):
    evaluation, figures, asked = perfect
    rows = figures["samplers"]["rows"]
    assert [(r["sampler"], r["steps"], r["guidance"]) for r in rows] == [
        (w.sampler, w.steps, w.guidance) for w in evaluation._ways()
    ]
    assert Way("dpmpp_2m", 10, 4.0) in asked
    assert not any(way.sampler == "lcm" for way in asked)


def test_nearly_nothing_is_wrong_with_a_perfect_model(perfect):
    wrong = perfect[1]["wrong"]
    assert sum(len(rows) for rows in wrong.values()) <= 0.05 * 250


def test_shuffled_pictures_are_right_by_chance_only(careless):
    for group, mark, most in (
        ("single", "top1", 50.0),
        ("single", "background", 30.0),
        ("names", "top1", 60.0),
        ("pair", "both", 20.0),
        ("pair", "background", 35.0),
        ("place", "place", 40.0),
        ("size", "size", 60.0),
        ("size", "top1", 45.0),
        ("count", "count", 40.0),
        ("colour", "both", 35.0),
        ("robust", "top1", 50.0),
    ):
        assert careless[group][mark] <= most, (group, mark)
    assert len(careless["wrong"]["single"]) >= 10


def test_a_few_step_variant_has_its_row(careless):
    assert careless["samplers"]["rows"][-1]["sampler"] == "lcm"


def test_a_wrong_autoencoder_shows(careless):
    assert careless["vae"]["psnr"] < 20.0


def test_one_frozen_picture_has_no_diversity(model):
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    same = np.stack([picture] * 8)
    assert scores.diversity(same, 4, model)["pixels"] == 0.0


def test_held_out_colours_are_told_apart_from_the_objects_own(config, maker, model):
    """Untinted images are the right objects, and of the wrong color."""
    examiner = Examiner(maker.objects, SETTINGS, config.seed)
    asked = [q for q in examiner.questions("colour") if q.kind == "held out"]
    plain = [
        replace(q, placements=tuple(replace(item, tint="") for item in q.placements)) for q in asked
    ]
    pictures = render(maker, plain, np.random.default_rng(0))
    found = scores.summary(asked, scores.Scorer(model, maker).verdicts("colour", pictures, asked))
    assert found["object"] >= 75.0
    assert found["colour"] == 0.0


def test_three_are_not_two(config, maker, model):
    examiner = Examiner(maker.objects, SETTINGS, config.seed)
    asked = examiner.questions("count")
    other = [
        replace(q, placements=alike(q.placements[0].index, 5 - len(q.placements))) for q in asked
    ]
    pictures = render(maker, other, np.random.default_rng(0))
    found = scores.summary(asked, scores.Scorer(model, maker).verdicts("count", pictures, asked))
    # A judge of other seeds takes up to 17 % of empty places for the object: 3 of 18.
    assert found["count"] <= 30.0


def test_tables_and_sheets_say_what_was_measured(perfect, tmp_path):
    evaluation, figures, _ = perfect
    text = markdown(figures)
    assert f"| two objects, every relation | {SETTINGS.pairs} | both |" in text
    assert "| dpmpp_2m | 10 | 4.0 |" in text
    assert "held out" in text
    json.dumps(figures)
    write_sheets(evaluation.examples, tmp_path, seed=1)
    names = {path.stem for path in tmp_path.iterdir()}
    assert {"single", "pair", "empty", "sheet-200"} <= names


def test_a_classifier_of_other_objects_is_refused(config, maker):
    other = Classifier(["apple"], 32, (16,))
    with pytest.raises(ValueError, match="train it anew"):
        Evaluation(config, Subject(lambda *_: None, lambda p: p), other, maker)


def test_unknown_groups_are_refused():
    assert choose_groups("pair, single") == ("single", "pair")
    assert choose_groups("") == GROUPS
    with pytest.raises(ValueError, match="singel"):
        choose_groups("singel")


def test_captions_fit_under_their_pictures():
    picture = np.zeros((32, 32, 3), np.uint8)
    page = captioned_sheet([Tile(picture, "a very " * 30, marked=True)] * 5, 3)
    assert page.size == (3 * 36 + 4, 2 * (32 + 33 + 4) + 4)


def gaussians(shift, scale, seed, count=4000):
    return shift + scale * np.random.default_rng(seed).normal(size=(count, 3))


def test_the_frechet_distance_is_that_of_gaussians():
    near = frechet_distance(gaussians(0.0, 1.0, 0), gaussians(0.0, 1.0, 1))
    assert near == pytest.approx(0.0, abs=0.02)
    moved = frechet_distance(gaussians(0.0, 1.0, 0), gaussians(2.0, 1.0, 1))
    assert moved == pytest.approx(12.0, rel=0.05)
    wider = frechet_distance(gaussians(0.0, 1.0, 0), gaussians(0.0, 3.0, 1))
    assert wider == pytest.approx(12.0, rel=0.1)


def test_the_frechet_distance_needs_two_sets():
    with raises(ValueError):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_shuffled_tiles_keep_every_pixel():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    mixed = shuffled_tiles(pictures, 8, np.random.default_rng(1))
    assert mixed.shape == pictures.shape
    assert not (mixed == pictures).all()
    assert np.array_equal(np.sort(mixed.reshape(2, -1)), np.sort(pictures.reshape(2, -1)))


def test_the_clock_tells_the_time_left(monkeypatch, capsys):
    now = iter([0.0, 0.0, 60.0])
    monkeypatch.setattr("training.evaluate.time.monotonic", lambda: next(now, 60.0))
    clock = Clock()
    clock.start(100.0)
    clock.doing = "single"
    clock.add(25.0)
    assert "25 % of all, 3.0 min left" in capsys.readouterr().out


def test_an_answer_is_right_by_its_main_marks():
    verdict = scores.Verdict({"top1": True, "top5": False, "background": True}, 0.9, "x")
    assert verdict.right
    questions = [Question("a", 1, "", "white", ()), Question("b", 2, "", "white", ())]
    bad = scores.Verdict({"top1": False, "top5": True, "background": True}, 0.1, "y")
    assert scores.summary(questions, [verdict, bad]) == {
        "n": 2,
        "top1": 50.0,
        "top5": 50.0,
        "background": 100.0,
    }


def test_torch_takes_32_bits_of_a_seed():
    """Why the questions' seeds lie below 2**32, and not where training cannot reach at all."""
    draws = [torch.randn(4, generator=torch.Generator().manual_seed(s)) for s in (5, 2**32 + 5)]
    assert torch.equal(*draws)
