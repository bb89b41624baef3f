"""Parts of models that lie in several files without a configuration, read as one.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nodegraph.diffusion.models import header_of
from nodegraph.diffusion.safetensors_header import Header
from nodegraph.diffusion.single_files.tiny_vae import half_prefix


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
