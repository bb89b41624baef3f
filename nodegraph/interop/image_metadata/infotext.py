"""The text format of A1111's ``parameters``: a prompt, a negative prompt, a line of settings.

Forge, Civitai, Fooocus and many extensions write it, too. Values with commas, colons or line breaks
are JSON strings; some extensions write bare JSON lists and objects.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

NEGATIVE = "Negative prompt:"
_KEY = re.compile(r"\s*(\w[\w \-/+.()&']{0,60}?)\s*:\s?", re.UNICODE)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_NEXT_KEY = re.compile(r",\s*\w[\w \-/+.()&']{0,60}?\s*:", re.UNICODE)
_FIRST_FIELD = re.compile(r"\s*Steps\s*:\s*\d+\s*(?:,|$)")
_TRAILING = ("Template:", "Negative Template:", "Wildcard prompt:", "Hires prompt:")
_FEWEST = 3
"""Fields of a line that counts as settings, if it does not begin with the steps; as in A1111."""
_MAX_FIELDS = 500
_DECODER = json.JSONDecoder()
_PNG_HEAD = 33
"""Bytes of a PNG file up to the end of its first chunk."""


@dataclass
class Infotext:
    """A parsed text.

    Attributes:
        fields: Settings by name, in order, unquoted.
        templates: Prompts before wildcards were drawn, by their heading.
    """

    prompt: str = ""
    negative: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)


def parse_infotext(text: str) -> Infotext:
    """Parse a text. Any text has a result: without settings, all of it is the prompt."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").split("\n")
    at, fields = _settings_line(lines)
    above, below = lines[:at], lines[at + 1 :]
    negative_at = next(
        (at for at, line in enumerate(above) if line.startswith(NEGATIVE)), len(above)
    )
    prompt = "\n".join(above[:negative_at]).strip()
    negative = "\n".join(above[negative_at:])[len(NEGATIVE) :].strip()
    return Infotext(prompt, negative, fields, _templates(below))


def is_infotext(text: str) -> bool:
    """Return whether a text has a line of settings."""
    return bool(parse_infotext(text).fields)


def _settings_line(lines: list[str]) -> tuple[int, dict[str, str]]:
    """The last line of settings and its fields; behind the last line if there is none."""
    for at in range(len(lines) - 1, -1, -1):
        if _FIRST_FIELD.match(lines[at]):
            return at, parse_fields(lines[at])
    for at in range(len(lines) - 1, max(-1, len(lines) - 4), -1):
        line = lines[at]
        if not line.startswith((NEGATIVE, *_TRAILING)):
            fields = parse_fields(line)
            if len(fields) >= _FEWEST and {"Sampler", "Seed", "Size", "CFG scale"} & fields.keys():
                return at, fields
    return len(lines), {}


def _templates(lines: Iterable[str]) -> dict[str, str]:
    """Texts below the settings, under their headings."""
    templates: dict[str, str] = {}
    heading = ""
    for line in lines:
        new = next((each for each in _TRAILING if line.startswith(each)), "")
        if new:
            heading = new.removesuffix(":")
            templates[heading] = line[len(new) :].strip()
        elif heading:
            templates[heading] = f"{templates[heading]}\n{line}".rstrip()
    return templates


def parse_fields(line: str) -> dict[str, str]:
    """Parse a line such as ``Steps: 20, Sampler: Euler a``; of two equal names the first counts."""
    fields: dict[str, str] = {}
    at = 0
    for _ in range(_MAX_FIELDS):  # fields, not names: a text may repeat one without end
        match = _KEY.match(line, at)
        if match is None:
            break
        value, at = _value(line, match.end())
        fields.setdefault(match[1], value)
        at += at < len(line) and line[at] == ","
    return fields


def _value(line: str, at: int) -> tuple[str, int]:
    """A value that begins at a position, and where it ends."""
    if line[at : at + 1] in ("[", "{"):
        try:
            _, end = _DECODER.raw_decode(line, at)
            return line[at:end], _after(line, end)
        except (ValueError, RecursionError):
            pass  # not JSON: a plain value that begins with a bracket
    string = _STRING.match(line, at)
    if string and (
        _after(line, string.end()) == len(line) or line[_after(line, string.end())] == ","
    ):
        return _unquote(string[0]), _after(line, string.end())
    following = _NEXT_KEY.search(line, at)
    end = following.start() if following else len(line)
    return line[at:end].strip().rstrip(",").strip(), end


def _after(line: str, at: int) -> int:
    while at < len(line) and line[at].isspace():
        at += 1
    return at


def _unquote(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text[1:-1]
    return value if isinstance(value, str) else text


def format_infotext(prompt: str, negative: str, fields: Mapping[str, object]) -> str:
    """Return the text that A1111 writes and reads for some settings."""
    line = ", ".join(f"{name}: {_quote(str(value))}" for name, value in fields.items())
    negative_line = f"{NEGATIVE} {negative}" if negative else ""
    return "\n".join(part for part in (prompt, negative_line, line) if part)


def _quote(text: str) -> str:
    is_plain = not re.search(r'[,:\n\r"]', text) and text == text.strip()
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def with_parameters(png: bytes, text: str) -> bytes:
    """Return a PNG file with a text `parameters`, in place of one that it may have."""
    try:
        chunk = _chunk(b"tEXt", b"parameters\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        chunk = _chunk(b"iTXt", b"parameters\0\0\0\0\0" + text.encode())
    parts = [png[:_PNG_HEAD], chunk]
    at = _PNG_HEAD
    while at < len(png):
        end = at + int.from_bytes(png[at : at + 4], "big") + 12
        if not png[at + 4 : end].startswith((b"tEXtparameters\0", b"iTXtparameters\0")):
            parts.append(png[at:end])
        at = end
    return b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_TAG = re.compile(r"<(\w{1,20}):([^<>\n]{1,300})>")


@dataclass(frozen=True)
class NetworkTag:
    """A tag in a prompt, such as ``<lora:name:0.8>``.

    Attributes:
        kind: ``lora``, ``lyco``, ``hypernet`` or another word.
        strengths: Of the text encoder and of the model.
    """

    kind: str
    name: str
    strengths: tuple[float, float]


_NETWORKS = ("lora", "lyco", "hypernet")


def split_network_tags(prompt: str) -> tuple[str, list[NetworkTag]]:
    """Return a prompt without its tags of extra networks, and these."""
    tags: list[NetworkTag] = []

    def take(match: re.Match[str]) -> str:
        if match[1].lower() not in _NETWORKS:
            return match[0]
        tags.append(_tag(match[1].lower(), match[2]))
        return ""

    return _TAG.sub(take, prompt).strip(), tags


def _tag(kind: str, text: str) -> NetworkTag:
    name, *values = text.split(":")
    plain = [value for value in values if "=" not in value]
    named = dict(value.split("=", 1) for value in values if "=" in value)
    # The other name is that of the text encoder.
    of_encoder = [value for key, value in named.items() if key not in ("unet", "dyn")]
    encoder = _strength((of_encoder or plain or [""])[0], 1.0)
    model = _strength(named.get("unet", plain[1] if len(plain) > 1 else ""), encoder)
    return NetworkTag(kind, name.strip(), (encoder, model))


def _strength(text: str, default: float) -> float:
    try:
        value = float(text)
    except ValueError:
        return default
    return value if abs(value) <= 1e6 else default  # also of NaN
