"""Look-up tables of colors: .cube files.

Source: Adobe Cube LUT Specification 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidFile
from nodegraph.media.images.editing.pixel_formats import map_colors
from nodegraph.media.images.input_files import guess_file_kind, missing_file_error

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST = {1: 65536, 3: 256}
_BYTES = 1 << 29
"""Longest file that is read; a cube of side 256 takes about that."""

_NUMBERS = {
    **dict.fromkeys(("LUT_1D_SIZE", "LUT_3D_SIZE"), 1),
    **dict.fromkeys(("LUT_1D_INPUT_RANGE", "LUT_3D_INPUT_RANGE"), 2),
    **dict.fromkeys(("DOMAIN_MIN", "DOMAIN_MAX"), 3),
}
"""How many follow a keyword."""


@dataclass(frozen=True)
class ColorTable:
    """What becomes of colors.

    Attributes:
        size: Entries along each axis.
        axes: 1 for a table for each channel, 3 for a cube.
        rows: float32, shape (size ** axes, 3); in a cube red changes fastest.
        low, high: Values of the first and the last entry, for red, green and blue.
    """

    size: int
    axes: int
    rows: Tensor
    low: tuple[float, ...]
    high: tuple[float, ...]


def read_cube(path: Path, *, names: bool = True) -> ColorTable:
    """The table in a .cube file.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, or no table, or doesn't have as many rows as it says.
    """
    if not path.is_file():
        raise missing_file_error(path, names=names)
    try:
        if path.stat().st_size > _BYTES:
            raise InvalidFile(f"{path} is refused: it is too long for a color table", port="path")
        lines = _text(path).splitlines()
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}", port="path") from error
    try:
        return _parsed(lines)
    except ValueError as error:
        raise InvalidFile(
            f"{path} is not a color table: {error}", port="path", expected="a .cube file"
        ) from error


def _text(path: Path) -> str:
    """What a file says: numbers and keywords are ASCII, titles and remarks in any encoding.

    Raises:
        InvalidFile: It is no text, or one of another kind.
    """
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"LUT_" in data:
            return data.decode("latin-1")
        raise InvalidFile(
            f"{path} is not a color table: it looks like {guess_file_kind(path)}",
            port="path",
            expected="a .cube file",
        ) from error


def _parsed(lines: list[str]) -> ColorTable:
    import torch

    sizes: dict[int, int] = {}
    domain: dict[str, tuple[float, ...]] = {"MIN": (0.0,) * 3, "MAX": (1.0,) * 3}
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words or words[0] == "TITLE":
            continue
        key = words[0]
        if key in _NUMBERS and len(words) <= _NUMBERS[key]:
            raise ValueError(f"line {number} has {key} without its values")
        if key in ("LUT_1D_SIZE", "LUT_3D_SIZE"):
            sizes[int(key[4])] = int(words[1])
        elif key in ("DOMAIN_MIN", "DOMAIN_MAX"):
            domain[key[7:]] = tuple(float(word) for word in words[1:4])
        elif key in ("LUT_1D_INPUT_RANGE", "LUT_3D_INPUT_RANGE"):
            # Of DaVinci Resolve, one range for all channels.
            domain = {"MIN": (float(words[1]),) * 3, "MAX": (float(words[2]),) * 3}
        elif key[0].isalpha():
            continue  # keywords of other tools
        elif len(words) == 3:
            rows.append([float(word) for word in words])
        else:
            raise ValueError(f"line {number} has {len(words)} numbers instead of 3")
    return _checked(sizes, domain, torch.tensor(rows))


def _checked(
    sizes: dict[int, int], domain: dict[str, tuple[float, ...]], rows: Tensor
) -> ColorTable:
    if len(sizes) != 1:
        fault = "both a 1D and a 3D table" if sizes else "no table size"
        raise ValueError(f"it has {fault}")
    [(axes, size)] = sizes.items()
    if not 2 <= size <= _LARGEST[axes]:
        raise ValueError(f"its size is {size}, expected 2 to {_LARGEST[axes]}")
    if len(rows) != size**axes:
        raise ValueError(f"it has {len(rows)} rows instead of {size**axes}")
    if not rows.isfinite().all():
        raise ValueError("it has NaN or infinity")
    low, high = domain["MIN"], domain["MAX"]
    # In the precision that colors have: what is a hair wide there is nothing here.
    width = rows.new_tensor(high) - rows.new_tensor(low)
    if not (width.isfinite() & (width > 0)).all():
        raise ValueError(f"its domain is empty: {_written(low)} to {_written(high)}")
    return ColorTable(size, axes, rows, low, high)


def _written(numbers: tuple[float, ...]) -> str:
    return " ".join(f"{number:g}" for number in numbers)


def apply_table(image: Tensor, table: ColorTable, amount: float) -> Tensor:
    """Colors by a table, linearly between entries (in a cube between the eight around)."""
    import torch

    low, high = torch.tensor(table.low), torch.tensor(table.high)

    def work(item: Tensor) -> Tensor:
        at = ((item - low) / (high - low)).clamp(0, 1) * (table.size - 1)
        left = at.floor().clamp(max=table.size - 2).long()
        interpolate = _lookup_1d if table.axes == 1 else _lookup_3d
        return item.lerp(interpolate(table, left, at - left), amount)

    return map_colors(image, work, rgb=True)


def _lookup_1d(table: ColorTable, left: Tensor, share: Tensor) -> Tensor:
    return (
        table.rows.gather(0, left.reshape(-1, 3))
        .reshape(left.shape)
        .lerp(table.rows.gather(0, left.reshape(-1, 3) + 1).reshape(left.shape), share)
    )


def _lookup_3d(table: ColorTable, left: Tensor, share: Tensor) -> Tensor:
    red, green, blue = left.unbind(-1)

    def row(r: int, g: int, b: int) -> Tensor:
        size = table.size
        return table.rows[(red + r) + size * ((green + g) + size * (blue + b))]

    def along_red(g: int, b: int) -> Tensor:
        return row(0, g, b).lerp(row(1, g, b), share[..., 0:1])

    def along_green(b: int) -> Tensor:
        return along_red(0, b).lerp(along_red(1, b), share[..., 1:2])

    return along_green(0).lerp(along_green(1), share[..., 2:3])
