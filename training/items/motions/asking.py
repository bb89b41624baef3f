"""What clips are asked for when measuring: first frames by formula or painted, and a motion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nodegraph.families.items.motions import SIDE
from training.captions import article
from training.items.motions.clips import Clip
from training.items.motions.pool import TINY, clips_of, drawn, things
from training.objects import ObjectSpec
from training.pixels import Pixels
from training.sampling import load_pipeline, sample

_SEEDS = 3_700_000_000
"""Of painted pictures: where training takes none."""


@dataclass(frozen=True)
class Asked:
    """Clips that are asked for.

    Attributes:
        clips: What they are to show.
        pictures: What they begin with, (count, 64, 64, 3).
        renders: The clips by formula, (count, 16, 64, 64, 3); None where there are none.
    """

    clips: Sequence[Clip]
    pictures: Pixels
    renders: Pixels | None = None


def by_formula(places: list[int], count: int, seed: int) -> Asked:
    """Clips of random things, each motion as often."""
    clips = clips_of(places, count, np.random.default_rng(seed))
    renders = drawn(clips)
    return Asked(clips, renders[:, 0], renders)


def painted(places: list[int], count: int, seed: int) -> tuple[Asked, Pixels]:
    """The same, which begin with what the embedded model paints of prompts.

    Returns:
        What is asked, and the pictures before they were made smaller, (count, 128, 128, 3).
    """
    clips, known = clips_of(places, count, np.random.default_rng(seed)), things()
    prompts = [prompt_for(known[clip.index]) for clip in clips]
    pictures = sample(load_pipeline(TINY), prompts, [_SEEDS + place for place in range(count)])
    small = [Image.fromarray(each).resize((SIDE, SIDE), Image.Resampling.BOX) for each in pictures]
    return Asked(clips, np.stack([np.asarray(each) for each in small])), pictures


def prompt_for(thing: ObjectSpec) -> str:
    """Such as "a medium dog on a white background"."""
    words = f"medium {thing.name}"
    return f"{f'{article(words)} ' if thing.counted else ''}{words} on a white background"
