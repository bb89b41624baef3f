"""Numbered result files, with an image next to results that are not images. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph import Context, Mesh, PointCloud

if TYPE_CHECKING:
    from torch import Tensor


_TURNS, _SIDE, _RATE = 16, 192, 8.0
"""Frames, side in pixels, and frames per second of an animation."""


def result_name(ctx: Context, pattern: str, size: tuple[int, int] = (0, 0)) -> str:
    """Name of a result from a pattern. See `nodegraph.media.images.output_names`.

    Args:
        size: Width and height, if the result has them.
    """
    from nodegraph.media.images.output_names import expand_pattern

    return expand_pattern(
        pattern,
        now=datetime.now(),
        workflow=ctx.workflow,
        size=size,
        warn=lambda message: ctx.log(message, "warning"),
    )


def save_result(
    ctx: Context,
    pattern: str,
    suffix: str,
    content: bytes,
    *,
    kind: str,
    index: int | None = None,
    sidecar: bool = False,
) -> Path:
    """Write a file with the next number in the output folder, and report it; its path.

    Args:
        pattern: As for `result_name`. A pattern that is already filled in does not change.
        kind: Kind of the result for users.
        index: Which item of a batch the file holds.
        sidecar: Whether the format has no room for texts, so that they go into a file of their own.
    """
    from nodegraph.media.images.output_files import save_numbered

    name = result_name(ctx, pattern)
    folders = ctx.environment
    numbers = folders.temporary / "outputs.sqlite"
    [saved] = save_numbered(folders.outputs, name, suffix, [content], index=numbers)
    ctx.wrote(saved.path, kind=kind, existed=saved.existed, index=index, sidecar=sidecar)
    return saved.path


def save_beside(ctx: Context, path: Path, image: Tensor) -> None:
    """Save an image next to a file, under its name. Another image that is there stays.

    Args:
        image: float32 in 0..1, shape (1, height, width, 3).
    """
    from nodegraph.core.files import write_file
    from nodegraph.media.images.images import encode_pil, to_pil

    content = encode_pil(to_pil(image[0]), "png")
    for suffix in (".png", ".preview.png"):
        target = path.with_suffix(suffix)
        existed = target.exists()
        if not existed:
            write_file(target, content)
        if not existed or target.read_bytes() == content:
            ctx.wrote(target, kind="image", existed=existed)
            return
    ctx.log(f"The sample is not saved, because {target.name} is another image.", "warning")


def save_picture(ctx: Context, name: str, picture: Tensor) -> None:
    """Save an image of a result next to it, with the same texts.

    Args:
        picture: float32 in 0..1, shape (1, height, width, 3).
    """
    from nodegraph.media.images.embedded_texts import encode_with_texts

    content = encode_with_texts(picture[0], ctx.file_metadata())
    save_result(ctx, name, ".png", content, kind="image")


def save_turntable(ctx: Context, name: str, shape: Mesh | PointCloud) -> None:
    """Save an animation of a shape next to it, with the same texts."""
    from nodegraph.media.images.images import encode_animation
    from nodegraph.media.shapes.rendering import turntable

    frames = turntable(shape, _TURNS, _SIDE, on_progress=lambda done: ctx.progress(done, _TURNS))
    content = encode_animation(frames, _RATE, ctx.file_metadata())
    save_result(ctx, name, ".webp", content, kind="image")


def save_text(ctx: Context, pattern: str, suffix: str, text: str) -> None:
    """Save a text under the name of a pattern, numbered, and report it."""
    save_result(ctx, pattern, suffix, text.encode("utf-8", "replace"), kind="text")


def client_metadata(ctx: Context) -> object:
    """Texts that a client sent to be kept in files, if the settings allow it.

    They repeat the workflow and its prompts.
    """
    environment = ctx.environment
    is_kept = environment.metadata == "full" and environment.metadata_prompts
    return ctx.workflow.get("metadata") if is_kept else None


def infotext_texts(ctx: Context, index: int) -> dict[str, str]:
    """Return the settings of an image that a node saves, as a text in A1111's form; empty without.

    Args:
        index: Which image of the batch.
    """
    from nodegraph.interop.image_metadata.workflow_settings import format_settings, read_settings
    from nodegraph.media.images.images import PARAMETERS
    from nodegraph.models.model_hashes import ModelHashCache
    from nodegraph.models.model_sources import find_path

    environment = ctx.environment
    if environment.metadata != "full":
        return {}
    settings = read_settings(ctx.workflow, ctx.node, index)
    if settings is None:
        if index == 0:
            ctx.log(
                "No KSampler outside of subgraphs made this image, so it has no text with its "
                "settings.",
                "warning",
            )
        return {}
    if not environment.metadata_prompts:
        settings.prompt = settings.negative = ""
        if settings.hires is not None:
            settings.hires.prompt = settings.hires.negative = ""

    def sha256_of(name: str) -> str:
        path = find_path(name, environment.models)
        return ModelHashCache(environment.cache).hashes(path).sha256 if path.is_file() else ""

    return {PARAMETERS: format_settings(settings, sha256_of)}


def save_pictures(
    ctx: Context, pattern: str, suffix: str, pictures: Tensor, encoded: Callable[[int], bytes]
) -> None:
    """Save images under the names of a pattern, numbered, and report them.

    Args:
        pattern: See `nodegraph.media.images.output_names`.
        pictures: Shape (batch, height, width, channels).
        encoded: Returns the file content of an image by its index in the batch.
    """
    from nodegraph.media.images.output_files import save_numbered
    from nodegraph.media.images.output_names import expand_pattern

    contents: dict[str, list[tuple[int, bytes]]] = {}
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
        contents.setdefault(name, []).append((at, encoded(at)))
    folders = ctx.environment
    index = folders.temporary / "outputs.sqlite"
    for name, files in contents.items():
        data = [content for _, content in files]
        written = save_numbered(folders.outputs, name, suffix, data, index=index)
        for (at, _), saved in zip(files, written, strict=True):
            ctx.wrote(saved.path, existed=saved.existed, index=at)
