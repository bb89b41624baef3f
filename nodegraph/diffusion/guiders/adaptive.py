"""Adaptive guidance: it ends where it makes no difference any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nodegraph.diffusion.guiders.base import GuidedModel
from nodegraph.diffusion.model_step import Moment, Side

_DONE = "done"


@dataclass(slots=True)
class AdaptiveGuidance:
    """Classifier-free guidance of each picture until both answers are alike; then the positive
    prompt leads it alone. Once that is so of all, the negative one isn't asked any more, which
    takes half the time.

    Source: Castillo et al. 2023, arXiv:2312.12487, section 5.

    Attributes:
        given: What it is begun for.
        alike: Cosine of the angle between both answers from which on they are alike.
    """

    given: GuidedModel
    alike: float
    _done: Tensor | None = field(default=None, init=False)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both, as long as there is somebody who needs them."""
        is_over = self._done is not None and bool(self._done.all())
        return ("positive",) if is_over else self.given.both()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Guided, or the positive answer, for each item."""
        towards, away = outputs["positive"], outputs.get("negative")
        if away is None:
            return towards
        guided = self.given.family.guided(towards, away, self.given.scale(moment))
        found = guided
        if self._done is not None:
            done = self._done.to(guided.device).view(-1, *(1,) * (guided.ndim - 1))
            found = torch.where(done, towards, guided)
        self._note(towards, away)
        return found

    def _note(self, towards: Tensor, away: Tensor) -> None:
        wide, base = towards.double().flatten(1), away.double().flatten(1)
        now = torch.nn.functional.cosine_similarity(wide, base) >= self.alike
        self._done = now if self._done is None else now | self._done.to(now.device)

    def state(self) -> dict[str, Tensor]:
        """Which items need no guidance any more."""
        return {} if self._done is None else {_DONE: self._done}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self._done = state.get(_DONE)
