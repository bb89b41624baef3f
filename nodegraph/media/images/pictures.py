"""The images in a value, for Pillow: of an image, a mask, a batch, a list of them, or files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.digests import is_tensor
from nodegraph.core.summary import summarize
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from PIL.Image import Image

_CHANNELS = (1, 3, 4)


class Pictures(Sequence["Image"]):
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
        self._parts = list(_parts(value))
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
    def __getitem__(self, at: int) -> Image: ...

    @overload
    def __getitem__(self, at: slice) -> list[Image]: ...

    def __getitem__(self, at: int | slice) -> Image | list[Image]:
        if isinstance(at, slice):
            return [_picture(part, self._max_pixels) for part in self._parts[at]]
        return _picture(self._parts[at], self._max_pixels)

    def at(self, at: int) -> Image:
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
    return next(_parts(value), None) is not None


def is_image(value: Any) -> bool:
    """Whether a value is a batch of images."""
    return bool(_is_float(value) and value.ndim == 4 and value.shape[-1] in _CHANNELS)


def is_mask(value: Any) -> bool:
    """Whether a value is a batch of masks."""
    return bool(_is_float(value) and value.ndim == 3)


def _is_float(value: Any) -> bool:
    return bool(is_tensor(value) and value.is_floating_point() and value.numel())


def _parts(value: Any) -> Iterator[Any]:
    """Single images, as (height, width, channels), and files of them."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item)
    elif is_image(value):
        yield from value
    elif is_mask(value):
        yield from value[..., None]
    elif isinstance(value, Path) and _is_picture(value):
        yield value


def _is_picture(path: Path) -> bool:
    from nodegraph.media.images.images import IMAGE_SUFFIXES

    return path.suffix.lower() in (*IMAGE_SUFFIXES.values(), ".jpeg", ".gif")


def _picture(part: Any, max_pixels: int) -> Image:
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
