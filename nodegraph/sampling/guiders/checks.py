"""Which guidance goes with which model, and names of the layers that it perturbs. Imports no torch.

A transformer's blocks go by their number (``7``), those of a second stack by ``single.7``; a UNet's
by the part that they are in: ``mid``, ``down``, ``down.1`` or ``up.0.2``, the last being the
number of the attention in it. Nothing means the middle of the network.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from nodegraph.errors import InvalidValue
from nodegraph.families.registry import FAMILIES
from nodegraph.families.sampler_names import asks_unguided
from nodegraph.families.unet import UNetFamily


def check_guidable(sampler: str | None, *, needs_negative: bool) -> None:
    """Refuse what asks a model for several prompts that was distilled from guidance.

    Args:
        sampler: Its name; None where it isn't known.
        needs_negative: Whether the guider asks for several prompts whatever the scale.
    Raises:
        InvalidValue: On port ``guider`` or ``sampler``.
    """
    if needs_negative:
        raise InvalidValue(
            "the model is guidance-distilled: it evaluates one prompt only",
            port="guider",
            hint="Use a CFGGuider or a BasicGuider.",
        )
    if asks_unguided(sampler):
        raise InvalidValue(
            "the model is guidance-distilled and has no unguided prediction, which samplers "
            "with _cfg_pp in their names need",
            port="sampler",
            given=sampler,
            hint="Use the sampler of the same name without _cfg_pp.",
        )


def check_takes_scale(*, takes_scale: bool) -> None:
    """Refuse a scale for a model that takes none.

    Args:
        takes_scale: Whether it takes one; see `Family.takes_scale`.
    Raises:
        InvalidValue: On port ``guider``.
    """
    if not takes_scale:
        raise InvalidValue(
            "the model has no guidance scale input",
            port="guider",
            hint="Replace the DistilledGuider with a CFGGuider.",
        )


def check_negative(sampler: str | None, *, needs_negative: bool) -> None:
    """Refuse what asks for a negative prompt where there is none, not even the empty one.

    Arguments are those of `check_guidable`.

    Raises:
        InvalidValue: On port ``negative``.
    """
    if needs_negative or asks_unguided(sampler):
        what = "the guider" if needs_negative else f"sampler {sampler}"
        raise InvalidValue(
            f"{what} needs a negative prompt at every guidance scale, and the model's family "
            "has no default empty one",
            port="negative",
            expected="a negative prompt",
            hint="Link an EncodePrompt; its text may be empty.",
        )


def check_from_zero(port: str, number: float) -> None:
    """Refuse what is no scale.

    Raises:
        InvalidValue: It is below 0, or not finite.
    """
    if not (math.isfinite(number) and number >= 0):
        raise InvalidValue(
            f"{port} is out of range",
            port=port,
            given=str(number),
            expected="a number from 0 up",
        )


def check_interval(start: float, end: float) -> None:
    """Refuse guidance that ends before it begins.

    Args:
        start, end: Part of the sampling that is guided, 0 to 1.
    Raises:
        InvalidValue: On port ``start``.
    """
    if not 0 <= start <= end <= 1:
        raise InvalidValue(
            "the guided part ends before it begins",
            port="start",
            given=f"{start:g} to {end:g}",
            expected="0 to 1",
        )


PERTURBED, SKIPPED, UNET_ATTENTION, CLASSIFIED = "perturbed", "skipped", "looked into", "classified"
"""What guidance does with a network: another attention, blocks left out, a UNet's middle looked
into, the noisy latent classified."""


def check_addable(kind: str, name: str) -> None:
    """Refuse guidance that a family can't be led by.

    Args:
        kind: One of those above.
        name: Of the family; of one that isn't known here, nothing is refused.
    Raises:
        InvalidValue: On port ``guider``.
    """
    family = FAMILIES.get(name)
    if family is None:
        return
    # Networks without an encoder are those of items, with a few blocks.
    is_small = family.latent.only_size is not None and not family.encoders
    if kind in (PERTURBED, SKIPPED) and is_small:
        raise _refused(f"the network of {family.title} is too small for weakened-network guidance")
    if kind == PERTURBED and not family.perturbs_attention:
        raise _refused(f"{family.title} does not support perturbed attention")
    if kind == SKIPPED and not family.skips_blocks:
        raise _refused(f"{family.title} does not support skipped blocks")
    if kind == UNET_ATTENTION and not isinstance(family, UNetFamily):
        raise InvalidValue(
            "this guidance needs a model with a UNet",
            port="guider",
            given=family.title,
            expected="Stable Diffusion 1 or 2, or SDXL",
            hint="PerturbedAttentionGuidance is similar and also works with transformers.",
        )
    if kind == CLASSIFIED and family.noise == "flow":
        raise _refused(
            f"{family.title} is a flow model and has no noise variances, which classifiers "
            "are trained on"
        )


def _refused(message: str) -> InvalidValue:
    return InvalidValue(message, port="guider", hint="Remove the node that adds it.")


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
