"""Pictures: reading, writing, showing, arranging, scaling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, File, Image, Mask, Preview, Range, node

from ._facts import (
    check_grid,
    check_image,
    check_resized,
    check_result_name,
    check_strip,
    image_outputs,
    image_state,
    resized,
)


class LoadedImage(NamedTuple):
    """A picture and its transparency."""

    image: Image
    mask: Mask


@node(
    category="image",
    lane="io",
    infer=image_outputs,
    validate=check_image,
    fingerprint=image_state,
    tags=("open", "read"),
)
def LoadImage(ctx: Context, path: Annotated[str, File("image")]) -> LoadedImage:
    """Read a picture from a file.

    The mask is 1 where the picture is transparent. Of an animation the first picture is taken.

    Args:
        path: PNG, JPEG, WebP and others; relative paths start from the inputs folder.
    """
    from nodegraph.images.images import read_image

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    return LoadedImage(*read_image(file, names=environment.readable is None))


@node(
    category="image", lane="io", output="files", validate=check_result_name, tags=("write", "file")
)
def SaveImage(
    ctx: Context,
    image: Image,
    name: str = "image",
    format: Literal["png", "jpeg", "webp"] = "png",
    quality: Annotated[int, Range(1, 100), Advanced()] = 95,
) -> None:
    """Write pictures to the output folder, each with the workflow that made it.

    They are numbered: apple_00001.png. A file with the same content is not written again.

    Args:
        image: Each of the batch gets a file of its own.
        name: What the file names begin with; fruit/apple makes a sub-folder.
        format: PNG is lossless, and keeps workflows of any length.
        quality: Of JPEG and WebP.
    """
    from nodegraph.images.images import IMAGE_SUFFIXES
    from nodegraph.images.output_files import save_numbered
    from nodegraph.images.provenance import encode_with_workflow

    contents = [
        encode_with_workflow(
            item, ctx.workflow, format, quality, warn=lambda said: ctx.log(said, "warning")
        )
        for item in image
    ]
    folders, suffix = ctx.environment, IMAGE_SUFFIXES[format]
    index = folders.temporary / "outputs.sqlite"
    for saved in save_numbered(folders.outputs, name, suffix, contents, index=index):
        ctx.wrote(saved.path, existed=saved.existed)


@node(category="image", lane="io", output=True, tags=("show", "look"))
def PreviewImage(ctx: Context, image: Image) -> None:
    """Show pictures without keeping them.

    Args:
        image: Each of the batch is shown.
    """
    from nodegraph.images.images import encode_image_file
    from nodegraph.images.output_files import save_by_content

    for item in image:
        data = encode_image_file(item)
        saved = save_by_content(ctx.environment.temporary / "previews", ".png", data)
        ctx.preview(Preview(data))
        ctx.wrote(saved.path, kind="preview", existed=saved.existed)


@node(category="image/arrange", validate=check_grid, tags=("grid", "contact sheet", "batch"))
def ImageGrid(
    images: list[Image],
    columns: Annotated[int, Range(0, 1000)] = 0,
    gap: Annotated[int, Range(0, 1000)] = 4,
    captions: list[str] | None = None,
) -> Image:
    """Put pictures into rows, in one picture.

    Args:
        images: Each in a cell as large as the largest; a batch counts as that many pictures.
        columns: Pictures in a row; 0 makes it about square.
        gap: Pixels between them.
        captions: Texts under the pictures, in their order.
    """
    from nodegraph.images.sheets import contact_sheet

    return contact_sheet(images, columns=columns, gap=gap, captions=captions or ())


@node(category="image/arrange", validate=check_strip, tags=("row", "film", "batch"))
def ImageStrip(
    images: list[Image],
    direction: Literal["horizontal", "vertical"] = "horizontal",
    gap: Annotated[int, Range(0, 1000)] = 4,
    captions: list[str] | None = None,
) -> Image:
    """Put pictures into one row or column, in one picture.

    Args:
        images: Each in a cell as large as the largest; a batch counts as that many pictures.
        direction: A row or a column.
        gap: Pixels between them.
        captions: Texts under the pictures, in their order.
    """
    from nodegraph.images.sheets import contact_sheet

    columns = 1 if direction == "vertical" else sum(map(len, images))
    return contact_sheet(images, columns=columns, gap=gap, captions=captions or ())


@node(
    category="image/adjust",
    infer=resized,
    validate=check_resized,
    tags=("scale", "crop", "upscale"),
)
def ResizeImage(
    image: Image,
    width: Annotated[int, Range(0, 16384)] = 512,
    height: Annotated[int, Range(0, 16384)] = 512,
    method: Literal["lanczos", "bicubic", "bilinear", "area", "nearest"] = "lanczos",
    fit: Literal["stretch", "crop"] = "stretch",
) -> Image:
    """Scale pictures to a size.

    Args:
        image: Of any size.
        width, height: In pixels; 0 keeps the proportions.
        method: How pixels are made of others; nearest keeps their values.
        fit: Stretch ignores the proportions; crop keeps them and cuts off what is too much.
    """
    from nodegraph.images.resizing import resize_image

    return resize_image(image, width, height, method=method, fit=fit)
