"""Weights of a merge: one for the whole model, and others for some of its blocks. No torch.

Blocks are named by beginnings of layer names, as diffusers has them. Those of a UNet may also be
named as in other tools: IN00 to IN11, MID and OUT00 to OUT11 for Stable Diffusion 1.x and 2.x, and
up to 08 for SDXL. A list of numbers alone is for all of these blocks, in this order. A question
mark behind a name is for blocks that not every model of a family has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue
from nodegraph.weights.single_files.unet import unet_blocks

PORT = "blocks"
LOWEST, HIGHEST = -10.0, 10.0
"""Of a weight. Those outside 0..1 extrapolate."""
_RULE = re.compile(r"\s*([\w.]+?)(?:\s*-\s*([\w.]+))?(\?)?\s*[:=]\s*([^\s:=]+)\s*")
_INDEX = re.compile(r"(.*?)(\d{1,4})")
_EXPECTED = "lines such as `down_blocks.0: 0.3`, `IN00-IN05: 0.2` or `MID: 1`"
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class BlockWeights:
    """Weights of a merge.

    Attributes:
        default: For all layers that no rule is for.
        rules: Beginnings of layer names with their weights. The longest that fits counts.
    """

    default: float
    rules: Mapping[str, float] = field(default_factory=dict)

    def weight(self, name: str) -> float:
        """The weight of a tensor, by its name."""
        best = max((rule for rule in self.rules if _is_in(name, rule)), key=len, default=None)
        return self.default if best is None else self.rules[best]


def _is_in(name: str, block: str) -> bool:
    return name == block or name.startswith(f"{block}.")


@dataclass(frozen=True, slots=True)
class BlockRange:
    """One rule: the weight of a block, or of several with consecutive numbers.

    Attributes:
        first, last: Names of the first and the last block, equal for one block.
        is_optional: Whether the model may have no such block.
    """

    first: str
    last: str
    weight: float
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class BlockRules:
    """Weights of blocks as a user wrote them.

    Attributes:
        ranges: The rules, in order.
        listed: Weights of all blocks of a UNet, in order; empty if there are rules.
    """

    ranges: tuple[BlockRange, ...] = ()
    listed: tuple[float, ...] = ()

    def resolve(
        self, default: float, names: Collection[str], config: Mapping[str, Any]
    ) -> BlockWeights:
        """The weights for a model.

        Args:
            default: For layers without a rule.
            names: Of the tensors of the model, as diffusers has them.
            config: Of its first module.
        Raises:
            InvalidValue: The model has no such block, or another number of blocks.
        """
        if not (self.ranges or self.listed):
            return BlockWeights(default)
        short = _short_names(names, config)
        if self.listed:
            return BlockWeights(default, self._of_list(short))
        rules: dict[str, float] = {}
        for each in self.ranges:
            for block in _blocks(each.first, each.last):
                for beginning in short.get(block.upper(), (block,)):
                    if any(_is_in(name, beginning) for name in names):
                        rules[beginning] = each.weight
                    elif not each.is_optional:
                        raise _unknown_block(block, names, short)
        return BlockWeights(default, rules)

    def _of_list(self, short: Mapping[str, Sequence[str]]) -> dict[str, float]:
        if len(self.listed) != len(short):
            expected = f"{len(short)} numbers" if short else _EXPECTED
            raise InvalidValue(
                "the list of weights does not match the blocks of this model",
                port=PORT,
                given=f"{len(self.listed)} numbers",
                expected=expected,
            )
        return {
            beginning: weight
            for weight, beginnings in zip(self.listed, short.values(), strict=True)
            for beginning in beginnings
        }


def parse_blocks(text: str) -> BlockRules:
    """Read weights of blocks: one rule per line or between commas, or numbers alone.

    Raises:
        InvalidValue: It is neither, or a weight is out of range.
    """
    parts = [part.strip() for part in re.split(r"[,;\n]", text) if part.strip()]
    if parts and not any(sign in text for sign in ":="):
        return BlockRules(listed=tuple(_weight(part) for part in parts))
    ranges = []
    for part in parts:
        match = _RULE.fullmatch(part)
        if match is None:
            raise _unreadable(part)
        first, last = match[1], match[2] or match[1]
        _blocks(first, last)
        ranges.append(BlockRange(first, last, _weight(match[4]), match[3] is not None))
    return BlockRules(tuple(ranges))


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        raise _unreadable(text) from None
    if not LOWEST <= weight <= HIGHEST:
        raise InvalidValue(
            "a weight of a block is out of range",
            port=PORT,
            given=text,
            expected=f"{LOWEST:g} to {HIGHEST:g}",
        )
    return weight


def _unreadable(text: str) -> InvalidValue:
    return InvalidValue(
        "this is no weight of a block", port=PORT, given=repr(text), expected=_EXPECTED
    )


def _blocks(first: str, last: str) -> list[str]:
    """The names from the first to the last one, which differ in their last number.

    Raises:
        InvalidValue: They differ in more.
    """
    if first == last:
        return [first]
    start = _INDEX.fullmatch(first)
    end = _INDEX.fullmatch(last)
    if start is None or end is None or end[1] not in ("", start[1]) or int(start[2]) > int(end[2]):
        raise _unreadable(f"{first}-{last}")
    width = len(start[2])
    return [f"{start[1]}{number:0{width}}" for number in range(int(start[2]), int(end[2]) + 1)]


def _short_names(names: Collection[str], config: Mapping[str, Any]) -> dict[str, list[str]]:
    """The blocks of a UNet by their short names, in order; empty for other models."""
    if "down_block_types" not in config or "up_block_types" not in config:
        return {}
    by_block: dict[tuple[int, int], list[str]] = {}
    for here, original in unet_blocks(config).items():
        stem, _, number = original.partition(".")
        order = {"input_blocks": 0, "middle_block": 1, "output_blocks": 2}.get(stem)
        if order is not None and any(_is_in(name, here) for name in names):
            index = 0 if order == 1 else int(number.partition(".")[0])
            by_block.setdefault((order, index), []).append(here)
    return {_short(*block): by_block[block] for block in sorted(by_block)}


def _short(order: int, index: int) -> str:
    return "MID" if order == 1 else f"{'IN' if order == 0 else 'OUT'}{index:02}"


def _unknown_block(
    block: str, names: Collection[str], short: Mapping[str, Sequence[str]]
) -> InvalidValue:
    known = list(dict.fromkeys([*short, *_beginnings(names)]))
    shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    return InvalidValue(
        "the model has no such block",
        port=PORT,
        given=block,
        expected=shown,
        hint=did_you_mean(block, known) or None,
    )


def _beginnings(names: Collection[str]) -> Iterator[str]:
    """The blocks of a model: names of layers up to their first number."""
    for name in names:
        match = re.match(r"[^.]+(?:\.\d+)?(?=\.)", name)
        if match is not None:
            yield match[0]
