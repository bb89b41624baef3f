"""Layers of an image on an infinite canvas: values, placement and extent. Imports no torch.

Coordinates are pixels of the canvas: x to the right, y down, of any sign.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nodegraph.core.digests import digest_tensor
from nodegraph.core.ports import port_type
from nodegraph.core.values import NOT_CONTENT
from nodegraph.errors import InvalidValue
from nodegraph.media.images.resizing import MAX_SIDE

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.media.images.editing.compositing import BlendMode

MAX_LAYERS = 1000
"""Layers of all groups together."""
MAX_DEPTH = 12
"""Groups within groups. The store writes values up to three times as deep."""
FARTHEST = 1 << 20
"""Largest coordinate of a canvas. Sums of coordinates stay exact in float64."""
_ROUNDING = 1e-6
"""Pixels by which a computed edge may miss a whole number."""

Extent = tuple[int, int, int, int]
"""Left, top, right and bottom edge on the canvas."""


@port_type(color="#d08bc9")
@dataclass(frozen=True, slots=True)
class CanvasBox:
    """A rectangle of the canvas, and the size at which it is sampled.

    Attributes:
        x, y: Upper left corner, in pixels of the canvas.
        width, height: Size on the canvas, 1 or more.
        sampled_width, sampled_height: Size in pixels of images of the box, 1 or more.
    """

    x: int
    y: int
    width: int
    height: int
    sampled_width: int
    sampled_height: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of images of the box."""
        return self.sampled_width, self.sampled_height


@dataclass(frozen=True, slots=True)
class Layer:
    """Picture with its placement on the canvas.

    Attributes:
        image: float32 in 0..1, sRGB with straight alpha, shape (height, width, 4).
        x, y: Upper left corner before the rotation, in pixels of the canvas.
        width, height: Size on the canvas that the picture is scaled to, 1 or more.
        rotation: Degrees clockwise about the middle.
        opacity: Factor of alpha, 0..1.
        mode: Blend mode.
        visible: Whether it is a part of the flattened image.
        name: Name for people.
        picture_digest: Digest of the image, computed once if it is empty. Stacks of many layers
            are then compared without reading all of their pixels again.
    """

    image: Tensor = field(metadata=NOT_CONTENT)
    x: int
    y: int
    width: int
    height: int
    rotation: float = 0.0
    opacity: float = 1.0
    mode: BlendMode = "normal"
    visible: bool = True
    name: str = ""
    picture_digest: str = ""

    def __post_init__(self) -> None:
        if not self.picture_digest:
            object.__setattr__(self, "picture_digest", digest_tensor(self.image))

    @property
    def extent(self) -> Extent:
        """The smallest rectangle of whole pixels around it."""
        return placed_extent(self.x, self.y, self.width, self.height, self.rotation)


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """Isolated group: its layers are flattened on their own, then placed like one layer.

    Attributes:
        items: Layers and groups, bottom first.
        opacity, mode, visible, name: As of a `Layer`.
    """

    items: tuple[Layer | LayerGroup, ...]
    opacity: float = 1.0
    mode: BlendMode = "normal"
    visible: bool = True
    name: str = ""


@port_type(color="#5fb7a5")
@dataclass(frozen=True, slots=True)
class Layers:
    """Layers of an image with placement, opacity and blend mode, bottom first.

    Attributes:
        items: Layers and groups, bottom first.
    """

    items: tuple[Layer | LayerGroup, ...] = ()

    def walk(self) -> Iterator[Layer]:
        """All layers, bottom first, with those of groups."""
        return _walk(self.items)

    @property
    def extent(self) -> Extent | None:
        """The smallest rectangle of whole pixels around all layers; None without layers."""
        return joined_extent(layer.extent for layer in self.walk())


def _walk(items: Iterable[Layer | LayerGroup]) -> Iterator[Layer]:
    for item in items:
        if isinstance(item, LayerGroup):
            yield from _walk(item.items)
        else:
            yield item


def joined_extent(extents: Iterable[Extent]) -> Extent | None:
    """The smallest rectangle around others; None without any."""
    edges = list(zip(*extents, strict=True))
    if not edges:
        return None
    left, top, right, bottom = edges
    return min(left), min(top), max(right), max(bottom)


def placed_extent(x: int, y: int, width: int, height: int, rotation: float) -> Extent:
    """The smallest rectangle of whole pixels around a rotated one.

    Args:
        x, y, width, height: The rectangle before the rotation.
        rotation: Degrees clockwise about its middle.
    """
    cosine, sine = (abs(value) for value in rotation_parts(rotation))
    wide, high = width * cosine + height * sine, width * sine + height * cosine
    middle = x + width / 2, y + height / 2
    return (
        math.floor(middle[0] - wide / 2 + _ROUNDING),
        math.floor(middle[1] - high / 2 + _ROUNDING),
        math.ceil(middle[0] + wide / 2 - _ROUNDING),
        math.ceil(middle[1] + high / 2 - _ROUNDING),
    )


def rotation_parts(rotation: float) -> tuple[float, float]:
    """Cosine and sine of degrees; exact at right angles."""
    quarters, remainder = divmod(rotation % 360.0, 90.0)
    if remainder == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarters) % 4]
    turn = math.radians(rotation)
    return math.cos(turn), math.sin(turn)


def build_box(
    x: int, y: int, width: int, height: int, sampled_width: int = 0, sampled_height: int = 0
) -> CanvasBox:
    """A box of the canvas.

    Args:
        sampled_width, sampled_height: 0 for the size on the canvas.
    Raises:
        InvalidValue: A side is 0 or too long, or the box is too far from the origin.
    """
    box = CanvasBox(x, y, width, height, sampled_width or width, sampled_height or height)
    _check_position(x, y)
    _check_size("width", width, height)
    _check_size("sampled_width", *box.size)
    return box


def _check_position(x: int, y: int) -> None:
    for port, value in (("x", x), ("y", y)):
        if abs(value) > FARTHEST:
            raise InvalidValue(
                "the position is too far from the origin of the canvas",
                port=port,
                given=str(value),
                expected=f"-{FARTHEST} to {FARTHEST}",
            )


def _check_size(port: str, width: int, height: int) -> None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InvalidValue(
            "the box has a side of 0 pixels"
            if 0 in (width, height)
            else "the size is out of range",
            port=port,
            given=f"{width} x {height} pixels",
            expected=f"sides from 1 to {MAX_SIDE}",
        )


def layer_rectangle(
    own: tuple[int, int], box: CanvasBox | None, x: int, y: int, width: int, height: int
) -> tuple[int, int, int, int]:
    """Left, top, width and height of a layer on the canvas.

    Args:
        own: Width and height of its picture.
        box: Takes the place of the other arguments. None for none.
        width, height: 0 for the size of the picture.
    Raises:
        InvalidValue: It is too large, or too far from the origin.
    """
    if box is not None:
        return box.x, box.y, box.width, box.height
    size = width or own[0], height or own[1]
    _check_position(x, y)
    _check_size("width", *size)
    return x, y, *size


def append_item(below: Layers | None, item: Layer | LayerGroup) -> Layers:
    """Layers with one more on top.

    Raises:
        InvalidValue: There are too many, or groups are nested too deeply.
    """
    layers = Layers((*(() if below is None else below.items), item))
    count = sum(1 for _ in layers.walk())
    if count > MAX_LAYERS:
        raise InvalidValue(
            "there are too many layers",
            port="layers",
            given=str(count),
            expected=f"at most {MAX_LAYERS}",
            hint="Flatten some of them with FlattenLayers.",
        )
    if isinstance(item, LayerGroup) and _depth(item) > MAX_DEPTH:
        raise InvalidValue(
            "groups are nested too deeply",
            port="group",
            given=f"{_depth(item)} levels",
            expected=f"at most {MAX_DEPTH}",
        )
    return layers


def _depth(group: LayerGroup) -> int:
    inner = (_depth(item) for item in group.items if isinstance(item, LayerGroup))
    return 1 + max(inner, default=0)


def whole_box(layers: Layers | None) -> CanvasBox:
    """The box around all layers, hidden ones included, sampled at the size of the canvas.

    Raises:
        InvalidValue: There are no layers, or they are too far apart.
    """
    return extent_box(None if layers is None else layers.extent)


def extent_box(extent: Extent | None) -> CanvasBox:
    """The box of an extent; see `whole_box`."""
    if extent is None:
        raise InvalidValue(
            "there are no layers, so the size of the image is not known",
            port="layers",
            expected="layers, or a box",
            hint="Link a BoundingBox node to the input box.",
        )
    left, top, right, bottom = extent
    width, height = right - left, bottom - top
    if max(width, height) > MAX_SIDE:
        raise InvalidValue(
            "the layers are too far apart for one image",
            port="layers",
            given=f"{width} x {height} pixels",
            expected=f"sides of at most {MAX_SIDE}",
            hint="Link a BoundingBox node to the input box, or move the layers together.",
        )
    return CanvasBox(left, top, width, height, width, height)


def translate_layers(layers: Layers, x: int, y: int) -> Layers:
    """Layers at another position of the canvas."""
    return Layers(tuple(_translate(item, x, y) for item in layers.items))


def _translate(item: Layer | LayerGroup, x: int, y: int) -> Layer | LayerGroup:
    if isinstance(item, LayerGroup):
        return replace(item, items=tuple(_translate(inner, x, y) for inner in item.items))
    return replace(item, x=item.x + x, y=item.y + y)
