"""The control pictures of a sampling: which lead at a step, and what they add inside the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from nodegraph.core.values import Control
from nodegraph.errors import InvalidValue
from nodegraph.families.base import CONTROLS, Family
from nodegraph.families.components import ControlNetwork, Denoiser
from nodegraph.families.control_questions import ControlNetCall, Residuals, add_residuals
from nodegraph.sampling.controls.hints import fit_hint
from nodegraph.sampling.controls.kinds import check_caching, check_control_fits, kind_of

if TYPE_CHECKING:
    from nodegraph.families.model_step import Batch, Moment, Side


class ControlledPrompt(Protocol):
    """A prompt that pictures may lead beside."""

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """As `Family.fit` gave them."""

    @property
    def controls(self) -> tuple[int, ...]:
        """As `ActiveControls.taken` gave them."""


@dataclass(slots=True)
class _ActiveControl:
    """A control picture where its network needs it."""

    control: Control
    network: ControlNetwork
    hint: Tensor
    kept: dict[str, Any] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """Whether a step lies within the part of the sampling that it leads."""
        return self.control.applies(moment.begun, moment.progress_after)

    @property
    def shares(self) -> bool:
        """Whether pictures of one network are shown to it together."""
        return kind_of(self.network.module).takes_several


class ActiveControls:
    """The control pictures of a sampling.

    A network is asked once for a step, or for each batch of prompts where those aren't asked
    together, and its answers are added up; as diffusers' pipelines do it, to the same bits.

    Args:
        model: With its networks (`Denoiser.controls`).
        size: Width and height in pixels.
        shape: Of the latent.
    """

    def __init__(
        self, family: Family, model: Denoiser, size: tuple[int, int], shape: Sequence[int]
    ) -> None:
        self._family = family
        self._model = model
        self._size = size
        self._shape = tuple(shape)
        self._live: list[_ActiveControl] = []
        self._first: Mapping[str, Tensor] = {}
        self._about: Tensor | None = None
        self._known: dict[Any, Residuals] = {}

    def register(self, side: Side, controls: Iterable[Control]) -> tuple[int, ...]:
        """Places of a prompt's control pictures among those of the sampling.

        Raises:
            InvalidValue: The model can't be led so, or a picture doesn't fit; on the side's port.
        """
        places: list[int] = []
        for control in controls:
            places.append(self._place(side, control, places))
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
        """Places of the pictures that lead at a step, those together that are shown together."""
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
        if self._family.controlled_by_positive:
            if key in self._known:
                return self._known[key]
            tensors = [self._first] * len(prompt_indices)
        chunks = x.chunk(len(prompts))
        own = (
            x
            if len(prompt_indices) == len(prompts)
            else torch.cat([chunks[at] for at in prompt_indices])
        )
        batch = self._family.join(tensors, items)
        question = self._question(places, items, len(prompt_indices), item)
        own = own.to(self._live[places[0]].hint.dtype)
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
            [live.hint for live in several],
            [live.control.strength for live in several],
            [live.control.mode for live in several],
            repeat,
            several[0].kept,
            several[0].control.faint,
        )

    def _place(self, side: Side, control: Control, taken: Sequence[int]) -> int:
        """A place of its own in the prompt: a picture that leads it twice counts twice."""
        for index, live in enumerate(self._live):
            if index not in taken and _is_same(live.control, control):
                return index
        network = self._model.controls.get(control.model)
        if network is None:
            raise InvalidValue(
                "the control network isn't loaded",
                port=side,
                hint="Hand it to the sampling by `Denoiser.controls`.",
            )
        check_caching(self._model, side)
        check_control_fits(self._family, self._model, network.module, side)
        hint = fit_hint(control, network.module, self._size, self._shape, side)
        self._live.append(_ActiveControl(control, network, hint))
        return len(self._live) - 1


def _is_same(first: Control, other: Control) -> bool:
    """Whether two are the same picture leading in the same way."""
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


def _among(residual: Tensor, indices: Sequence[int], prompts: int) -> Tensor:
    """A residual of some prompts among those of all, with zeros for the others."""
    if len(indices) == prompts:
        return residual
    chunks = dict(zip(indices, residual.chunk(len(indices)), strict=True))
    nothing = torch.zeros_like(chunks[indices[0]])
    return torch.cat([chunks.get(at, nothing) for at in range(prompts)])
