"""Small images of results that are no images: waveforms, shapes, structures and plots.

They are drawn without torch, which takes longer to import than any of them to draw.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidFile
from nodegraph.session.results.texts import is_plot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_HEAD = 4096
_SMALLEST_PLOT = 320
"""Pixels of its longer side, in which texts can be read."""


def draw_result(path: Path, size: int) -> Image:
    """An image of a file of audio, a mesh, points, a molecule or a plot.

    Args:
        size: Pixels of the longer side; a plot's may be more.
    Raises:
        InvalidFile: It is damaged, or none of these.
        InvalidValue: What it would be read by isn't installed.
    """
    from nodegraph.media.audio.audio_files import is_audio_header
    from nodegraph.media.molecules.molecule_files import molecule_format
    from nodegraph.media.shapes.shape_files import shape_format

    with path.open("rb") as file:
        start = file.read(_HEAD)
    if is_audio_header(start[:12]):
        from nodegraph.media.audio.visualization import draw_waveform_of_file

        return _picture(draw_waveform_of_file(path, size, size * 9 // 16))
    if shape_format(start) is not None:
        return _picture(_drawn_shape(path, size))
    if molecule_format(start) is not None:
        return _drawn_molecule(path, size)
    if is_plot(start):
        return _drawn_plot(path, size)
    raise InvalidFile(
        "this value cannot be drawn", expected="an image, video, audio, shape, molecule or plot"
    )


def _picture(pixels: NDArray[np.float32]) -> Image:
    from PIL import Image

    return Image.fromarray((pixels * 255).round().astype("uint8"))


def _drawn_shape(path: Path, size: int) -> Any:
    """A mesh; of a file that has none, its points."""
    from nodegraph.media.shapes.reading import point_arrays, shape_arrays
    from nodegraph.media.shapes.rendering import shape_pixels

    mesh = shape_arrays(path)
    return shape_pixels(point_arrays(path) if mesh is None else mesh, size)


def _drawn_molecule(path: Path, size: int) -> Image:
    """As chemists draw it; where it is large, a cloud of its atoms."""
    from PIL import Image

    from nodegraph.media.molecules.chemistry import MOST_DRAWN, atom_arrays, molecule_png
    from nodegraph.media.molecules.molecule_files import parse_molecule_file
    from nodegraph.media.shapes.rendering import shape_pixels
    from nodegraph.media.shapes.shape_files import ShapeArrays

    molecule = parse_molecule_file(path)
    if molecule.GetNumAtoms() <= MOST_DRAWN or not molecule.GetNumConformers():
        return Image.open(BytesIO(molecule_png(molecule, size, size)))
    points, colors = atom_arrays(molecule)
    return _picture(shape_pixels(ShapeArrays(points, colors=colors), size))


def _drawn_plot(path: Path, size: int) -> Image:
    from nodegraph.media.plots.files import read_plot
    from nodegraph.media.plots.rendering import draw_plots

    side = max(size, _SMALLEST_PLOT)
    return draw_plots([read_plot(path)], side, side * 5 // 8)
