"""Helpers: showing values, sizes for models, dates, and parts of file names."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from nodegraph import Advanced, Choices, Context, Image, Range, node

from ._dates import check_date, date_now, today_text
from ._shown import format_value
from ._sizes import CHOICES, size_for


@node(
    category="helper",
    lane="io",
    output=True,
    tags=(
        "display",
        "print",
        "debug",
        "inspect",
        "show any",
        "text",
        "preview",
        "statistics",
        "PreviewAny",
        "ShowText",
    ),
)
def ShowValue(ctx: Context, value: Any) -> None:
    """Show any value: texts and numbers as they are, of pictures and latents their statistics.

    Args:
        value: Of a list each item is shown on a line of its own.
    """
    from nodegraph.media.images.output_files import save_by_content

    text = format_value(value)
    folder = ctx.environment.temporary / "previews"
    saved = save_by_content(folder, ".txt", f"{text}\n".encode("utf-8", "replace"))
    ctx.log(text)
    ctx.wrote(saved.path, kind="text", existed=saved.existed)


class PictureSize(NamedTuple):
    width: int
    height: int


@node(
    category="helper",
    tags=(
        *("resolution", "aspect ratio", "size", "width", "height", "sdxl", "portrait", "landscape"),
        *("ResolutionSelector", "FluxKontextImageScale", "kontext", "megapixels"),
    ),
)
def Resolution(
    family: Annotated[str, Choices(tuple(CHOICES))] = "sdxl",
    aspect: Literal["1:1", "5:4", "4:3", "3:2", "16:10", "16:9", "2:1", "21:9"] = "1:1",
    portrait: bool = False,
    megapixels: Annotated[float, Range(0, 256), Advanced()] = 0.0,
    multiple: Annotated[int, Range(0, 1024), Advanced()] = 0,
    like: Image | None = None,
) -> PictureSize:
    """Width and height that a model likes, by its family and the proportions.

    Those of SDXL, Flux.1 Kontext and Qwen-Image are the sizes that they were trained on; others
    are as many pixels as their family's. To bring a picture to such a size, link it here as well
    as to a ResizeImage that crops, and the size to that one's.

    Args:
        family: Of the model; tiny is the one that comes with nodegraph.
        aspect: Width to height.
        portrait: Higher than wide.
        megapixels: Millions of pixels; 0 for what the family was trained on.
        multiple: What both sides are to be multiples of; 0 for what the family takes.
        like: A picture whose proportions are taken instead.
    """
    if like is None:
        wide, high = map(float, aspect.split(":"))
        wide, high = (high, wide) if portrait else (wide, high)
    else:
        wide, high = like.shape[2], like.shape[1]
    return PictureSize(*size_for(family, wide, high, megapixels=megapixels, multiple=multiple))


@node(
    category="helper",
    validate=check_date,
    fingerprint=today_text,
    tags=("date", "time", "now", "clock", "timestamp", "file name", "filename"),
)
def Today(format: str = "%Y-%m-%d") -> str:
    """The date, or the time, as a text. What depends on it is made anew once that text changes.

    Args:
        format: %Y year, %m month, %d day, %H hour, %M minute, %S second, %A weekday, %B month's
            name, %j day of the year, %V week.
    """
    return date_now(format)


class PathPieces(NamedTuple):
    folder: str
    name: str
    stem: str
    suffix: str


@node(
    category="helper",
    tags=("file name", "basename", "extension", "folder", "directory", "filename"),
)
def PathParts(path: str) -> PathPieces:
    """The parts of a file's path: for fruit/apple.png the folder fruit, apple.png, apple and .png.

    Args:
        path: With / or \\ between folders.
    """
    from pathlib import PurePosixPath

    pure_path = PurePosixPath(path.strip().replace("\\", "/"))
    folder = str(pure_path.parent)
    return PathPieces(
        "" if folder == "." else folder, pure_path.name, pure_path.stem, pure_path.suffix
    )
