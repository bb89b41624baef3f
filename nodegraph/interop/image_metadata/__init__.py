"""Read the settings that other tools write into images, and make workflows of them.

`find_generation` recognizes the tool by the texts that an image carries; `generation_workflow`
makes a workflow of the usual nodes. What is not known or has no counterpart is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nodegraph.errors import InvalidFile
from nodegraph.interop.image_metadata.a1111 import read_a1111
from nodegraph.interop.image_metadata.generation import Generation, parse_json
from nodegraph.interop.image_metadata.infotext import is_infotext
from nodegraph.interop.image_metadata.invokeai import read_dream, read_invokeai, read_sd_metadata
from nodegraph.interop.image_metadata.json_forms import (
    read_draw_things,
    read_fooocus,
    read_novelai,
    read_swarmui,
)

__all__ = ["Generation", "find_generation"]

_LARGEST = 4 << 20
"""Characters of one text. The largest real ones have graphs in them, of a few hundred thousand."""
_XMP = ("XML:com.adobe.xmp", "xmp")

Texts = Mapping[str, str]


def find_generation(texts: Texts) -> Generation | None:
    """Return the settings in the texts of an image; None if no known tool wrote them.

    Args:
        texts: By name, as `nodegraph.session.results.files.result_texts` returns them.
    Raises:
        InvalidFile: A known tool's text is too long, or damaged.
    """
    for recognize in (_novelai, _invokeai, _with_parameters, _comment, _draw_things):
        generation = recognize(texts)
        if generation is not None:
            return generation
    return None


def _novelai(texts: Texts) -> Generation | None:
    is_novelai = texts.get("Software") == "NovelAI" or texts.get("Title", "").startswith("NovelAI")
    if not is_novelai or "Comment" not in texts:
        return None
    _check_size(texts, "Comment", "Description")
    _parsed(texts, "Comment", "NovelAI")
    return read_novelai(texts)


def _invokeai(texts: Texts) -> Generation | None:
    forms: tuple[tuple[str, Callable[[Mapping[str, Any]], Generation]], ...] = (
        ("invokeai_metadata", read_invokeai),
        ("sd-metadata", read_sd_metadata),
    )
    for name, read in forms:
        if name in texts:
            return read(_parsed(texts, name, "InvokeAI"))
    if "Dream" in texts:
        _check_size(texts, "Dream")
        return read_dream(texts["Dream"])
    return None


def _with_parameters(texts: Texts) -> Generation | None:
    """What is called ``parameters`` in PNG, and is the user comment in other formats."""
    text = texts.get("parameters")
    if text is None:
        return None
    _check_size(texts, "parameters")
    document = parse_json(text) if text.lstrip().startswith("{") else None
    if isinstance(document, dict):
        return _of_document(document)
    if not is_infotext(text):
        return None
    scheme = texts.get("fooocus_scheme", "")
    return read_a1111(text, "Fooocus" if scheme == "a1111" else "")


def _comment(texts: Texts) -> Generation | None:
    """Older Fooocus and its forks write JSON into a comment."""
    for name in ("Comment", "comment"):
        text = texts.get(name, "")
        if text.lstrip().startswith("{") and len(text) <= _LARGEST:
            document = parse_json(text)
            generation = _of_document(document) if isinstance(document, dict) else None
            if generation is not None:
                return generation
    return None


def _of_document(document: Mapping[str, Any]) -> Generation | None:
    if "sui_image_params" in document:
        return read_swarmui(document)
    if {"base_model", "prompt", "negative_prompt"} <= document.keys():
        return read_fooocus(document)
    if {"positive_prompt", "scheduler"} <= document.keys():
        return read_invokeai(document)
    return read_draw_things(document) if {"c", "uc", "sampler"} <= document.keys() else None


def _draw_things(texts: Texts) -> Generation | None:
    for name in _XMP:
        text = texts.get(name, "")
        if not text or len(text) > _LARGEST:
            continue
        for comment in _user_comments(text):
            document = parse_json(comment)
            if isinstance(document, dict) and {"c", "sampler"} <= document.keys():
                return read_draw_things(document)
    return None


def _user_comments(xmp: str) -> list[str]:
    """The user comments of EXIF in an XMP packet; none of a damaged one."""
    from xml.etree import ElementTree

    if "<!DOCTYPE" in xmp or "<!ENTITY" in xmp:
        return []  # entities can grow without end; no writer of XMP has any
    start, end = xmp.find("<x:xmpmeta"), xmp.rfind("</x:xmpmeta>")
    packet = xmp[start : end + len("</x:xmpmeta>")] if 0 <= start < end else xmp
    try:
        root = ElementTree.fromstring(packet.replace("\0", ""))  # noqa: S314 - it has no entities
    except (ElementTree.ParseError, ValueError, RecursionError):
        return []
    names = "{http://ns.adobe.com/exif/1.0/}UserComment"
    texts: list[str] = []
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if element.tag == names:
            # Not those within it, too: of many in each other, that takes their number squared.
            texts.append("".join(element.itertext()).strip())
        else:
            waiting += reversed(element)
    return texts + [value for element in root.iter() if (value := element.get(names))]


def _parsed(texts: Texts, name: str, tool: str) -> Mapping[str, Any]:
    """The JSON object of a text.

    Raises:
        InvalidFile: It is too long or damaged.
    """
    _check_size(texts, name)
    document = parse_json(texts[name])
    if not isinstance(document, dict):
        raise InvalidFile(
            f"the metadata of {tool} in this image are damaged: `{name}` is not a JSON object",
            hint="Use the original file: other programs may have changed it.",
        )
    return document


def _check_size(texts: Texts, *names: str) -> None:
    for name in names:
        if len(texts.get(name, "")) > _LARGEST:
            raise InvalidFile(
                f"the image's metadata have too much text in `{name}`",
                given=f"{len(texts[name]):,} characters",
                expected=f"at most {_LARGEST:,}",
            )
