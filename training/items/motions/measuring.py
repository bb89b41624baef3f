"""How good the model of motions is, beside what judges say of clips that are made by formula."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from nodegraph.families.items.motions import FRAMES, MOTIONS, SIDE, tokens_to_frames
from nodegraph.families.items.transformer import ItemTransformer
from training.classifier import Classifier, load_classifier
from training.config import ROOT
from training.items.fitting import sampled
from training.items.motions.asking import Asked, by_formula, painted
from training.items.motions.clips import Clip
from training.items.motions.judge import Seen, named, seen_motion
from training.items.motions.pool import encoded, load_vae, seen_and_held, things
from training.judge import look_at_ink
from training.models import SCALING_FACTOR
from training.pixels import Pixels, in_parts, to_pixels

SEED = 99
"""Of the clips that are asked for when measuring: not the training's."""
STEPS = 10
SCALES = (1.0, 2.0)
MIDDLE, LATE, LAST = 7, 10, FRAMES - 1
"""Frames of which it is told what they show."""
_TOGETHER = 60
_STILL = MOTIONS.index("still")


class Measures:
    """Measures clips.

    Args:
        vae: Of their latents.
        classifier: Names things.
    """

    def __init__(self, vae: AutoencoderKL, classifier: Classifier) -> None:
        self.vae, self._classifier = vae, classifier
        self._labels = [classifier.labels.index(thing.name) for thing in things()]

    def figures(self, asked: Asked, clips: Pixels, seen: Sequence[Seen]) -> dict[str, float]:
        """Of clips, (count, 16, 64, 64, 3), in short.

        Args:
            seen: What they are taken for.
        """
        pairs = list(zip(seen, asked.clips, strict=True))
        errors = [
            abs(found.amount - clip.amount)
            for found, clip in pairs
            if found.motion == clip.motion != _STILL
        ]
        told: dict[str, float] = {
            "motion_right": float(np.mean([found.motion == clip.motion for found, clip in pairs])),
            "identity_middle": float(self.recognised(asked, clips, seen, MIDDLE).mean()),
            "identity_late": float(self.recognised(asked, clips, seen, LATE).mean()),
            "identity_last": float(self.recognised(asked, clips, seen, LAST).mean()),
            "amount_error": float(np.mean(errors)) if errors else 1.0,
        }
        if asked.renders is not None and clips is not asked.renders:
            told |= likeness(asked.renders, clips)
        return {name: round(value, 4) for name, value in told.items()}

    def identity(self, clips: Sequence[Clip], pictures: Pixels) -> float:
        """Share of pictures that show the things of clips."""
        looks = np.stack([look_at_ink(picture, self._classifier.size) for picture in pictures])
        found = self._classifier.probabilities(looks).argmax(1)
        return round(float(np.mean(found == self._wanted(clips))), 4)

    def decoded(self, tokens: Tensor) -> Pixels:
        """The frames of tokens, (count, 16, 64, 64, 3)."""
        latents = tokens_to_frames(tokens.float()) / SCALING_FACTOR
        with torch.inference_mode():
            parts = [self.vae.decode(part).sample for part in in_parts(latents.flatten(0, 1))]
        return to_pixels(torch.cat(parts)).reshape(len(tokens), FRAMES, SIDE, SIDE, 3)

    def there_and_back(self, clips: Pixels) -> Pixels:
        """Clips as the autoencoder gives them back."""
        return self.decoded(encoded(self.vae, clips))

    def recognised(
        self, asked: Asked, clips: Pixels, seen: Sequence[Seen], frame: int
    ) -> npt.NDArray[np.bool_]:
        """Of each clip whether a frame shows the thing that it is to, (count,)."""
        found: npt.NDArray[np.bool_] = named(self._classifier, clips, seen, frame) == np.array(
            self._wanted(asked.clips)
        )
        return found

    def _wanted(self, clips: Sequence[Clip]) -> list[int]:
        return [self._labels[clip.index] for clip in clips]


def judging() -> Measures:
    """By the embedded model's autoencoder and the judge of its pictures."""
    return Measures(load_vae(), load_classifier(ROOT / "training/classifier.safetensors"))


def likeness(renders: Pixels, clips: Pixels) -> dict[str, float]:
    """Peak signal-to-noise ratios in dB: of all pixels, and of those that no thing ever covers."""
    squares = np.square(renders.astype(np.float32) - clips).mean(-1)
    stays = (renders == renders[:, :1, :1, :1]).all((1, 4))
    beside = np.broadcast_to(stays[:, None], squares.shape)
    return {"psnr_db": _decibels(squares), "psnr_beside_db": _decibels(squares[beside])}


def _decibels(squares: npt.NDArray[np.float32]) -> float:
    return float(10 * np.log10(255**2 / max(float(squares.mean()), 1e-3)))


def made(
    model: ItemTransformer,
    measures: Measures,
    asked: Asked,
    *,
    cfg: float,
    steps: int = STEPS,
    shift: float = 2.0,
) -> Pixels:
    """The clips that a model makes, (count, 16, 64, 64, 3)."""
    motions = torch.tensor([[clip.motion] for clip in asked.clips])
    amounts = torch.tensor([[clip.amount] for clip in asked.clips])
    first = encoded(measures.vae, asked.pictures[:, None]).float()
    tokens = [
        sampled(
            model,
            *(motions[part], amounts[part], first[part]),
            steps=steps,
            cfg=cfg,
            shift=shift,
            seed=int(part[0]),
        )
        for part in in_parts(torch.arange(len(motions)), _TOGETHER)
    ]
    return measures.decoded(torch.cat(tokens))


def taken_for(asked: Asked, clips: Pixels) -> list[Seen]:
    """Of each clip the motion that it shows."""
    return [seen_motion(*pair) for pair in zip(asked.pictures, clips, strict=True)]


def measured(model: ItemTransformer, count: int) -> dict[str, Any]:
    """Figures of renders, of renders there and back, and of the model at several scales.

    Args:
        count: Clips of things that the training saw, as many of others, and as many painted.
    """
    measures, (seen, held) = judging(), seen_and_held()
    known, _ = _rows(model, measures, by_formula(seen, count, SEED))
    unknown, motions = _rows(model, measures, by_formula(held, count, SEED + 1))
    best = max(SCALES, key=lambda scale: _score(unknown[f"{scale:g}"]))
    return {
        "clips": count,
        "steps": STEPS,
        "seen": known,
        "held": unknown,
        "best_scale": best,
        "motions": motions[f"{best:g}"],
        "cascade": cascade(model, measures, sorted(seen + held), count, best),
    }


def _rows(
    model: ItemTransformer, measures: Measures, asked: Asked
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Any]]]:
    """Figures by what made clips, and the same by motion."""
    assert asked.renders is not None
    clips = {"renders": asked.renders, "there_and_back": measures.there_and_back(asked.renders)}
    spent: dict[str, float] = {}
    for scale in SCALES:
        began = time.process_time()
        clips[f"{scale:g}"] = made(model, measures, asked, cfg=scale)
        spent[f"{scale:g}"] = round((time.process_time() - began) / len(asked.clips), 3)
    rows, motions = {}, {}
    for name, each in clips.items():
        shown = taken_for(asked, each)
        rows[name] = measures.figures(asked, each, shown)
        if name in spent:
            rows[name]["cpu_seconds"] = spent[name]
        recognised = measures.recognised(asked, each, shown, LAST)
        motions[name] = {
            "taken_for": confusion(asked, shown),
            "recognised": by_motion(asked, recognised),
        }
    return rows, motions


def by_motion(asked: Asked, recognised: npt.NDArray[np.bool_]) -> list[int]:
    """How many of the things of each motion are recognised."""
    motions = np.array([clip.motion for clip in asked.clips])
    return [int(recognised[motions == place].sum()) for place in range(len(MOTIONS))]


def _score(row: dict[str, float]) -> float:
    return row["motion_right"] + row["identity_last"]


def confusion(asked: Asked, seen: Sequence[Seen]) -> list[list[int]]:
    """How many clips of each motion (rows) are taken for each (columns)."""
    counts = np.zeros((len(MOTIONS), len(MOTIONS)), int)
    for clip, found in zip(asked.clips, seen, strict=True):
        counts[clip.motion, found.motion] += 1
    told: list[list[int]] = counts.tolist()
    return told


def cascade(
    model: ItemTransformer, measures: Measures, places: list[int], count: int, scale: float
) -> dict[str, float]:
    """Figures of clips that begin with what the embedded model paints of prompts."""
    asked, pictures = painted(places, count, SEED + 2)
    clips = made(model, measures, asked, cfg=scale)
    return {
        "pictures_right": measures.identity(asked.clips, pictures),
        "first_frames_right": measures.identity(asked.clips, asked.pictures),
        **measures.figures(asked, clips, taken_for(asked, clips)),
    }
