"""Values that a widget may have, to see what they would lead to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from nodegraph.compat.comfyui.signatures import TakenInput


def stand_ins(taken: TakenInput, lost: Sequence[TakenInput], words: Sequence[str]) -> Iterator[Any]:
    """Values that a widget may have, other than its default.

    Args:
        lost: Inputs of which some may be there with certain values of this one alone.
        words: What the type's entry tells apart.
    """
    usual = taken.default
    for value in _possible(taken, lost, words):
        if value != usual or type(value) is not type(usual):
            yield value


def _possible(taken: TakenInput, lost: Sequence[TakenInput], words: Sequence[str]) -> list[Any]:
    usual = taken.default
    match taken.type:
        case "BOOLEAN":
            return [not usual]
        case "INT":
            # Sizes go in steps of eight, and what others do to them is no value of the file's.
            whole = int(usual or 0)
            below = [whole - 8, whole // 2, 8] if whole > 8 else [whole - 1] if whole > 1 else []
            return [whole + 8, *below, whole + 24]
        case "FLOAT":
            number = float(usual or 0.0)
            steps = (0.25, 0.125, -0.25) if number <= 0.75 else (-0.25, -0.125, 0.25)
            return [moved for step in steps if (moved := number + step) >= 0 or number < 0]
        case "COLOR":
            return ["#123456", "#fedcba"]
    alike = re.sub(r"\d", "7", usual) if isinstance(usual, str) else ""
    texts = [alike] if taken.type == "STRING" and alike != usual and alike else []
    texts += ["another", "a third"]
    if taken.type == "COMBO" and isinstance(usual, str):
        texts += [word for each in lost if each.parent == taken.name for word in each.when]
        texts += words
    return list(dict.fromkeys(texts))
