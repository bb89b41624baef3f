"""Pictures: reading, writing, showing, arranging, scaling."""

from __future__ import annotations

from math import log10
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, File, Image, InvalidValue, Mask, Preview, Range, node

from ._facts import check_result_name, image_state
from ._image_facts import check_grid, check_strip
from ._image_file_facts import check_image, image_outputs


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


class PictureDifference(NamedTuple):
    """Where pictures differ, and how much."""

    image: Image
    rms: float


@node(
    category="image/adjust",
    facts={
        "image": {name: f"image.{name}" for name in ("width", "height", "batch")},
    },
    tags=("compare", "subtract", "psnr"),
)
def ImageDifference(
    ctx: Context,
    image: Image,
    other: Image,
    gain: Annotated[float, Range(0, 1000, step=0.5)] = 4.0,
) -> PictureDifference:
    """Show where two pictures differ: black where they don't.

    Gives the root of the mean squared difference of their values, too, 0 to 1.

    Args:
        image: Any.
        other: As large, and as many.
        gain: What the differences are multiplied by, so that small ones show.
    """
    if image.shape != other.shape:
        raise InvalidValue(
            "the pictures aren't alike in size, number or channels",
            port="other",
            given=" x ".join(map(str, other.shape)),
            expected=" x ".join(map(str, image.shape)),
        )
    apart = (image - other).abs()
    rms = float(apart.square().mean().sqrt())
    ctx.log(f"root mean square of the difference: {rms:.4g}, {_psnr(rms)}")
    return PictureDifference((apart * gain).clamp(0, 1), rms)


def _psnr(rms: float) -> str:
    return f"PSNR {-20 * log10(rms):.1f} dB" if rms else "no difference at all"
