"""Numbered files of results, and a picture beside those that are none. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from nodegraph import Context, Mesh, PointCloud

if TYPE_CHECKING:
    from torch import Tensor


_TURNS, _SIDE, _RATE = 16, 192, 8.0
"""Frames, pixels of a side, and frames a second of a moving picture."""


def result_name(ctx: Context, pattern: str, size: tuple[int, int] = (0, 0)) -> str:
    """The name that a pattern gives a result, see `nodegraph.media.images.output_names`.

    Args:
        size: Width and height, of what has them.
    """
    from nodegraph.media.images.output_names import expand_pattern

    return expand_pattern(
        pattern,
        now=datetime.now(),
        workflow=ctx.workflow,
        size=size,
        warn=lambda message: ctx.log(message, "warning"),
    )


def save_result(ctx: Context, pattern: str, suffix: str, content: bytes, *, kind: str) -> None:
    """Write a file under the next number in the output folder, and tell of it.

    Args:
        pattern: As for `result_name`; of one that is filled already nothing is left to fill.
        kind: What it is to people.
    """
    from nodegraph.media.images.output_files import save_numbered

    name = result_name(ctx, pattern)
    folders = ctx.environment
    index = folders.temporary / "outputs.sqlite"
    [saved] = save_numbered(folders.outputs, name, suffix, [content], index=index)
    ctx.wrote(saved.path, kind=kind, existed=saved.existed)


def save_picture(ctx: Context, name: str, picture: Tensor) -> None:
    """Write a picture of a result beside it; it carries the workflow, too.

    Args:
        picture: float32 in 0..1, shape (1, height, width, 3).
    """
    from nodegraph.media.images.workflow_metadata import encode_with_workflow

    content = encode_with_workflow(
        picture[0], ctx.workflow, warn=lambda message: ctx.log(message, "warning")
    )
    save_result(ctx, name, ".png", content, kind="image")


def save_turntable(ctx: Context, name: str, shape: Mesh | PointCloud) -> None:
    """Write a moving picture of a shape beside it; it carries the workflow, too."""
    from nodegraph.media.images.images import encode_animation
    from nodegraph.media.images.workflow_metadata import workflow_metadata
    from nodegraph.media.shapes.rendering import turntable

    frames = turntable(shape, _TURNS, _SIDE, on_progress=lambda done: ctx.progress(done, _TURNS))
    content = encode_animation(frames, _RATE, workflow_metadata(ctx.workflow))
    save_result(ctx, name, ".webp", content, kind="image")


def save_text(ctx: Context, pattern: str, suffix: str, text: str) -> None:
    """Write a text under the name that a pattern gives it, numbered, and tell of it."""
    save_result(ctx, pattern, suffix, text.encode("utf-8", "replace"), kind="text")


def save_pictures(
    ctx: Context, pattern: str, suffix: str, pictures: Tensor, encoded: Callable[[int], bytes]
) -> None:
    """Write pictures under the names that a pattern gives them, numbered, and tell of them.

    Args:
        pattern: See `nodegraph.media.images.output_names`.
        pictures: Shape (batch, height, width, channels).
        encoded: Gives a picture's file by its place in the batch.
    """
    from nodegraph.media.images.output_files import save_numbered
    from nodegraph.media.images.output_names import expand_pattern

    contents: dict[str, list[bytes]] = {}
    now, (count, height, width, _) = datetime.now(), pictures.shape
    for at in range(count):
        name = expand_pattern(
            pattern,
            now=now,
            workflow=ctx.workflow,
            size=(width, height),
            index=at,
            warn=lambda message: ctx.log(message, "warning"),
        )
        contents.setdefault(name, []).append(encoded(at))
    folders = ctx.environment
    index = folders.temporary / "outputs.sqlite"
    for name, files in contents.items():
        for saved in save_numbered(folders.outputs, name, suffix, files, index=index):
            ctx.wrote(saved.path, existed=saved.existed)
