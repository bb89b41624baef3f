"""Instructions for better prompts, and prompt syntax that language models must not see."""

from __future__ import annotations

import re
from types import MappingProxyType

_STYLES = MappingProxyType(
    {
        "detailed": "Rewrite it as two to four sentences that describe one image: subject, action, "
        "setting, composition, light, colors and mood.",
        "photo": "Rewrite it as two to four sentences that describe one photograph: subject, "
        "setting, framing, lens and depth of field, light, time of day.",
        "tags": "Rewrite it as 15 to 30 short comma-separated tags in lower case, the most "
        "important first: subject, appearance, action, setting, light, style. No sentences.",
        "short": "Rewrite it as one vivid sentence of at most 30 words.",
        "video": "Rewrite it as three to five sentences that describe one continuous shot: "
        "subject, motion in the order in which it happens, setting, camera movement, light.",
    }
)
_ALWAYS = (
    "You improve prompts for image generation. Keep every subject, number, name, color, style and "
    "quoted text of the prompt, and contradict nothing in it. Answer with the new prompt alone: no "
    "introduction, no quotation marks, no lists, no explanation."
)
_KEPT = re.compile(
    r"<[A-Za-z][\w-]*:[^<>]*>|\bembedding:[^\s,]+|__[^\s_](?:[^\n]*?[^\s_])?__", re.IGNORECASE
)
_WEIGHTED = re.compile(r"\(([^()\[\]]*?):\s*[-+]?\d*\.?\d+\s*\)")
_BRACKETS = re.compile(r"(?<!\\)[()\[\]{}]")
_FENCE = re.compile(r"^```\w*\n?|\n?```$")
_PREFACE = re.compile(
    r"^(?:sure|certainly|of course|here)\b[^\n]*?:\s*|^\**(?:enhanced |improved |new )?prompt\**"
    r"\s*:\**\s*",
    re.IGNORECASE,
)
_QUOTES = MappingProxyType({'"': '"', "'": "'", "“": "”", "«": "»", "`": "`"})


def enhancement_instructions(style: str, further: str) -> str:
    """Return the system prompt for a style."""
    return " ".join(part for part in (_ALWAYS, _STYLES[style], further.strip()) if part)


def split_syntax(prompt: str) -> tuple[str, list[str]]:
    """Split a prompt into plain text, and LoRAs, embeddings and wildcards to keep."""
    kept = [match[0] for match in _KEPT.finditer(prompt)]
    text = _KEPT.sub(" ", prompt)
    before = ""
    while before != text:  # from the inner weights to the outer ones
        before, text = text, _WEIGHTED.sub(r"\1", text)
    text = _BRACKETS.sub("", text)
    parts = (re.sub(r"\s+", " ", part).strip() for part in text.split(","))
    return ", ".join(part for part in parts if part), kept


def join_syntax(answer: str, prompt: str, kept: list[str]) -> str:
    """Return the new prompt: the plain answer of the model, followed by the kept syntax.

    An empty answer gives the old prompt. Syntax that the model made up is removed.
    """
    text = _FENCE.sub("", answer.strip()).strip()
    text = _PREFACE.sub("", text, count=1).strip()
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    text, _ = split_syntax(text)
    return " ".join([text or prompt, *kept]).strip()
