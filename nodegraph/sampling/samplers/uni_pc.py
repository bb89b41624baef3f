"""UniPC: a predictor whose steps are corrected once the next evaluation is there."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import FlowSpace, SigmaPreservingSpace, UnmixedFlowSpace
from nodegraph.sampling.table_schedules import CORRECTED

_BEFORE = ("earlier", "earliest")
"""Names of the predictions before the latest."""


class UniPC(Sampler):
    """Predictor and corrector on the predicted latent, B(h) = exp(h) - 1.

    `history` holds as many predictions as the option order says and the point that the last step
    started from.

    Source: Zhao et al. 2023, arXiv:2302.04867, algorithms 5 to 8 (variant B2).
    """

    spaces: ClassVar[Spaces] = {"discrete": SigmaPreservingSpace, "flow": FlowSpace}
    grid = CORRECTED
    comfyui_spaces: ClassVar[Spaces] = {"flow": UnmixedFlowSpace}

    def feed(self, output: Tensor) -> None:
        denoised = self.space.to_denoised(output, self.x, self.step_index)
        x = self.x if self.step_index == self.noise_levels.first else self._corrected(denoised)
        kept = [self.history[name] for name in ("denoised", *_BEFORE) if name in self.history]
        self.history = {"start": x, "denoised": denoised}
        self.history |= dict(zip(_BEFORE, kept[: self.options.order - 1], strict=False))
        self.denoised = denoised
        self.x = self._step(
            x, self.step_index, self._change(self.step_index, self._order(self.step_index))
        )
        self.step_index += 1

    def _order(self, step_index: int) -> int:
        """Order of the step from a rung: lower in the first and the last ones."""
        return min(
            self.options.order,
            self.noise_levels.level_count - step_index,
            step_index - self.noise_levels.first + 1,
        )

    def _corrected(self, denoised: Tensor) -> Tensor:
        """x again, from the last step's start, now that the prediction at its end is known."""
        step_index, latest = self.step_index - 1, self.history["denoised"]
        order = self._order(step_index)
        weights = self._weights(step_index, order) if order > 1 else torch.tensor([0.5])
        change = weights[-1].to(denoised.dtype) * (denoised - latest)
        for weight, slope in zip(weights[:-1], self._slopes(step_index, order), strict=True):
            change = weight.to(denoised.dtype) * slope + change
        return self._step(self.history["start"], step_index, change)

    def _change(self, step_index: int, order: int) -> Tensor | None:
        """What the predictor expects the prediction to change by."""
        slopes = self._slopes(step_index, order)
        if order <= 2:
            return 0.5 * slopes[0] if slopes else None  # this weight is exact
        weights = self._weights(step_index, order, predicts=True)
        parts = (weight.to(item.dtype) * item for weight, item in zip(weights, slopes, strict=True))
        return torch.stack(list(parts)).sum(0)

    def _slopes(self, index: int, order: int) -> list[Tensor]:
        """Changes of the prediction over the steps before `index`, per step from `index`."""
        latest = self.history["denoised"]
        return [
            (self.history[name] - latest) / self._ratio(index, back)
            for back, name in enumerate(_BEFORE[: order - 1], start=1)
        ]

    def _ratio(self, index: int, back: int = 1) -> Tensor:
        """Length of the way from a rung before over that of the step from `index`, negative."""
        here = self.space.log_snr(index)
        return (self.space.log_snr(index - back) - here) / (self.space.log_snr(index + 1) - here)

    def _step(self, x: Tensor, step_index: int, change: Tensor | None) -> Tensor:
        """From x at a rung to the next rung, where `history` holds the rung's prediction."""
        _, deviation = self.space.alpha_deviation(step_index)
        alpha, next_deviation = self.space.alpha_deviation(step_index + 1)
        h = -(self.space.log_snr(step_index + 1) - self.space.log_snr(step_index))
        stepped = next_deviation / deviation * x - alpha * torch.expm1(h) * self.history["denoised"]
        if change is not None:
            stepped = stepped - alpha * self._scale(h) * change
        return stepped.to(x.dtype)

    def _scale(self, h: Tensor) -> Tensor:
        """B(h), by which changes are scaled."""
        return torch.expm1(h)

    def _weights(self, step_index: int, order: int, *, predicts: bool = False) -> Tensor:
        """Solution of the paper's equation 11 for so many points; float32.

        Args:
            predicts: Without the point that the step leads to.
        """
        h = -(self.space.log_snr(step_index + 1) - self.space.log_snr(step_index))
        ratios = [self._ratio(step_index, back) for back in range(1, order)]
        points = torch.stack([*ratios, torch.ones(())])
        h_phi_k, factorial, values = torch.expm1(h) / h - 1, 1, []
        for power in range(1, order + 1):
            values.append(h_phi_k * factorial / self._scale(h))
            factorial *= power + 1
            h_phi_k = h_phi_k / h - 1 / factorial
        system = torch.stack([points**power for power in range(order)])
        known = torch.stack(values)
        if predicts:
            system, known = system[:-1, :-1], known[:-1]
        weights: Tensor = torch.linalg.solve(system, known)
        return weights


class UniPCB1(UniPC):
    """The same with B(h) = h, which suits few steps.

    Source: Zhao et al. 2023, arXiv:2302.04867, section 3.3 (variant B1).
    """

    def _scale(self, h: Tensor) -> Tensor:
        return h
