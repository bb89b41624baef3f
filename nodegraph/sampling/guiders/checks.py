"""Which guidance goes with which model. Imports no torch."""

from __future__ import annotations

import math

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
    if kind in (PERTURBED, SKIPPED) and family.latent.only_size is not None:
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
