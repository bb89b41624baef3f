"""UniPC: a predictor whose steps are corrected once the next evaluation is there."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.samplers.base import Sampler, Spaces
from nodegraph.diffusion.samplers.spaces import FlowSpace, SigmaPreservingSpace, UnmixedFlowSpace
from nodegraph.diffusion.schedules import CORRECTED

ORDER = 2


class UniPC(Sampler):
    """Second-order predictor and corrector on the predicted latent, B(h) = exp(h) - 1.

    `history` holds the last two predictions and the point that the last step started from.

    Source: Zhao et al. 2023, arXiv:2302.04867, algorithms 5 to 8 (variant B2).
    """

    spaces: ClassVar[Spaces] = {"discrete": SigmaPreservingSpace, "flow": FlowSpace}
    grid = CORRECTED
    common: ClassVar[Spaces] = {"flow": UnmixedFlowSpace}

    def feed(self, output: Tensor) -> None:
        denoised = self.space.predicted(output, self.x, self.rung)
        x = self.x if self.rung == self.ladder.first else self._corrected(denoised)
        earlier = self.history.get("denoised")
        self.history = {"start": x, "denoised": denoised}
        if earlier is not None:
            self.history["earlier"] = earlier
        self.denoised = denoised
        self.x = self._step(x, self.rung, self._change(self.rung, self._order(self.rung)))
        self.rung += 1

    def _order(self, rung: int) -> int:
        """Order of the step from a rung: lower in the first and the last."""
        return min(ORDER, self.ladder.rungs - rung, rung - self.ladder.first + 1)

    def _corrected(self, denoised: Tensor) -> Tensor:
        """x again, from the last step's start, now that the prediction at its end is known."""
        rung, latest = self.rung - 1, self.history["denoised"]
        order = self._order(rung)
        weights = self._corrector_weights(rung) if order > 1 else torch.tensor([0.5])
        change = weights[-1].to(denoised.dtype) * (denoised - latest)
        if order > 1:
            change = weights[0].to(denoised.dtype) * self._slope(rung) + change
        return self._step(self.history["start"], rung, change)

    def _change(self, rung: int, order: int) -> Tensor | None:
        """What the predictor expects the prediction to change by; the weight 1/2 is exact."""
        return 0.5 * self._slope(rung) if order > 1 else None

    def _slope(self, rung: int) -> Tensor:
        """Change of the prediction over the step before `rung`, per step from `rung`."""
        latest, earlier = self.history["denoised"], self.history["earlier"]
        return (earlier - latest) / self._ratio(rung)

    def _ratio(self, rung: int) -> Tensor:
        """Length of the step before a rung over that of the step from it, negative."""
        here = self.space.log_snr(rung)
        return (self.space.log_snr(rung - 1) - here) / (self.space.log_snr(rung + 1) - here)

    def _step(self, x: Tensor, rung: int, change: Tensor | None) -> Tensor:
        """From x at a rung to the next rung, where `history` holds the rung's prediction."""
        _, deviation = self.space.alpha_deviation(rung)
        alpha, next_deviation = self.space.alpha_deviation(rung + 1)
        decay = torch.expm1(-(self.space.log_snr(rung + 1) - self.space.log_snr(rung)))
        stepped = next_deviation / deviation * x - alpha * decay * self.history["denoised"]
        if change is not None:
            stepped = stepped - alpha * decay * change
        return stepped.to(x.dtype)

    def _corrector_weights(self, rung: int) -> Tensor:
        """Solution of the paper's equation 11 for two points; float32, shape (2,)."""
        h = -(self.space.log_snr(rung + 1) - self.space.log_snr(rung))
        decay = torch.expm1(h)
        first = decay / h - 1
        second = first / h - 0.5
        ratios = torch.stack([self._ratio(rung), torch.ones(())])
        system = torch.stack([ratios**0, ratios])
        values = torch.stack([first / decay, second * 2 / decay])
        weights: Tensor = torch.linalg.solve(system, values)
        return weights
