"""Acceptance of the shipped model: what a user can rely on, judged without the font."""

import json

import pytest

from training.classifier import load_classifier
from training.config import ROOT, EvaluateConfig
from training.fonts import sha256_of
from training.objects import load_objects
from training.publish import MAX_BYTES
from training.questions import Examiner
from training.sampling import load_pipeline, sample
from training.scenes import SceneMaker
from training.scores import Scorer, summary

FOLDER = ROOT / "nodegraph/families/embedded/tiny"
OBJECTS = load_objects(ROOT / "training/objects.json")

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",  # diffusers and transformers, of theirs
)


@pytest.fixture(scope="module")
def judge():
    return load_classifier(ROOT / "training/classifier.safetensors")


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline(FOLDER)


@pytest.fixture(scope="module")
def figures(pipeline, judge):
    """Scores of one image of every eleventh object, in percent."""
    questions = Examiner(OBJECTS, EvaluateConfig(seeds=1), seed=1).questions("single")[::11]
    prompts, seeds = [q.prompt for q in questions], [q.seed for q in questions]
    pictures = sample(pipeline, prompts, seeds, steps=20, guidance=4.0)
    scorer = Scorer(judge, SceneMaker(OBJECTS, None, pictures.shape[1], (1.0, 0.0, 0.0, 0.0)))
    verdicts = scorer.verdicts("single", pictures, questions)
    wrong = [q.prompt for q, v in zip(questions, verdicts, strict=True) if not v.right]
    return summary(questions, verdicts) | {"wrong": wrong}


def test_the_whole_folder_is_small():
    sizes = [path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(sizes) <= MAX_BYTES


def test_the_judge_is_small_and_knows_the_objects(judge):
    assert (ROOT / "training/classifier.safetensors").stat().st_size <= 2_000_000
    assert judge.labels[: len(OBJECTS)] == [item.name for item in OBJECTS]


def test_the_pipeline_knows_its_size_and_its_text_length(pipeline):
    assert pipeline.unet.config.sample_size * pipeline.vae_scale_factor == 128
    assert pipeline.tokenizer.model_max_length == 32


def test_nearly_all_objects_are_recognised(figures):
    assert figures["n"] == 61
    assert figures["top1"] >= 95.0, figures["wrong"]


def test_backgrounds_have_the_colour_asked_for(figures):
    assert figures["background"] >= 95.0


def test_a_seed_fixes_the_picture_whatever_is_in_the_batch(pipeline):
    prompts = ["a red apple on a white background", "a cat on blue"]
    together = sample(pipeline, prompts, [1, 2], steps=4)
    alone = sample(pipeline, prompts[:1], [1], steps=4)
    difference = abs(together[0].astype(int) - alone[0].astype(int))
    assert difference.max() <= 1  # batched convolutions add up in another order


def test_the_record_says_what_it_was_made_from():
    record = json.loads((FOLDER / "train.json").read_text())
    assert record["sha256"]["objects"] == sha256_of(ROOT / "training/objects.json")
    assert record["sha256"]["vocabulary"] == sha256_of(FOLDER / "tokenizer/vocab.json")
    assert record["stages"]["unet"]["samples"] > 0
    assert record["figures"]["single"]["top1"] >= 95.0


def test_the_notice_names_the_artwork_and_its_licences():
    notice = (FOLDER / "NOTICE").read_text()
    for words in ("Noto Color Emoji", "SIL Open Font License", "Apache License"):
        assert words in " ".join(notice.split())


def test_the_model_card_lists_every_object():
    card = " ".join((ROOT / "docs/model-card.md").read_text(encoding="utf-8").split())
    assert [item.name for item in OBJECTS if item.name not in card] == []
