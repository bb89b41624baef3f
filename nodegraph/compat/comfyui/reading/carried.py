"""Workflows that pictures and videos carry, as ComfyUI and its packs save them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from nodegraph.compat.comfyui.reading.documents import is_foreign, prompt_of


def carried_workflow(texts: Mapping[str, str]) -> Any:
    """The workflow among the texts that a file carries; None if there is none of ComfyUI.

    Args:
        texts: By name, as `images.images.read_metadata` and `videos.video_files.video_texts` give
            them. ComfyUI writes ``workflow`` and ``prompt``, packs both within ``comment``.
    Returns:
        A JSON document for `read_workflow`: the UI format, if there is one, else the API format.
        The drawing tells more than what was run: places, titles, and what is muted. What was run
        says its values by name. Of a file that has both, both are in one document.
    """
    drawing, prompt = _found(texts, "workflow"), _found(texts, "prompt")
    is_drawn = isinstance(drawing, dict) and isinstance(drawing.get("nodes"), list)
    if is_drawn and prompt is not None and prompt_of({"prompt": prompt}):
        return {"workflow": drawing, "prompt": prompt}
    return prompt if drawing is None else drawing


def _found(texts: Mapping[str, str], key: str) -> Any:
    for holder in (texts, _parsed(texts.get("comment"))):
        found = _parsed(holder.get(key)) if isinstance(holder, Mapping) else None
        if is_foreign(found):
            return found
    return None


def loose_document(text: str) -> Any:
    """The workflow of ComfyUI's that a text is which only Python takes for JSON, as its `json`
    writes NaN; None of any other text."""
    document = _parsed(text)
    return document if is_foreign(document) else None


def _parsed(text: Any) -> Any:
    """What a JSON text says, or was said already; None if it says nothing.

    Python's `json`, which writes these texts, writes NaN as itself. Mostly it stands where ComfyUI
    asked nodes for changes, and means nothing to us; as a text it is told of anywhere else.
    """
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text, parse_constant=str, parse_float=_finite)
    except (ValueError, RecursionError):
        return None


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text
