"""Conditioning with control images, for control networks and control-image models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import (
    Conditioning,
    ConditioningEntry,
    Control,
    ControlNet,
    Recipe,
    Vae,
)
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Autoencoder
from nodegraph.families.image_conditioning import CONTROL_IMAGE
from nodegraph.families.registry import get_family
from nodegraph.media.images.editing.pixel_formats import check_finite
from nodegraph.models.vae import crop_to_cells, encode_image, encode_video, latent_format
from nodegraph.sampling.controls.files import recipe_kind
from nodegraph.sampling.controls.kinds import NO_MODE, ControlKind, mode_number
from nodegraph.sampling.inpainting import with_tensors
from nodegraph.sampling.schedules import NoiseLevels


def with_control_image(
    autoencoder: Autoencoder, conditioning: Conditioning, image: Tensor, *, shown: bool = True
) -> Conditioning:
    """Prompts that bring an image to follow.

    Args:
        autoencoder: Of the model.
        image: float32 in 0..1, shape (1, height, width, 3).
        shown: Whether the model sees it; else it is shown nothing, of its size.
    Raises:
        InvalidValue: There are several.
    """
    if image.shape[0] != 1:
        raise InvalidValue(
            "a model takes one control image",
            port="image",
            given=f"{image.shape[0]} images",
            expected="one",
            hint="ImageList splits a batch: the nodes after it run once per image.",
        )
    image_latent = encode_image(autoencoder, image).samples
    assert image_latent is not None
    if conditioning.family and get_family(conditioning.family).follows_unscaled:
        image_latent = image_latent / float(autoencoder.config["scaling_factor"])
    return with_tensors(conditioning, {CONTROL_IMAGE: image_latent if shown else image_latent * 0})


Weights = Callable[..., AbstractContextManager[Any]]
"""Live components by recipe, as `Context.weights`."""


def control_of(
    network: ControlNet,
    image: Tensor,
    *,
    strength: float = 1.0,
    start: float = 0.0,
    end: float = 1.0,
    mode: str = NO_MODE,
    faint: bool = False,
    mask: Tensor | None = None,
    inpaint_image: Tensor | None = None,
    vae: Vae | None = None,
    weights: Weights | None = None,
    crop: bool = False,
) -> Control:
    """An image that leads through a network, encoded where that sees latents.

    Args:
        image: In 0..1, shape (n, height, width, channels); of video models, the frames of a video.
        strength, start, end, faint: As of `Control`.
        mode: One of `kinds.MODES`.
        mask: In 0..1, shape (1 or n, height, width); from a half up it is filled.
        inpaint_image: In 0..1, shape (1 or n, height, width, channels): what the mask is of, for
            networks that are shown it beside a control image.
        vae: Of the model, with what brings its weights.
        crop: Whether to cut off evenly what fills no whole cells of the VAE.
    Raises:
        InvalidValue: Something that the network needs is missing, or given without a use.
        NumericalError: The image has NaN or infinity.
    """
    check_finite(image)
    kind = recipe_kind(network)
    number = mode_number(kind, mode)
    if mask is not None:
        _check_mask(image, mask)
    _check_inpaint_image(kind, image, mask, inpaint_image)
    control = Control(network, image.float(), strength, start, end, number, faint, mask)
    if not kind.sees_latents:
        has_kinds = bool(get_family(network.family).control_mask_channels)
        if has_kinds and kind.takes_mask != (mask is not None):
            raise _mask_error(kind)
        return control
    if vae is None or weights is None:
        raise InvalidValue(
            "the control network reads latents, and no VAE is linked",
            port="vae",
            expected="the VAE of the model",
        )
    if inpaint_image is None and kind.takes_mask != (mask is not None):
        raise _mask_error(kind)
    hint = _encoded(image, mask, kind, vae, weights, crop=crop, inpaint_image=inpaint_image)
    return replace(control, hint=hint, mask=None)


def _mask_error(kind: ControlKind) -> InvalidValue:
    """What is raised where a mask is missing, or one is linked without a use."""
    return InvalidValue(
        "the control network fills masked images, and no mask is linked"
        if kind.takes_mask
        else "the control network takes no masks",
        port="mask",
    )


def _check_mask(image: Tensor, mask: Tensor) -> None:
    if mask.shape[1:] != image.shape[1:3] or len(mask) not in (1, len(image)):
        raise InvalidValue(
            "the mask must be as large as the image",
            port="mask",
            given=f"shape {tuple(mask.shape)} for images of {tuple(image.shape)}",
            hint="Use ResizeMask with the image linked to its `image`.",
        )


def _check_inpaint_image(
    kind: ControlKind, image: Tensor, mask: Tensor | None, inpaint_image: Tensor | None
) -> None:
    if inpaint_image is not None:
        check_finite(inpaint_image)
        if not kind.fills_beside:
            raise InvalidValue(
                "the control network takes no image to fill beside its control image",
                port="inpaint_image",
                hint="Unlink it. Other networks that fill take the image as `image`.",
            )
        if inpaint_image.shape[1:3] != image.shape[1:3] or len(inpaint_image) not in (
            1,
            len(image),
        ):
            raise InvalidValue(
                "the image to fill must be as large as the control image",
                port="inpaint_image",
                given=f"shape {tuple(inpaint_image.shape)} for images of {tuple(image.shape)}",
                hint="Put a ResizeImage before it.",
            )
    if kind.fills_beside and (inpaint_image is None) != (mask is None):
        missing = "inpaint_image" if inpaint_image is None else "mask"
        raise InvalidValue(
            "the control network takes an image to fill with its mask, and one of them is missing",
            port=missing,
            expected="both or none",
        )


def _encoded(
    image: Tensor,
    mask: Tensor | None,
    kind: ControlKind,
    vae: Vae,
    weights: Weights,
    *,
    crop: bool = False,
    inpaint_image: Tensor | None = None,
) -> Tensor:
    """An image as a latent, beside it which cells are shown, and the image that they are of."""
    hidden = None if mask is None else mask >= 0.5
    images = [_rgb(image)]
    if inpaint_image is not None and hidden is not None:
        # Gray is 0 for the VAE.
        images.append(torch.where(hidden[..., None], 0.5, _rgb(inpaint_image)))
    elif hidden is not None and not kind.keeps_masked:
        images = [torch.where(hidden[..., None], 0.0, item) for item in images]
    with weights(vae, calls_only=True) as autoencoder:
        encoder = _unshifted(autoencoder) if kind.unshifted else autoencoder
        if crop:
            images = [crop_to_cells(encoder, item) for item in images]
            hidden = None if hidden is None else crop_to_cells(encoder, hidden)
        latents = [_latent_of(encoder, item) for item in images]
    samples, *filled = [item for item in latents if item is not None]
    if hidden is None:
        return samples
    cells = functional.interpolate(hidden[:, None].float(), size=samples.shape[-2:])
    masked = [item.expand(len(samples), -1, -1, -1) for item in (1 - cells, *filled)]
    return torch.cat([samples, *masked], 1)


def _latent_of(autoencoder: Autoencoder, images: Tensor) -> Tensor | None:
    """Images as latents; frames as that of one video, if the autoencoder is one for videos.

    The last frame is repeated to as many frames as the autoencoder takes.
    """
    formats = latent_format(autoencoder)
    if not formats.temporal:
        return encode_image(autoencoder, images).samples
    missing = formats.nearest_frames(len(images))[-1] - len(images)
    frames = torch.cat([images, images[-1:].expand(missing, -1, -1, -1)])
    return encode_video(autoencoder, frames, port="image").samples


def _rgb(image: Tensor) -> Tensor:
    colours = image[..., :3]
    return colours.expand(*colours.shape[:-1], 3) if colours.shape[-1] == 1 else colours


def _unshifted(autoencoder: Autoencoder) -> Autoencoder:
    """One that encodes without shifting latents; the given one stays as it is."""
    twin = copy(autoencoder.module)
    twin.register_to_config(shift_factor=0.0)
    return replace(autoencoder, modules={next(iter(autoencoder.modules)): twin})


def with_control(
    conditioning: Conditioning, control: Control, *, leads_away: bool = False
) -> Conditioning:
    """Prompts that an image leads beside, the empty one as well.

    Args:
        leads_away: Whether they are what is to be stayed away from: some images don't lead there.
    """
    positive_only = control.faint or recipe_kind(control.model).only_positive

    def controlled(entry: ConditioningEntry) -> ConditioningEntry:
        return replace(entry, controls=(*entry.controls, control))

    if positive_only and leads_away:
        return conditioning
    empty = conditioning.unconditional
    if empty is not None and not positive_only:
        empty = controlled(empty)
    return replace(
        conditioning, entries=tuple(map(controlled, conditioning.entries)), unconditional=empty
    )


def controls_in(*conditionings: Conditioning | None) -> list[Recipe]:
    """The networks that lead beside prompts, each once."""
    present = [item for item in conditionings if item is not None]
    entries = [entry for item in present for entry in (*item.entries, item.unconditional) if entry]
    return list(dict.fromkeys(control.model for entry in entries for control in entry.controls))


def scaling_messages(conditioning: Conditioning, size: tuple[int, int]) -> list[str]:
    """What to report of images that are scaled to lead a sampling of another size.

    Args:
        size: Width and height in pixels.
    """
    controls = {id(item): item for entry in conditioning.entries for item in entry.controls}
    sizes = [
        (control.hint.shape[2], control.hint.shape[1])
        for control in controls.values()
        if not recipe_kind(control.model).sees_latents
    ]
    return [
        (
            f"a control image of {width} x {height} pixels is scaled to cover {size[0]} x "
            f"{size[1]} and then center-cropped"
        )
        for width, height in dict.fromkeys(sizes)
        if (width, height) != size
    ]


def unapplied_messages(
    prompts: Iterable[Conditioning | None], noise_levels: NoiseLevels
) -> list[str]:
    """What to report of control images whose part of a sampling has none of its steps.

    Args:
        prompts: Of all sides; None where there is none.
        noise_levels: The noise levels; of a part of a sampling, all of its steps count.
    """
    first, end = noise_levels.whole_range or (noise_levels.first, noise_levels.level_count)
    steps = [
        (noise_levels.point(step_index)[-1], noise_levels.progress_after_step(step_index))
        for step_index in range(first, end)
    ]
    controls = {
        id(control): control
        for prompt in prompts
        if prompt is not None
        for entry in prompt.entries
        for control in entry.controls
    }
    return [
        (
            f"a control image changes nothing: none of the {end - first} steps lies entirely "
            f"between its start {control.start:g} and its end {control.end:g}"
        )
        for control in controls.values()
        if control.strength and not any(control.applies(*step) for step in steps)
    ]
