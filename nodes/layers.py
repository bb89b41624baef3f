"""Layers of an image: place, group, flatten, load and save them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, File, Image, Mask, Range, node
from nodegraph.errors import at_port
from nodegraph.media.images.layers import CanvasBox, Layers

from ._credentials import warn_if_changed
from ._facts import image_state
from ._image_ports import BlendMode
from ._layer_facts import (
    added_layer,
    box_facts,
    check_box,
    check_flattened,
    check_layer_file,
    check_placement,
    check_saved,
    flattened_layers,
    flattening_memory,
    grouped_layers,
    image_layers,
    loaded_layers,
)
from ._result_files import result_name, save_picture, save_result

_CATEGORY = "image/layers"
_Coordinate = Annotated[int, Range(-1048576, 1048576)]
_Side = Annotated[int, Range(1, 16384)]
_OwnSide = Annotated[int, Range(0, 16384)]
_Opacity = Annotated[float, Range(0, 1, step=0.05)]


class BoxAndSize(NamedTuple):
    """A box of the canvas, and the size of its images."""

    box: CanvasBox
    width: int
    height: int


@node(
    category=_CATEGORY,
    infer=box_facts,
    validate=check_box,
    tags=("canvas", "frame", "artboard", "bbox", "area", "outpainting", "size"),
)
def BoundingBox(
    x: _Coordinate = 0,
    y: _Coordinate = 0,
    width: _Side = 512,
    height: _Side = 512,
    sampled_width: _OwnSide = 0,
    sampled_height: _OwnSide = 0,
) -> BoxAndSize:
    """Set the part of the canvas that is generated, and the size at which it is sampled.

    The canvas has no borders: positions may be negative.

    Args:
        x, y: Upper left corner, in pixels of the canvas.
        width, height: Size on the canvas, in pixels.
        sampled_width, sampled_height: Size of the image of the box, in pixels. 0 uses the size on
            the canvas.
    """
    from nodegraph.media.images.layers import build_box

    box = build_box(x, y, width, height, sampled_width, sampled_height)
    return BoxAndSize(box, *box.size)


@node(
    category=_CATEGORY,
    infer=added_layer,
    validate=check_placement,
    tags=("layer", "paste", "composite", "canvas", "blend mode", "Photoshop", "place image"),
)
def AddLayer(
    image: Image,
    layers: Layers | None = None,
    mask: Mask | None = None,
    box: CanvasBox | None = None,
    x: _Coordinate = 0,
    y: _Coordinate = 0,
    width: _OwnSide = 0,
    height: _OwnSide = 0,
    rotation: Annotated[float, Range(-360, 360, step=1)] = 0.0,
    opacity: _Opacity = 1.0,
    mode: BlendMode = "normal",
    visible: bool = True,
    name: str = "",
) -> Layers:
    """Add an image as the top layer. Layers lie on a canvas without borders.

    To see the result, use FlattenLayers.

    Args:
        image: Picture of the layer. Its alpha is used. Of a batch, the first image is used.
        layers: The layers below. If not linked, this is the first layer.
        mask: Area where the layer is visible: 1 shows it. It is scaled to the image.
        box: Place the image in this box, and scale it to the box. Then x, y, width and height are
            not used.
        x, y: Upper left corner before the rotation, in pixels of the canvas.
        width, height: Size that the image is scaled to. 0 keeps the size of the image.
        rotation: Rotation in degrees, clockwise about the center.
        opacity: Opacity of the layer.
        mode: Blend mode, as in Photoshop and CSS.
        visible: Hidden layers are kept, but not shown.
        name: Name of the layer.
    """
    from nodegraph.media.images.layer_compositing import build_picture
    from nodegraph.media.images.layers import Layer, append_item, layer_rectangle

    picture = build_picture(image, mask)
    own = picture.shape[1], picture.shape[0]
    rectangle = layer_rectangle(own, box, x, y, width, height)
    layer = Layer(picture, *rectangle, rotation, opacity, mode, visible, name)
    return append_item(layers, layer)


@node(
    category=_CATEGORY,
    infer=grouped_layers,
    tags=("layer group", "folder", "layer set", "merge", "isolated group"),
)
def GroupLayers(
    group: Layers,
    layers: Layers | None = None,
    opacity: _Opacity = 1.0,
    mode: BlendMode = "normal",
    visible: bool = True,
    name: str = "",
) -> Layers:
    """Add layers as a group on top of others.

    The group is isolated: its layers are blended with each other first, then as one image with the
    layers below.

    Args:
        group: The layers of the group.
        layers: The layers below. If not linked, the group is the only one.
        opacity: Opacity of the whole group.
        mode: Blend mode of the whole group.
        visible: Hidden groups are kept, but not shown.
        name: Name of the group.
    """
    from nodegraph.media.images.layers import LayerGroup, append_item

    return append_item(layers, LayerGroup(group.items, opacity, mode, visible, name))


class FlattenedLayers(NamedTuple):
    """Layers as one image, and where they cover it."""

    image: Image
    mask: Mask


@node(
    category=_CATEGORY,
    infer=flattened_layers,
    validate=check_flattened,
    estimate=flattening_memory,
    tags=("merge layers", "composite", "flatten image", "canvas", "inpaint", "outpaint"),
)
def FlattenLayers(
    layers: Layers | None = None, box: CanvasBox | None = None, color: str = ""
) -> FlattenedLayers:
    """Blend layers to one image, of the whole canvas or of a box.

    Blending is that of Photoshop and CSS, in sRGB. The mask is 1 where layers cover the image.

    Args:
        layers: The layers, bottom first. If not linked, the image is empty.
        box: Part of the canvas, and size of the image. If not linked, the image is as large as all
            layers together, hidden ones included.
        color: Color behind the layers. If empty, the image keeps its transparency.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.layer_compositing import flatten_layers

    paper = parse_color(color) if color.strip() else None
    return FlattenedLayers(*flatten_layers(layers, box, paper))


@node(
    category=_CATEGORY,
    infer=image_layers,
    tags=("layered image", "batch to layers", "RGBA", "decompose", "import"),
)
def LayersFromImages(
    images: Image,
    box: CanvasBox | None = None,
    name: str = "",
) -> Layers:
    """Make a layer of each image of a batch, for example of a model that generates layers.

    Args:
        images: The pictures, bottom first. Their alpha is used.
        box: Place the images in this box, and scale them to it. If not linked, they lie at the
            origin of the canvas.
        name: Name of the layers, before their number.
    """
    from nodegraph.media.images.layer_compositing import layers_from_batch

    return layers_from_batch(images, box, name)


@node(
    category=_CATEGORY,
    lane="io",
    infer=loaded_layers,
    validate=check_layer_file,
    fingerprint=image_state,
    tags=("open", "read", "psd", "ora", "Photoshop", "Krita", "GIMP", "OpenRaster"),
)
def LoadLayers(ctx: Context, path: Annotated[str, File("layers")]) -> Layers:
    """Load the layers of an OpenRaster or Photoshop file.

    Groups, positions, opacity, blend modes and visibility are loaded. Masks become transparency,
    and text, shapes and smart objects become pixels. Adjustment layers and effects are left out.
    What is changed or left out is named in a warning.

    Args:
        path: ORA or PSD file. Relative paths start from the inputs folder.
    """
    from nodegraph.media.images.layer_files import read_layers

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    most, names = environment.max_image_pixels, environment.readable is None
    with at_port("path"):
        layers, left_out = read_layers(file, environment.temporary, max_pixels=most, names=names)
    for message in left_out:
        ctx.log(message, "warning")
    warn_if_changed(ctx, file)
    return layers


@node(
    category=_CATEGORY,
    lane="io",
    output="files",
    validate=check_saved,
    tags=("write", "export", "psd", "ora", "Photoshop", "Krita", "GIMP", "OpenRaster"),
)
def SaveLayers(
    ctx: Context,
    layers: Layers,
    name: str = "layers",
    format: Literal["ora", "psd"] = "ora",
    bits: Annotated[Literal["8", "16"], Advanced()] = "8",
    picture: Annotated[bool, Advanced()] = True,
    preview: Annotated[bool, Advanced()] = False,
) -> None:
    """Save layers to the output folder, for Krita, GIMP, Photoshop and others.

    Layers that are scaled or rotated are saved as they look on the canvas. Files are numbered:
    layers_00001.ora. A file with the same content is not written again.

    Args:
        layers: The layers.
        name: Start of the file name. fruit/apple makes a subfolder. Placeholders: see SaveImage.
        format: OpenRaster (ORA) is read by Krita, GIMP and MyPaint, and keeps positions on the
            canvas. PSD is read by Photoshop and most other programs; its corner is that of all
            layers together.
        bits: Bits per channel. 16 needs ORA.
        picture: Also save the flattened image as PNG.
        preview: Show the layers without saving them to the output folder.
    """
    from nodegraph.media.images.layer_compositing import flatten_layers
    from nodegraph.media.images.layer_files import encode_layers
    from nodegraph.media.images.output_files import save_by_content

    with at_port("layers"):
        texts = ctx.file_metadata()
        content = encode_layers(layers, format, bits=int(bits), metadata=texts)
    if preview:
        saved = save_by_content(ctx.environment.temporary / "previews", f".{format}", content)
        ctx.wrote(saved.path, kind="preview", existed=saved.existed)
        return
    name = result_name(ctx, name)
    save_result(ctx, name, f".{format}", content, kind="layers", sidecar=format == "psd")
    if picture:
        save_picture(ctx, name, flatten_layers(layers)[0])
