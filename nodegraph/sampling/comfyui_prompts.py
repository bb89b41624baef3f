r"""Prompts as ComfyUI's page reads them before it sends them: comments, choices and escapes.

- ``// to the end of the line`` and ``/* … */`` are left out, before anything else is read;
- of ``{red|green}`` one is drawn, all as likely; one that isn't closed ends with the text;
- ``\{``, ``\|`` and ``\}`` are the plain characters. Any other backslash stays, and so does what
  is behind it; a closing brace or a bar outside of braces is plain.

This is the grammar of its function `processDynamicPrompt`. It has neither wildcards nor weights,
and its server takes texts as they are. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from nodegraph.errors import InvalidValue
from nodegraph.sampling.wildcards import DEEPEST, LONGEST, list_distinct

Choose = Callable[[int], int]
"""Which of so many options is taken."""

# A full stop of JavaScript's stops at these four, one of Python's at the first alone.
_LINE_COMMENT = re.compile(r"//[^\n\r\u2028\u2029]*")
_COMMENT = re.compile(rf"/\*|{_LINE_COMMENT.pattern}")
_ESCAPED = re.compile(r"\\([{}|])")
_SIGN = re.compile(r"\\.|.", re.DOTALL)
_OF_COMMENTS = re.compile(r"/(?=[/*])")
_RUN = re.compile(r"(?<!\\)(\\*)([{}|])")
_OPEN_END = re.compile(r"(?<!\\)\\(?:\\\\)*\Z")


def without_comments(text: str) -> str:
    """A prompt without its comments."""
    pieces: list[str] = []
    at = 0
    while (matched := _COMMENT.search(text, at)) is not None:
        pieces.append(text[at : matched.start()])
        at = matched.end()
        if matched[0] == "/*":
            end = text.find("*/", at)
            if end < 0:
                # Nor does any later one end: looking for that anew would take quadratic time.
                return "".join([*pieces, "/*", _LINE_COMMENT.sub("", text[at:])])
            at = end + len("*/")
    return "".join([*pieces, text[at:]])


def has_choices(text: str) -> bool:
    """Whether one of several texts may be drawn of a prompt, or nobody could tell: braces that
    stand in each other too deeply count, too."""
    return any(
        (sign == "|" and depth > 0) or depth > DEEPEST
        for sign, depth in _signs(without_comments(text))
    )


def _signs(text: str) -> Iterator[tuple[str, int]]:
    """The characters of a text, escaped ones together, each with how many braces stand around."""
    depth = 0
    for sign in _SIGN.findall(text):
        depth += {"{": 1, "}": -1 if depth else 0}.get(sign, 0)
        yield sign, depth


def check_prompt(text: str) -> None:
    """Check that a prompt can be drawn.

    Raises:
        InvalidValue: Braces stand in each other too deeply, or it is too long.
    """
    depth = max((depth for _, depth in _signs(without_comments(text))), default=0)
    if depth > DEEPEST:
        raise InvalidValue(
            "choices are nested too deeply",
            port="text",
            given=str(depth),
            expected=f"{DEEPEST} at most",
        )
    if len(text) > LONGEST:
        raise InvalidValue(
            "the prompt becomes too long", port="text", expected=f"at most {LONGEST:,} characters"
        )


def plain_prompt(text: str) -> str:
    """What a prompt without choices says; of one with choices, with the first of each.

    Raises:
        InvalidValue: See `check_prompt`.
    """
    return _resolve_choices(text, lambda count: 0)


def draw_prompt(text: str, seed: int) -> str:
    """One text by a seed.

    Raises:
        InvalidValue: See `check_prompt`.
    """
    from random import Random  # takes a while to import, which a start needn't wait for

    chance = Random(seed).random  # noqa: S311 - not for secrets
    return _resolve_choices(text, lambda count: int(chance() * count))


def every_prompt(text: str, most: int) -> list[str]:
    """All texts that could be drawn, each once.

    Args:
        most: Of which there may be so many.
    Raises:
        InvalidValue: They are more; or see `check_prompt`.
    """
    return list_distinct(_every(text), most)


def _every(text: str) -> Iterator[str]:
    """Go through all ways to choose: the last choice that has one more option takes its next."""
    way: list[int] = []
    while True:
        counts: list[int] = []

        def choose(count: int, way: list[int] = way, counts: list[int] = counts) -> int:
            counts.append(count)
            return way[len(counts) - 1] if len(counts) <= len(way) else 0

        yield _resolve_choices(text, choose)
        way = [*way, *[0] * (len(counts) - len(way))]
        while way and way[-1] + 1 >= counts[len(way) - 1]:
            way.pop()
        if not way:
            return
        way[-1] += 1


def _resolve_choices(text: str, choose: Choose) -> str:
    check_prompt(text)
    return _read(text, choose)


def _read(text: str, choose: Choose) -> str:
    text = without_comments(text)
    pieces: list[str] = []
    at = 0
    while at < len(text):
        sign, at = text[at], at + 1
        if sign == "\\":
            # Behind the last backslash the page reads on, and writes what it finds there.
            pieces.append(sign + (text[at] if at < len(text) else "undefined"))
            at += 1
        elif sign == "{":
            options, at = _options(text, at)
            # An option is read as a prompt of its own, comments and escapes included.
            pieces.append(_read(options[choose(len(options))], choose))
        else:
            pieces.append(sign)
    return _ESCAPED.sub(r"\1", "".join(pieces))


def _options(text: str, at: int) -> tuple[list[str], int]:
    """The options of a choice as they are written, and where the text goes on behind it.

    Args:
        at: Where the text goes on behind the opening brace.
    """
    options: list[list[str]] = [[]]
    depth = 0
    while at < len(text):
        sign, at = text[at], at + 1
        if sign == "\\":
            options[-1] += sign, text[at] if at < len(text) else "undefined"
            at += 1
            continue
        if sign == "}" and not depth:
            break
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "|" and not depth:
            options.append([])
        else:
            options[-1].append(sign)
    return ["".join(pieces) for pieces in options], at


def can_be_escaped(text: str) -> bool:
    """Whether a prompt can say a text: none can say one with a single backslash at its end."""
    return _OPEN_END.search(text) is None


def escaped_prompt(text: str) -> str:
    """The prompt that says just a text.

    Behind a single backslash at its end, which no prompt can say, stands a space.
    """
    prompt = _RUN.sub(_with_escape, text)
    # An empty choice says nothing, and keeps apart what would begin a comment.
    prompt = _OF_COMMENTS.sub("/{}", prompt)
    return prompt if can_be_escaped(text) else prompt + " "


def _with_escape(matched: re.Match[str]) -> str:
    run, sign = matched.groups()
    if len(run) % 2:
        # Two backslashes stay two where they are read, and the sign takes one of them away; it
        # comes out of a choice, as behind a third one it would be escaped.
        return f"{run}\\{{\\{sign}}}"
    return sign if matched[0] == "|" else f"{run}\\{sign}"
