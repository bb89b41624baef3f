"""Texts of any length in JPEG: extended XMP, in several segments.

A segment of a JPEG holds at most 64 kB, and EXIF data is one segment. XMP is not limited to that: a
short packet names the digest of a longer one, which follows in parts. Adobe's *XMP Specification
Part 3* (section 1.1.3.1) describes this form. ExifTool and Adobe's programs read it. Programs that
do not know it skip the segments.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from hashlib import md5
from xml.parsers import expat
from xml.sax.saxutils import escape

NAMESPACE = "urn:nodegraph:xmp:1#"
"""XML namespace of nodegraph's only XMP property, `texts`: all texts of a file as JSON."""
LARGEST = 64 << 20
"""Bytes of an extended packet that is read."""
_PACKET = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_APP1 = b"\xff\xe1"
_PART = 65_400
"""Bytes of the extended packet in one segment: a segment has 65,533, minus the header."""
_HEADER = struct.Struct(">32sII")
"""Before each part: digest of the whole, its length, and where the part begins."""
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def xmp_segments(texts: Mapping[str, str]) -> bytes:
    """Segments of a JPEG that hold texts of any length; equal texts give equal bytes."""
    content = escape(json.dumps(dict(texts)))
    extended = _packet(
        f'<rdf:Description rdf:about="" xmlns:nodegraph="{NAMESPACE}">'
        f"<nodegraph:texts>{content}</nodegraph:texts></rdf:Description>"
    )
    # The digest names the packet and protects nothing: the specification prescribes MD5.
    digest = md5(extended, usedforsecurity=False).hexdigest().upper()
    main = _packet(
        '<rdf:Description rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
        f'xmpNote:HasExtendedXMP="{digest}"/>'
    )
    whole = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>' + main
    parts = [
        _segment(_EXTENSION + _HEADER.pack(digest.encode(), len(extended), at), extended, at)
        for at in range(0, len(extended), _PART)
    ]
    return b"".join([_segment(_PACKET, whole + b'<?xpacket end="w"?>', 0), *parts])


def xmp_texts(segments: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """The texts in the segments of a JPEG; empty without any, and if they are damaged.

    Args:
        segments: Name such as ``APP1`` and content of each, as Pillow's `applist` has them.
    """
    parts: dict[bytes, dict[int, bytes]] = {}
    lengths: dict[bytes, int] = {}
    for name, content in segments:
        if name != "APP1" or not content.startswith(_EXTENSION):
            continue
        start = len(_EXTENSION) + _HEADER.size
        if len(content) < start:
            continue
        digest, length, at = _HEADER.unpack(content[len(_EXTENSION) : start])
        lengths[digest] = length
        parts.setdefault(digest, {})[at] = content[start:]
    for digest, pieces in parts.items():
        packet = b"".join(pieces[at] for at in sorted(pieces))
        is_whole = len(packet) == lengths[digest] <= LARGEST
        # Another program may have written the image anew, and kept only some of the segments.
        if is_whole and md5(packet, usedforsecurity=False).hexdigest().upper().encode() == digest:
            texts = dict(_texts_in(packet))
            if texts:
                return texts
    return {}


def _packet(description: str) -> bytes:
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">{description}'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def _segment(head: bytes, content: bytes, at: int) -> bytes:
    body = head + content[at : at + _PART]
    return _APP1 + struct.pack(">H", len(body) + 2) + body


def _texts_in(packet: bytes) -> Iterator[tuple[str, str]]:
    """The texts in a packet, which may be hostile."""
    name = f"{NAMESPACE} texts"
    parser = expat.ParserCreate(namespace_separator=" ")
    open_tags: list[str] = []
    pieces: list[str] = []

    def refuse(*_: object) -> None:
        # Entities could make gigabytes of a few bytes.
        raise ValueError("a document type")

    def start(tag: str, attributes: dict[str, str]) -> None:
        open_tags.append(tag)
        pieces.append(attributes.get(name, ""))  # the short form of a property

    def add(data: str) -> None:
        if open_tags and open_tags[-1] == name:
            pieces.append(data)

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_tags.pop()
    parser.CharacterDataHandler = add
    try:
        parser.Parse(packet, True)
        document = json.loads("".join(pieces))
    except (expat.ExpatError, ValueError, LookupError, TypeError, RecursionError):
        return
    for key, text in document.items() if isinstance(document, dict) else ():
        if isinstance(text, str):
            yield key, text
