"""Prompts to conditioning, whatever the family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.diffusion.components import TextModel
from nodegraph.diffusion.families import family_named
from nodegraph.errors import NumericalError


def encode_prompt(
    text_model: TextModel, text: str, *, warn: Callable[[str], None] | None = None
) -> Conditioning:
    """A prompt as the denoiser of the same model takes it.

    Prompts are encoded one by one, so that one's bits don't depend on others.

    Args:
        warn: Told, in one sentence, if something of the prompt is treated apart, such as the part
            that is longer than the encoder takes at once.
    Returns:
        One entry, and what stands in for a missing negative prompt as `unconditional`.
    Raises:
        InvalidValue: The prompt is far too long or has an absurd weight.
        NumericalError: An encoder gives NaN or infinity.
    """
    family = family_named(text_model.family)
    with torch.no_grad():
        entry = family.encode(text_model, text, warn)
        unconditional = _unconditional(text_model)
    for tensor in entry.tensors.values():
        if not torch.isfinite(tensor).all():
            raise NumericalError(
                "the text encoder gave NaN or infinity", hint="Load the model with dtype float32."
            )
    return Conditioning((entry,), text_model.family, unconditional)


def _unconditional(text_model: TextModel) -> ConditioningEntry | None:
    """What stands in for a missing negative prompt: encoded once for each encoder."""
    device = str(text_model.device)
    if device not in text_model.empty:
        text_model.empty[device] = family_named(text_model.family).unconditional(text_model)
    known = text_model.empty[device]
    if known is None:
        return None
    # A copy, as somebody may write into a result.
    return replace(known, tensors={name: item.clone() for name, item in known.tensors.items()})
