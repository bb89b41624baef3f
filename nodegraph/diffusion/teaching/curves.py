"""How a loss went on, as a plot. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from nodegraph.core.plots import Plot, Series

MOST = 500
"""Points of a curve: longer ones are told by means."""
_MEMORY = 0.98


def loss_plot(losses: Sequence[float], title: str = "Loss") -> Plot:
    """The loss of each step, of long trainings the mean over several, and how it goes on in all.

    The second line is a running mean of which a step counts for 2 %, from the first step on.
    """
    width = max(1, -(-len(losses) // MOST))
    running, weight, smooth = 0.0, 0.0, []
    for loss in losses:
        running = _MEMORY * running + (1 - _MEMORY) * loss
        weight = _MEMORY * weight + (1 - _MEMORY)
        smooth.append(running / weight)
    spans = [losses[at : at + width] for at in range(0, len(losses), width)]
    ends = tuple(min(at + width, len(losses)) for at in range(0, len(losses), width))
    means = tuple(sum(span) / len(span) for span in spans)
    each = Series("each step" if width == 1 else f"mean of {width} steps", ends, means)
    mean = Series("running mean", ends, tuple(smooth[end - 1] for end in ends))
    return Plot(title, "step", "loss", (each, mean))
