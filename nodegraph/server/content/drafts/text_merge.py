"""Three-way merge of texts, so that two windows may type in one prompt.

The hunks of both changes are found on the text that both began with: common ends are cut off, and
what is between them is compared by words, and by letters where words were changed and enough of it
stays (longest common subsequence). Everything that either side
inserted stays, and what either side deleted goes. Where both inserted at one position, what is
there already comes first. `editor/src/model/shared/textMerge.ts` does the same, and
tests/data/text_merges.json has the cases that both must pass: windows and server have to agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LONGEST_MERGED = 20_000
"""Characters of a text; longer ones are replaced as a whole."""
_MOST_CELLS = 40_000
"""Of the table of pairs (some 10 ms); a larger change counts as one hunk."""
_BREAKS = frozenset(" \n\r\t,.;:()")
"""Each of them is a word by itself. The editor has the same ones."""


class Hunk(NamedTuple):
    """A change: the characters from `start` to `end` are replaced by `text`."""

    start: int
    end: int
    text: str


def merge_text(before: str, text: str, current: str) -> str:
    """Return the current text with a change of another one.

    Args:
        before: The text that the change began with.
        text: What the change made of it.
        current: What others have made of it meanwhile.
    """
    if current in (before, text) or max(map(len, (before, text, current))) > LONGEST_MERGED:
        return text
    if text == before:
        return current
    theirs = find_hunks(before, current)
    mine = [hunk for hunk in find_hunks(before, text) if hunk not in theirs]
    deleted = bytearray(len(before))
    inserted: dict[int, str] = {}
    for hunk in (*theirs, *mine):
        deleted[hunk.start : hunk.end] = b"\1" * (hunk.end - hunk.start)
        inserted[hunk.start] = inserted.get(hunk.start, "") + hunk.text
    merged = []
    for at, letter in enumerate(before):
        merged.append(inserted.get(at, ""))
        if not deleted[at]:
            merged.append(letter)
    return "".join(merged) + inserted.get(len(before), "")


def find_hunks(before: str, after: str) -> list[Hunk]:
    """Return what changed from one text to another, in the order of positions."""
    most = min(len(before), len(after))
    start = 0
    while start < most and before[start] == after[start]:
        start += 1
    tail = 0
    while tail < most - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old = before[start : len(before) - tail]
    new = after[start : len(after) - tail]
    if not old and not new:
        return []
    a, b = _words(old), _words(new)
    by_words = [Hunk(start, start + len(old), new)]
    if a and b and len(a) * len(b) <= _MOST_CELLS:
        by_words = _compare(a, b, start)
    # Words that were only added, or only deleted, are found best as words.
    if all(hunk.start == hunk.end for hunk in by_words) or not any(hunk.text for hunk in by_words):
        return by_words
    by_letters = _compare_letters(old, new, start)
    if by_letters is not None:
        return by_letters
    hunks: list[Hunk] = []
    for hunk in by_words:
        refined = _compare_letters(before[hunk.start : hunk.end], hunk.text, hunk.start)
        hunks.extend([hunk] if refined is None else refined)
    return hunks


def _compare_letters(old: str, new: str, start: int) -> list[Hunk] | None:
    """Return the hunks by letters; None if that takes too long, or little of the text stays."""
    if not old or not new or len(old) * len(new) > _MOST_CELLS:
        return None
    if _common_lengths(old, new)[0][0] * 2 < min(len(old), len(new)):
        return None
    return _compare(old, new, start)


def _words(text: str) -> list[str]:
    words: list[str] = []
    is_open = False
    for letter in text:
        if letter in _BREAKS:
            words.append(letter)
            is_open = False
        elif is_open:
            words[-1] += letter
        else:
            words.append(letter)
            is_open = True
    return words


def _compare(a: Sequence[str], b: Sequence[str], start: int) -> list[Hunk]:
    table = _common_lengths(a, b)
    hunks: list[Hunk] = []
    i = j = 0
    at = begin = start
    inserted = ""
    while i < len(a) or j < len(b):
        if i < len(a) and j < len(b) and a[i] == b[j]:
            if at > begin or inserted:
                hunks.append(Hunk(begin, at, inserted))
            at += len(a[i])
            begin, inserted = at, ""
            i, j = i + 1, j + 1
        elif j == len(b) or (i < len(a) and table[i + 1][j] >= table[i][j + 1]):
            at += len(a[i])
            i += 1
        else:
            inserted += b[j]
            j += 1
    if at > begin or inserted:
        hunks.append(Hunk(begin, at, inserted))
    return hunks


def _common_lengths(a: Sequence[str], b: Sequence[str]) -> list[list[int]]:
    """How many items the rests of both have in common, by where the rests begin."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        row, below = table[i], table[i + 1]
        for j in range(len(b) - 1, -1, -1):
            if a[i] == b[j]:
                row[j] = below[j + 1] + 1
            else:
                row[j] = max(below[j], row[j + 1])
    return table
