"""DPM-Solver++ without a memory between steps of second order."""

from __future__ import annotations

from torch import Tensor

from nodegraph.sampling.samplers.dpmpp import DPMpp2M


class DPMpp2S(DPMpp2M):
    """Pairs of steps: the first is a trial whose end is asked, the second walks both anew.

    One evaluation a step. `history` holds the prediction before and where its step started. The
    last step, and of an even number the last but one, are of first order.

    Source: Lu et al. 2022, arXiv:2211.01095, algorithm 1; in pairs as diffusers'
    DPMSolverSinglestepScheduler at solver_order 2.
    """

    def feed(self, output: Tensor) -> None:
        start = self.x
        super().feed(output)
        self.history["start"] = start

    def _advanced(self, x: Tensor, denoised: Tensor) -> Tensor:
        if self._is_trial:
            return self._stepped(x, denoised, None)
        step_index, earlier = self.step_index, self.history["denoised"]
        before = self.space.log_snr(step_index - 1)
        step = self.space.log_snr(step_index + 1) - before
        curvature = (1.0 / ((self.space.log_snr(step_index) - before) / step)) * (
            denoised - earlier
        )
        return self._stepped_from(step_index - 1, self.history["start"], earlier, curvature)

    @property
    def _is_trial(self) -> bool:
        """Whether the coming step is of first order."""
        step_index = self.step_index
        return (
            step_index % 2 == 0
            or step_index == self.noise_levels.level_count - 1
            or "start" not in self.history
        )
