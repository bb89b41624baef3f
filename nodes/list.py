"""Lists: what single-valued inputs are mapped over."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Multiline, node


@node(category="list", tags=("prompts", "batch", "split"))
def Lines(text: Annotated[str, Multiline()]) -> list[str]:
    """The lines of a text, without empty ones: linked to a text input, the node runs for each.

    Args:
        text: One item a line; space around it doesn't count.
    """
    return [line.strip() for line in text.splitlines() if line.strip()]
