"""Photoshop files (PSD): layers with groups, opacity, blend modes and visibility, by psd-tools.

psd-tools is an extra. Files may come from anyone: sizes are checked before pixels are decoded.

Source: Adobe Photoshop File Formats Specification, November 2019.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError
from nodegraph.media.images.input_files import guess_file_kind, translate_os_errors
from nodegraph.media.images.layers import (
    FARTHEST,
    MAX_DEPTH,
    MAX_LAYERS,
    Layer,
    LayerGroup,
    Layers,
    extent_box,
)
from nodegraph.media.images.memory_checks import check_memory
from nodegraph.media.images.resizing import MAX_SIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from nodegraph.media.images.editing.compositing import BlendMode

    _Numbers = NDArray[np.float32]

_HEADER = struct.Struct(">4sH6xHIIHH")
_COLORS: Mapping[int, str] = {
    0: "bitmap", 2: "indexed", 4: "CMYK", 7: "multichannel", 8: "duotone", 9: "Lab"
}  # fmt: skip
"""Color modes that are not read."""
_RGB, _GRAY = 3, 1
_NAMES: Mapping[BlendMode, str] = {
    "normal": "NORMAL",
    "multiply": "MULTIPLY",
    "screen": "SCREEN",
    "overlay": "OVERLAY",
    "darken": "DARKEN",
    "lighten": "LIGHTEN",
    "color dodge": "COLOR_DODGE",
    "color burn": "COLOR_BURN",
    "hard light": "HARD_LIGHT",
    "soft light": "SOFT_LIGHT",
    "difference": "DIFFERENCE",
    "exclusion": "EXCLUSION",
    "add": "LINEAR_DODGE",
    "subtract": "SUBTRACT",
    "divide": "DIVIDE",
    "hue": "HUE",
    "saturation": "SATURATION",
    "color": "COLOR",
    "luminosity": "LUMINOSITY",
}
"""Blend modes by their names in psd-tools."""
_MODES: Mapping[str, BlendMode] = {name: mode for mode, name in _NAMES.items()}
_OPEN_GROUP = "PASS_THROUGH"
_PIXELS_OF: Mapping[str, str] = {
    "smartobject": "a smart object",
    "type": "text",
    "shape": "a shape",
}
"""Kinds of layers of which only the pixels are read, by their names in psd-tools."""
_LONGEST_NAME = 250


def check_psd_installed() -> None:
    """Refuse Photoshop files where psd-tools is missing.

    Raises:
        InvalidValue: It is.
    """
    if find_spec("psd_tools") is None:
        raise InvalidValue(
            "Photoshop files need the package psd-tools, which is not installed",
            hint="Run `pip install 'nodegraph[psd]'`, or use the format ora.",
        )


def encode_photoshop(layers: Layers) -> bytes:
    """Layers as the bytes of a PSD file with 8 bits per channel.

    Layers that are scaled or rotated become pictures as they look on the canvas. Opacity has 255
    steps.

    Raises:
        InvalidValue: psd-tools is missing, there are no layers, or they are too far apart.
    """
    check_psd_installed()
    import torch
    from psd_tools import PSDImage
    from psd_tools.constants import BlendMode as PsdBlendMode
    from psd_tools.psd import PSD

    from nodegraph.media.images.images import to_pil
    from nodegraph.media.images.layer_compositing import flatten_layers, rasterize

    # A document that keeps its flattened image: that of psd-tools needs more packages.
    kind: Any = type("Document", (PSDImage,), {"is_updated": lambda self: False})
    box = extent_box(layers.extent)
    flat = flatten_layers(layers, box)[0]
    # As the format wants it: colors on white, and alpha as a fourth channel.
    colors, alpha = flat[..., :3], flat[..., 3:]
    merged = torch.cat([colors * alpha + (1 - alpha), alpha], dim=-1)
    document = kind.frompil(to_pil(merged))

    def add(items: Iterable[Layer | LayerGroup]) -> list[Any]:
        added = []
        for item in items:
            values: dict[str, Any] = {
                "opacity": round(255 * item.opacity),
                "blend_mode": PsdBlendMode[_NAMES[item.mode]],
            }
            if isinstance(item, LayerGroup):
                made: Any = document.create_group(add(item.items), **values)
            else:
                x, y, picture = rasterize(item)
                made = document.create_pixel_layer(
                    to_pil(picture), left=x - box.x, top=y - box.y, **values
                )
            # Set apart, as names are written in the Mac's old encoding and in Unicode.
            made.name = item.name[:_LONGEST_NAME]
            made.visible = item.visible
            added.append(made)
        return added

    add(layers.items)
    buffer = BytesIO()
    document.save(buffer)
    buffer.seek(0)
    record = PSD.read(buffer)
    info = record.layer_and_mask_information.layer_info
    assert info is not None
    # Below zero, the fourth channel is the transparency of the flattened image.
    info.layer_count = -abs(info.layer_count)
    written = BytesIO()
    record.write(written)
    return written.getvalue()


def check_photoshop_header(path: Path, *, names: bool = True) -> None:
    """Refuse files that are not read, by their first bytes.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, no PSD file, or has colors that are not read.
        InvalidValue: psd-tools is missing.
    """
    with translate_os_errors(path, names=names), path.open("rb") as file:
        head = file.read(_HEADER.size)
    if head[:4] == b"8BPS" and len(head) < _HEADER.size:
        raise InvalidFile(f"{path} is cut short", given=f"{len(head)} bytes")
    if len(head) < _HEADER.size or head[:4] != b"8BPS":
        raise InvalidFile(
            f"{path} is no Photoshop file", given=guess_file_kind(path), expected=".psd or .ora"
        )
    _, version, _, _, _, bits, colors = _HEADER.unpack(head)
    if version not in (1, 2):
        raise InvalidFile(f"{path} is a Photoshop file of an unknown version", given=str(version))
    if colors not in (_RGB, _GRAY) or bits not in (8, 16):
        raise InvalidFile(
            f"the colors of {path} are not read",
            given=f"{_COLORS.get(colors, 'RGB or gray')} with {bits} bits per channel",
            expected="RGB or grayscale with 8 or 16 bits per channel",
            hint="Convert its color mode in the program that wrote it.",
        )
    check_psd_installed()


def read_photoshop(path: Path, *, max_pixels: int, names: bool = True) -> tuple[Layers, list[str]]:
    """Read the layers of a PSD file.

    Args:
        max_pixels: Of each layer.
        names: Whether an error may name files like one that is missing.
    Returns:
        The layers, and messages about what was left out.
    Raises:
        InvalidFile: It is missing, damaged, no PSD file, or has colors that are not read.
        InvalidValue: psd-tools is missing, or the layers do not fit in memory.
    """
    check_photoshop_header(path, names=names)
    from psd_tools import PSDImage

    try:
        document: Any = PSDImage.open(path)
        reader = _LayerReader(document, path)
        reader.check(max_pixels)
        return Layers(tuple(reader.items(document))), reader.left_out
    except (NodegraphError, MemoryError):
        raise
    except Exception as error:  # psd-tools raises anything on damaged files
        raise InvalidFile(f"cannot read {path}: {error or type(error).__name__}") from error


def photoshop_thumbnail(path: Path, size: int) -> Image.Image:
    """The flattened image in a file, small. It needs no psd-tools.

    Args:
        size: Pixels of the longer side, at most.
    Raises:
        InvalidFile: It is damaged, or too large.
    """
    from PIL import Image

    from nodegraph.media.images.pillow_files import DAMAGED

    try:
        with Image.open(path, formats=("PSD",)) as opened:
            picture = opened.convert("RGBA" if opened.mode == "RGBA" else "RGB")
    except DAMAGED as error:
        raise InvalidFile(f"{path} is damaged, or too large: {error}") from error
    picture.thumbnail((size, size))
    return picture


class _LayerReader:
    """Converts the layers of a document of psd-tools.

    Args:
        document: The document.
        path: Its file, for messages.
    """

    def __init__(self, document: Any, path: Path) -> None:
        from psd_tools.constants import Resource

        self._path = path
        self._group_masks: list[Any] = []
        self._profile = bytes(document.image_resources.get_data(Resource.ICC_PROFILE) or b"")
        self.left_out: list[str] = []
        self._document = document

    def check(self, max_pixels: int) -> None:
        """Refuse sizes, numbers and positions before pixels are decoded.

        Raises:
            InvalidFile, InvalidValue: See `read_photoshop`.
        """
        sizes: list[tuple[int, int]] = []
        for layer, depth in _walk(self._document):
            if depth > MAX_DEPTH or len(sizes) > MAX_LAYERS:
                raise InvalidFile(
                    f"{self._path} has too many or too deeply nested layers",
                    expected=f"at most {MAX_LAYERS} layers in {MAX_DEPTH} levels of groups",
                )
            mask = layer.mask
            # Boxes of groups are those of the layers in them.
            own = [] if layer.is_group() else [layer.bbox]
            boxes = [*own, *([] if mask is None else [mask.bbox])]
            for left, top, right, bottom in boxes:
                width, height = right - left, bottom - top
                if max(width, height) > MAX_SIDE or width * height > max_pixels:
                    raise InvalidFile(
                        f"the layer {layer.name[:80]!r} of {self._path} is too large",
                        given=f"{width} x {height} pixels",
                        expected=f"sides of at most {MAX_SIDE}, and {max_pixels} pixels",
                    )
                if max(abs(left), abs(top)) > FARTHEST:
                    raise InvalidFile(
                        f"the layer {layer.name[:80]!r} of {self._path} is too far outside",
                        given=f"{left}, {top}",
                    )
                sizes.append((width, height))
        if sizes:
            largest = max(sizes, key=lambda size: size[0] * size[1])
            # Four channels of float32.
            needed = sum(16 * width * height for width, height in sizes)
            check_memory(*largest, len(sizes), needed, port="path")

    def items(self, group: Iterable[Any]) -> Iterator[Layer | LayerGroup]:
        """The layers of a group, bottom first."""
        for layer in group:
            if layer.is_group():
                yield self._group(layer)
                continue
            pixels = self._pixels(layer)
            if pixels is None:
                kind = _PIXELS_OF.get(layer.kind, layer.kind)
                self._note(layer, f"has no pixels of its own ({kind}), and is left out")
                continue
            if layer.kind in _PIXELS_OF:
                self._note(layer, f"was {_PIXELS_OF[layer.kind]}, and is now pixels")
            import torch

            height, width = pixels.shape[:2]
            image = torch.from_numpy(pixels)
            yield Layer(image, layer.left, layer.top, width, height, **self._shared(layer))

    def _group(self, layer: Any) -> LayerGroup:
        has_mask = layer.mask is not None and not layer.mask.disabled
        # Layers here have no masks: that of a group becomes transparency of the layers in it.
        self._group_masks += [layer] if has_mask else []
        items = tuple(self.items(layer))
        if has_mask:
            self._group_masks.pop()
            self._note(layer, "has its mask applied to each of its layers")
        is_open = layer.blend_mode.name == _OPEN_GROUP
        if is_open and any(item.mode != "normal" for item in items):
            self._note(layer, "is isolated: its blend modes no longer reach the layers below it")
        if layer.kind == "artboard":
            self._note(layer, "was an artboard: its background and its edges are left out")
        return LayerGroup(items, **self._shared(layer))

    def _shared(self, layer: Any) -> dict[str, Any]:
        """What layers and groups have in common."""
        name = layer.blend_mode.name
        mode = "normal" if name == _OPEN_GROUP else _MODES.get(name)
        if mode is None:
            words = name.lower().replace("_", " ")
            self._note(layer, f"has the blend mode {words}, which is replaced by normal")
        if layer.has_effects():
            self._note(layer, "loses its effects")
        mask = layer.mask
        # The real mask is both masks as pixels.
        if layer.has_vector_mask() and (mask is None or not mask.has_real()):
            self._note(layer, "loses its vector mask")
        if mask is not None and not mask.has_real() and mask.parameters is not None:
            self._note(layer, "loses the density and feather of its mask")
        if getattr(layer, "clipping", False):
            self._note(layer, "is no longer clipped to the layer below it")
        return {
            "opacity": layer.opacity / 255 * getattr(layer, "fill_opacity", 255) / 255,
            "mode": mode or "normal",
            "visible": bool(layer.visible),
            "name": layer.name,
        }

    def _note(self, layer: Any, what: str) -> None:
        kind = "group" if layer.is_group() else "layer"
        self.left_out.append(f"The {kind} {layer.name[:80]!r} {what}.")

    def _pixels(self, layer: Any) -> _Numbers | None:
        """Colors in sRGB and alpha in 0..1, shape (height, width, 4); None without any."""
        import numpy as np

        if not layer.has_pixels() or 0 in layer.size:
            return None
        with warnings.catch_warnings(record=True) as damages:
            # psd-tools warns of channels that it cannot decode, and makes them black.
            warnings.simplefilter("always")
            colors = np.asarray(layer.numpy("color"), np.float32)
            alpha = layer.numpy("shape")
        if any("replaced with black" in str(each.message) for each in damages):
            self._note(layer, "has damaged pixels, which are black")
        if alpha is None:
            alpha = np.ones((*colors.shape[:2], 1), np.float32)
        masked = [layer] if layer.mask is not None and not layer.mask.disabled else []
        for owner in (*masked, *self._group_masks):
            alpha = alpha * self._mask(owner, layer)
        pixels = np.concatenate([self._in_srgb(colors), alpha], axis=-1)
        return np.ascontiguousarray(pixels, np.float32)

    def _in_srgb(self, colors: _Numbers) -> _Numbers:
        """Colors of the document's profile in sRGB, shape (height, width, 3)."""
        import numpy as np
        from PIL import Image

        from nodegraph.media.images.pillow_files import convert_to_srgb

        if self._profile:
            levels = (colors.clip(0, 1) * 255).round().astype(np.uint8)
            image = Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)
            image.info["icc_profile"] = self._profile
            converted = convert_to_srgb(image)
            if converted is not image:
                return np.asarray(converted.convert("RGB"), np.float32) / np.float32(255)
        return np.repeat(colors, 3, axis=-1) if colors.shape[-1] == 1 else colors[..., :3]

    def _mask(self, owner: Any, layer: Any) -> _Numbers:
        """The mask of a layer or group in the rectangle of a layer, shape (height, width, 1)."""
        import numpy as np

        mask = owner.mask
        width, height = layer.size
        whole = np.full((height, width, 1), mask.background_color / 255, np.float32)
        values = owner.numpy("mask")
        if values is None:
            return whole
        left, top, right, bottom = mask.bbox
        x, y = max(left, layer.left), max(top, layer.top)
        columns, rows = min(right, layer.right) - x, min(bottom, layer.bottom) - y
        if columns > 0 and rows > 0:
            part = values[y - top : y - top + rows, x - left : x - left + columns]
            whole[y - layer.top :, x - layer.left :][:rows, :columns] = part
        return whole


def _walk(group: Iterable[Any], depth: int = 1) -> Iterator[tuple[Any, int]]:
    """All layers and groups, each with the number of groups around it and itself."""
    for layer in group:
        yield layer, depth
        if layer.is_group() and depth <= MAX_DEPTH:
            yield from _walk(layer, depth + 1)
