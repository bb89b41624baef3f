"""Values of links shown by a notebook as they stand at the end of a cell."""

from __future__ import annotations

from typing import Any

from nodegraph.core.plots import Plot
from nodegraph.core.spatial_values import Mesh, Molecule, PointCloud
from nodegraph.core.values import Audio, Latent, Video
from nodegraph.results.html import value_html

_SHOWN = (Latent, Audio, Video, Mesh, PointCloud, Molecule, Plot)
"""Not tensors: those are others' as well, and a number that is wrong is looked for in numbers."""


def show_values_in(shell: Any) -> None:
    """Have a shell of IPython show latents, audio, video, shapes and plots as what they are."""
    formatter = shell.display_formatter.formatters["text/html"]
    for kind in _SHOWN:
        formatter.for_type(kind, value_html)
