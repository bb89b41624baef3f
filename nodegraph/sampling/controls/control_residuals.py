"""Control networks in a sampling: hint images, and the residuals they add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Control
from nodegraph.errors import InvalidValue
from nodegraph.families.base import CONTROLS, Family
from nodegraph.families.components import ControlNetwork, Denoiser
from nodegraph.families.model_step import (
    BlockControl,
    ControlNetCall,
    Residuals,
    add_residuals,
    item_tensors,
)
from nodegraph.sampling.controls.kinds import (
    ControlKind,
    check_caching,
    check_control_fits,
    kind_of,
)

if TYPE_CHECKING:
    from nodegraph.families.model_step import Batch, Moment, Side

HIDDEN = -1.0
"""Pixels of what is to be filled, for networks that see pixels. Source: ControlNet 1.1's inpaint
model, https://github.com/lllyasviel/ControlNet-v1-1-nightly, as in diffusers' documentation."""


def fit_hint(
    control: Control, network: Any, size: tuple[int, int], shape: Sequence[int], side: Side
) -> Tensor:
    """What a network is shown of a control image, in its dtype and on its device.

    An image of another size than the sampling's is scaled until it covers that, and what is
    beyond is cut off evenly.

    Args:
        size: Width and height in pixels.
        shape: Of the latent.
    Returns:
        Shape (1 or batch, channels, height, width), in pixels or cells. Videos have frames before
        the height; those beyond the sampled video are left out.
    Raises:
        InvalidValue: On the port of the side: it doesn't fit, and can't be made to.
    """
    kind = kind_of(network)
    if len(control.hint) not in (1, shape[0]):
        raise InvalidValue(
            "the number of control images is neither 1 nor the batch size",
            port=side,
            given=f"{len(control.hint)} control images for a batch of {shape[0]}",
            expected=f"1 or {shape[0]}",
        )
    in_cells = kind.sees_latents
    hint = _cells(control, shape, side) if in_cells else _pixels(control, kind, size, side)
    # In memory in the usual order, as another would give other last bits.
    return hint.to(network.device, network.dtype).contiguous()


def _cells(control: Control, shape: Sequence[int], side: Side) -> Tensor:
    cells = tuple(control.hint.shape[-2:])
    if cells != tuple(shape[-2:]):
        raise InvalidValue(
            "the control image and the latent differ in size",
            port=side,
            given=f"{cells[1]} x {cells[0]} cells for a latent of {shape[-1]} x {shape[-2]}",
            hint="The network reads latents, which are not resized: put a ResizeImage before the "
            "ApplyControlNet.",
        )
    if control.hint.ndim != 5:
        return control.hint
    frames = shape[2]
    if control.hint.shape[2] < frames:
        raise InvalidValue(
            "the control video is shorter than the sampled video",
            port=side,
            given=f"{control.hint.shape[2]} latent frames for a latent of {frames}",
            hint="Sample fewer frames, or link a longer video to the ApplyControlNet.",
        )
    # The autoencoder encodes each frame by those before it alone, so this is the shorter video.
    return control.hint[:, :, :frames]


def _pixels(control: Control, kind: ControlKind, size: tuple[int, int], side: Side) -> Tensor:
    hint = _coloured(control.hint, kind.channels, side).movedim(-1, 1)
    hint = resize_to_cover(hint, size)
    if control.mask is None:
        return hint
    hidden = resize_to_cover(control.mask[:, None], size, sharp=True) >= 0.5
    if kind.takes_mask:
        return torch.cat([hint, hidden.to(hint).expand(len(hint), -1, -1, -1)], 1)
    return torch.where(hidden, HIDDEN, hint)


def _coloured(hint: Tensor, channels: int, side: Side) -> Tensor:
    """An image with the channels that a network wants."""
    if hint.shape[-1] == channels:
        return hint
    if hint.shape[-1] == 4:
        hint = hint[..., :3]
    if channels == 3:
        return hint.expand(*hint.shape[:-1], 3) if hint.shape[-1] == 1 else hint
    if channels == 1:
        return hint.mean(-1, keepdim=True)
    raise InvalidValue(
        "the control network expects another number of channels",
        port=side,
        given=str(hint.shape[-1]),
        expected=str(channels),
    )


def resize_to_cover(pixels: Tensor, size: tuple[int, int], *, sharp: bool = False) -> Tensor:
    """Images scaled until they cover a size, and cut to it evenly; as they are where they fit.

    Args:
        pixels: Shape (n, channels, height, width).
        size: Width and height.
        sharp: Whether each pixel is one of the given ones.
    """
    width, height = size
    if tuple(pixels.shape[-2:]) == (height, width):
        return pixels
    scale = max(height / pixels.shape[-2], width / pixels.shape[-1])
    rows = max(height, round(pixels.shape[-2] * scale))
    columns = max(width, round(pixels.shape[-1] * scale))
    if sharp:
        scaled = functional.interpolate(pixels, (rows, columns), mode="nearest-exact")
    else:
        scaled = functional.interpolate(pixels, (rows, columns), mode="bicubic", antialias=True)
        scaled = scaled.clamp(0, 1)
    top, left = (rows - height) // 2, (columns - width) // 2
    return scaled[..., top : top + height, left : left + width]


class ControlledPrompt(Protocol):
    """A prompt that images may lead beside."""

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """As `Family.fit` gave them."""

    @property
    def controls(self) -> tuple[int, ...]:
        """As `ActiveControls.taken` gave them."""


@dataclass(slots=True)
class _ActiveControl:
    """A control image where its network needs it."""

    control: Control
    network: ControlNetwork
    hint: Tensor
    kept: dict[str, Any] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """Whether a step lies within the part of the sampling that it leads."""
        return self.control.applies(moment.begun, moment.progress_after)

    @property
    def shares(self) -> bool:
        """Whether images of one network are shown to it together."""
        return kind_of(self.network.module).takes_several


class ActiveControls:
    """The control images of a sampling.

    A network is asked once for a step, or for each batch of prompts where those aren't asked
    together, and its answers are added up; as diffusers' pipelines do it, to the same bits.

    Args:
        model: With its networks (`Denoiser.controls`).
        size: Width and height in pixels.
        shape: Of the latent.
    Attributes:
        frames: Latent frames of the video that the model is about to be asked about; None: all.
    """

    def __init__(
        self, family: Family, model: Denoiser, size: tuple[int, int], shape: Sequence[int]
    ) -> None:
        self.frames: Sequence[int] | None = None
        self._family = family
        self._model = model
        self._size = size
        self._shape = tuple(shape)
        self._live: list[_ActiveControl] = []
        self._first: Mapping[str, Tensor] = {}
        self._about: Tensor | None = None
        self._known: dict[Any, Residuals] = {}

    def register(self, side: Side, controls: Iterable[Control]) -> tuple[int, ...]:
        """Places of a prompt's control images among those of the sampling.

        Raises:
            InvalidValue: The model can't be led so, or an image doesn't fit; on the side's port.
        """
        places: list[int] = []
        for control in controls:
            places.append(self._index_of(side, control, places))
        return tuple(places)

    def begin(self, first: Mapping[str, Tensor]) -> None:
        """Begin a step.

        Args:
            first: Tensors of the first positive prompt that applies.
        """
        self._first = first

    def set_latent(self, x: Tensor) -> None:
        """Say which latent the model is about to be asked about: of another, nothing is known."""
        if x is not self._about:
            self._about = x
            self._known.clear()

    def with_residuals(
        self,
        batch: Batch,
        x: Tensor,
        moment: Moment,
        prompts: Sequence[ControlledPrompt],
        item: int | None,
    ) -> Batch:
        """A batch with what control networks add, where some lead.

        Args:
            x: As of `Family.predict`; the prompts one after the other.
            item: Place of the only item that is asked for; None for all.
        """
        total: Residuals = {}
        for places in self._active_groups(moment, prompts):
            prompt_indices = [
                at for at, prompt in enumerate(prompts) if places[0] in prompt.controls
            ]
            answer = self._answer(places, prompt_indices, x, moment, prompts, item)
            total = add_residuals(total, answer)
        return {**batch, CONTROLS: total} if total else batch

    def _active_groups(
        self, moment: Moment, prompts: Sequence[ControlledPrompt]
    ) -> list[list[int]]:
        """Places of the images that lead at a step, those together that are shown together."""
        groups: dict[Any, list[int]] = {}
        for index, live in enumerate(self._live):
            controlled = tuple(index in prompt.controls for prompt in prompts)
            if any(controlled) and live.applies(moment):
                key = (live.control.model, controlled) if live.shares else index
                groups.setdefault(key, []).append(index)
        return list(groups.values())

    def _answer(
        self,
        places: list[int],
        prompt_indices: list[int],
        x: Tensor,
        moment: Moment,
        prompts: Sequence[ControlledPrompt],
        item: int | None,
    ) -> Residuals:
        """What one network adds for all prompts: zeros for those that it doesn't lead."""
        items = len(x) // len(prompts)
        tensors = [prompts[at].tensors for at in prompt_indices]
        key = (*places, item, len(prompt_indices))
        network = self._live[places[0]].network.module
        if self._family.controlled_by_positive and not getattr(network, "reads_own_prompt", False):
            if key in self._known:
                return self._known[key]
            tensors = [self._first] * len(prompt_indices)
        tensors = [item_tensors(each, item) for each in tensors]
        chunks = x.chunk(len(prompts))
        own = (
            x
            if len(prompt_indices) == len(prompts)
            else torch.cat([chunks[at] for at in prompt_indices])
        )
        batch = self._family.join(tensors, items)
        question = self._question(places, items, len(prompt_indices), item)
        # The network may compute in another precision than the model: each `auto` is by size.
        precision = self._live[places[0]].hint.dtype
        own = own.to(precision)
        batch = _with_precision(batch, self._model.dtype, precision)
        answer = self._family.controlled(self._model, question, own, moment, batch)
        dtype = self._model.dtype
        whole = {
            name: [_among(part.to(dtype), prompt_indices, len(prompts)) for part in parts]
            for name, parts in answer.items()
        }
        self._known[key] = whole
        return whole

    def _question(
        self, places: Sequence[int], items: int, sides: int, item: int | None
    ) -> ControlNetCall:
        def repeat(tensor: Tensor) -> Tensor:
            if item is not None and len(tensor) > 1:
                tensor = tensor[item][None]
            return torch.cat([tensor.expand(items, *tensor.shape[1:])] * sides)

        several = [self._live[index] for index in places]
        return ControlNetCall(
            several[0].network.module,
            [self._shown(live.hint) for live in several],
            [live.control.strength for live in several],
            [live.control.mode for live in several],
            repeat,
            several[0].kept,
            several[0].control.faint,
        )

    def _shown(self, hint: Tensor) -> Tensor:
        """A control image, or of a control video the frames that the model is asked about."""
        if self.frames is None or hint.ndim != 5:
            return hint
        return hint.index_select(2, torch.tensor(self.frames, device=hint.device))

    def _index_of(self, side: Side, control: Control, taken: Sequence[int]) -> int:
        """Its own place in the prompt: an image that leads it twice counts twice."""
        for index, live in enumerate(self._live):
            if index not in taken and _is_same(live.control, control):
                return index
        network = self._model.controls.get(control.model)
        if network is None:
            raise InvalidValue(
                "the control network is not loaded",
                port=side,
                hint="Pass it to the sampler with `Denoiser.controls`.",
            )
        check_caching(self._model, side)
        check_control_fits(self._family, self._model, network.module, side)
        hint = fit_hint(control, network.module, self._size, self._shape, side)
        self._live.append(_ActiveControl(control, network, hint))
        return len(self._live) - 1


def _is_same(first: Control, other: Control) -> bool:
    """Whether two are the same image leading in the same way."""
    numbers = ("model", "strength", "start", "end", "mode", "faint")
    if first is other:
        return True
    if any(getattr(first, name) != getattr(other, name) for name in numbers):
        return False
    return _are_equal(first.hint, other.hint) and _are_equal(first.mask, other.mask)


def _are_equal(first: Tensor | None, other: Tensor | None) -> bool:
    if first is None or other is None:
        return first is other
    return first is other or torch.equal(first, other)


def _with_precision(batch: Batch, before: torch.dtype, precision: torch.dtype) -> Batch:
    """What one network is called with, for another that computes in its own precision."""
    if before == precision:
        return batch
    return {
        name: value.to(precision)
        if isinstance(value, torch.Tensor) and value.dtype == before
        else value
        for name, value in batch.items()
    }


def _among(
    residual: Tensor | BlockControl, indices: Sequence[int], prompts: int
) -> Tensor | BlockControl:
    """A residual of some prompts among those of all, with zeros for the others."""
    if len(indices) == prompts:
        return residual
    if isinstance(residual, BlockControl):
        return residual.among(indices, prompts)
    chunks = dict(zip(indices, residual.chunk(len(indices)), strict=True))
    nothing = torch.zeros_like(chunks[indices[0]])
    return torch.cat([chunks.get(at, nothing) for at in range(prompts)])
