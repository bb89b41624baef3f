"""Kinds of control networks: input channels, union modes, checks. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.index import INDEX
from nodegraph.families.registry import family_of_control
from nodegraph.families.speed_options import FirstBlock, Magnitude

if TYPE_CHECKING:
    from nodegraph.families.base import Config, Family
    from nodegraph.families.components import Denoiser
    from nodegraph.families.model_step import Side

NO_MODE = "none"
MODES = (NO_MODE, *dict.fromkeys(name for entry in INDEX.values() for name in entry.control_modes))
"""What may be chosen: of all unions."""


@dataclass(frozen=True, slots=True)
class ControlKind:
    """What a control network wants to be shown.

    Attributes:
        sees_latents: Whether that is a latent, and not pixels.
        channels: Of its images in pixels.
        modes: The kinds of images that a union knows, and their numbers; empty of others.
        takes_several: Whether images are shown to it together.
        takes_mask: Whether it is shown a mask beside a latent, or as a further channel of pixels.
        fills_beside: Whether it may be shown an image to fill and its mask beside a control image.
        only_positive: Whether it leads the positive prompt alone.
        unshifted: Whether it was trained on latents that weren't shifted.
        keeps_masked: Whether it sees the pixels that its mask hides from others.
    """

    sees_latents: bool
    channels: int
    modes: Mapping[str, int]
    takes_several: bool = False
    takes_mask: bool = False
    only_positive: bool = False
    unshifted: bool = False
    keeps_masked: bool = False
    fills_beside: bool = False


def control_kind(class_name: str, config: Config) -> ControlKind:
    """What a network of a class of diffusers wants to be shown."""
    family = family_of_control(class_name)
    is_union = class_name == "ControlNetUnionModel"
    count = config.get("num_control_type" if is_union else "num_mode")
    modes = {} if family is None or not count else family.control_modes
    # What XLabs trained sees pixels beside Flux.1.
    own_eyes = config.get("conditioning_embedding_channels") is not None
    return ControlKind(
        family is not None and family.control_sees_latents and not own_eyes,
        int(
            config.get("in_channels" if class_name == "T2IAdapter" else "conditioning_channels", 3)
        ),
        {name: number for name, number in modes.items() if count and number < count},
        is_union,
        family is not None and bool(config.get(family.control_mask_channels)),
        bool(config.get("global_pool_conditions")),
        family is not None and family.control_is_unshifted(config),
        family is not None and class_name in family.control_keeps_masked,
        family is not None and int(config.get("control_in_dim") or 0) > family.latent.channels,
    )


def kind_of(network: Any) -> ControlKind:
    """The same of a module."""
    return control_kind(type(network).__name__, network.config)


def mode_number(kind: ControlKind, mode: str) -> int | None:
    """The number of one of `MODES` for a network.

    Raises:
        InvalidValue: It knows none of that name, or one has to be chosen; on port ``mode``.
    """
    if not kind.modes:
        if mode == NO_MODE:
            return None
        raise InvalidValue(
            "the control network supports one kind of images only",
            port="mode",
            given=mode,
            expected=NO_MODE,
        )
    if mode not in kind.modes:
        raise InvalidValue(
            "the control network supports several kinds of images, and `mode` does not "
            "say which one is linked",
            port="mode",
            given=mode,
            expected=", ".join(kind.modes),
        )
    return kind.modes[mode]


def check_caching(model: Denoiser, side: Side) -> None:
    """Refuse step caches that leave blocks out which networks add to: what they add would count
    twice.

    Raises:
        InvalidValue: On the port of the side.
    """
    if isinstance(model.caching, (FirstBlock, Magnitude)):
        raise InvalidValue(
            "a control network cannot be combined with a step cache that skips blocks",
            port=side,
            hint="Use another step cache (taylor or broadcast), or none.",
        )


_WIDTHS = ("cross_attention_dim", "joint_attention_dim", "in_channels", "dim")
"""What a network and the model beside it must agree in, as far as both say it. ``in_channels`` are
those of control images, if a network has ``latent_channels``, too."""


def check_control_fits(family: Family, model: Denoiser, network: Any, side: Side) -> None:
    """Refuse a network that is for other models.

    Raises:
        InvalidValue: On the port of the side.
    """
    name, config = type(network).__name__, network.config
    hint = "Use a ControlNet that was trained for models of this kind."
    if not family.leads(name, config):
        raise InvalidValue(
            f"the control network is not for {family.title}", port=side, given=name, hint=hint
        )
    if name == "T2IAdapter":
        return
    for width in _WIDTHS:
        channels, wanted = config.get(width), model.config.get(width)
        if (
            channels is None
            or wanted is None
            or channels == wanted
            or (width == "in_channels" and "latent_channels" in config)
            or _fills(width, channels, model)
        ):
            continue
        raise InvalidValue(
            "the control network does not fit the model",
            port=side,
            given=f"{width} {channels}",
            expected=f"{width} {wanted}",
            hint=hint,
        )


def _fills(width: str, channels: int, model: Denoiser) -> bool:
    """Whether a model takes more channels only as it fills masked images."""
    return width == "in_channels" and channels == model.config.get("out_channels")
