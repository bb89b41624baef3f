"""Headers of weight files of any kind, and of several files that are read as one.

Imports no torch, except to open a pickle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nodegraph.core.weight_files import GGUF, SAFETENSORS, file_suffix
from nodegraph.weights.safetensors_header import Header, read_header
from nodegraph.weights.single_files.autoencoders import half_prefix


def header_of(path: Path) -> Header:
    """The header of a weight file; of a pickle only the shapes are known.

    Raises:
        InvalidFile: It can't be read, or is damaged.
    """
    if file_suffix(path) == GGUF:
        from nodegraph.weights.gguf_files import read_gguf_header

        return read_gguf_header(path)
    if file_suffix(path) == SAFETENSORS:
        return read_header(path)
    from nodegraph.weights.weight_files import pickle_shapes

    return Header(pickle_shapes(path), {}, {})


def joined_headers(files: Sequence[Path]) -> Iterator[tuple[Path, str, Header]]:
    """Each file with what its names are to have before them, so that none is another's."""
    for path in files:
        header = header_of(path)
        yield path, half_prefix(header.shapes), header


def joined_shapes(files: Sequence[Path]) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors in some files, by names as of `joined_headers`.

    Raises:
        InvalidFile: One can't be read, or is damaged.
    """
    return {
        f"{before}{name}": shape
        for _, before, header in joined_headers(files)
        for name, shape in header.shapes.items()
    }
