"""Helpers: show values, pick resolutions, and make dates and parts of file names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from nodegraph import (
    Advanced,
    Choices,
    Context,
    Finding,
    HookInputs,
    Image,
    InvalidValue,
    Range,
    node,
)

from ._facts import error_to_finding
from ._shown import format_value
from ._sizes import CHOICES, size_for

_LONGEST = 200


def date_now(form: str) -> str:
    """The current local time, in a strftime format.

    Raises:
        InvalidValue: The format is not valid.
    """
    try:
        if len(form) > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} characters")
        # Local time: it is for people who read file names.
        return datetime.now().astimezone().strftime(form)
    except (ValueError, UnicodeError) as error:
        raise InvalidValue(
            f"the date format is not valid: {error}",
            port="format",
            given=form[:60],
            expected="%Y-%m-%d",
        ) from None


def check_date(inputs: HookInputs) -> Iterator[Finding]:
    """Find date formats that are not valid."""
    try:
        today_text(inputs)
    except InvalidValue as error:
        yield error_to_finding("format", error)


def today_text(inputs: HookInputs) -> str:
    """The node's output, so that the cache key changes with it.

    A format that is not known yet gives a new text each time.
    """
    form = inputs.literals.get("format")
    return date_now(form if isinstance(form, str) else "%Y-%m-%d %H:%M:%S.%f")


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
    """Show any value as text. Images and latents are shown as statistics.

    Args:
        value: The value. A list is shown with one item per line.
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
    """Choose a width and height that suit a model family and aspect ratio.

    For SDXL, Flux.1 Kontext and Qwen-Image these are the sizes of their training. For other
    families the pixel count is that of the family. To resize an image to such a size, link it to
    `like` and to a ResizeImage node with crop, and link width and height to that node.

    Args:
        family: Family of the model. tiny is the model included in nodegraph.
        aspect: Aspect ratio, width to height.
        portrait: Swap the aspect ratio, so that the height is the longer side.
        megapixels: Size in millions of pixels. 0 uses the training size of the family.
        multiple: Both sides are multiples of this value. 0 uses the multiple that the family needs.
        like: An image whose aspect ratio is used instead.
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
    """The current date or time as text. Nodes that depend on it rerun when the text changes.

    Args:
        format: %Y year, %m month, %d day, %H hour, %M minute, %S second, %A weekday, %B month name,
            %j day of the year, %V week.
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
    """Split a file path: fruit/apple.png gives the folder fruit, apple.png, apple and .png.

    Args:
        path: A path with / or \\ between folders.
    """
    from pathlib import PurePosixPath

    pure_path = PurePosixPath(path.strip().replace("\\", "/"))
    folder = str(pure_path.parent)
    return PathPieces(
        "" if folder == "." else folder, pure_path.name, pure_path.stem, pure_path.suffix
    )
