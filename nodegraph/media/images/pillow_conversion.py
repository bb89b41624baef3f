"""Between values and images of Pillow or arrays of NumPy.

What can mean only one thing becomes a tensor; for the rest the error says what to write. Of a value
(an image, a mask, a batch, a list of them, or files), `Pictures` makes the images for Pillow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.digests import is_tensor
from nodegraph.core.summary import summarize
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from typing import Protocol, TypeAlias

    from PIL import Image
    from torch import Tensor

    class Pixels(Protocol):
        """A tensor or an array."""

        @property
        def shape(self) -> Any: ...
        @property
        def dtype(self) -> Any: ...

    Picture: TypeAlias = Pixels | Image.Image
    """What may be given for an Image or a Mask."""


PictureType = Literal["Image", "Mask"]
PICTURE_TYPES: tuple[PictureType, ...] = get_args(PictureType)

_COLORS = (3, 4)
_CHANNELS = (1, *_COLORS)
_FRACTIONS = ("float16", "float32", "float64")
_LEVELS = ("uint8", "bool")
_NUMBERS = ("bool", "uint", "int", "float", "bfloat")
_MASK_MODES = frozenset({"1", "L", "I;16"})
_OVERSHOOT = 2
"""Up to it, floats above 1 are what a filter or a resize made too bright; beyond, 255 is white."""
_NO_RANGE = frozenset({"F", "I"})
"""Pillow's modes of which nobody knows what is white."""


def to_image_tensor(value: Any, kind: PictureType) -> Tensor | None:
    """An image as a tensor, of PIL or an array of numpy; None where its meaning isn't certain.

    Arrays are of bytes, or of floats in 0..1.
    """
    if is_pil_image(value):
        return _picture(value, kind)
    if is_numpy_array(value) and _has_known_range(value):
        return _array(value, kind)
    return None


def _has_known_range(array: Any) -> bool:
    """Whether it is known of an array which of its numbers is white."""
    if array.dtype.name in _FRACTIONS:
        # False of NaN, too.
        return bool(array.size) and bool(array.min() >= 0 and array.max() <= 1)
    return array.dtype.name in _LEVELS


def is_pil_image(value: Any) -> bool:
    """Whether a value is an image of PIL, told without importing it."""
    return any(
        base.__name__ == "Image" and base.__module__ == "PIL.Image" for base in type(value).__mro__
    )


def is_numpy_array(value: Any) -> bool:
    """Whether a value is an array of numpy, told without importing it."""
    return any(
        base.__name__ == "ndarray" and base.__module__ == "numpy" for base in type(value).__mro__
    )


def _picture(value: Any, kind: PictureType) -> Tensor | None:
    if value.mode in _NO_RANGE or (kind == "Mask" and value.mode not in _MASK_MODES):
        return None
    import torch

    from nodegraph.media.images.pillow_files import frame_pixels

    colors, alpha = frame_pixels(value)
    if kind == "Mask":
        return torch.from_numpy(colors)[None, ..., 0]
    pixels = torch.from_numpy(colors)
    if value.has_transparency_data:
        pixels = torch.cat((pixels, torch.from_numpy(alpha)[..., None]), dim=-1)
    return pixels[None]


def _array(value: Any, kind: PictureType) -> Tensor | None:
    import numpy as np
    import torch

    shape, is_flags = value.shape, value.dtype.name == "bool"
    if not value.size or len(shape) > 4:
        return None
    if kind == "Mask":
        is_certain = len(shape) == 2 or (len(shape) == 3 and shape[-1] not in _CHANNELS)
    else:
        is_certain = (
            not is_flags
            and len(shape) in (3, 4)
            and shape[-1] in _COLORS
            and shape[-3] not in _CHANNELS
        )
    if not is_certain:
        return None
    levels = value.astype(np.float32)
    if value.dtype.name == "uint8":
        levels /= np.float32(255)
    pixels = torch.from_numpy(np.ascontiguousarray(levels))
    return pixels if len(shape) == (3 if kind == "Mask" else 4) else pixels[None]


def conversion_hint(value: Any, kind: PictureType, verb: str = "Return") -> str:
    """What to write so that a value becomes what is declared; empty where nobody knows.

    Args:
        verb: What is done with the value.
    """
    if isinstance(value, (list, tuple)) and value:
        inner = conversion_hint(value[0], kind) if to_image_tensor(value[0], kind) is None else ""
        is_one = is_pil_image(value[0]) or is_numpy_array(value[0]) or is_tensor(value[0])
        return f"Declare `-> list[{kind}]` for several. {inner}".rstrip() if is_one else ""
    if is_pil_image(value):
        if value.mode in _NO_RANGE:
            give = "return" if verb == "Return" else "give"
            return f"Mode {value.mode} does not say what is white: {give} an array in 0..1 instead."
        return 'Select the intended channel: `value.convert("L")` or `value.getchannel("A")`.'
    if not (is_numpy_array(value) or is_tensor(value)):
        return ""
    layout = _layout(tuple(value.shape), kind)
    if layout is None or not _type_name(value).startswith(_NUMBERS):
        return ""
    start = "value" if is_tensor(value) else "torch.from_numpy(value)"
    scale, doubt = _scale(value)
    written = f"{start}{layout}{scale}"
    return f"{verb} `{written}`{doubt}." if written != "value" else ""


def _layout(shape: Sequence[int], kind: PictureType) -> str | None:
    """What brings the axes into order."""
    size, first, last = len(shape), shape[-3] if len(shape) > 2 else 0, shape[-1] if shape else 0
    if kind == "Mask":
        forms = {2: "[None]", 3: "[..., 0][None]" if last == 1 else ""}
        if size == 4:
            return "[..., 0]" if last == 1 else "[:, 0]" if first == 1 else ".mean(-1)"
        return forms.get(size)
    is_swapped = first in _CHANNELS and last not in _CHANNELS
    if size == 4:
        return ".permute(0, 2, 3, 1)" if is_swapped else ""
    if size == 3:
        return ".permute(1, 2, 0)[None]" if is_swapped else "[None]"
    return "[None, ..., None].expand(-1, -1, -1, 3)" if size == 2 else None


def _scale(value: Any) -> tuple[str, str]:
    """What brings the numbers into 0..1, and what has to be known for it."""
    name = _type_name(value)
    if name == "bool":
        return ".float()", ""
    if name == "uint8":
        return ".float() / 255", ""
    if name == "uint16":
        return ".float() / 65535", ""
    least, largest = value_range(value) or (0.0, 0.0)
    whole = "" if name == "float32" else ".float()"
    if not (math.isfinite(least) and math.isfinite(largest)):
        return f"{whole}.nan_to_num(0, 1, 0).clamp(0, 1)", ", as it holds NaN or infinite values"
    if name.startswith("float") and -1 <= least <= -0.5 and largest <= 1:
        return f"{whole} / 2 + 0.5", ", if its -1 is black"
    if name.startswith("float") and (least < 0 or 1 < largest <= _OVERSHOOT):
        return f"{whole}.clamp(0, 1)", ", which clips values outside 0..1"
    if largest > 1:
        return f"{whole} / 255", f", if its {largest:g} is on a scale of 0 to 255"
    return whole, "" if name.startswith("float") else ", if its values are in 0..1"


def value_range(value: Any) -> tuple[float, float] | None:
    """The least and the largest number of a tensor or an array; None if it has none."""
    if not (is_numpy_array(value) or is_tensor(value)) or 0 in value.shape:
        return None
    if not _type_name(value).startswith(_NUMBERS):
        return None
    numbers = value.float() if is_tensor(value) else value  # float8 has no least number
    return float(numbers.min()), float(numbers.max())


def summarize_picture(value: Any) -> str:
    """What was given for an image, for an error: its dtype, shape and range."""
    ends = value_range(value)
    return summarize(value) + (f", values {_shown(ends[0])} to {_shown(ends[1])}" if ends else "")


def _shown(number: float) -> str:
    """A number in few digits, unless these would put it into 0..1 where it is just outside."""
    text = f"{number:.4g}"
    return text if (0 <= float(text) <= 1) == (0 <= number <= 1) else f"{number:.9g}"


def _type_name(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


_IMAGE_CHANNELS = (1, 3, 4)


class Pictures(Sequence["Image.Image"]):
    """The images of a value, made when they are asked for.

    Args:
        name: Of the output, for messages.
        value: An image, shape (batch, height, width, channels); a mask, (batch, height, width);
            the path of an image; or a list of these.
        max_pixels: Width times height of an image in a file; larger ones are refused.
    Raises:
        InvalidValue: It has none.
    """

    def __init__(self, name: str, value: Any, *, max_pixels: int = MAX_IMAGE_PIXELS) -> None:
        self._name = name
        self._max_pixels = max_pixels
        self._parts = list(_image_parts(value))
        if not self._parts:
            raise InvalidValue(
                f"`{name}` has no image",
                given=summarize(value),
                expected="an image, a mask, or a list of them",
                hint="`result[...]` returns other values; decode a latent with VAEDecode.",
            )

    def __len__(self) -> int:
        return len(self._parts)

    @overload
    def __getitem__(self, at: int) -> Image.Image: ...

    @overload
    def __getitem__(self, at: slice) -> list[Image.Image]: ...

    def __getitem__(self, at: int | slice) -> Image.Image | list[Image.Image]:
        if isinstance(at, slice):
            return [_to_pillow(part, self._max_pixels) for part in self._parts[at]]
        return _to_pillow(self._parts[at], self._max_pixels)

    def at(self, at: int) -> Image.Image:
        """One of them; negative numbers count from the end.

        Raises:
            InvalidValue: There are fewer.
        """
        if not -len(self) <= at < len(self):
            raise InvalidValue(
                f"`{self._name}` has no image with this number",
                given=str(at),
                expected=f"0 to {len(self) - 1}",
            )
        return self[at]


def has_pictures(value: Any) -> bool:
    """Whether a value is an image, a mask, or a list with one."""
    return next(_image_parts(value), None) is not None


def is_image(value: Any) -> bool:
    """Whether a value is a batch of images."""
    return bool(_is_float(value) and value.ndim == 4 and value.shape[-1] in _IMAGE_CHANNELS)


def is_mask(value: Any) -> bool:
    """Whether a value is a batch of masks."""
    return bool(_is_float(value) and value.ndim == 3)


def _is_float(value: Any) -> bool:
    return bool(is_tensor(value) and value.is_floating_point() and value.numel())


def _image_parts(value: Any) -> Iterator[Any]:
    """Single images, as (height, width, channels), and files of them."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _image_parts(item)
    elif is_image(value):
        yield from value
    elif is_mask(value):
        yield from value[..., None]
    elif isinstance(value, Path) and _is_image_file(value):
        yield value


def _is_image_file(path: Path) -> bool:
    from nodegraph.media.images.images import IMAGE_SUFFIXES

    return path.suffix.lower() in (*IMAGE_SUFFIXES.values(), ".jpeg", ".gif")


def _to_pillow(part: Any, max_pixels: int) -> Image.Image:
    from nodegraph.media.images.images import READABLE, check_pixels, to_pil

    if not isinstance(part, Path):
        return to_pil(part)
    from nodegraph.media.images.pillow_files import DAMAGED, allow_pixels, open_header

    try:
        with allow_pixels(max_pixels), open_header(part, READABLE) as opened:
            check_pixels(opened, part, max_pixels)
            opened.load()
            return opened
    except FileNotFoundError:
        raise InvalidValue(f"the image {part} no longer exists", hint="Run again.") from None
    except DAMAGED as error:
        raise InvalidValue(f"the image {part} cannot be read: {error}") from error
