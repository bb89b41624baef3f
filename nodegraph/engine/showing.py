"""What nodes show of unfinished work, as events tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.core.context import Preview
from nodegraph.core.digests import is_tensor
from nodegraph.core.plot_form import plot_form
from nodegraph.core.plots import Plot
from nodegraph.core.summary import summarize
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.core.context import Shown

MOST_POINTS = 1_000
"""Of a plot, in one event; about as many as a screen tells apart."""
_DIGITS = 6


def preview_parts(shown: Shown) -> dict[str, Any]:
    """Plain values that tell of a preview, by their names in the event.

    Returns:
        ``image`` and ``mime`` of a picture, ``plot`` of a plot.
    Raises:
        InvalidValue: It can't be shown.
    """
    if isinstance(shown, Preview):
        return {"image": shown.data, "mime": shown.mime}
    if isinstance(shown, Plot):
        return {"plot": plot_form(shown, most=MOST_POINTS, digits=_DIGITS)}
    if is_tensor(shown) and shown.ndim == 4 and shown.numel():
        from nodegraph.images.previews import picture_preview

        return preview_parts(picture_preview(shown))
    raise InvalidValue(
        "this can't be shown as a preview",
        given=summarize(shown),
        expected="Preview, Plot, or Image (float tensor [batch, height, width, channels])",
    )
