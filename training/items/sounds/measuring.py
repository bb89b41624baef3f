"""How good the model of sounds is, beside what the judges say of sounds made by formula."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodegraph.core.values import Audio
from nodegraph.families.items.transformer import ItemTransformer
from nodegraph.families.sounds import tokens_to_mels
from nodegraph.media.audio.mel import griffin_lim, log_mel_spectrogram
from nodegraph.media.audio.metrics import compare_audio
from nodegraph.media.audio.sound_kinds import SOUND_KINDS
from training.items.fitting import sampled
from training.items.sounds.judges import Judges, PitchJudge, Verdicts, in_parts, kind_judge
from training.items.sounds.kinds import NAMES, PEAK
from training.items.sounds.pool import Sounds, asked_sounds, rendered
from training.items.sounds.waves import RATE

SEED = 99
"""Of what is asked for when measuring: not the training's."""
ROUNDS = 32
STEPS = 20
SCALES = (1.0, 2.0, 3.0)
_COMPARED = 200


def measured(model: ItemTransformer, work: Path, count: int = 400) -> dict[str, Any]:
    """Figures of renders, of renders there and back, and of the model at several scales."""
    judges = Judges(kind_judge(work / "kind_judge.pt"), PitchJudge())
    rng = np.random.default_rng(SEED)
    asked = asked_sounds(count, rng)
    renders, others = rendered(asked, rng), rendered(asked, rng)
    back = heard(log_mel_spectrogram(renders))
    told: dict[str, Any] = {
        "sounds": count,
        "steps": STEPS,
        "renders": _row(judges, renders, others, asked),
        "there_and_back": _row(judges, back, others, asked),
        "model": {},
    }
    rows: dict[float, Tensor] = {}
    for scale in SCALES:
        began = time.process_time()
        rows[scale] = heard(made(model, asked, scale))
        spent = (time.process_time() - began) / count
        row = _row(judges, rows[scale], others, asked)
        told["model"][str(scale)] = row | {"cpu_ms": round(1000 * spent)}
    best = max(SCALES, key=lambda scale: _score(told["model"][str(scale)]))
    told["best_scale"] = best
    told["kinds"] = _by_kind(judges.verdicts(rows[best], asked), asked)
    told["open"] = _left_open(model, judges, asked, best)
    return told


def made(model: ItemTransformer, asked: Sounds, scale: float, seed: int = 1) -> Tensor:
    """Spectrograms of what is asked for."""
    tokens = [
        sampled(
            model,
            asked.kinds[part, None],
            asked.numbers[part],
            steps=STEPS,
            cfg=scale,
            seed=seed + int(part[0]),
        )
        for part in in_parts(torch.arange(len(asked.kinds)), 100)
    ]
    return tokens_to_mels(torch.cat(tokens))


def heard(mels: Tensor) -> Tensor:
    """Waveforms of spectrograms, their loudest sample being 0.9."""
    waves = torch.cat([griffin_lim(part, iterations=ROUNDS) for part in in_parts(mels, 50)])
    return waves * (PEAK / waves.abs().amax(1, keepdim=True).clamp_min(1e-6))


def _row(judges: Judges, waves: Tensor, others: Tensor, asked: Sounds) -> dict[str, float]:
    """Verdicts, and distances to other renders of the same requests."""
    pairs = zip(waves[:_COMPARED], others[:_COMPARED], strict=True)
    likeness = [compare_audio(Audio(b[None], RATE), Audio(a[None], RATE)) for a, b in pairs]

    def mean(of: Callable[[Any], float]) -> float:
        return round(float(np.mean([of(each) for each in likeness])), 2)

    return judges.verdicts(waves, asked).figures() | {
        "log_spectral_distance_db": mean(lambda each: each.spectral),
        "mel_cepstral_distortion_db": mean(lambda each: each.cepstral),
        "loudness_difference_lu": mean(lambda each: abs(each.louder)),
    }


def _score(row: dict[str, float]) -> float:
    return row["kind_right"] + row["pitch_within_50_cents"]


def _by_kind(verdicts: Verdicts, asked: Sounds) -> dict[str, dict[str, float]]:
    return {
        name: verdicts.of(asked.kinds == place).figures() for place, name in enumerate(SOUND_KINDS)
    }


def _left_open(
    model: ItemTransformer, judges: Judges, asked: Sounds, scale: float
) -> dict[str, float]:
    """Kinds that come out right where nothing but the kind is asked for, of the first sounds."""
    some = asked.kinds[: 10 * len(NAMES)]
    nothing = torch.full((len(some),), float("nan"))
    # octaves and seconds that are NaN are left open
    free = Sounds(some, nothing, nothing)
    verdicts = judges.verdicts(heard(made(model, free, scale)), free)
    return {"kind_right": round(verdicts.is_kind.float().mean().item(), 4)}
