"""Helpers: showing values, dates, and parts of file names."""

from __future__ import annotations

from typing import Any

from nodegraph import Context, node

from ._shown import shown


@node(
    category="helper",
    lane="io",
    output=True,
    tags=("display", "print", "debug", "inspect", "show any", "text", "preview", "statistics"),
)
def ShowValue(ctx: Context, value: Any) -> None:
    """Show any value: texts and numbers as they are, of pictures and latents their statistics.

    Args:
        value: Of a list each item is shown on a line of its own.
    """
    from nodegraph.images.output_files import save_by_content

    text = shown(value)
    folder = ctx.environment.temporary / "previews"
    saved = save_by_content(folder, ".txt", f"{text}\n".encode("utf-8", "replace"))
    ctx.log(text)
    ctx.wrote(saved.path, kind="text", existed=saved.existed)
