"""Prompts to conditioning, whatever the family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.diffusion.components import TextModel
from nodegraph.diffusion.families import family_named
from nodegraph.errors import InvalidValue, NumericalError


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
    return _conditioning(text_model, lambda: family.encode(text_model, text, warn))


def encode_edit(
    text_model: TextModel,
    text: str,
    images: Sequence[Tensor],
    *,
    warn: Callable[[str], None] | None = None,
) -> Conditioning:
    """What to make of pictures, by an encoder that sees them, too.

    Args:
        images: float32 in 0..1, each of shape (pictures, height, width, 3), all of which it sees.
        warn: As for `encode_prompt`.
    Returns:
        As `encode_prompt`.
    Raises:
        InvalidValue: The encoder sees no pictures, or not so many.
        NumericalError: As of `encode_prompt`.
    """
    family = family_named(text_model.family)
    pictures = [picture for image in images for picture in image]
    return _conditioning(text_model, lambda: family.encode_edit(text_model, text, pictures, warn))


def with_references(conditioning: Conditioning, latent: Latent) -> Conditioning:
    """Prompts that bring pictures to look at, after those that they brought before.

    Args:
        latent: Of one picture or several; the mask has no meaning here.
    Raises:
        InvalidValue: The latent is empty, or of another format than the model's.
    """
    if latent.samples is None:
        raise InvalidValue(
            "the latent is empty: there is nothing to look at",
            port="latent",
            hint="Encode a picture, with VAEEncode.",
        )
    _check_format(conditioning, latent)
    seen = tuple(item[None] for item in latent.samples)

    def shown(entry: ConditioningEntry) -> ConditioningEntry:
        return replace(entry, references=(*entry.references, *seen))

    return replace(conditioning, entries=tuple(map(shown, conditioning.entries)))


def _check_format(conditioning: Conditioning, latent: Latent) -> None:
    if conditioning.family is None or latent.format is None:
        return
    wanted = family_named(conditioning.family).latent.name
    if latent.format != wanted:
        raise InvalidValue(
            "the latent is of another format than the model's",
            port="latent",
            given=latent.format,
            expected=wanted,
            hint="Encode the picture with the VAE of the same LoadModel.",
        )


def _conditioning(text_model: TextModel, encode: Callable[[], ConditioningEntry]) -> Conditioning:
    with text_model.turn, torch.no_grad():
        entry = encode()
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
