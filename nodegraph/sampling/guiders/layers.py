"""Parse short names of network layers, such as `7` or `down.1`. Imports no torch.

A transformer's blocks go by their number (``7``), those of a second stack by ``single.7``; a UNet's
by the part that they are in: ``mid``, ``down``, ``down.1`` or ``up.0.2``, the last being the
number of the attention in it. Nothing means the middle of the network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nodegraph.errors import InvalidValue

_NAME = re.compile(r"(single\.)?\d+|mid|(down|up)(\.\d+){0,2}")


def layer_names(text: str) -> tuple[str, ...]:
    """The names in a text, with commas or spaces between.

    Raises:
        InvalidValue: On port ``layers``: one is no such name.
    """
    names = tuple(text.replace(",", " ").split())
    for name in names:
        if not _NAME.fullmatch(name):
            raise InvalidValue(
                "this names no layer",
                port="layers",
                given=name,
                expected="numbers of blocks, for example `7, 8, 9`; of a UNet `mid`, `down.1` or "
                "`up.0.2`",
            )
    return names


def prefixes(names: Sequence[str], stacks: Sequence[str], counts: Sequence[int]) -> list[str]:
    """Where the layers lie in a network.

    Args:
        stacks: Names of its stacks of blocks, the first first; none of a UNet.
        counts: Their lengths.
    """
    if not names:
        return ["mid_block."] if not stacks else [f"{stacks[0]}.{counts[0] // 2}."]
    return [_prefix(name, stacks) for name in names]


def _prefix(name: str, stacks: Sequence[str]) -> str:
    part, _, block_path = name.partition(".")
    if part in ("mid", "down", "up"):
        block, _, attention = block_path.partition(".")
        plural = f"{part}_blocks.{block}." if block else f"{part}_blocks."
        attention_path = f"attentions.{attention}." if attention else ""
        return "mid_block." if part == "mid" else plural + attention_path
    stack = (*stacks, "", "")[1 if part == "single" else 0]
    return f"{stack}.{block_path or part}." if stack else f"{name}."
