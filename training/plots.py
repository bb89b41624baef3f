"""The loss of a run as a picture, drawn anew at every checkpoint."""

import json
from pathlib import Path

from nodegraph.core.plots import Plot, Series
from nodegraph.media.plots.rendering import draw_plots

_SIZE = (720, 320)


def plot_loss(log: Path, picture: Path) -> None:
    """Draw the losses in a trainer's `log.jsonl` over the samples; nothing before there are two."""
    if not log.exists():
        return
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    if len(lines) < 2:
        return
    samples, losses = ([line[name] for line in lines] for name in ("samples", "loss"))
    series = Series("", tuple(samples), tuple(losses))
    plot = Plot(f"loss of {log.parent.name}", "samples", "loss", (series,))
    draw_plots([plot], *_SIZE).save(picture)
