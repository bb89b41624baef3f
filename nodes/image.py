"""Images: load, save and preview them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, File, Image, Mask, Preview, Range, node
from nodegraph.errors import at_port

from ._credentials import warn_if_changed
from ._facts import image_state
from ._image_file_facts import (
    check_image,
    check_image_text,
    check_picture_name,
    check_pictures,
    frames_outputs,
    image_outputs,
    pictures_state,
)
from ._result_files import client_metadata, infotext_texts, save_pictures


class LoadedImage(NamedTuple):
    """An image and its transparency as a mask."""

    image: Image
    mask: Mask


@node(
    category="image",
    lane="io",
    infer=image_outputs,
    validate=check_image,
    fingerprint=image_state,
    tags=("open", "read", "photo", "gif", "jpeg", "avif", "exif"),
)
def LoadImage(
    ctx: Context,
    path: Annotated[str, File("image")],
    frame: Annotated[int, Range(-100000, 100000), Advanced()] = 0,
    alpha: Annotated[bool, Advanced()] = False,
) -> LoadedImage:
    """Load an image from a file.

    The image is rotated upright and converted to sRGB with its color profile. 16 bits are kept. The
    mask is 1 where the image is transparent.

    Args:
        path: PNG, JPEG, WebP and others. Relative paths start from the inputs folder.
        frame: Frame of an animation, or page of a multi-page file, counted from 0. -1 is the last.
        alpha: Keep the transparency as a fourth channel of the image, for example for AddLayer. If
            off, only the mask has it.
    """
    from nodegraph.media.images.images import read_image

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    most, names = environment.max_image_pixels, environment.readable is None
    with at_port("path"):
        loaded = LoadedImage(
            *read_image(file, frame=frame, alpha=alpha, max_pixels=most, names=names)
        )
        warn_if_changed(ctx, file)
    return loaded


@node(
    category="image",
    lane="io",
    validate=check_image_text,
    tags=("base64", "data URL", "decode", "easy loadImageBase64", "API", "ETN_LoadImageBase64"),
)
def LoadImageBase64(ctx: Context, data: str) -> LoadedImage:
    """Load an image from a base64 text or a data URL, as programs send images.

    Saved images leave out a long text from the workflow that they carry.

    Args:
        data: The image file as base64, with or without `data:image/png;base64,` before it. At most
            72 MB as a file.
    """
    from nodegraph.media.images.images import read_image_bytes
    from nodegraph.media.images.input_files import decode_base64

    environment = ctx.environment
    with at_port("data"):
        file = decode_base64(data, "data")
        most = environment.max_image_pixels
        return LoadedImage(
            *read_image_bytes(file, environment.temporary, "the text", max_pixels=most)
        )


class LoadedFrames(NamedTuple):
    """The frames of an animation, and its frame rate."""

    image: Image
    mask: Mask
    rate: float


@node(
    category="image",
    lane="io",
    infer=frames_outputs,
    validate=check_image,
    fingerprint=image_state,
    tags=("gif", "apng", "webp", "animation", "pages", "batch", "tiff"),
)
def LoadImageFrames(
    ctx: Context,
    path: Annotated[str, File("image")],
    start: Annotated[int, Range(-100000, 100000)] = 0,
    count: Annotated[int, Range(0, 100000)] = 0,
    every: Annotated[int, Range(1, 1000), Advanced()] = 1,
) -> LoadedFrames:
    """Load all frames of an animation, or all pages of a multi-page file, as a batch.

    Args:
        path: GIF, WebP, PNG, TIFF and others. Relative paths start from the inputs folder.
        start: First frame, counted from 0. -1 is the last.
        count: Maximum number of frames. 0 loads all from the start.
        every: Load every nth frame; 2 loads every second one.
    """
    from nodegraph.media.images.images import read_frames

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    most, names = environment.max_image_pixels, environment.readable is None
    with at_port("path"):
        loaded = LoadedFrames(
            *read_frames(file, start, count, every=every, max_pixels=most, names=names)
        )
        warn_if_changed(ctx, file)
    return loaded


class LoadedImages(NamedTuple):
    """Images of a folder, their transparency as masks, and their names."""

    images: list[Image]
    masks: list[Mask]
    names: list[str]


@node(
    category="image",
    lane="io",
    validate=check_pictures,
    fingerprint=pictures_state,
    tags=(
        "folder",
        "directory",
        "glob",
        "batch",
        "list",
        "several",
        "dataset",
        "load images from folder",
        "load image batch",
    ),
)
def LoadImages(
    ctx: Context,
    path: Annotated[str, File("folder")],
    start: Annotated[int, Range(0, 100000)] = 0,
    count: Annotated[int, Range(0, 100000)] = 0,
    order: Literal["name", "oldest first", "newest first"] = "name",
) -> LoadedImages:
    """Load the images of a folder as a list. Their sizes may differ.

    Args:
        path: A folder, or a pattern like photos/*.png or photos/**/*.jpg. Relative paths start from
            the inputs folder.
        start: First image, counted from 0.
        count: Maximum number of images. 0 loads all from the start.
        order: Sort by name, with numbers in numeric order, or by the file's modification time.
    """
    from nodegraph.media.images.images import check_folder_memory, read_image
    from nodegraph.media.images.input_files import find_pictures

    environment = ctx.environment
    most, names = environment.max_image_pixels, environment.readable is None
    paths = find_pictures(path, environment, order)[start:]
    files = paths[:count] if count else paths
    loaded = []
    with at_port("path"):
        if files:
            check_folder_memory(files, max_pixels=most, names=names)
        for at, file in enumerate(files):
            loaded.append(read_image(file, max_pixels=most, names=names))
            ctx.progress(at + 1, len(files))
    warn_if_changed(ctx, *files)
    images, masks = [image for image, _ in loaded], [mask for _, mask in loaded]
    return LoadedImages(images, masks, [file.stem for file in files])


@node(
    category="image",
    lane="io",
    output="files",
    validate=check_picture_name,
    tags=(
        "write",
        "file",
        "export",
        "png",
        "jpg",
        "Image Save",
        "jpeg",
        "avif",
        "metadata",
        "filename prefix",
    ),
)
def SaveImage(
    ctx: Context,
    image: Image,
    name: str = "image",
    format: Literal["png", "jpeg", "webp", "avif", "tiff"] = "png",
    quality: Annotated[int, Range(1, 100), Advanced()] = 95,
    bits: Annotated[Literal["8", "16"], Advanced()] = "8",
    rounding: Annotated[Literal["nearest", "down"], Advanced()] = "nearest",
    infotext: Annotated[Literal["auto", "on", "off"], Advanced()] = "auto",
) -> None:
    """Save images to the output folder, each with the workflow that made it.

    Files are numbered: apple_00001.png. A file with the same content is not written again.

    Args:
        image: The images. Each image of a batch is saved to a separate file.
        name: Start of the file name. fruit/apple makes a subfolder. Placeholders: %date%, %time%,
            %width%, %height%, %index%, and %sample.seed% for an input of a node.
        format: PNG is lossless, and stores workflows of any length.
        quality: Quality of JPEG, WebP and AVIF.
        bits: Bits per channel. 16 needs PNG.
        rounding: How values are rounded to 8 bits: to the nearest level, or down, as in ComfyUI.
        infotext: Also write prompt, seed, sampler and model as text in the form of A1111, which
            other programs and sites show. auto follows the setting infotext, which is off.
    """
    from nodegraph.media.images.embedded_texts import encode_with_texts
    from nodegraph.media.images.images import IMAGE_SUFFIXES, floor_to_8_bits

    def encoded(at: int) -> bytes:
        with at_port("image"):
            return encode_with_texts(
                image[at] if rounding == "nearest" or bits == "16" else floor_to_8_bits(image[at]),
                {**ctx.file_metadata(at), **(infotext_texts(ctx, at) if writes_infotext else {})},
                format,
                quality,
                bits=int(bits),
                warn=lambda message: ctx.log(message, "warning"),
                client=client_metadata(ctx),
            )

    writes_infotext = infotext == "on" or (infotext == "auto" and ctx.environment.infotext)
    save_pictures(ctx, name, IMAGE_SUFFIXES[format], image, encoded)


@node(
    category="image",
    lane="io",
    output="files",
    validate=check_picture_name,
    tags=("gif", "apng", "webp", "animated", "frames", "SaveAnimatedWEBP", "SaveAnimatedPNG"),
)
def SaveAnimation(
    ctx: Context,
    image: Image,
    rate: Annotated[float, Range(0.01, 100, step=1)] = 8.0,
    name: str = "animation",
    format: Literal["webp", "gif", "png"] = "webp",
    quality: Annotated[int, Range(1, 100), Advanced()] = 85,
    loop: Annotated[bool, Advanced()] = True,
) -> None:
    """Save a batch as an animated image, with the workflow that made it.

    Args:
        image: The frames, in order.
        rate: Frames per second.
        name: Start of the file name, see SaveImage.
        format: GIF has 256 colors. PNG (APNG) is lossless.
        quality: Quality of WebP. 100 is lossless.
        loop: Repeat the animation forever.
    """
    from nodegraph.media.images.images import ANIMATION_SUFFIXES, GIF_FASTEST, encode_animation

    def encoded(at: int) -> bytes:
        with at_port("image"):
            return encode_animation(
                image, rate, ctx.file_metadata(), quality, format=format, loop=loop
            )

    if format == "gif" and rate > GIF_FASTEST and len(image) > 1:
        ctx.log(
            f"GIF is limited to {GIF_FASTEST} frames per second, which is used instead of "
            f"{rate:g}. Use WebP or PNG for more.",
            "warning",
        )
    save_pictures(ctx, name, ANIMATION_SUFFIXES[format], image[:1], encoded)


@node(category="image", lane="io", output=True, tags=("show", "look"))
def PreviewImage(ctx: Context, image: Image) -> None:
    """Show images without saving them to the output folder.

    Args:
        image: The images. Each image of a batch is shown.
    """
    from nodegraph.media.images.images import encode_image_file
    from nodegraph.media.images.output_files import save_by_content

    for item in image:
        with at_port("image"):
            data = encode_image_file(item)
        saved = save_by_content(ctx.environment.temporary / "previews", ".png", data)
        ctx.preview(Preview(data))
        ctx.wrote(saved.path, kind="preview", existed=saved.existed)
