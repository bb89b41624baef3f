r"""Dynamic prompts: choices and wildcards, drawn at random or listed, with wildcard files.

- ``{red|green|blue}`` is one of them, ``{3::red|green}`` is red three times as often,
- ``{2$$red|green|blue}`` is two of them, ``{1-2$$ and $$red|green|blue}`` one or two with `` and ``
  between,
- ``__pets/small__`` is a line of the file with that name, which may contain choices,
- ``\{``, ``\}``, ``\|`` and ``\_`` are the plain characters.

Synonyms: dynamic prompts, wildcards. The syntax is the part listed here of the web UI's extension
sd-dynamic-prompts (its SYNTAX.md). Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import NoReturn

from nodegraph.core.suggest import did_you_mean, nearest
from nodegraph.errors import InvalidFile, InvalidValue

FOLDER = "wildcards"
MOST_BYTES = 16 * 2**20
"""Of a file; larger ones are refused."""


@dataclass(frozen=True)
class WildcardFiles:
    """The files of a folder, each read once.

    Attributes:
        inputs: The folder that theirs is in.
        names: Whether an error may name what else is there.
        reading: Called with each file before it is read.
    """

    inputs: Path
    names: bool = True
    reading: Callable[[Path], object] = lambda path: path
    _known: dict[str, Sequence[str]] = field(default_factory=dict)

    def __call__(self, name: str) -> Sequence[str]:
        """The lines of a wildcard, at least one; without empty ones and comments.

        Raises:
            InvalidFile: There is no such file, or it holds no lines.
        """
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> list[str]:
        folder = self.inputs / FOLDER
        path = folder / f"{name}.txt"
        self.reading(path)
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            raise InvalidFile(
                f"there is no wildcard `{name}`",
                port="text",
                given=name,
                expected=f"a file {FOLDER}/{name}.txt in the inputs folder",
                hint=self._hint(name, folder) if self.names else None,
            )
        if path.stat().st_size > MOST_BYTES:
            raise InvalidFile(f"the wildcard `{name}` is larger than 16 MiB", port="text")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidFile(f"the wildcard `{name}` is not UTF-8 text", port="text") from error
        stripped = (line.strip() for line in text.splitlines())
        lines = [line for line in stripped if line and not line.startswith("#")]
        if not lines:
            raise InvalidFile(f"the wildcard `{name}` has no lines", port="text")
        return lines

    def _hint(self, name: str, folder: Path) -> str:
        others = self._others(folder)
        near = nearest(name, others)
        if near is not None and not can_name(near):
            signs = "letters, digits and _-().'&+"
            return f"Rename {FOLDER}/{near}.txt: names in prompts may contain only {signs}."
        return did_you_mean(name, filter(can_name, others))

    def _others(self, folder: Path) -> list[str]:
        candidates = folder.rglob("*.txt") if folder.is_dir() else ()
        return [
            path.relative_to(folder).with_suffix("").as_posix()
            for path in candidates
            if path.is_file()
        ]


Lines = Callable[[str], Sequence[str]]
"""The lines of a wildcard, by its name."""

DEEPEST = 20
"""Choices, and wildcards, in each other."""
LONGEST = 1 << 20
"""Letters of one prompt that is drawn."""
MOST_LINES = 10_000
"""Lines of wildcards in one prompt: files that name others many times over come to billions."""
MOST_LETTERS = 1 << 26
"""Of all prompts that are listed."""
MOST_PIECES = 200
"""Texts and choices of one text, of which all are listed."""
_EQUAL = 20
"""Times as many texts as may be listed are looked at, if there are equal ones among them."""

_NAME = r"[^\W_](?:[\w\- ().'&+]{0,60}?(?:[^\W_]|[)+]))??"
"""No commas and colons: `red__green, x__y` is text."""
_WHOLE_NAME = re.compile(rf"{_NAME}(?:/{_NAME}){{0,8}}")
_TOKEN = re.compile(
    rf"\\[\\{{}}|_] | [{{}}|] | __{_NAME}(?:/{_NAME}){{0,8}}__ | [^\\{{}}|_]+ | .", re.S | re.X
)
_COUNT = re.compile(r"\s*(\d{1,4})(?:-(\d{1,4}))?\$\$(?:([^$]*)\$\$)?")
_WEIGHT = re.compile(r"\s*(\d+\.?\d*|\.\d+)::")
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A line of what has this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Draw:
    """Some of several.

    Attributes:
        weights: How often each is drawn against the others.
        low, high: How many of them.
        between: What stands between two.
    """

    options: Sequence[Sequence[str | Wildcard | Draw]]
    weights: Sequence[float]
    low: int = 1
    high: int = 1
    between: str = ", "


Drawn = str | Wildcard | Draw


def parse_choices(text: str) -> list[Drawn]:
    """A text cut up where something is drawn.

    Raises:
        InvalidValue: A brace is without its partner, or a choice is none.
    """
    return _Parser(text).parsed()


def wildcard_names(pieces: Sequence[Drawn]) -> Iterator[str]:
    """Names of all wildcards in a text."""
    for piece in pieces:
        if isinstance(piece, Wildcard):
            yield piece.name
        elif isinstance(piece, Draw):
            for option in piece.options:
                yield from wildcard_names(option)


def draw_prompt(text: str, seed: int, lines: Lines) -> str:
    """One text by a seed: always the same one while the lines are the same.

    Raises:
        InvalidValue: See `parse_choices`; or wildcards name each other without end.
    """
    from random import Random  # takes a while to import, which a start needn't wait for

    # `Random.random` alone is promised to stay as it is from one Python to the next.
    chance = Random(seed).random  # noqa: S311 - not for secrets
    return _draw_text(parse_choices(text), chance, _Counted(lines), ())


def every_prompt(text: str, lines: Lines, most: int) -> list[str]:
    """All texts that could be drawn, each but once; of several of a choice in their order.

    Args:
        most: Of which there may be so many.
    Raises:
        InvalidValue: They are more; or as of `draw_prompt`.
    """
    return list_distinct(_each_counted(text, lines), most)


def _each_counted(text: str, lines: Lines) -> Iterator[str]:
    counted = _Counted(lines)
    for prompt in _iter_texts(parse_choices(text), counted, ()):
        counted.asked = 0
        yield prompt


def list_distinct(prompts: Iterable[str], most: int) -> list[str]:
    """Prompts that could be drawn, each once.

    Args:
        most: Of which there may be so many.
    Raises:
        InvalidValue: They are more.
    """
    distinct: dict[str, None] = {}
    letters = 0
    # Equal ones count as well, or many of them would take for ever.
    for looked_at, prompt in enumerate(prompts):
        letters += 0 if prompt in distinct else len(prompt)
        distinct[prompt] = None
        if len(distinct) > most or looked_at > _EQUAL * most or letters > MOST_LETTERS:
            raise InvalidValue(
                "the text expands to too many prompts",
                port="most",
                given=f"more than {most}",
                hint="Raise the limit, or use RandomPrompt to draw some of them.",
            )
    return list(distinct)


class _Counted:
    """Lines of wildcards, so many for one prompt."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.asked = 0

    def __call__(self, name: str) -> Sequence[str]:
        self.asked += 1
        if self.asked > MOST_LINES:
            raise InvalidValue(
                "wildcards refer to each other too often",
                port="text",
                given=name,
                expected=f"{MOST_LINES:,} lines in one prompt at most",
            )
        return self._lines(name)


def _bounded(text: str) -> str:
    if len(text) > LONGEST:
        raise InvalidValue(
            "the prompt becomes too long", port="text", expected=f"at most {LONGEST:,} characters"
        )
    return text


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = _TOKEN.findall(text)

    def parsed(self) -> list[Drawn]:
        """Choices that are open lie on a stack: their options so far, and where they began."""
        options: list[list[list[Drawn]]] = [[[]]]
        begun: list[int] = []
        for at, sign in enumerate(self._tokens):
            if sign == "{":
                begun.append(at)
                options.append([[]])
                if len(begun) > DEEPEST:
                    self._fail("choices are nested too deeply", at)
            elif sign == "}":
                if not begun:
                    self._fail("a closing brace has no opening brace", at)
                choice = self._choice(options.pop(), begun.pop())
                options[-1][-1].append(choice)
            elif sign == "|" and begun:
                options[-1].append([])
            else:
                _append(options[-1][-1], _piece(sign, inside=bool(begun)))
        if begun:
            self._fail("an opening brace has no closing brace", begun[-1])
        return options[0][0]

    def _choice(self, options: list[list[Drawn]], at: int) -> Draw:
        low = high = 1
        between = ", "
        counted = _COUNT.match(_begin(options[0]))
        if counted is not None:
            low = int(counted[1])
            high = int(counted[2] or low)
            between = ", " if counted[3] is None else counted[3]
            options[0] = _without(options[0], counted.end())
        weights = []
        for index, option in enumerate(options):
            weighted = _WEIGHT.match(_begin(option))
            weights.append(float(weighted[1]) if weighted else 1.0)
            options[index] = _without(option, weighted.end()) if weighted else option
        is_of_lines = len(options) == 1 and isinstance(_only(options[0]), Wildcard)
        if low > high:
            self._fail(f"the minimum, {low}, is above the maximum, {high}", at)
        if high > len(options) and not is_of_lines:
            self._fail(f"cannot draw {high} of {len(options)} options", at)
        if sum(weight > 0 for weight in weights) < high and not is_of_lines:
            self._fail("too few options of a choice have a weight above 0", at)
        if high > 1:
            options = [_stripped(option) for option in options]
        return Draw(options, weights, low, high, between)

    def _fail(self, message: str, at: int) -> NoReturn:
        offset = sum(map(len, self._tokens[:at]))
        raise InvalidValue(
            f"{message}, at character {offset + 1}",
            port="text",
            given=self._text[offset : offset + _SHOWN],
            hint=r"Write \{ and \} for literal braces.",
        )


def can_name(name: str) -> bool:
    """Whether a prompt can have a wildcard's name between its underscores."""
    return _WHOLE_NAME.fullmatch(name) is not None


def _piece(sign: str, *, inside: bool) -> Drawn:
    if len(sign) > 4 and sign.startswith("__") and sign.endswith("__"):
        return Wildcard(sign[2:-2])
    # Other escapes are left for who reads the prompt.
    ours = ("\\{", "\\}", "\\_", *(["\\|"] if inside else []))
    return sign[1:] if sign in ours else sign


def _append(pieces: list[Drawn], piece: Drawn) -> None:
    if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
        pieces[-1] += piece
    else:
        pieces.append(piece)


def _begin(option: Sequence[Drawn]) -> str:
    """The text that an option begins with."""
    return option[0] if option and isinstance(option[0], str) else ""


def _without(option: Sequence[Drawn], count: int) -> list[Drawn]:
    """An option without so many characters of the text that it begins with."""
    return [_begin(option)[count:], *option[1:]]


def _stripped(option: Sequence[Drawn]) -> list[Drawn]:
    """An option without space around it."""
    pieces = list(option)
    if pieces and isinstance(pieces[0], str):
        pieces[0] = pieces[0].lstrip()
    if pieces and isinstance(pieces[-1], str):
        pieces[-1] = pieces[-1].rstrip()
    return pieces


def _only(option: Sequence[Drawn]) -> Drawn | None:
    left = [piece for piece in option if not (isinstance(piece, str) and not piece.strip())]
    return left[0] if len(left) == 1 else None


def _draw_text(
    pieces: Sequence[Drawn], chance: Callable[[], float], lines: Lines, within: tuple[str, ...]
) -> str:
    texts = []
    for piece in pieces:
        if isinstance(piece, str):
            texts.append(piece)
        elif isinstance(piece, Wildcard):
            known = lines(piece.name)
            line = known[int(chance() * len(known))]
            deeper = _descend(piece.name, within)
            texts.append(_draw_text(_choices_of(line, piece.name), chance, lines, deeper))
        else:
            options, weights = _options(piece, lines, within)
            count = piece.low
            if piece.high > piece.low:
                count += int(chance() * (piece.high - piece.low + 1))
            if len(options) < count:
                raise _too_few(count, len(options))
            places = _draw_indices(weights, count, chance)
            drawn_texts = [_draw_text(options[at], chance, lines, within) for at in places]
            texts.append(piece.between.join(drawn_texts))
    return _bounded("".join(texts))


def _choices_of(line: str, name: str) -> list[Drawn]:
    """A line of a wildcard cut up; its errors name the wildcard."""
    try:
        return parse_choices(line)
    except InvalidValue as error:
        problem = error.problem
        raise InvalidValue(
            f"in a line of the wildcard `{name}`, {problem.message}",
            port=problem.port,
            given=problem.given,
            hint=problem.hint,
        ) from None


def _descend(name: str, within: tuple[str, ...]) -> tuple[str, ...]:
    if len(within) >= DEEPEST:
        raise InvalidValue(
            "wildcards refer to each other in a circle",
            port="text",
            given=" → ".join(dict.fromkeys((*within, name))),
        )
    return (*within, name)


def _options(
    piece: Draw, lines: Lines, within: tuple[str, ...]
) -> tuple[list[Sequence[Drawn]], list[float]]:
    """What is drawn from: of a choice of several of one wildcard, its lines."""
    only = _only(piece.options[0]) if len(piece.options) == 1 and piece.high > 1 else None
    if isinstance(only, Wildcard):
        _descend(only.name, within)
        options: list[Sequence[Drawn]] = [_choices_of(line, only.name) for line in lines(only.name)]
        return options, [1.0] * len(options)
    return list(piece.options), list(piece.weights)


def _draw_indices(weights: Sequence[float], count: int, chance: Callable[[], float]) -> list[int]:
    """So many places by weight, none twice, in the order in which they are drawn."""
    left = dict(enumerate(weights))
    indices: list[int] = []
    for _ in range(count):
        indices.append(_weighted_index(left, chance() * sum(left.values())))
        del left[indices[-1]]
    return indices


def _weighted_index(weights: Mapping[int, float], at: float) -> int:
    """The place that a number below the sum of all weights falls on."""
    possible = [(index, weight) for index, weight in weights.items() if weight > 0]
    for index, weight in possible:
        at -= weight
        if at < 0:
            return index
    return possible[-1][0]  # what rounding left


def _iter_texts(pieces: Sequence[Drawn], lines: Lines, within: tuple[str, ...]) -> Iterator[str]:
    if not pieces:
        yield ""
        return
    if len(pieces) > MOST_PIECES:
        raise InvalidValue(
            "the text has too many choices and wildcards",
            port="text",
            given=f"{len(pieces)} parts",
            expected=f"{MOST_PIECES} at most",
        )
    first, *others = pieces
    for begin in _iter_piece_texts(first, lines, within):
        for suffix in _iter_texts(others, lines, within):
            yield _bounded(begin + suffix)


def _iter_piece_texts(piece: Drawn, lines: Lines, within: tuple[str, ...]) -> Iterator[str]:
    if isinstance(piece, str):
        yield piece
    elif isinstance(piece, Wildcard):
        deeper = _descend(piece.name, within)
        for line in lines(piece.name):
            yield from _iter_texts(_choices_of(line, piece.name), lines, deeper)
    else:
        options, weights = _options(piece, lines, within)
        possible = [item for item, weight in zip(options, weights, strict=True) if weight > 0]
        for count in range(piece.low, piece.high + 1):
            if count > len(possible):
                raise _too_few(count, len(possible))
            for some in combinations(possible, count):
                joined = [part for option in some for part in (piece.between, *option)]
                yield from _iter_texts(joined[1:], lines, within)


def _too_few(count: int, there: int) -> InvalidValue:
    return InvalidValue(f"cannot draw {count} of {there} options", port="text")
