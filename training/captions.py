"""Words for scenes: what a user would type to get that picture."""

import numpy as np

from training.objects import COLOUR_WORDS, ObjectSpec

POSITIONS: dict[str, tuple[float, float]] = {
    "top left": (0.25, 0.25),
    "top": (0.5, 0.25),
    "top right": (0.75, 0.25),
    "left": (0.25, 0.5),
    "center": (0.5, 0.5),
    "right": (0.75, 0.5),
    "bottom left": (0.25, 0.75),
    "bottom": (0.5, 0.75),
    "bottom right": (0.75, 0.75),
}
"""Where a small object can be: centre as a share of width and height."""

_PLACE_WORDS: dict[str, tuple[str, ...]] = {
    "top": ("at the top", "in the top"),
    "bottom": ("at the bottom", "in the bottom"),
    "left": ("on the left", "in the left"),
    "right": ("on the right", "in the right"),
    "center": ("in the center", "in the middle"),
}
_BESIDE = ("{0} and {1}", "{0} and {1}", "{0} next to {1}", "{0} left of {1}", "{1} right of {0}")
_STACKED = ("{0} above {1}", "{0} above {1}", "{1} below {0}", "{0} on top of {1}")
_ON_COLOUR = (
    "{0} on a {1} background",
    "{0} on a {1} background",
    "{0} on a {1} background",
    "{0} on {1}",
    "{0}, {1} background",
    "{0} with a {1} background",
)


_LEADS = (
    "a picture of ",
    "an image of ",
    "a photo of ",
    "a drawing of ",
    "an icon of ",
    "an emoji of ",
)
FILLERS = (
    "high quality",
    "best quality",
    "low quality",
    "masterpiece",
    "detailed",
    "sharp",
    "blurry",
    "blurred",
    "ugly",
    "deformed",
    "bad",
    "cute",
    "cartoon",
    "realistic",
    "art",
    "text",
    "watermark",
    "noise",
    "4k",
    "8k",
)
"""What people also write, here and in negative prompts, and what changes nothing here."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def article(name: str) -> str:
    """The indefinite article, by sound: "an apple", but "a unicorn"."""
    return "an" if name[0] in "aeiou" and not name.startswith("uni") else "a"


def noun(item: ObjectSpec, rng: np.random.Generator, size: str = "") -> str:
    """One of the object's names, with a size word and, three times in four, an article."""
    words = f"{size} {_any_name(item, rng)}".strip()
    if not item.counted or rng.random() < 0.25:
        return words
    return f"{article(words)} {words}"


def _any_name(item: ObjectSpec, rng: np.random.Generator) -> str:
    if len(item.names) == 1 or rng.random() < 0.4:
        return item.name
    return _pick(rng, item.names[1:])


def one_object(item: ObjectSpec, rng: np.random.Generator) -> str:
    """Caption of one object that fills the picture, without its background."""
    size = _pick(rng, ("", "", "", "", "", "", "big", "large"))
    lead = _pick(rng, _LEADS) if rng.random() < 0.25 else ""
    return lead + noun(item, rng, size)


def small_object(item: ObjectSpec, position: str, rng: np.random.Generator) -> str:
    """Caption of one small object; the centre may go unsaid."""
    words = noun(item, rng, _pick(rng, ("small", "small", "small", "little", "tiny")))
    if position == "center" and rng.random() < 0.5:
        return words
    return f"{words} {_pick(rng, _PLACE_WORDS.get(position, (f'in the {position}',)))}"


def two_objects(
    first: ObjectSpec, second: ObjectSpec, stacked: bool, rng: np.random.Generator
) -> str:
    """Caption of two objects: `first` is on the left, or above when stacked."""
    pattern = _pick(rng, _STACKED if stacked else _BESIDE)
    return pattern.format(noun(first, rng), noun(second, rng))


def with_background(words: str, colour: str, rng: np.random.Generator) -> str:
    """Adds the background colour; white is left unsaid half of the time."""
    if colour == "white" and rng.random() < 0.5:
        return words
    return _pick(rng, _ON_COLOUR).format(words, _pick(rng, COLOUR_WORDS[colour]))


def embellish(caption: str, rng: np.random.Generator) -> str:
    """Now and then adds words that mean nothing, or leaves nothing but these.

    So the model learns to pass over words it does not know, and a negative prompt made of them
    acts like an empty one.
    """
    chance = rng.random()
    if chance > 0.14:
        return caption
    words = ", ".join(_meaningless(rng) for _ in range(int(rng.integers(1, 4))))
    return words if chance < 0.04 else f"{caption}, {words}"


def _meaningless(rng: np.random.Generator) -> str:
    if rng.random() < 0.7:
        return _pick(rng, FILLERS)
    return "".join(_pick(rng, tuple(_LETTERS)) for _ in range(int(rng.integers(2, 9))))
