"""Files of results: the texts that they carry, and small images of those that are no images.

By its workflow a result can be made again. What a file is, its bytes say; only where they could be
anything (SMILES, OBJ) its name. Nothing is decoded that the texts do not lie behind, and what is
imported is what a kind needs. Images are drawn without torch, which takes longer to import than any
of them to draw.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.manifest import MANIFEST, VERSION_KEY, WORKFLOW, is_sidecar
from nodegraph.core.text_format import format_size
from nodegraph.errors import InvalidFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

HEAD = 64
"""Bytes by which a file is told."""
LARGEST = 64 << 20
"""Characters of all texts of a file; a small one can claim any size."""
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
_PLOT = b'"format": "nodegraph/plot/'
_SVG = b"<svg"
_LARGEST_PLOT = 16 << 20
"""Bytes of JSON or SVG."""


def result_texts(path: Path) -> Mapping[str, str] | None:
    """The texts that a result carries, by name; None of files that are no results.

    Images, layers, videos, audio, meshes, points, molecules, plots and latents are, and the
    manifest next to a result.

    Raises:
        InvalidFile: It is damaged, can't be read, or has more text than anybody writes.
        OSError: It can't be opened.
    """
    with path.open("rb") as file:
        start = file.read(HEAD)
    texts = _texts_in(path, start)
    if texts is not None and sum(map(len, texts.values())) > LARGEST:
        raise InvalidFile(f"{path} has too much text", expected=f"at most {LARGEST:,} characters")
    return texts


def is_plot(start: bytes) -> bool:
    """Whether JSON is a plot's, by its beginning."""
    return _PLOT in start


def _texts_in(path: Path, start: bytes) -> Mapping[str, str] | None:
    from nodegraph.core.weight_files import SAFETENSORS, file_suffix
    from nodegraph.media.audio.audio_files import audio_texts, is_audio_header
    from nodegraph.media.images.input_files import is_openraster
    from nodegraph.media.molecules.molecule_files import READABLE_SUFFIXES, molecule_texts
    from nodegraph.media.shapes.shape_files import GLB, shape_texts
    from nodegraph.media.videos.video_files import is_video_header, video_texts

    suffix = path.suffix.lower()
    is_riff_picture = (start[:4], start[8:12]) == (b"RIFF", b"WEBP")
    is_avif = start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis")
    if start.startswith(_PICTURES) or is_riff_picture or is_avif:
        from nodegraph.media.images.embedded_texts import read_metadata

        return _only_texts(read_metadata(path))
    if is_openraster(start):
        from nodegraph.media.images.openraster import openraster_texts

        return openraster_texts(path)
    if is_video_header(start[:12]):
        return video_texts(path)
    if is_audio_header(start[:12]):
        return audio_texts(path)
    if start.startswith((GLB, b"ply")) or suffix == ".obj":
        return shape_texts(path)
    if suffix in READABLE_SUFFIXES:
        return molecule_texts(path)
    if file_suffix(path) == SAFETENSORS:
        from nodegraph.weights.safetensors_header import read_header

        return _only_texts(read_header(path).metadata)
    if is_sidecar(start):
        return _texts_of_sidecar(path)
    return _texts_of_card(path) if path.name == CARD else _texts_of_plot(path, start)


CARD = "dataset.json"
"""Name of the file with the texts of a dataset; see `nodegraph.media.datasets.disk_formats`."""


def _texts_of_sidecar(path: Path) -> Mapping[str, str]:
    """Of the manifest next to a result; its workflow is a text of its own, as in a result."""
    document = _read_json(path, LARGEST)
    version = {VERSION_KEY: document.get(VERSION_KEY)}
    values = {WORKFLOW: document.pop(WORKFLOW, None), MANIFEST: document}
    return _written_values(path, values) | _only_texts(version)


def _texts_of_card(path: Path) -> Mapping[str, str]:
    document = _read_json(path, LARGEST)
    values = {name: document.get(name) for name in (WORKFLOW, MANIFEST)}
    return _written_values(path, values) | _only_texts({VERSION_KEY: document.get(VERSION_KEY)})


def _written_values(path: Path, values: Mapping[str, Any]) -> dict[str, str]:
    """Values as the texts that other files have."""
    try:
        return {name: json.dumps(value) for name, value in values.items() if value is not None}
    except RecursionError as error:
        raise InvalidFile(f"{path} is nested too deep") from error


def _texts_of_plot(path: Path, start: bytes) -> Mapping[str, str] | None:
    """Of a plot in JSON or SVG; None of anything else."""
    if not is_plot(start) and not start.startswith(_SVG):
        return None
    return _only_texts(_read_json(path, _LARGEST_PLOT, is_svg=start.startswith(_SVG)))


def _read_json(path: Path, largest: int, *, is_svg: bool = False) -> dict[str, Any]:
    """The object in a JSON file, or in the metadata of an SVG; empty if it is another value."""
    with path.open("rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise InvalidFile(f"{path} is too large", expected=f"at most {format_size(largest)}")
    text = data.decode("utf-8", "replace")
    if is_svg:
        _, _, carried = text.rpartition("<metadata>")
        text = unescape(carried.partition("</metadata>")[0]) or "{}"
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"{path} is damaged or truncated") from error
    return document if isinstance(document, dict) else {}


def _only_texts(document: Mapping[str, object]) -> dict[str, str]:
    return {name: text for name, text in document.items() if isinstance(text, str)}


_HEAD = 4096
_SMALLEST_PLOT = 320
"""Pixels of its longer side, in which texts can be read."""


def draw_result(path: Path, size: int) -> Image:
    """An image of a file of layers, audio, a mesh, points, a molecule or a plot.

    Args:
        size: Pixels of the longer side; a plot's may be more.
    Raises:
        InvalidFile: It is damaged, or none of these.
        InvalidValue: What it would be read by isn't installed.
    """
    from nodegraph.media.audio.audio_files import is_audio_header
    from nodegraph.media.images.input_files import is_openraster
    from nodegraph.media.molecules.molecule_files import molecule_format
    from nodegraph.media.shapes.shape_files import shape_format

    with path.open("rb") as file:
        start = file.read(_HEAD)
    if is_audio_header(start[:12]):
        from nodegraph.media.audio.visualization import draw_waveform_of_file

        return _picture(draw_waveform_of_file(path, size, size * 9 // 16))
    if is_openraster(start):
        from nodegraph.media.images.openraster import openraster_thumbnail

        return openraster_thumbnail(path)
    if start.startswith(b"8BPS"):
        from nodegraph.media.images.photoshop import photoshop_thumbnail

        return photoshop_thumbnail(path, size)
    if shape_format(start) is not None:
        return _picture(_drawn_shape(path, size))
    if molecule_format(start) is not None:
        return _drawn_molecule(path, size)
    if is_plot(start):
        return _drawn_plot(path, size)
    raise InvalidFile(
        "this value cannot be drawn",
        expected="an image, layers, a video, audio, shape, molecule or plot",
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
