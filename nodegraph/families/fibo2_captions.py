"""Structured captions of Bria FIBO 2: JSON prompts as the model was trained on them. No torch.

Source: diffusers' pipeline ``BriaFibo2Pipeline``, by Bria AI.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from nodegraph.errors import InvalidValue
from nodegraph.families.qwen_image_edit import PICTURE

NULL_CAPTION = (
    '{"short_description":"","objects":[],"background_setting":"","lighting":{},'
    '"aesthetics":{},"photographic_characteristics":{},"style_medium":"",'
    '"context":"","artistic_style":""}'
)
"""Negative prompt of the training: every key of a caption, each without a value."""

_LOOK = f"<|vision_start|>{PICTURE}<|vision_end|>"
"""Stands in a prompt for an image."""
_DESCRIPTION, _TEXTS = "short_description", "text_render"
_INSTRUCTION, _CAPTION = "edit_instruction", "structured_caption"
_SCORES = frozenset({"aesthetic_score", "preference_score"})
"""Keys that captions of the training did not have."""


class Fibo2Prompt(NamedTuple):
    """A prompt as the text encoder reads it.

    Attributes:
        text: With a token for each image.
        drawn: Texts that the image is to show. The encoder sees an image of each, behind the images
            that are edited.
        plain: The same prompt without images of these texts.
    """

    text: str
    drawn: tuple[str, ...] = ()
    plain: str = ""


def caption_prompt(text: str) -> Fibo2Prompt:
    """Return a prompt for a new image.

    JSON captions are cleaned as those of the training: they hold no empty values and no scores. A
    caption with an empty ``short_description`` stays as it is, as negative prompts have one.
    """
    values = _json_object(text)
    if values is None or values.get(_DESCRIPTION) == "":
        return Fibo2Prompt(text)
    caption, _ = _parts(values)
    if isinstance(caption, str):
        return Fibo2Prompt(text)
    caption = caption or {}
    drawn = _texts(caption)
    if not drawn:
        return Fibo2Prompt(_compact(caption))
    return Fibo2Prompt(_compact(_marked(caption, _LOOK)), drawn, _compact(_marked(caption, "")))


def edit_prompt(text: str, images: int) -> Fibo2Prompt:
    """Return a prompt that edits images: an instruction, or a JSON caption of the result with one.

    Args:
        images: Number of images, at least 1.
    Raises:
        InvalidValue: A caption has no instruction, or two captions; on port ``text``.
    """
    values = _json_object(text)
    caption: dict[str, Any] | str | None = None
    instruction: Any = None
    if values is not None:
        _check_edit(values)
        caption, instruction = _parts(values)
    if instruction is None:
        caption, instruction = None, text
    names = ["image"] if images == 1 else [f"image_{number}" for number in range(1, images + 1)]
    looks = dict.fromkeys(names, _LOOK)
    drawn: tuple[str, ...] = ()
    if isinstance(caption, dict):
        drawn = _texts(caption)
        caption = _marked(caption, _LOOK) if drawn else caption
    described = {_CAPTION: caption} if caption else {}
    return Fibo2Prompt(_compact({**looks, **described, _INSTRUCTION: instruction}), drawn)


def _check_edit(values: Mapping[str, Any]) -> None:
    if _INSTRUCTION not in values:
        raise InvalidValue(
            "a caption for an edit does not say what to change",
            port="text",
            given=f"the keys {', '.join(values) or 'none'}",
            expected=f"a key {_INSTRUCTION}",
            hint=f'Add "{_INSTRUCTION}" to the caption, or write the instruction alone.',
        )
    nested = values.get(_CAPTION, {})
    if not isinstance(nested, (dict, str)) or (_CAPTION in values and len(values) > 2):
        raise InvalidValue(
            f"a prompt with a {_CAPTION} has something beside it",
            port="text",
            given=f"the keys {', '.join(values)}",
            expected=f"{_CAPTION}, a caption or a text, and {_INSTRUCTION} alone",
            hint=f"Move the other keys into {_CAPTION}.",
        )


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        return None
    return values if isinstance(values, dict) else None


def _parts(values: Mapping[str, Any]) -> tuple[dict[str, Any] | str | None, Any]:
    """Return the cleaned caption of a JSON prompt, or its text, and its instruction."""
    remaining = {key: value for key, value in values.items() if key != _INSTRUCTION}
    instruction = values.get(_INSTRUCTION)
    if _CAPTION in remaining:
        remaining = remaining[_CAPTION]
        if not isinstance(remaining, dict):
            return remaining or None, instruction
    cleaned = {
        key: _without_scores(value)
        for key, value in _cleaned(remaining).items()
        if key not in _SCORES
    }
    caption = {key: value for key, value in cleaned.items() if value != {}}
    if remaining.keys() == {_DESCRIPTION, _TEXTS}:
        # An empty list says here that the image has no text.
        caption = {
            _DESCRIPTION: caption.get(_DESCRIPTION) or "",
            _TEXTS: caption.get(_TEXTS) or [],
        }
    return caption or None, instruction


def _cleaned(value: Any) -> Any:
    """Return a value without what is empty in it, at any depth."""
    if isinstance(value, dict):
        items = {key: _cleaned(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if not _is_empty(item)}
    if isinstance(value, list):
        return [item for item in map(_cleaned, value) if not _is_empty(item)]
    return value


def _is_empty(value: Any) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, (str, dict, list)) and not value)


def _without_scores(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in _SCORES}


def _texts(caption: Mapping[str, Any]) -> tuple[str, ...]:
    entries = caption.get(_TEXTS) or []
    return tuple(entry["text"] for entry in entries if _has_text(entry))


def _has_text(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("text"), str) and bool(entry["text"])


def _marked(caption: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """Return a caption whose texts have a mark beside them."""
    entries = [
        {**entry, "image_tokens": mark} if _has_text(entry) else entry for entry in caption[_TEXTS]
    ]
    return {**caption, _TEXTS: entries}


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
