"""How far pictures show what their questions asked for.

A verdict on a picture has named marks, each right or wrong, and how sure the judge is. Real renders
of the same questions can be scored too, which says what a perfect model would get.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training import judge
from training.classifier import Classifier, Floats
from training.objects import PALETTE
from training.pixels import Pixels
from training.questions import Question
from training.recolour import hue_distance
from training.scenes import Scene, SceneMaker, alike

CONFIDENT = 0.5
"""Least probability of some object for a picture that was asked for nothing to show something."""
OWN_HUE = 30.0
"""Degrees by which an object's main hue may differ from that of its render, to be its own."""
_AUXILIARY = ("top5",)
"""Marks that need not be there for a picture to be right."""


@dataclass(frozen=True)
class Verdict:
    """What is right about one picture.

    Attributes:
        marks: By name, whether that is as asked.
        probability: That the judge gives to what was asked for; the least, of several objects.
        seen: What the judge takes the objects for.
    """

    marks: dict[str, bool]
    probability: float
    seen: str

    @property
    def right(self) -> bool:
        """Whether the picture is all that was asked for."""
        return all(good for name, good in self.marks.items() if name not in _AUXILIARY)


class Scorer:
    """Compares pictures, (n, size, size, 3), with their questions.

    Args:
        model: Names objects.
        maker: Draws what an object's own colour is; needs the font only for that.
    """

    def __init__(self, model: Classifier, maker: SceneMaker) -> None:
        self.model, self.maker = model, maker
        self._by_group = {
            "pair": self._pairs,
            "place": self._places,
            "size": self._sizes,
            "count": self._counts,
            "colour": self._colours,
            "robust": self._robust,
            "empty": self._empty,
        }

    def verdicts(
        self, group: str, pictures: Pixels, questions: Sequence[Question]
    ) -> list[Verdict]:
        """What is right about each picture of a group's questions."""
        return self._by_group.get(group, self._singles)(pictures, questions)

    def _looks(self, pictures: Pixels, questions: Sequence[Question]) -> list[Floats]:
        """Probabilities of all labels where each object should be, (objects, labels) a picture."""
        size = self.model.size
        pairs = list(zip(pictures, questions, strict=True))
        crops = [
            judge.look_at(picture, item, size) for picture, q in pairs for item in q.placements
        ]
        ends = np.cumsum([len(q.placements) for q in questions])
        return np.split(self.model.probabilities(np.stack(crops)), ends[:-1])

    def _verdict(self, question: Question, chances: Floats, marks: dict[str, bool]) -> Verdict:
        """With the probabilities of each object looked for, (objects, labels)."""
        wanted = [item.index for item in question.placements]
        seen = " + ".join(self.model.labels[row] for row in chances.argmax(axis=1))
        least = min(float(row[label]) for row, label in zip(chances, wanted, strict=True))
        return Verdict(marks, least, seen)

    def _singles(self, pictures: Pixels, questions: Sequence[Question]) -> list[Verdict]:
        """top1, top5: of one object; background: its colour."""
        found = []
        for picture, question, chances in self._rows(pictures, questions):
            label = question.placements[0].index
            ranked = chances[0].argsort()[::-1]
            marks = {
                "top1": bool(ranked[0] == label),
                "top5": label in ranked[:5],
                "background": judge.background(picture) == question.colour,
            }
            found.append(self._verdict(question, chances, marks))
        return found

    def _rows(
        self, pictures: Pixels, questions: Sequence[Question]
    ) -> list[tuple[Pixels, Question, Floats]]:
        return list(zip(pictures, questions, self._looks(pictures, questions), strict=True))

    def _pairs(self, pictures: Pixels, questions: Sequence[Question]) -> list[Verdict]:
        """first: the left or upper object; second; both; background."""
        found = []
        for picture, question, chances in self._rows(pictures, questions):
            first, second = _named_right(question, chances)
            marks = {
                "first": first,
                "second": second,
                "both": first and second,
                "background": judge.background(picture) == question.colour,
            }
            found.append(self._verdict(question, chances, marks))
        return found

    def _places(self, pictures: Pixels, questions: Sequence[Question]) -> list[Verdict]:
        """place: the nearest of the nine to the middle of the ink; top1: of the crop there."""
        found = []
        for picture, question, chances in self._rows(pictures, questions):
            marks = {
                "place": judge.position(picture, question.size) == question.position,
                "top1": all(_named_right(question, chances)),
                "background": judge.background(picture) == question.colour,
            }
            found.append(self._verdict(question, chances, marks))
        return found

    def _sizes(self, pictures: Pixels, questions: Sequence[Question]) -> list[Verdict]:
        """size: the nearest of three to the ink's longer side; top1: of a crop round the ink."""
        crops = np.stack([judge.look_at_ink(picture, self.model.size) for picture in pictures])
        chances = self.model.probabilities(crops)[:, None]
        found = []
        for picture, question, row in zip(pictures, questions, chances, strict=True):
            marks = {
                "size": judge.size(picture) == question.size,
                "top1": all(_named_right(question, row)),
                "background": judge.background(picture) == question.colour,
            }
            found.append(self._verdict(question, row, marks))
        return found

    def _counts(self, pictures: Pixels, questions: Sequence[Question]) -> list[Verdict]:
        """count: the object at each place where one of so many should be, and no ink elsewhere.

        Pictures are not searched for objects: as many of them elsewhere would be counted wrong.
        """
        found = []
        for picture, question, chances in self._rows(pictures, questions):
            objects = all(_named_right(question, chances))
            marks = {
                "count": objects and judge.nothing_else(picture, question.placements),
                "objects": objects,
                "background": judge.background(picture) == question.colour,
            }
            found.append(self._verdict(question, chances, marks))
        return found

    def _colours(self, pictures: Pixels, questions: Sequence[Question]) -> list[Verdict]:
        """colour: the main hue of the ink is nearest to the one asked for; object: top1; both."""
        found = []
        for picture, question, chances in self._rows(pictures, questions):
            colour = self._colour_right(picture, question)
            (thing,) = _named_right(question, chances)
            marks = {
                "object": thing,
                "colour": colour,
                "both": thing and colour,
                "background": judge.background(picture) == question.colour,
            }
            found.append(self._verdict(question, chances, marks))
        return found

    def _colour_right(self, picture: Pixels, question: Question) -> bool:
        """A given colour must be the nearest of all; its own, near its render's."""
        seen = judge.object_hue(picture)
        if seen is None:
            return False
        if question.tint == "given":
            return judge.colour_name(seen) == question.placements[0].tint
        scene = Scene("", question.colour, PALETTE[question.colour], question.placements)
        own = judge.object_hue(self.maker.draw(scene))
        if own is None:
            return False
        return float(hue_distance(np.array([seen], np.float32), own)[0]) <= OWN_HUE

    def _robust(self, pictures: Pixels, questions: Sequence[Question]) -> list[Verdict]:
        """top1: the object, or, of a bare plural, two or three of it; background."""
        found = self._singles(pictures, questions)
        several = [row for row, q in enumerate(questions) if len(q.placements) > 1]
        best: dict[int, Verdict] = {}
        for count in (2, 3) if several else ():
            asked = [_as_many(questions[row], count) for row in several]
            for row, verdict in zip(several, self._counts(pictures[several], asked), strict=True):
                known = best.get(row)
                if known is None or (verdict.right, verdict.probability) > (
                    known.right,
                    known.probability,
                ):
                    best[row] = verdict
        for row, verdict in best.items():
            marks = {
                "top1": verdict.marks["count"],
                "top5": verdict.marks["objects"],
                "background": verdict.marks["background"],
            }
            found[row] = Verdict(marks, verdict.probability, verdict.seen)
        return found

    def _empty(self, pictures: Pixels, questions: Sequence[Question]) -> list[Verdict]:
        """plain: the background has one colour; sure: some object, anywhere, is likelier than half.

        Looked at are the whole, the ink, and every place where a scene of several has an object.
        """
        looks = np.stack([judge.all_looks(picture, self.model.size) for picture in pictures])
        chances = self.model.probabilities(looks.reshape(-1, *looks.shape[2:]))
        chances = chances.reshape(len(pictures), looks.shape[1], -1)
        found = []
        for picture, rows in zip(pictures, chances, strict=True):
            _, label = np.unravel_index(int(rows.argmax()), rows.shape)
            best = float(rows.max())
            marks = {"plain": judge.is_plain(picture), "sure": best >= CONFIDENT}
            found.append(Verdict(marks, best, self.model.labels[int(label)]))
        return found


def _named_right(question: Question, chances: Floats) -> list[bool]:
    """Whether each object is what the judge finds the likeliest at its place."""
    wanted = (item.index for item in question.placements)
    return [int(row.argmax()) == label for row, label in zip(chances, wanted, strict=True)]


def _as_many(question: Question, count: int) -> Question:
    item = question.placements[0]
    return Question(**{**vars(question), "placements": alike(item.index, count, item.tint)})


def percent(hits: Sequence[bool]) -> float:
    """Share of what is true, 0 to 100."""
    return round(100.0 * sum(hits) / max(1, len(hits)), 2)


def summary(questions: Sequence[Question], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How many, the percentage of each mark, and the same for each kind where there are several."""
    kinds = list(dict.fromkeys(question.kind for question in questions))
    figures: dict[str, Any] = _percentages(verdicts)
    if len(kinds) > 1:
        figures["kinds"] = {
            kind: _percentages(
                [v for q, v in zip(questions, verdicts, strict=True) if q.kind == kind]
            )
            for kind in kinds
        }
    return figures


def _percentages(verdicts: Sequence[Verdict]) -> dict[str, float]:
    names = verdicts[0].marks if verdicts else ()
    shares = {name: percent([verdict.marks[name] for verdict in verdicts]) for name in names}
    return {"n": len(verdicts), **shares}


def by_object(
    labels: Sequence[str], questions: Sequence[Question], verdicts: Sequence[Verdict]
) -> dict[str, float]:
    """Percentage of pictures in which each object asked for is recognised, the worst first."""
    hits: dict[int, list[bool]] = {}
    for question, verdict in zip(questions, verdicts, strict=True):
        hits.setdefault(question.placements[0].index, []).append(verdict.marks["top1"])
    shares = {labels[row]: percent(values) for row, values in hits.items()}
    return dict(sorted(shares.items(), key=lambda pair: pair[1]))


def diversity(pictures: Pixels, each: int, model: Classifier) -> dict[str, float]:
    """How different pictures of one prompt are.

    Args:
        pictures: (prompts times each, size, size, 3), those of one prompt together.

    Returns:
        pixels: Mean difference of two pictures of one prompt, per channel, of 255.
        features: Mean distance of their features, in percent of that of two prompts' pictures.
    """
    prompts = len(pictures) // each
    features = model.features(pictures).reshape(prompts, each, -1).astype(np.float64)
    grouped = pictures.reshape(prompts, each, *pictures.shape[1:])
    pairs = [(one, two) for one in range(each) for two in range(one)]
    pixels = [_pixel_difference(group, pairs) for group in grouped]
    within = [np.linalg.norm(rows[one] - rows[two]) for rows in features for one, two in pairs]
    between = [
        np.linalg.norm(features[one, 0] - features[two, 0])
        for one in range(prompts)
        for two in range(one)
    ]
    apart = float(np.mean(between)) if between else 0.0
    share = 100.0 * float(np.mean(within)) / apart if apart else 0.0
    return {"pixels": round(float(np.mean(pixels)), 2), "features": round(share, 2)}


def _pixel_difference(pictures: Pixels, pairs: Sequence[tuple[int, int]]) -> float:
    wide = pictures.astype(np.int16)
    return float(np.mean([np.abs(wide[one] - wide[two]).mean() for one, two in pairs]))


def squared_errors(first: Pixels, second: Pixels) -> npt.NDArray[np.float64]:
    """Per pixel, the mean over its channels, (n, height, width)."""
    wide: npt.NDArray[np.float64] = first.astype(np.float64) - second
    errors: npt.NDArray[np.float64] = np.square(wide).mean(axis=-1)
    return errors


def decibels(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio of pictures with values up to 255; 98.13 at most."""
    return round(float(10 * np.log10(255.0**2 / max(mean_squared_error, 1e-5))), 2)
