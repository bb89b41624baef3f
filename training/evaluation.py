"""Everything that is measured of one model, group by group."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nodegraph.media.images.editing.metrics import frechet_distance
from training import scores, vae
from training.classifier import Classifier, accuracy, shuffled_tiles
from training.clock import Clock
from training.config import Config
from training.pixels import Pixels
from training.questions import DIVERSE_SEEDS, Examiner, Question, render
from training.sampling import Way
from training.scenes import Scene, SceneMaker

QUESTIONS = (
    "single",
    "names",
    "pair",
    "place",
    "size",
    "count",
    "colour",
    "robust",
    "empty",
    "diverse",
)
GROUPS = (*QUESTIONS, "frechet", "samplers", "vae", "judge")
_PURPOSE = {name: 100 + number for number, name in enumerate(GROUPS)}
"""Numbers of the random streams that are not the questions' own."""
_FLOOR = 60.0
"""Objects recognised in fewer percent of their pictures are named."""
_KEPT_WORST, _KEPT_ANY = 40, 96
_SHUFFLED = 96
_TILE = 16
"""Side in pixels of the tiles that are shuffled to give pictures of nothing."""
_SMALL = 0.5
"""Objects of a smaller side than this share of the picture count as small."""


@dataclass(frozen=True)
class Subject:
    """The model that is measured, as far as measuring needs it.

    Attributes:
        ask: Its pictures for some questions, by a way of sampling, (n, size, size, 3).
        reconstruct: Its autoencoder's reconstructions of pictures.
        few_step: Whether it has a few-step variant, to be asked by the sampler "lcm".
    """

    ask: Callable[[Sequence[Question], Way], Pixels]
    reconstruct: Callable[[Pixels], Pixels]
    few_step: bool = False


@dataclass(frozen=True)
class Example:
    """A picture worth showing."""

    picture: Pixels
    question: Question
    verdict: scores.Verdict


class Evaluation:
    """One measurement of one model.

    Args:
        model: The judge.
        maker: Draws the real renders that figures are compared with.
        rehearsal: A tenth of everything, with other prompts and seeds, for use while tuning.
    """

    def __init__(
        self,
        config: Config,
        subject: Subject,
        model: Classifier,
        maker: SceneMaker,
        *,
        rehearsal: bool = False,
    ) -> None:
        names = [item.name for item in maker.objects]
        if model.labels != names:
            raise ValueError("the classifier knows other objects than the list: train it anew")
        self.settings, self.seed = config.evaluate, config.seed
        self.config, self.subject, self.model, self.maker = config, subject, model, maker
        self.examiner = Examiner(maker.objects, self.settings, config.seed, rehearsal=rehearsal)
        self.scorer = scores.Scorer(model, maker)
        self.way = Way("ddim", self.settings.steps, self.settings.guidance)
        self.examples: dict[str, list[Example]] = {}
        self.wrong: dict[str, list[dict[str, Any]]] = {}
        self._special: dict[str, Callable[[], dict[str, Any]]] = {
            "frechet": self._frechet,
            "samplers": self._samplers,
            "vae": self._vae,
            "judge": self._judge,
        }

    def cost(self, groups: Sequence[str]) -> float:
        """Evaluations of the denoiser that the groups take."""
        asked = sum(len(self.examiner.questions(name)) for name in groups if name in QUESTIONS)
        asked += self.examiner.share(self.settings.frechet) if "frechet" in groups else 0
        total = asked * self.way.cost
        if "samplers" in groups:
            count = sum(len(part) for part in self._sampler_questions())
            total += count * sum(way.cost for way in self._ways())
        return total

    def run(self, groups: Sequence[str], clock: Clock) -> dict[str, Any]:
        """All figures of some groups, and what went wrong, by group."""
        figures: dict[str, Any] = {
            "steps": self.settings.steps,
            "guidance": self.settings.guidance,
            "rehearsal": self.examiner.rehearsal,
            "objects": len(self.maker.objects),
        }
        for name in groups:
            clock.doing = name
            started = time.monotonic()
            figures[name] = self._special[name]() if name in self._special else self._ask(name)
            seconds = time.monotonic() - started
            print(f"{name} ({seconds:.0f} s) {_short(figures[name])}", flush=True)
        return figures | {"wrong": self.wrong}

    def _ask(self, group: str) -> dict[str, Any]:
        """Figures of a group of questions, and the same of real renders."""
        questions = self.examiner.questions(group)
        if not questions:  # such as those about colours, where no object takes any
            return {"n": 0}
        pictures = self.subject.ask(questions, self.way)
        verdicts = self.scorer.verdicts(group, pictures, questions)
        self._keep(group, pictures, questions, verdicts)
        real = render(self.maker, questions, self._rng(group))
        figures = scores.summary(questions, verdicts)
        ideal = self.scorer.verdicts(group, real, questions)
        figures["renders"] = scores.summary(questions, ideal)
        if group == "single":
            figures |= _objects_of(self.model, questions, verdicts)
        if group == "empty":
            figures |= self._emptiness(verdicts, real)
        if group == "diverse":
            for name, what in (("diversity", pictures), ("diversity_of_renders", real)):
                figures[name] = scores.diversity(what, DIVERSE_SEEDS, self.model)
        return figures

    def _keep(
        self,
        group: str,
        pictures: Pixels,
        questions: Sequence[Question],
        verdicts: Sequence[scores.Verdict],
    ) -> None:
        """Remember the worst pictures, some others, and the prompts that went wrong."""
        rows = np.argsort([verdict.probability for verdict in verdicts])[:_KEPT_WORST].tolist()
        spread = np.linspace(0, len(questions) - 1, min(_KEPT_ANY, len(questions)))
        rows = sorted({*rows, *(int(row) for row in spread)})
        self.examples[group] = [
            Example(pictures[row], questions[row], verdicts[row]) for row in rows
        ]
        self.wrong[group] = [
            {
                "prompt": question.prompt,
                "seed": question.seed,
                "missed": [name for name, good in verdict.marks.items() if not good],
                "seen": verdict.seen,
                "probability": round(verdict.probability, 3),
            }
            for question, verdict in zip(questions, verdicts, strict=True)
            if not verdict.right
        ]

    def _emptiness(self, verdicts: Sequence[scores.Verdict], real: Pixels) -> dict[str, Any]:
        """How many different objects; and how often the judge is as sure of shuffled tiles."""
        mixed = shuffled_tiles(real[:_SHUFFLED], _TILE, self._rng("empty"))
        blank = [Question("", 0, "", "", ())] * len(mixed)
        nothing = self.scorer.verdicts("empty", mixed, blank)
        sane = [v.marks["plain"] and v.marks["sure"] for v in verdicts]
        return {
            "sane": scores.percent(sane),
            "threshold": scores.CONFIDENT,
            "distinct_objects": len({v.seen for v in verdicts if v.marks["sure"]}),
            "sure_of_shuffled_tiles": scores.percent([v.marks["sure"] for v in nothing]),
        }

    def _frechet(self) -> dict[str, Any]:
        """Distance from renders of other captions: of the pictures, and of real ones (floor)."""
        count = self.examiner.share(self.settings.frechet)
        rng = self._rng("frechet")
        scenes, others = ([self.maker.scene(rng) for _ in range(count)] for _ in range(2))
        first = self.examiner.first_seed(GROUPS.index("frechet"))
        questions = [_question(scene, first + row) for row, scene in enumerate(scenes)]
        pictures = self.model.features(self.subject.ask(questions, self.way))
        real, other = (self.model.features(self._drawn(part)) for part in (scenes, others))
        return {
            "n": count,
            "features": pictures.shape[1],
            "distance": round(frechet_distance(pictures, other), 3),
            "floor": round(frechet_distance(real, other), 3),
            "same_captions": round(frechet_distance(pictures, real), 3),
        }

    def _drawn(self, scenes: Sequence[Scene]) -> Pixels:
        return np.stack([self.maker.draw(scene) for scene in scenes])

    def _ways(self) -> list[Way]:
        scale = self.settings.guidance
        table = (("ddim", 10), ("ddim", 20), ("ddim", 50), ("dpmpp_2m", 10), ("dpmpp_2m", 20))
        ways = [Way(name, steps, scale) for name, steps in (*table, ("euler", 20))]
        ways += [Way("ddim", 20, other) for other in (1.0, 2.0, 4.0, 7.5) if other != scale]
        return ways + [Way("lcm", 4, 1.0)] * self.subject.few_step

    def _sampler_questions(self) -> tuple[list[Question], list[Question]]:
        """The fixed subset of the single and of the pair questions."""
        settings, rng = self.settings, self._rng("samplers")
        parts = []
        for group, count in (
            ("single", settings.sampler_singles),
            ("pair", settings.sampler_pairs),
        ):
            every = self.examiner.questions(group)
            order = rng.permutation(len(every))[: self.examiner.share(count)]
            parts.append([every[row] for row in sorted(order)])
        return parts[0], parts[1]

    def _samplers(self) -> dict[str, Any]:
        """By sampler, steps and guidance, on the same prompts and seeds."""
        singles, pairs = self._sampler_questions()
        rows = [self._by_way(way, singles, pairs) for way in self._ways()]
        if not self.subject.few_step:
            print("samplers: there is no few-step variant, so no row for it")
        return {"n": len(singles), "n_pairs": len(pairs), "rows": rows}

    def _by_way(self, way: Way, singles: list[Question], pairs: list[Question]) -> dict[str, Any]:
        started = time.monotonic()
        pictures = self.subject.ask([*singles, *pairs], way)
        seconds = time.monotonic() - started
        alone, couples = np.split(pictures, [len(singles)])
        one = scores.summary(singles, self.scorer.verdicts("single", alone, singles))
        two = scores.summary(pairs, self.scorer.verdicts("pair", couples, pairs))
        return {
            "sampler": way.sampler,
            "steps": way.steps,
            "guidance": way.guidance,
            "top1": one["top1"],
            "background": one["background"],
            "both": two["both"],
            "seconds": round(seconds / len(pictures), 3),
        }

    def _vae(self) -> dict[str, Any]:
        """PSNR in dB on held-out scenes: as they are mixed, by kind, and on small objects alone."""
        count = self.examiner.share(self.settings.scenes)
        scenes = vae.held_out_scenes(self.config, count)
        errors = scores.squared_errors(scenes, self.subject.reconstruct(scenes))
        figures: dict[str, Any] = {"n": count, "psnr": scores.decibels(float(errors.mean()))}
        rng = self._rng("vae")
        kinds = {
            "one": self.maker.one,
            "placed": self.maker.placed,
            "pair": self.maker.pair,
            "alike": self.maker.alike,
        }
        for kind, draw in kinds.items():
            drawn = [draw(rng) for _ in range(max(4, count // 4))]
            pictures = self._drawn(drawn)
            errors = scores.squared_errors(pictures, self.subject.reconstruct(pictures))
            figures[kind] = {"n": len(drawn), "psnr": scores.decibels(float(errors.mean()))}
            if kind == "placed":
                inside = [
                    errors[row][_ink_of(pictures[row], scene)].ravel()
                    for row, scene in enumerate(drawn)
                    if scene.placements[0].side < _SMALL
                ]
                mean = float(np.concatenate(inside).mean()) if inside else 0.0
                figures["small"] = {"n": len(inside), "psnr": scores.decibels(mean)}
        return figures

    def _judge(self) -> dict[str, Any]:
        """How well the judge itself does, on real pictures that it was not trained on."""
        each = 1 if self.examiner.rehearsal else 4
        plain = accuracy(self.model, self.maker, each, self.seed, worse=False)
        worse = accuracy(self.model, self.maker, each, self.seed, worse=True)
        figures: dict[str, Any] = {
            "n": each * len(plain),
            "renders": _mean(plain),
            "worsened": _mean(worse),
            "least": round(100.0 * float(plain.min()), 2),
            "under_60": [self.model.labels[row] for row in np.flatnonzero(plain < _FLOOR / 100)],
        }
        for group, mark in (("single", "top1"), ("pair", "both"), ("place", "top1")):
            asked = self.examiner.questions(group)[: self.examiner.share(self.settings.scenes)]
            real = render(self.maker, asked, self._rng("judge"))
            again = self.subject.reconstruct(real)
            for name, pictures in ((group, real), (f"{group}_reconstructed", again)):
                found = scores.summary(asked, self.scorer.verdicts(group, pictures, asked))
                figures[name] = {"n": len(asked), mark: found[mark]}
        return figures

    def _rng(self, name: str) -> np.random.Generator:
        return self.examiner.rng(_PURPOSE[name])


def _question(scene: Scene, seed: int) -> Question:
    return Question(scene.caption, seed, "", scene.colour, scene.placements)


def _ink_of(picture: Pixels, scene: Scene) -> tuple[slice, slice]:
    """Rows and columns of the box that a render's only object fills."""
    inked = (picture != np.array(scene.rgb)).any(axis=2)
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _mean(shares: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    return round(100.0 * float(shares.mean()), 2)


def _objects_of(
    model: Classifier, questions: Sequence[Question], verdicts: Sequence[scores.Verdict]
) -> dict[str, Any]:
    """The least recognised objects; how many pictures of each there were."""
    shares = scores.by_object(model.labels, questions, verdicts)
    return {
        "objects_asked": len(shares),
        "pictures_each": round(len(questions) / len(shares), 2),
        "least": min(shares.values()),
        "under_60": [name for name, share in shares.items() if share < _FLOOR],
        "worst": dict(list(shares.items())[:20]),
    }


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    """The plain numbers, without lists and tables."""
    return {name: value for name, value in figures.items() if isinstance(value, int | float)}
