"""Which models' attention to words can be recorded. Imports no torch."""

from __future__ import annotations

from typing import Literal

from nodegraph.errors import InvalidValue

ScaleOf = Literal["each word", "all words"]
ATTENTION_MAP_FAMILIES = ("sd1", "sd2", "sdxl")
"""Families whose UNets look at the words of a CLIP by cross-attention."""


def check_attention_support(family: str) -> None:
    """Refuse models of other families.

    Raises:
        InvalidValue: On port ``model``.
    """
    if family not in ATTENTION_MAP_FAMILIES:
        raise InvalidValue(
            "only UNets that read their prompt by cross-attention can be looked into",
            port="model",
            given=family,
            expected="Stable Diffusion 1, 2 or XL",
        )
