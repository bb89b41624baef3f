"""Measure an exported model: prompts, fixed seeds, and a judge trained on real renders."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training import classifier, judge, vae
from training.captions import POSITIONS, article
from training.config import ROOT, Config, command_line
from training.objects import PALETTE, ObjectSpec, load_objects
from training.pixels import Pixels, sheet
from training.sampling import load_pipeline, sample
from training.scenes import SceneMaker

PALETTE_NAMES = tuple(PALETTE)
Draw = Callable[[list[str], list[int]], Pixels]
"""Pictures for prompts and seeds."""


@dataclass(frozen=True)
class Question:
    """A prompt and what its picture should show.

    Attributes:
        labels: Index of the object, or of both objects, the left one first.
        place: Name of the position of a small object.
    """

    prompt: str
    labels: tuple[int, ...]
    colour: str
    seed: int
    place: str = ""


def _named(item: ObjectSpec, name: str = "") -> str:
    words = name or item.name
    return f"{article(words)} {words}" if item.counted else words


def single_questions(objects: list[ObjectSpec], seeds: int) -> list[Question]:
    """Every object once per seed, each time on another colour."""
    questions = []
    for seed in range(seeds):
        for index, item in enumerate(objects):
            colour = PALETTE_NAMES[(index + 5 * seed) % len(PALETTE_NAMES)]
            words = f"{_named(item)} on a {colour} background"
            questions.append(Question(words, (index,), colour, 1000 * seed + index))
    return questions


def name_questions(objects: list[ObjectSpec]) -> list[Question]:
    """Every name and synonym, with no word about the background: it should be white."""
    return [
        Question(_named(item, name), (index,), "white", 5000 + index)
        for index, item in enumerate(objects)
        for name in item.names
    ]


def pair_questions(objects: list[ObjectSpec], count: int, seed: int) -> list[Question]:
    """Two different objects side by side."""
    rng = np.random.default_rng((seed, 5))
    questions = []
    for number in range(count):
        left, right = (int(index) for index in rng.permutation(len(objects))[:2])
        colour = PALETTE_NAMES[number % len(PALETTE_NAMES)]
        words = f"{_named(objects[left])} and {_named(objects[right])} on a {colour} background"
        questions.append(Question(words, (left, right), colour, 6000 + number))
    return questions


def small_questions(objects: list[ObjectSpec], count: int, seed: int) -> list[Question]:
    """One small object in each of the nine positions in turn."""
    rng = np.random.default_rng((seed, 6))
    questions = []
    for number in range(count):
        index = int(rng.integers(len(objects)))
        colour = PALETTE_NAMES[number % len(PALETTE_NAMES)]
        place = tuple(POSITIONS)[number % len(POSITIONS)]
        words = f"a small {objects[index].name} in the {place} on a {colour} background"
        questions.append(Question(words, (index,), colour, 7000 + number, place))
    return questions


def ask(draw: Draw, questions: list[Question]) -> Pixels:
    """The model's picture for each question, (n, size, size, 3)."""
    return draw([q.prompt for q in questions], [q.seed for q in questions])


def _percent(hits: list[bool]) -> float:
    return round(100.0 * sum(hits) / len(hits), 2)


def score_singles(
    pictures: Pixels, questions: list[Question], model: classifier.Classifier
) -> dict[str, Any]:
    """Share of pictures whose object and background are as asked, in percent."""
    labels = [q.labels[0] for q in questions]
    first = judge.named_right(model, pictures, labels)
    return {
        "n": len(questions),
        "top1": _percent(first),
        "top5": _percent(judge.named_right(model, pictures, labels, top=5)),
        "background": _percent(_backgrounds_right(pictures, questions)),
        "wrong": [q.prompt for q, right in zip(questions, first, strict=True) if not right],
    }


def _backgrounds_right(pictures: Pixels, questions: list[Question]) -> list[bool]:
    pairs = zip(pictures, questions, strict=True)
    return [judge.background(picture) == q.colour for picture, q in pairs]


def score_pairs(
    pictures: Pixels, questions: list[Question], model: classifier.Classifier
) -> dict[str, Any]:
    """Share of pictures with the left, the right, and both objects as asked, in percent."""
    sides = []
    for number, centre in enumerate((judge.PAIR_LEFT, judge.PAIR_RIGHT)):
        crops = np.stack([judge.crop(p, centre, judge.PAIR_CROP) for p in pictures])
        sides.append(judge.named_right(model, crops, [q.labels[number] for q in questions]))
    both = [left and right for left, right in zip(*sides, strict=True)]
    return {
        "n": len(questions),
        "left": _percent(sides[0]),
        "right": _percent(sides[1]),
        "both": _percent(both),
        "background": _percent(_backgrounds_right(pictures, questions)),
    }


def score_small(
    pictures: Pixels, questions: list[Question], model: classifier.Classifier
) -> dict[str, Any]:
    """Share of pictures with the small object in its place, and recognised there, in percent."""
    pairs = list(zip(pictures, questions, strict=True))
    crops = np.stack([judge.crop(p, POSITIONS[q.place], judge.SMALL_CROP) for p, q in pairs])
    return {
        "n": len(questions),
        "place": _percent([judge.position(picture) == q.place for picture, q in pairs]),
        "top1": _percent(judge.named_right(model, crops, [q.labels[0] for q in questions])),
        "background": _percent(_backgrounds_right(pictures, questions)),
    }


def score_seeds(pictures: Pixels, seeds: int) -> float:
    """Mean difference of pictures of one object by different seeds, of 255, white ones only.

    Expects every name's picture once per seed, all names of a seed together.
    """
    groups = pictures.reshape(seeds, -1, *pictures.shape[1:]).astype(np.float64)
    return round(float(np.abs(groups[1:] - groups[:1]).mean()), 2)


def score_vae(config: Config, work: Path, model: classifier.Classifier) -> dict[str, Any]:
    """Quality of the autoencoder on held-out scenes, and of the judge on real pictures."""
    autoencoder = load_pipeline(work / "model").vae
    maker = SceneMaker.from_config(config)
    count = config.evaluate.scenes
    scenes = vae.held_out_scenes(config, count)
    renders, labels = classifier.labelled(maker, count, np.random.default_rng((config.seed, 7)))
    wanted = labels.tolist()
    again = vae.reconstruct(autoencoder, renders)
    return {
        "n": count,
        "psnr": round(vae.psnr(scenes, vae.reconstruct(autoencoder, scenes)), 2),
        "judge_on_renders": _percent(judge.named_right(model, renders, wanted)),
        "judge_on_reconstructions": _percent(judge.named_right(model, again, wanted)),
    }


def evaluate(config: Config, work: Path) -> dict[str, Any]:
    """All figures of the model in `work`/model; sheets of its pictures go to `work`/sheets."""
    settings = config.evaluate
    objects = load_objects(ROOT / config.data.objects)
    model = classifier.load_classifier(work / "classifier.safetensors")
    pipeline = load_pipeline(work / "model")
    sheets = work / "sheets"
    sheets.mkdir(exist_ok=True)

    def draw(prompts: list[str], seeds: list[int]) -> Pixels:
        return sample(
            pipeline,
            prompts,
            seeds,
            steps=settings.steps,
            guidance=settings.guidance,
            batch=settings.batch,
        )

    groups = {
        "single": (single_questions(objects, settings.seeds), score_singles),
        "names": (name_questions(objects), score_singles),
        "pair": (pair_questions(objects, settings.pairs, config.seed), score_pairs),
        "small": (small_questions(objects, settings.small, config.seed), score_small),
    }
    figures: dict[str, Any] = {"steps": settings.steps, "guidance": settings.guidance}
    for name, (questions, score) in groups.items():
        pictures = ask(draw, questions)
        sheet(pictures, 12, 2).save(sheets / f"{name}.png")
        figures[name] = score(pictures, questions, model)
        print(name, {k: v for k, v in figures[name].items() if k != "wrong"}, flush=True)
    same = [Question(_named(item), (), "white", seed) for seed in range(4) for item in objects[:12]]
    figures["seed_difference"] = score_seeds(ask(draw, same), 4)
    figures["vae"] = score_vae(config, work, model)
    return figures


def main() -> None:
    """Measure the exported model; writes `evaluate.json` and contact sheets in `sheets`/."""
    config, work = command_line(main.__doc__)
    figures = evaluate(config, work)
    (work / "evaluate.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures["vae"] | {"seed_difference": figures["seed_difference"]}))


if __name__ == "__main__":
    main()
