"""Words for scenes: what a user would type to get that picture."""

import numpy as np

from training.objects import COLOUR_WORDS, ObjectSpec

POSITIONS: dict[str, tuple[int, int]] = {
    "top left": (-1, -1),
    "top": (0, -1),
    "top right": (1, -1),
    "left": (-1, 0),
    "center": (0, 0),
    "right": (1, 0),
    "bottom left": (-1, 1),
    "bottom": (0, 1),
    "bottom right": (1, 1),
}
"""Where an object can be: steps from the centre, to the right and down."""

SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "large": ("", "", "", "", "", "", "big", "large", "huge"),
    "medium": ("medium", "medium", "medium sized"),
    "small": ("small", "small", "small", "little", "tiny"),
}

_PLACE_WORDS: dict[str, tuple[str, ...]] = {
    "top": ("at the top", "in the top"),
    "bottom": ("at the bottom", "in the bottom"),
    "left": ("on the left", "in the left"),
    "right": ("on the right", "in the right"),
    "center": ("in the center", "in the middle"),
}
_BESIDE = (
    "{0} and {1}",
    "{0} and {1}",
    "{0} and {1}",
    "{0} next to {1}",
    "{0} beside {1}",
    "{0} left of {1}",
    "{1} right of {0}",
    "{0} to the left of {1}",
    "{1} to the right of {0}",
)
_STACKED = (
    "{0} above {1}",
    "{0} above {1}",
    "{0} over {1}",
    "{1} below {0}",
    "{1} under {0}",
    "{0} on top of {1}",
)
_ON_COLOUR = (
    "{0} on {2} {1} background",
    "{0} on {2} {1} background",
    "{0} on {2} {1} background",
    "{0} on {1}",
    "{0}, {1} background",
    "{0} with {2} {1} background",
)
_NUMBERS: dict[int, tuple[str, ...]] = {
    2: ("two", "two", "two", "2", "a pair of", ""),
    3: ("three", "three", "three", "3", ""),
}
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
_ADJECTIVES = ("cute", "nice", "beautiful", "pretty", "lovely", "simple", "shiny", "funny")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SOUND_LIKE_A_CONSONANT = ("uni", "euro", "one", "ufo", "ukulele")
_LEAD_SHARE, _ADJECTIVE_SHARE, _BARE_SHARE = 0.2, 0.06, 0.25
_UNSAID_HUE_SHARE = 0.85
_FILLED_SHARE, _MEANINGLESS_SHARE = 0.1, 0.03


def pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    """Any one of the options."""
    return options[int(rng.integers(len(options)))]


def article(words: str) -> str:
    """The indefinite article, by sound: "an apple" and "an hourglass", but "a unicorn"."""
    if words.startswith(_SOUND_LIKE_A_CONSONANT):
        return "a"
    return "an" if words.startswith((*"aeiou", "hour", "suv")) else "a"


def noun(
    item: ObjectSpec, rng: np.random.Generator, *, size: str = "", tint: str = "", count: int = 1
) -> str:
    """What one may call an object, or several alike.

    Args:
        size: Word for its size, or empty.
        tint: The colour it has been given; empty means its own, which is said now and then.
        count: 1, 2 or 3.
    """
    colour = tint
    if not tint and item.tints and rng.random() > _UNSAID_HUE_SHARE:
        colour = item.hue
    name = plural(item, bool(colour)) if count > 1 else _name(item, rng, bool(colour))
    extra = _adjective(rng) if rng.random() < _ADJECTIVE_SHARE else ""
    words = " ".join(word for word in (extra, size, colour, name) if word)
    if count > 1:
        return f"{pick(rng, _NUMBERS[count])} {words}".lstrip()
    if not item.counted or rng.random() < _BARE_SHARE:
        return words
    return f"{article(words)} {words}"


def plural(item: ObjectSpec, plain: bool) -> str:
    """The proper name in the plural; `plain` leaves the colour in it out."""
    words = item.plural.split()
    return " ".join(word for word in words if not plain or word not in COLOUR_WORDS)


def _name(item: ObjectSpec, rng: np.random.Generator, plain: bool) -> str:
    names = item.plain_names if plain else item.names
    if len(names) == 1 or rng.random() < 0.4:
        return names[0]
    return pick(rng, names[1:])


def lead(rng: np.random.Generator) -> str:
    """Now and then a phrase such as "a picture of ", else nothing."""
    return pick(rng, _LEADS) if rng.random() < _LEAD_SHARE else ""


def place(position: str, rng: np.random.Generator) -> str:
    """Words for one of `POSITIONS`; the centre goes unsaid half of the time."""
    if position == "center" and rng.random() < 0.5:
        return ""
    return f" {pick(rng, _PLACE_WORDS.get(position, (f'in the {position}',)))}"


def size_word(size: str, rng: np.random.Generator, *, placed: bool = False) -> str:
    """A word for one of `SIZE_WORDS`; where a place is said, "small" may go unsaid."""
    if placed and size == "small" and rng.random() < 0.3:
        return ""
    return pick(rng, SIZE_WORDS[size])


def relation(first: str, second: str, stacked: bool, rng: np.random.Generator) -> str:
    """Two things: `first` is on the left, or above when stacked."""
    return pick(rng, _STACKED if stacked else _BESIDE).format(first, second)


def with_background(words: str, colour: str, rng: np.random.Generator) -> str:
    """Adds the background colour; white is left unsaid half of the time."""
    if colour == "white" and rng.random() < 0.5:
        return words
    word = pick(rng, COLOUR_WORDS[colour])
    return pick(rng, _ON_COLOUR).format(words, word, article(word))


def embellish(caption: str, rng: np.random.Generator) -> str:
    """Now and then adds words that mean nothing, or leaves nothing but these.

    So the model learns to pass over words it does not know, and a negative prompt made of them
    acts like an empty one.
    """
    chance = rng.random()
    if chance > _FILLED_SHARE + _MEANINGLESS_SHARE:
        return caption
    words = ", ".join(_meaningless(rng) for _ in range(int(rng.integers(1, 4))))
    return words if chance < _MEANINGLESS_SHARE else f"{caption}, {words}"


def _adjective(rng: np.random.Generator) -> str:
    return pick(rng, _ADJECTIVES) if rng.random() < 0.6 else _gibberish(rng)


def _meaningless(rng: np.random.Generator) -> str:
    return pick(rng, FILLERS) if rng.random() < 0.7 else _gibberish(rng)


def _gibberish(rng: np.random.Generator) -> str:
    return "".join(pick(rng, tuple(_LETTERS)) for _ in range(int(rng.integers(2, 9))))
