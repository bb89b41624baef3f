"""Prompts of single regions, from one text. Imports no torch.

The syntax is that of Impact Pack's detailers. Source: its documentation of wildcards,
https://github.com/ltdrdata/ComfyUI-extension-tutorials/blob/Main/ComfyUI-Impact-Pack/tutorial/ImpactWildcard.md
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodegraph import InvalidValue

if TYPE_CHECKING:
    from nodegraph.media.images.regions import Region

ORDERS = ("[ASC-SIZE]", "[DSC-SIZE]", "[ASC]", "[DSC]", "[RND]")
_LABELED, _JOINED, _SEPARATOR = "[LAB]", "[CONCAT]", "[SEP]"
_SKIPPED, _STOPPED = "[SKIP]", "[STOP]"
_LABEL = re.compile(r"\[([^\[\]:|]+)\]")
_SEEDED = re.compile(r"\[SEP:[^\]]*\]")
_DRAWN = re.compile(r"\{|__")


@dataclass(frozen=True, slots=True)
class RegionPrompt:
    """The prompt of one region.

    Attributes:
        index: Of the region.
        text: Of the prompt. Empty for the prompt that all regions share.
        is_joined: Whether it is added to that prompt, not used instead of it.
        is_painted: Whether the region is painted at all.
    """

    index: int
    text: str = ""
    is_joined: bool = False
    is_painted: bool = True

    @property
    def is_drawn(self) -> bool:
        """Whether words are drawn from choices or wildcards."""
        return _DRAWN.search(self.text) is not None


def assign_prompts(text: str, regions: Sequence[Region], seed: int) -> list[RegionPrompt]:
    """Return the prompt of each region, in the order in which regions are painted.

    Args:
        text: See DetailRegions. Empty for none.
        seed: Of a random order.
    Raises:
        InvalidValue: The text loads LoRAs, or sets seeds.
    """
    check_region_prompts(text)
    prompts_text = text.strip()
    is_joined = prompts_text.startswith(_JOINED)
    prompts_text = prompts_text.removeprefix(_JOINED).strip()
    if prompts_text.startswith(_LABELED):
        texts = _by_label(prompts_text.removeprefix(_LABELED))
        labeled = [
            # each label stands on a line
            " ".join((texts.get("ALL", "") + texts.get(region.label, "")).split())
            for region in regions
        ]
        return [_prompt(at, item, is_joined=is_joined) for at, item in enumerate(labeled)]
    order = next((sign for sign in ORDERS if prompts_text.startswith(sign)), "")
    parts = [part.strip() for part in prompts_text.removeprefix(order).split(_SEPARATOR)]
    # a separator at the end, or after the order, begins no further prompt
    parts = parts[:-1] if len(parts) > 1 and not parts[-1] else parts
    prompts: list[RegionPrompt] = []
    has_stopped = False
    for position, index in enumerate(_ordered(order, regions, seed)):
        prompt = _prompt(index, parts[position % len(parts)], is_joined=is_joined)
        has_stopped = has_stopped or prompt.text.startswith(_STOPPED)
        is_skipped = has_stopped or prompt.text.startswith(_SKIPPED)
        prompts.append(RegionPrompt(index, is_painted=False) if is_skipped else prompt)
    return prompts


def check_region_prompts(text: str) -> None:
    """Refuse what prompts of regions cannot do.

    Raises:
        InvalidValue: On port ``prompts``.
    """
    seeded = _SEEDED.search(text)
    if seeded is not None:
        raise InvalidValue(
            "prompts of regions set no seeds",
            port="prompts",
            given=seeded[0],
            expected=_SEPARATOR,
            hint="Use seed and seeds.",
        )
    if "<lora:" in text:
        raise InvalidValue(
            "prompts of regions load no LoRAs",
            port="prompts",
            given=text[text.index("<lora:") :][:40],
            hint="Load the LoRA with LoadLora on the model.",
        )


def _prompt(index: int, text: str, *, is_joined: bool) -> RegionPrompt:
    own = text.strip()
    joins = is_joined or own.startswith(_JOINED)
    return RegionPrompt(index, own.removeprefix(_JOINED).strip(), joins)


def _by_label(text: str) -> dict[str, str]:
    """Return the texts after each ``[label]``, by label."""
    pieces = _LABEL.split(text)
    texts: dict[str, str] = {}
    for label, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        texts[label.strip()] = texts.get(label.strip(), "") + piece
    return texts


def _ordered(order: str, regions: Sequence[Region], seed: int) -> list[int]:
    """Return indices of regions in an order: from left to right, or from small to large."""
    indices = list(range(len(regions)))
    if order == "[RND]":
        random.Random(seed).shuffle(indices)  # noqa: S311 - no secret
        return indices
    boxes = [region.object_box for region in regions]
    if order.endswith("-SIZE]"):
        indices.sort(key=lambda at: boxes[at][2] * boxes[at][3])
    elif order:
        indices.sort(key=lambda at: boxes[at][:2])
    return indices[::-1] if order.startswith("[DSC") else indices
