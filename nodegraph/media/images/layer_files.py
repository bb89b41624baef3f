"""Files of layers, by format: OpenRaster (ORA) and Photoshop (PSD). Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nodegraph.media.images.input_files import translate_os_errors
from nodegraph.media.images.openraster import (
    encode_openraster,
    openraster_extent,
    read_openraster,
)
from nodegraph.media.images.photoshop import (
    check_photoshop_header,
    encode_photoshop,
    read_photoshop,
)

if TYPE_CHECKING:
    from nodegraph.media.images.layers import Extent, Layers

LayerFormat = Literal["ora", "psd"]


def encode_layers(
    layers: Layers,
    format: LayerFormat = "ora",
    *,
    bits: int = 8,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Layers as the bytes of a file.

    Args:
        bits: Bits per channel, 8 or 16. PSD files are written with 8.
        metadata: Texts by name. PSD files have none.
    Raises:
        InvalidValue: See `encode_openraster` and `encode_photoshop`.
    """
    if format == "psd":
        return encode_photoshop(layers)
    return encode_openraster(layers, bits, metadata)


def read_layers(
    path: Path, folder: Path, *, max_pixels: int, names: bool = True
) -> tuple[Layers, list[str]]:
    """Read the layers of a file, by its first bytes.

    Args:
        folder: For temporary files.
        max_pixels: Of each layer.
        names: Whether an error may name files like one that is missing.
    Returns:
        The layers, and messages about what was left out.
    Raises:
        InvalidFile, InvalidValue: See `read_openraster` and `read_photoshop`.
    """
    if _is_photoshop(path, names):
        return read_photoshop(path, max_pixels=max_pixels, names=names)
    return read_openraster(path, folder, max_pixels=max_pixels, names=names)


def layers_extent(path: Path, *, max_pixels: int, names: bool = True) -> Extent | None:
    """The rectangle around all layers of a file; None if it is not known without reading it.

    Raises:
        InvalidFile, InvalidValue: As of `read_layers`, as far as no pixels are read.
    """
    if _is_photoshop(path, names):
        check_photoshop_header(path, names=names)
        return None
    return openraster_extent(path, max_pixels=max_pixels, names=names)


def _is_photoshop(path: Path, names: bool) -> bool:
    with translate_os_errors(path, names=names), path.open("rb") as file:
        return file.read(4) == b"8BPS"
