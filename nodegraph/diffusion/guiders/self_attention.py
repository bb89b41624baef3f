"""Self-attention guidance: away from what a UNet says of a latent whose details are blurred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.diffusion.areas import Window
from nodegraph.diffusion.asking import Asking, answered
from nodegraph.diffusion.guiders.base import GuidedModel
from nodegraph.diffusion.guiders.outputs import OutputArithmetic
from nodegraph.diffusion.guiders.perturbing import with_attention
from nodegraph.diffusion.guiders.token_grid import blurred, grid_of
from nodegraph.diffusion.model_step import Moment, Side

_PLACE = "mid_block.attentions.0.transformer_blocks.0"
_SALIENT = 1.0
"""Attention that a place gets from all others, from which on its details matter."""
_SIZE = 9
"""Cells that the blur covers."""


@dataclass(slots=True)
class SelfAttentionTerm:
    """Blurs the clean latent where the middle of the UNet looks, noises it again, and leads away
    from what the network says of that.

    Source: Hong et al. 2023, arXiv:2210.00939, algorithm 1; as StableDiffusionSAGPipeline.

    Attributes:
        side: Whose answer is looked at: the negative one where there is guidance.
        scale: How strongly it leads.
        blur: Standard deviation of the blur in cells.
        start, end: Part of the sampling in which it does.
    """

    given: GuidedModel
    side: Side
    scale: float
    blur: float
    start: float = 0.0
    end: float = 1.0
    askings: Mapping[Side, Asking] = field(init=False)
    _seen: dict[Window | None, list[Tensor]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        looked_at = with_attention(self.given.model, (_PLACE,), self._look)
        self.askings = {self.side: self.given.asking.another(looked_at)}

    def _look(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        scores = query @ key.mT / query.shape[-1] ** 0.5
        window = self.askings[self.side].window
        self._seen.setdefault(window, []).append(scores.softmax(-1).mean(1).sum(1))

    def applies(self, moment: Moment) -> bool:
        """In its part."""
        return self.scale != 0 and moment.lies_in(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """The one that is looked at."""
        self._seen.clear()
        return (self.side,)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The way from the answer about the blurred latent to the one about the latent."""
        output = outputs[self.side]
        arithmetic = OutputArithmetic.of(self.given.model.scheduler_config)
        clean = arithmetic.clean_in(x, output, moment)
        noise = arithmetic.noise_in(x, output, moment)
        salient = self._salient(x)
        alpha, deviation = arithmetic.scales(moment)
        size = min(_SIZE, 2 * min(x.shape[-2:]) - 1)
        vague = blurred(clean, self.blur, size) * salient + clean * (1 - salient)
        degraded = (alpha * vague + deviation * noise).to(x.dtype)
        prompts = self.given.sides[self.side]
        return self.scale * (output - answered(self.askings[self.side], prompts, degraded, moment))

    def _salient(self, x: Tensor) -> Tensor:
        """1 where details matter, else 0; shape (batch, 1, height, width). The mean over prompts:
        over those that are shown a cell."""
        total, count = torch.zeros_like(x[:, :1]), torch.zeros_like(x[:1, :1])
        for window, maps in self._seen.items():
            looked, part = torch.cat(maps), x if window is None else window.of(x)
            looks = looked.view(-1, len(x), looked.shape[-1])
            grid = grid_of(looks.shape[-1], *part.shape[-2:])
            assert grid is not None, "the middle of a UNet has the proportions of what it is shown"
            cells = looks.sum(0).view(len(x), 1, *grid).to(x.dtype)
            for whole, more in (
                (total, functional.interpolate(cells, part.shape[-2:])),
                (count, len(looks)),
            ):
                within = whole if window is None else window.of(whole)
                within += more
        return (total > _SALIENT * count).to(x.dtype)
