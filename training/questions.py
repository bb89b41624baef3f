"""The prompts that a model is measured with, and what a right picture of each would show.

They are made from templates of their own, and their diffusion seeds lie where training takes none:
training seeds torch's generator with numbers below 2**31, a question with one above. While a model
is tuned, look at rehearsals only: they have other draws of objects and other seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training.captions import POSITIONS, article, pick, plural
from training.config import EvaluateConfig
from training.objects import PALETTE, ObjectSpec
from training.pixels import Pixels
from training.scenes import (
    PAIR,
    SIDES,
    Placement,
    Scene,
    SceneMaker,
    alike,
    finished_scene,
    pair_places,
    place_of,
)

# The generator keeps 32 bits of a seed, so these are all that training leaves.
SEEDS, REHEARSAL_SEEDS = 2_500_000_000, 3_500_000_000
"""Where the questions' diffusion seeds begin, below 2**32."""
_SEEDS_PER_GROUP = 10_000_000
REHEARSAL_SHARE = 0.1
"""How much of everything a rehearsal asks."""
DIVERSE_SEEDS = 8
"""Pictures of one prompt, where diversity is measured."""

RELATIONS: dict[str, tuple[str, bool]] = {
    "and": ("{0} and {1}", False),
    "next to": ("{0} next to {1}", False),
    "beside": ("{0} beside {1}", False),
    "left of": ("{0} left of {1}", False),
    "right of": ("{1} right of {0}", False),
    "to the left of": ("{0} to the left of {1}", False),
    "to the right of": ("{1} to the right of {0}", False),
    "above": ("{0} above {1}", True),
    "over": ("{0} over {1}", True),
    "below": ("{1} below {0}", True),
    "under": ("{1} under {0}", True),
    "on top of": ("{0} on top of {1}", True),
}
"""Template, and whether the objects are above each other; {0} is on the left, or above."""
_PLACES: dict[str, tuple[str, ...]] = {
    "top": ("at the top", "in the top"),
    "bottom": ("at the bottom", "in the bottom"),
    "left": ("on the left", "in the left"),
    "right": ("on the right", "in the right"),
    "center": ("in the center", "in the middle"),
}
_SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "large": ("big", "large", "huge"),
    "medium": ("medium", "medium sized"),
    "small": ("small", "little", "tiny"),
}
_NUMBERS: dict[int, tuple[str, ...]] = {2: ("two", "2", "a pair of"), 3: ("three", "3")}
_UNHEARD = ("victorian", "quantum", "baroque", "haunted", "rusty", "plastic", "nordic", "invisible")
"""Adjectives that training has not; what an object of the kind would look like is left aside."""
_RAMBLING = (
    ", trending everywhere, octane render, volumetric, award winning, ultra wide, "
    "intricate, moody, by somebody famous, as seen yesterday, most wanted"
)


@dataclass(frozen=True)
class Question:
    """A prompt and what its picture should show.

    Attributes:
        prompt: The words.
        seed: Of the noise that the picture is made from.
        kind: What is special about it, within its group; a line of its own in the results.
        colour: The background's; empty if any will do.
        placements: The objects, the left or upper one first; empty if any will do.
        position, size: Names of where a single object should be and how large.
        tint: "given" if the object's colour is asked for and not its own, "own" if it is.
    """

    prompt: str
    seed: int
    kind: str
    colour: str
    placements: tuple[Placement, ...]
    position: str = "center"
    size: str = "large"
    tint: str = ""

    def scene(self, maker: SceneMaker, rng: np.random.Generator) -> Scene:
        """A scene that answers it, as training has them; a random one if anything will do."""
        if not self.placements:
            return maker.scene(rng)
        return finished_scene(self.prompt, self.colour, self.placements, rng)


def render(maker: SceneMaker, questions: Sequence[Question], rng: np.random.Generator) -> Pixels:
    """The right picture for each question, really drawn, (n, size, size, 3)."""
    return np.stack([maker.draw(question.scene(maker, rng)) for question in questions])


class Examiner:
    """Makes the questions about a list of objects.

    Args:
        settings: How many of each group.
        seed: Of the choice of objects.
        rehearsal: A tenth of everything, with other objects and other noise.
    """

    def __init__(
        self,
        objects: list[ObjectSpec],
        settings: EvaluateConfig,
        seed: int,
        *,
        rehearsal: bool = False,
    ) -> None:
        self.objects, self.settings, self.rehearsal = objects, settings, rehearsal
        self._seed = seed
        self._makers: dict[str, Callable[[np.random.Generator], list[Question]]] = {
            "single": self._single,
            "names": self._names,
            "pair": self._pair,
            "place": self._place,
            "size": self._size,
            "count": self._count,
            "colour": self._colour,
            "robust": self._robust,
            "empty": self._empty,
            "diverse": self._diverse,
        }

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of all groups of questions."""
        return tuple(self._makers)

    def questions(self, group: str) -> list[Question]:
        """The questions of a group, the same at every call, each with a seed of its own."""
        number = self.groups.index(group)
        rng = self.rng(number)
        asked = self._makers[group](rng)
        start = self.first_seed(number)
        return [_with_seed(question, start + place) for place, question in enumerate(asked)]

    def first_seed(self, number: int) -> int:
        """The first of a purpose's own range of diffusion seeds."""
        return (REHEARSAL_SEEDS if self.rehearsal else SEEDS) + number * _SEEDS_PER_GROUP

    def rng(self, number: int) -> np.random.Generator:
        """The random numbers of a purpose; training has none of three numbers with this second."""
        return np.random.default_rng((self._seed, 104_729, number, int(self.rehearsal)))

    def share(self, count: int) -> int:
        """How many of `count` are asked now."""
        return max(1, round(count * REHEARSAL_SHARE)) if self.rehearsal and count else count

    def _some(self, questions: list[Question], rng: np.random.Generator) -> list[Question]:
        """All of them, or those that a rehearsal asks, in their order."""
        count = self.share(len(questions))
        return [questions[row] for row in sorted(rng.permutation(len(questions))[:count])]

    def _order(self, rng: np.random.Generator, rows: Sequence[int], count: int) -> list[int]:
        """`count` of the rows at random, none twice before all were taken."""
        rounds = -(-count // max(1, len(rows)))
        orders = [rng.permutation(np.asarray(rows, np.int64)) for _ in range(rounds)]
        return [int(row) for order in orders for row in order][:count]

    def _several(self) -> list[int]:
        """The objects that there can be two of."""
        return [row for row, item in enumerate(self.objects) if item.counted and item.plural]

    def _same_in_plural(self, row: int) -> bool:
        return self.objects[row].plural in self.objects[row].names

    def _single(self, rng: np.random.Generator) -> list[Question]:
        """Every object once per seed, each time on another background."""
        colours = tuple(PALETTE)
        asked = []
        for seed in range(self.settings.seeds):
            for index, item in enumerate(self.objects):
                colour = colours[(index + 5 * seed) % len(colours)]
                words = on_colour(named(item), colour)
                asked.append(Question(words, 0, "", colour, (_large(index),)))
        return self._some(asked, rng)

    def _names(self, rng: np.random.Generator) -> list[Question]:
        """Every name and synonym and nothing else: the background should be white."""
        asked = [
            Question(name, 0, "synonym" if place else "name", "white", (_large(index),))
            for index, item in enumerate(self.objects)
            for place, name in enumerate(item.names)
        ]
        return self._some(asked, rng)

    def _pair(self, rng: np.random.Generator) -> list[Question]:
        """Two different objects, by each relation in turn."""
        count = self.share(self.settings.pairs)
        every = range(len(self.objects))
        first, second = (self._order(rng, every, count) for _ in range(2))
        asked = []
        for number, (one, other) in enumerate(zip(first, second, strict=True)):
            two = (other + 1) % len(self.objects) if one == other else other
            relation = list(RELATIONS)[number % len(RELATIONS)]
            template, stacked = RELATIONS[relation]
            colour = _any_colour(rng)
            words = template.format(named(self.objects[one]), named(self.objects[two]))
            centres = pair_places(stacked)
            placements = tuple(
                Placement(index, *centre, PAIR)
                for index, centre in zip((one, two), centres, strict=True)
            )
            asked.append(Question(on_colour(words, colour), 0, relation, colour, placements))
        return asked

    def _place(self, rng: np.random.Generator) -> list[Question]:
        """One object in each of the nine places, two of three times small, else medium."""
        count = self.share(self.settings.small)
        asked = []
        for number, index in enumerate(self._order(rng, range(len(self.objects)), count)):
            position = list(POSITIONS)[number % len(POSITIONS)]
            turn = number // len(POSITIONS)
            size = "medium" if turn % 3 == 2 else "small"
            words = named(self.objects[index], size=_turn(_SIZE_WORDS[size], turn))
            words += " " + _turn(_PLACES.get(position, (f"in the {position}",)), turn)
            colour = _any_colour(rng)
            placement = Placement(index, *place_of(position, size), SIDES[size])
            asked.append(
                Question(on_colour(words, colour), 0, size, colour, (placement,), position, size)
            )
        return asked

    def _size(self, rng: np.random.Generator) -> list[Question]:
        """The same objects in three sizes, all in the middle."""
        count = self.share(self.settings.sizes)
        asked = []
        for number, index in enumerate(self._order(rng, range(len(self.objects)), count)):
            colour = _any_colour(rng)
            for size, side in SIDES.items():
                words = named(self.objects[index], size=_turn(_SIZE_WORDS[size], number))
                placement = Placement(index, 0.5, 0.5, side)
                asked.append(
                    Question(on_colour(words, colour), 0, size, colour, (placement,), size=size)
                )
        return asked

    def _count(self, rng: np.random.Generator) -> list[Question]:
        """Two or three of one object, by word and by figure, a third of them in a colour."""
        count = self.share(self.settings.counts)
        asked = []
        for number, index in enumerate(self._order(rng, self._several(), count)):
            item = self.objects[index]
            amount = 2 + number % 2
            word = _turn(_NUMBERS[amount], number // 2)
            tint = pick(rng, item.taught) if number % 3 == 2 and item.taught else ""
            words = " ".join(part for part in (word, tint, plural(item, bool(tint))) if part)
            colour = _any_colour(rng, but=tint)
            kind = f"{amount}, coloured" if tint else f'{amount}, "{word}"'
            placements = alike(index, amount, tint)
            asked.append(Question(on_colour(words, colour), 0, kind, colour, placements))
        return asked

    def _colour(self, rng: np.random.Generator) -> list[Question]:
        """Objects in colours taught, in the one held out, and in their own, said."""
        count = self.settings.colours
        tinted = [row for row, item in enumerate(self.objects) if item.taught]
        held_out = [row for row, item in enumerate(self.objects) if item.held_out]
        own = [row for row, item in enumerate(self.objects) if item.tints]
        asked = []
        for index in self._order(rng, tinted, self.share(count)):
            tint = pick(rng, self.objects[index].taught)
            asked.append(self._coloured(index, tint, "taught", rng))
        for index in self._order(rng, held_out, self.share(min(count, len(held_out)))):
            asked.append(self._coloured(index, self.objects[index].held_out, "held out", rng))
        for index in self._order(rng, own, self.share(self.settings.hues)):
            asked.append(self._coloured(index, self.objects[index].hue, "own", rng))
        return asked

    def _coloured(self, index: int, word: str, kind: str, rng: np.random.Generator) -> Question:
        item, colour = self.objects[index], _any_colour(rng, but=word)
        words = on_colour(named(item, item.plain_names[0], word), colour)
        tint = "" if kind == "own" else word
        asked = "given" if tint else "own"
        return Question(words, 0, kind, colour, (_large(index, tint),), tint=asked)

    def _robust(self, rng: np.random.Generator) -> list[Question]:
        """Prompts that differ from those in training, but for which the same is right."""
        count = self.share(self.settings.robust)
        ways: dict[str, Callable[[ObjectSpec, str], str]] = {
            "no article": lambda item, colour: f"{item.name} on {colour} background",
            "unheard adjective": lambda item, colour: on_colour(
                named(item, size=pick(rng, _UNHEARD)), colour
            ),
            "unheard words before": lambda item, colour: (
                f"please show me {on_colour(named(item), colour)}"
            ),
            "rambling after": lambda item, colour: on_colour(named(item), colour) + _RAMBLING,
            "gibberish": lambda item, colour: (
                f"{on_colour(named(item), colour)} {_gibberish(rng)} {_gibberish(rng)}"
            ),
            "capitals": lambda item, colour: on_colour(named(item), colour).upper(),
            "punctuation": lambda item, colour: (
                on_colour(named(item), colour) + pick(rng, (".", "!", "!!", " ...", ";"))
            ),
            "bare plural": lambda item, _: item.plural,
        }
        asked = []
        # One "sheep" may be meant as well as several.
        several = [row for row in self._several() if not self._same_in_plural(row)]
        for number in range(count):
            way = list(ways)[number % len(ways)]
            bare = way == "bare plural"
            if bare and not several:
                continue
            index = _one_of(several if bare else range(len(self.objects)), rng)
            colour = "white" if bare else _any_colour(rng)
            placements = alike(index, 2 + number // len(ways) % 2) if bare else (_large(index),)
            words = ways[way](self.objects[index], colour)
            asked.append(Question(words, 0, way, colour, placements))
        return asked

    def _empty(self, rng: np.random.Generator) -> list[Question]:
        """No words at all."""
        return [Question("", 0, "", "", ())] * self.share(self.settings.empty)

    def _diverse(self, rng: np.random.Generator) -> list[Question]:
        """The same prompts several times, all of one prompt together."""
        count = self.share(self.settings.diverse)
        asked = []
        for index in self._order(rng, range(len(self.objects)), count):
            colour = _any_colour(rng)
            words = on_colour(named(self.objects[index]), colour)
            asked += [Question(words, 0, "", colour, (_large(index),))] * DIVERSE_SEEDS
        return asked


def named(item: ObjectSpec, name: str = "", size: str = "") -> str:
    """What to call one object: article, a word before the name, the name (else its proper one)."""
    words = " ".join(part for part in (size, name or item.name) if part)
    return f"{article(words)} {words}" if item.counted else words


def on_colour(words: str, colour: str) -> str:
    """With the background's colour said."""
    return f"{words} on {article(colour)} {colour} background"


def _large(index: int, tint: str = "") -> Placement:
    return Placement(index, 0.5, 0.5, SIDES["large"], tint)


def _with_seed(question: Question, seed: int) -> Question:
    return Question(**{**vars(question), "seed": seed})


def _turn(options: tuple[str, ...], number: int) -> str:
    return options[number % len(options)]


def _one_of(rows: Sequence[int], rng: np.random.Generator) -> int:
    return rows[int(rng.integers(len(rows)))]


def _any_colour(rng: np.random.Generator, but: str = "") -> str:
    return pick(rng, tuple(name for name in PALETTE if name != but))


def _gibberish(rng: np.random.Generator) -> str:
    letters = [pick(rng, tuple("bcdfghjklmnpqrstvwxz")) for _ in range(int(rng.integers(3, 8)))]
    return "".join(letters)
